"""Stripe: money is set aside first, and taken when the seats are ours (PaymentIntents with manual capture).

The buyer pays on Stripe's own page (a Checkout Session) or on a page of the cinema's own that confirms a bare
PaymentIntent. A session is therefore named `cs_…` or `pi_…`, and either is understood, whichever is opened now.
What Stripe tells by itself is read in `boxoffice.payments.stripe_events`.
"""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import stripe
import structlog
from stripe.params import RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from boxoffice.payments.gateway import (
    CaptureRequest,
    GatewayDownError,
    GatewayEvent,
    GatewayRefusedError,
    RefundFailedError,
    RefundReceipt,
    RefundRequest,
    Session,
    SessionRequest,
    SessionState,
    Standing,
    UnknownSessionError,
    return_address,
)
from boxoffice.payments.stripe_events import check_stripe_signature, parse_stripe_event
from boxoffice.payments.stripe_money import from_stripe, to_stripe

StripeMode = Literal["checkout", "payment_intent"]

CHECKOUT_ORIGIN: Final = "https://checkout.stripe.com"
CHECKOUT_LASTS_LONGER: Final = timedelta(minutes=31)
"""Stripe's Checkout Sessions last 30 minutes at least. This much later than the booking they end by themselves, if
nobody closed them; reckoned from the booking's time and not from now, so that asking again asks for the same."""
ANSWER_WITHIN_S: Final = 20
"""Stripe answers most requests within a second, and some only after a bank did."""
REFUNDS_A_SESSION: Final = 100
"""More than a booking has seats."""

_NOT_NOW: Final = frozenset({"balance_insufficient", "insufficient_balance_for_refund", "lock_timeout"})
"""Codes of refusals that time mends: too little on our account, or somebody at work on the same thing."""

_STATES: Final[Mapping[str, SessionState]] = {
    "requires_payment_method": SessionState.OPEN,
    "requires_confirmation": SessionState.OPEN,
    "requires_action": SessionState.OPEN,
    "processing": SessionState.OPEN,
    "requires_capture": SessionState.AUTHORISED,
    "succeeded": SessionState.PAID,
    "canceled": SessionState.VOIDED,
}

AnswerT = TypeVar("AnswerT")
log = structlog.get_logger(__name__)


class StripeGateway:
    """Implements `Gateway` over Stripe's API."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        secret_key: str,
        webhook_secrets: Sequence[str],
        mode: StripeMode,
        payment_page_url: str = "",
        api_base: str = "",
    ) -> None:
        self._webhook_secrets = webhook_secrets
        self._mode: StripeMode = mode
        self._payment_page_url = payment_page_url
        self._stripe = stripe.StripeClient(
            secret_key,
            http_client=_OurHttp(http),
            base_addresses={"api": api_base} if api_base else {},
            # Who asks us knows when to ask again, and with which key.
            max_network_retries=0,
        ).v1

    @property
    def name(self) -> str:
        """As in settings and in `payments/webhook/stripe`."""
        return "stripe"

    @property
    def page_origins(self) -> tuple[str, ...]:
        """Stripe's own page, or the cinema's."""
        if self._mode == "checkout":
            return (CHECKOUT_ORIGIN,)
        page = urlsplit(self._payment_page_url)
        return (f"{page.scheme}://{page.netloc}",)

    @property
    def captures_at_once(self) -> bool:
        """Never: a late authorisation is let go, and needs no refund."""
        return False

    async def open_session(self, request: SessionRequest) -> Session:
        """A Checkout Session, or a bare PaymentIntent; see `Gateway.open_session`."""
        if self._mode == "checkout":
            return await self._open_checkout(request)
        return await self._open_intent(request)

    async def capture(self, request: CaptureRequest) -> Standing:
        """Take what is set aside; see `Gateway.capture`."""
        intent = await self._intent_of(request.session_id)
        if intent is None or _state(intent) not in {SessionState.AUTHORISED, SessionState.PAID}:
            raise GatewayRefusedError("nothing is set aside for this session")
        if _state(intent) is not SessionState.PAID:
            taken = self._stripe.payment_intents.capture_async(
                intent.id, options={"idempotency_key": f"capture-{request.payment_id}"}
            )
            intent = await self._after(taken, request.session_id, SessionState.PAID)
        standing = self._standing(request.session_id, intent)
        if (standing.amount, standing.currency) != (request.amount, request.currency):
            raise GatewayRefusedError("another amount was authorised than the one to capture")
        return standing

    async def void(self, session_id: str) -> Standing:
        """Let go what is set aside; see `Gateway.void`."""
        intent = await self._intent_of(session_id)
        if intent is None or _state(intent) not in {SessionState.AUTHORISED, SessionState.VOIDED}:
            raise GatewayRefusedError("nothing is set aside for this session")
        if _state(intent) is not SessionState.VOIDED:
            cancelled = self._stripe.payment_intents.cancel_async(
                intent.id, options={"idempotency_key": f"void-{intent.id}"}
            )
            intent = await self._after(cancelled, session_id, SessionState.VOIDED)
        return self._standing(session_id, intent)

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        """Give money back; see `Gateway.refund`.

        Stripe forgets an idempotency key after a day, and we ask for a week: so it is looked up first whether
        this refund was made. Until then it repeats a refusal, so that one for want of money may last that long.
        """
        try:
            intent = await self._intent_of(request.session_id)
        except UnknownSessionError as unknown:
            raise GatewayRefusedError(unknown.detail) from unknown
        if intent is None or intent.currency.upper() != request.currency or request.amount <= 0:
            raise GatewayRefusedError("this session has no such money to give back")
        amount = to_stripe(request.amount, request.currency)
        made = await self._refund_made(intent.id, request)
        if made is None:
            params: RefundCreateParams = {
                "payment_intent": intent.id,
                "amount": amount,
                "metadata": {"refund_id": str(request.refund_id), "session_id": request.session_id},
            }
            key = f"refund-{request.refund_id}"
            made = await _asked(self._stripe.refunds.create_async(params, options={"idempotency_key": key}))
        if made.amount != amount:
            raise GatewayRefusedError("this refund id was used for something else")
        if made.status in {"failed", "canceled"}:
            why = made.failure_reason or "no reason given"
            raise RefundFailedError(f"the refund has {made.status}: {why}", gateway_ref=made.id)
        return RefundReceipt(gateway_ref=made.id, done=made.status == "succeeded")

    async def fetch(self, session_id: str) -> Standing:
        """Where a session stands; see `Gateway.fetch`."""
        if not session_id.startswith("cs_"):
            return await self._with_refunds(session_id, await self._retrieve_intent(session_id))
        session = await self._retrieve_checkout(session_id)
        intent = session.payment_intent
        if intent is None or session.status == "expired":
            return Standing(
                session_id=session_id,
                state=SessionState.EXPIRED if session.status == "expired" else SessionState.OPEN,
                amount=from_stripe(session.amount_total or 0, session.currency or ""),
                currency=(session.currency or "").upper(),
            )
        found = intent if isinstance(intent, stripe.PaymentIntent) else await self._retrieve_intent(intent)
        return await self._with_refunds(session_id, found)

    async def close(self, session_id: str) -> Standing:
        """Let nobody pay it any more; see `Gateway.close`.

        A bare PaymentIntent that is authorised in the very moment between looking and closing is let go with it.
        """
        standing = await self.fetch(session_id)
        if standing.state is not SessionState.OPEN:
            return standing
        if session_id.startswith("cs_"):
            closing: Awaitable[object] = self._stripe.checkout.sessions.expire_async(session_id)
        else:
            closing = self._stripe.payment_intents.cancel_async(session_id)
        try:
            await _asked(closing)
        except GatewayRefusedError as refusal:
            # Somebody was quicker, the buyer or a twin of ours; what it came to is asked below.
            log.info("session not closed", session_id=session_id, reason=refusal.detail)
        return await self.fetch(session_id)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:
        """The event in a webhook's raw body, signed with any of the secrets; see `Gateway.verify`."""
        check_stripe_signature(self._webhook_secrets, headers, body, now)
        return parse_stripe_event(self.name, body)

    async def _open_checkout(self, request: SessionRequest) -> Session:
        about = {"booking_id": str(request.booking_id), "payment_id": str(request.payment_id)}
        params: SessionCreateParams = {
            "mode": "payment",
            "client_reference_id": str(request.booking_id),
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": request.currency.lower(),
                        "unit_amount": to_stripe(request.amount, request.currency),
                        "product_data": {"name": "Cinema tickets"},
                    },
                }
            ],
            # The events of its PaymentIntent do not know the session: they say so, and are passed over.
            "payment_intent_data": {"capture_method": "manual", "metadata": {**about, "through": "checkout"}},
            "metadata": about,
            "success_url": return_address(request.return_url, "paid"),
            "cancel_url": return_address(request.return_url, "cancelled"),
            "expires_at": int((request.expires_at + CHECKOUT_LASTS_LONGER).timestamp()),
        }
        key = f"session-{request.payment_id}"
        opened = await _asked(self._stripe.checkout.sessions.create_async(params, options={"idempotency_key": key}))
        if opened.url is None:
            raise GatewayRefusedError("Stripe opened a session without a page")
        return Session(session_id=opened.id, payment_url=opened.url)

    async def _open_intent(self, request: SessionRequest) -> Session:
        opened = await _asked(
            self._stripe.payment_intents.create_async(
                {
                    "amount": to_stripe(request.amount, request.currency),
                    "currency": request.currency.lower(),
                    "capture_method": "manual",
                    "metadata": {"booking_id": str(request.booking_id), "payment_id": str(request.payment_id)},
                },
                options={"idempotency_key": f"session-{request.payment_id}"},
            )
        )
        # In the fragment, which browsers send to no server: whoever has the client secret can pay, and see, this one.
        handed_over = urlencode({"client_secret": opened.client_secret or "", "return_url": request.return_url})
        return Session(session_id=opened.id, payment_url=f"{self._payment_page_url}#{handed_over}")

    async def _intent_of(self, session_id: str) -> stripe.PaymentIntent | None:
        """The money of a session; None while nobody has tried to pay it."""
        if not session_id.startswith("cs_"):
            return await self._retrieve_intent(session_id)
        intent = (await self._retrieve_checkout(session_id)).payment_intent
        if intent is None or isinstance(intent, stripe.PaymentIntent):
            return intent
        return await self._retrieve_intent(intent)

    async def _retrieve_intent(self, intent_id: str) -> stripe.PaymentIntent:
        return await _known(self._stripe.payment_intents.retrieve_async(_id(intent_id)))

    async def _retrieve_checkout(self, session_id: str) -> stripe.checkout.Session:
        return await _known(
            self._stripe.checkout.sessions.retrieve_async(_id(session_id), {"expand": ["payment_intent"]})
        )

    async def _after(
        self, change: Awaitable[stripe.PaymentIntent], session_id: str, wanted: SessionState
    ) -> stripe.PaymentIntent:
        """The intent after a change, or as it was, where a twin had changed it to what was wanted."""
        try:
            return await _asked(change)
        except GatewayRefusedError:
            intent = await self._intent_of(session_id)
            if intent is None or _state(intent) is not wanted:
                raise
            return intent

    async def _refund_made(self, intent_id: str, request: RefundRequest) -> stripe.Refund | None:
        for refund in await self._refunds(intent_id):
            about = refund.metadata
            if about and "refund_id" in about and about["refund_id"] == str(request.refund_id):
                return refund
        return None

    async def _refunds(self, intent_id: str) -> list[stripe.Refund]:
        listed = await _asked(
            self._stripe.refunds.list_async({"payment_intent": intent_id, "limit": REFUNDS_A_SESSION})
        )
        return listed.data

    async def _with_refunds(self, session_id: str, intent: stripe.PaymentIntent) -> Standing:
        if _state(intent) is not SessionState.PAID:
            return self._standing(session_id, intent)
        refunds = await self._refunds(intent.id)
        return self._standing(
            session_id,
            intent,
            sum(refund.amount for refund in refunds if refund.status not in {"failed", "canceled"}),
        )

    def _standing(self, session_id: str, intent: stripe.PaymentIntent, refunded: int = 0) -> Standing:
        return Standing(
            session_id=session_id,
            state=_state(intent),
            amount=from_stripe(intent.amount, intent.currency),
            currency=intent.currency.upper(),
            refunded_amount=from_stripe(refunded, intent.currency),
            gateway_ref=intent.id,
        )


class _OurHttp(stripe.HTTPClient):
    """Stripe's client over our own connections, which the composition root opens and closes."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | bytes | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One request; whatever hinders it is told as Stripe's own error."""
        try:
            answer = await self._http.request(
                method.upper(), url, headers=dict(headers), content=post_data, timeout=ANSWER_WITHIN_S
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise stripe.APIConnectionError(f"no answer: {error!r}", should_retry=False) from error
        return answer.content, answer.status_code, answer.headers


def _state(intent: stripe.PaymentIntent) -> SessionState:
    return _STATES.get(intent.status, SessionState.OPEN)


def _id(session_id: str) -> str:
    # It becomes a part of an address: whatever is not of this form was not made by Stripe.
    if not session_id.isascii() or not session_id.replace("_", "").isalnum():
        raise UnknownSessionError("there is no such payment session")
    return session_id


async def _known(asking: Awaitable[AnswerT]) -> AnswerT:
    """As `_asked`, of one thing that may not exist."""
    try:
        return await _asked(asking)
    except GatewayRefusedError as refusal:
        cause = refusal.__cause__
        if isinstance(cause, stripe.StripeError) and cause.http_status == 404:  # noqa: PLR2004  (not found)
            raise UnknownSessionError("there is no such payment session") from refusal
        raise


async def _asked(asking: Awaitable[AnswerT]) -> AnswerT:
    """Stripe's answer; its errors as ours. The secret key is in none of them: Stripe shows its end only.

    Raises:
        GatewayDownError: no answer, none that says what became of it, or not now.
        GatewayRefusedError: Stripe will not, whatever we do.
    """
    try:
        return await asking
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        # A key that was taken back does not make a payment wrong: once it is put right, asking again helps.
        log.error("stripe does not accept our key", error=type(error).__name__)  # noqa: TRY400  (its text has a key)
        raise GatewayDownError("Stripe does not accept our key") from None
    except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError) as error:
        raise GatewayDownError(f"Stripe: {type(error).__name__} {error.http_status or ''}".strip()) from error
    except stripe.StripeError as error:
        if error.http_status == 409:  # noqa: PLR2004  (the same key is being worked on)
            raise GatewayDownError("Stripe: the same request is under way") from error
        if error.code in _NOT_NOW:
            raise GatewayDownError(f"Stripe will not now: {error.user_message or error.code}") from error
        raise GatewayRefusedError(f"Stripe: {error.user_message or error.code or type(error).__name__}") from error
