"""localstripe: a Stripe that nobody here wrote, as a process on loopback that the tests start and end.

What it cannot show, our own double does: it ignores idempotency keys, gives back more than was paid, has no
Checkout Sessions, and tells of no authorisation, cancellation or refund by webhook.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import httpx
from merchant import Receiver
from rigs import HOME, MOODS, SECRETS, Line, Told

from boxoffice.payments.gateway import EventType, Gateway
from boxoffice.payments.stripe import StripeGateway
from boxoffice.payments.webhooks import sign

START_PATIENCE_S = 20
SECRET_KEY = "sk_test_localstripe"


@contextmanager
def running(folder: Path) -> Generator[str]:
    """The address of a localstripe that runs while inside; it keeps its store in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603  (our own interpreter)
        [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
        env=os.environ | {"TMPDIR": str(folder)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until:
            with suppress(httpx.HTTPError):
                httpx.get(f"{address}/v1/events", auth=(SECRET_KEY, ""), trust_env=False)
                break
            time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


class LocalStripeRig:
    """The Stripe gateway, with bare PaymentIntents, before localstripe."""

    moods: tuple[str, ...] = MOODS
    dated = True
    keeps_keys = counts_refunds = False
    tells = frozenset({EventType.SUCCESS})

    def __init__(self, address: str, http: httpx.AsyncClient, line: Line, receiver: Receiver) -> None:
        self._address, self._http, self._line, self._receiver = address, http, line, receiver
        self.gateway: Gateway = StripeGateway(
            http,
            secret_key=SECRET_KEY,
            webhook_secrets=SECRETS,
            mode="payment_intent",
            payment_page_url=f"{HOME}/pay",
            api_base=address,
        )

    async def listen(self) -> None:
        """Have its webhooks sent to our receiver."""
        hook = {"url": f"http://127.0.0.1:{self._receiver.port}/hook", "secret": SECRETS[1]}
        answer = await self._http.post(f"{self._address}/_config/webhooks/ours", json=hook)
        assert answer.status_code == 200, answer.text

    async def pay(self, session_id: str) -> None:
        """What Stripe's page does with a good card."""
        card = {"number": "4242424242424242", "exp_month": "12", "exp_year": "2034", "cvc": "123"}
        method = await self._post(
            "payment_methods", {"type": "card", **{f"card[{key}]": value for key, value in card.items()}}
        )
        await self._post(f"payment_intents/{session_id}", {"payment_method": method["id"]})
        await self._post(f"payment_intents/{session_id}/confirm", {})

    async def decline(self, session_id: str) -> None:
        """The buyer goes away: a card that localstripe declines would need a customer."""

    async def told(self) -> list[Told]:
        return [(headers, body) for headers, body in self._receiver.heard]

    def signed(self, body: bytes, *, secret: str | None = None, at: datetime | None = None) -> dict[str, str]:
        seconds = int(at.timestamp()) if at else int(time.time())
        return {"Stripe-Signature": sign(secret or SECRETS[0], body, seconds)}

    def be(self, mood: str) -> None:
        self._line.mood = mood

    async def _post(self, path: str, data: dict[str, str]) -> dict[str, str]:
        answer = await self._http.post(f"{self._address}/v1/{path}", data=data, auth=(SECRET_KEY, ""))
        assert answer.status_code == 200, answer.text
        return answer.json()
