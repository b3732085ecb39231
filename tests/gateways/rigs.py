"""One gateway on a bench: what a buyer does to it, what it has told, and a line to it that can be cut."""

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import uuid4

import httpx
from razorpay_double import RazorpayDouble
from stripe_double import StripeDouble

from boxoffice.payments.fake import FakeBehaviour, FakeGateway
from boxoffice.payments.gateway import EventType, Gateway, RefundRequest, SessionRequest
from boxoffice.payments.razorpay import RazorpayGateway
from boxoffice.payments.stripe import StripeGateway, StripeMode
from boxoffice.payments.webhooks import sign
from boxoffice.postgres.pool import Pool

AMOUNT = 50_000
CURRENCY = "INR"
HOME = "http://box-office.test"
SECRETS = ("whsec_the_new_one", "whsec_the_old_one")
MOODS: Final = ("silent", "answer_lost", "nonsense", "401", "403", "409", "429", "500", "503")
"""Says nothing and does nothing; does it and says nothing; answers with something else; answers with that status: it
does not take our key, is at work on it, has too much to do, is broken."""
CHANGES_ONLY: Final = "changes_"
"""Before a mood: only about what would change something, so that it gets so far. What looks is answered."""

Told = tuple[dict[str, str], bytes]


class Rig(Protocol):
    """A gateway, and the other side of it."""

    gateway: Gateway
    moods: tuple[str, ...]
    dated: bool
    """Its signatures have a date."""
    keeps_keys: bool
    """It knows idempotency keys; only localstripe does not."""
    counts_refunds: bool
    """It refuses to give back more than was paid; only localstripe does not."""
    tells: frozenset[EventType]
    """The events that it sends."""

    async def pay(self, session_id: str) -> None: ...
    async def decline(self, session_id: str) -> None: ...
    async def told(self) -> list[Told]: ...
    def signed(self, body: bytes, *, secret: str | None = None, at: datetime | None = None) -> dict[str, str]: ...
    def be(self, mood: str) -> None: ...


ALL_EVENTS = frozenset({EventType.SUCCESS, EventType.EXPIRED, EventType.REFUNDED})
HOLDING = ALL_EVENTS | {EventType.AUTHORISED, EventType.VOIDED}


class Dice(random.Random):
    """Falls as it is told: the fake gateway's moods."""

    falls = (1.0,)
    _at = 0

    def random(self) -> float:
        self._at += 1
        return self.falls[self._at % len(self.falls)]


class FakeRig:
    """The built-in gateway; its webhooks are kept in its own table until somebody takes them."""

    moods: tuple[str, ...] = ("silent", "answer_lost")
    dated = keeps_keys = counts_refunds = True

    def __init__(self, pool: Pool, http: httpx.AsyncClient, *, authorise_first: bool) -> None:
        self._pool = pool
        self._dice = Dice()
        self.tells = HOLDING if authorise_first else ALL_EVENTS
        self._gateway = FakeGateway(
            pool,
            http,
            webhook_secret=SECRETS[0],
            webhook_url=f"{HOME}/hook",
            public_base_url=HOME,
            behaviour=FakeBehaviour(fail_rate=1.0, authorise_first=authorise_first),
            rng=self._dice,
        )
        self.gateway: Gateway = self._gateway

    async def pay(self, session_id: str) -> None:
        await self._gateway.decide(session_id, EventType.SUCCESS)

    async def decline(self, session_id: str) -> None:
        await self._gateway.decide(session_id, EventType.FAILED)

    async def told(self) -> list[Told]:
        bodies = await self._pool.fetch("SELECT body FROM fake_delivery ORDER BY created_at")
        return [(self.signed(row["body"]), row["body"]) for row in bodies]

    def signed(self, body: bytes, *, secret: str | None = None, at: datetime | None = None) -> dict[str, str]:
        seconds = int(at.timestamp()) if at else int(time.time())
        return {"X-Payment-Signature": sign(secret or SECRETS[0], body, seconds)}

    def be(self, mood: str) -> None:
        # The first die decides whether it fails (below 1 it does), the second how.
        falls = {"answers": (1.0,), "silent": (0.9,), "answer_lost": (0.1,)}
        self._dice.falls = falls[mood.removeprefix(CHANGES_ONLY)]


class Line(httpx.AsyncBaseTransport):
    """The way to somebody else's system."""

    def __init__(self, far_end: httpx.AsyncBaseTransport) -> None:
        self._far_end = far_end
        self.mood = "answers"
        self.keys: list[str] = []
        """The idempotency keys of all that was asked, answered or not."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.keys += [value for name, value in request.headers.items() if name == "idempotency-key"]
        only_asks = self.mood.startswith(CHANGES_ONLY) and request.method == "GET"
        match "answers" if only_asks else self.mood.removeprefix(CHANGES_ONLY):
            case "silent":
                raise httpx.ConnectError("nobody is there", request=request)
            case "answer_lost":
                await self._far_end.handle_async_request(request)
                raise httpx.ReadTimeout("no answer", request=request)
            case "change_lost" if request.method == "POST":
                await self._far_end.handle_async_request(request)
                raise httpx.ReadTimeout("no answer", request=request)
            case status if status.isdecimal():
                return httpx.Response(int(status), json={"error": {"type": "api_error", "message": "we are sorry"}})
            case "nonsense":
                return httpx.Response(200, text="<html>maintenance</html>")
            case "slow":
                await asyncio.sleep(0.2)
            case "lies":
                answer = await self._far_end.handle_async_request(request)
                said = (await answer.aread()).replace(str(AMOUNT).encode(), str(AMOUNT - 1).encode())
                return httpx.Response(answer.status_code, content=said)
            case _:
                pass
        return await self._far_end.handle_async_request(request)

    async def aclose(self) -> None:
        await self._far_end.aclose()


class StripeRig:
    """The Stripe gateway before our own double of Stripe."""

    moods: tuple[str, ...] = MOODS
    dated = keeps_keys = counts_refunds = True

    def __init__(self, http: httpx.AsyncClient, line: Line, double: StripeDouble, mode: StripeMode) -> None:
        self.double, self._line = double, line
        self.keys = line.keys
        # Whose money it was is told by Checkout's own events alone: taking and letting go are not among them.
        only_intents = {EventType.SUCCESS, EventType.VOIDED}
        self.tells = HOLDING - (only_intents if mode == "checkout" else {EventType.EXPIRED})
        self.gateway: Gateway = StripeGateway(
            http,
            secret_key="sk_test_123",
            webhook_secrets=SECRETS,
            mode=mode,
            payment_page_url=f"{HOME}/pay",
        )

    async def pay(self, session_id: str) -> None:
        self.double.pay(session_id)

    async def decline(self, session_id: str) -> None:
        self.double.decline(session_id)

    def way_to_pay(self) -> dict[str, str]:
        """Of every session there is: what whoever pays it must know."""
        if self.double.sessions:
            return {name: str(session["url"]) for name, session in self.double.sessions.items()}
        return {name: str(intent["client_secret"]) for name, intent in self.double.intents.items()}

    async def told(self) -> list[Told]:
        bodies = [json.dumps(event).encode() for event in self.double.events]
        return [(self.signed(body), body) for body in bodies]

    def signed(self, body: bytes, *, secret: str | None = None, at: datetime | None = None) -> dict[str, str]:
        seconds = int(at.timestamp()) if at else int(time.time())
        return {"Stripe-Signature": sign(secret or SECRETS[0], body, seconds)}

    def be(self, mood: str) -> None:
        self._line.mood = mood


class RazorpayRig:
    """The Razorpay gateway before our double of Razorpay."""

    moods: tuple[str, ...] = MOODS
    dated = False
    keeps_keys = counts_refunds = True
    tells = ALL_EVENTS

    def __init__(self, http: httpx.AsyncClient, line: Line, double: RazorpayDouble) -> None:
        self.double, self._line = double, line
        self.gateway: Gateway = RazorpayGateway(http, key_id="rzp_test_1", key_secret="secret", webhook_secrets=SECRETS)

    async def pay(self, session_id: str) -> None:
        self.double.pay(session_id)

    async def decline(self, session_id: str) -> None:
        self.double.decline(session_id)

    def way_to_pay(self) -> dict[str, str]:
        """As Stripe's."""
        return {name: str(link["short_url"]) for name, link in self.double.links.items()}

    async def told(self) -> list[Told]:
        bodies = [json.dumps(event).encode() for event in self.double.events]
        return [(self.signed(body), body) for body in bodies]

    def signed(self, body: bytes, *, secret: str | None = None, at: datetime | None = None) -> dict[str, str]:
        del at  # these have no date
        return {"X-Razorpay-Signature": hmac.new((secret or SECRETS[0]).encode(), body, hashlib.sha256).hexdigest()}

    def be(self, mood: str) -> None:
        self._line.mood = mood


def a_payment(amount: int = AMOUNT, currency: str = CURRENCY) -> SessionRequest:
    return SessionRequest(
        payment_id=uuid4(),
        booking_id=uuid4(),
        amount=amount,
        currency=currency,
        expires_at=datetime.now(UTC) + timedelta(minutes=15),
        return_url=f"{HOME}/bookings/1",
    )


def a_refund(session_id: str, amount: int = AMOUNT) -> RefundRequest:
    return RefundRequest(refund_id=uuid4(), session_id=session_id, amount=amount, currency=CURRENCY)


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}
