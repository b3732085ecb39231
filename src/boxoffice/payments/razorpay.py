"""Razorpay: a payment link for each session, paid on Razorpay's own page by UPI, card or bank, and ours at once.

Payment links, rather than orders with a script of theirs on a page of ours: nothing foreign runs on our pages. The
buyer comes back with a signed address, which we do not act on: it can be kept and shown again, and whoever closes
the browser never brings it. The webhook tells, and whoever asks (`fetch`) is told.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar

import httpx
import msgspec
import structlog

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
)
from boxoffice.payments.razorpay_events import (
    Link,
    Links,
    Payment,
    Refund,
    Refunds,
    check_razorpay_signature,
    parse_razorpay_event,
)

API_BASE: Final = "https://api.razorpay.com"
PAGE_ORIGINS: Final = ("https://rzp.io", "https://razorpay.com", "https://pages.razorpay.com")
LINK_LASTS_LONGER: Final = timedelta(minutes=20)
"""Razorpay wants a link to last a quarter of an hour at least. This much later than the booking it ends by itself,
if nobody cancelled it."""
ANSWER_WITHIN_S: Final = 20
REFUNDS_A_PAYMENT: Final = 100
"""More than a booking has seats, and the most that Razorpay lists at once."""
_NOT_NOW: Final = ("another payment operation is in progress", "does not have enough balance")
"""Of the refusals, those that Razorpay's reference tells to repeat, known by their words: all have one code."""

_STATES: Final[Mapping[str, SessionState]] = {
    "created": SessionState.OPEN,
    "partially_paid": SessionState.OPEN,
    "paid": SessionState.PAID,
    "expired": SessionState.EXPIRED,
    "cancelled": SessionState.EXPIRED,
}

AnswerT = TypeVar("AnswerT")
log = structlog.get_logger(__name__)


class RazorpayGateway:
    """Implements `Gateway` over Razorpay's API."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        key_id: str,
        key_secret: str,
        webhook_secrets: Sequence[str],
        api_base: str = "",
    ) -> None:
        self._http = http
        self._auth = httpx.BasicAuth(key_id, key_secret)
        self._webhook_secrets = webhook_secrets
        self._api_base = api_base or API_BASE

    @property
    def name(self) -> str:
        """As in settings and in `payments/webhook/razorpay`."""
        return "razorpay"

    @property
    def page_origins(self) -> tuple[str, ...]:
        """Where payment links lead."""
        return PAGE_ORIGINS

    @property
    def captures_at_once(self) -> bool:
        """Payments through links are captured by Razorpay itself, UPI always so."""
        return True

    async def open_session(self, request: SessionRequest) -> Session:
        """A payment link; see `Gateway.open_session`.

        Razorpay knows no idempotency key here, but takes a reference of ours once: whoever asks again is refused, and
        looks the link up by its reference.
        """
        asked = {
            "amount": request.amount,
            "currency": request.currency,
            "accept_partial": False,
            "reference_id": str(request.payment_id),
            "description": "Cinema tickets",
            "expire_by": int((request.expires_at + LINK_LASTS_LONGER).timestamp()),
            "notes": {"booking_id": str(request.booking_id), "payment_id": str(request.payment_id)},
            # We know nobody's address: the buyer is on the way to the page already.
            "notify": {"sms": False, "email": False},
            "reminder_enable": False,
            "callback_url": request.return_url,
            "callback_method": "get",
        }
        link = await self._link_of(request)
        if link is None:
            try:
                link = await self._ask("POST", "payment_links", Link, body=asked)
            except GatewayRefusedError:
                # A twin of ours may have been quicker by a moment.
                link = await self._link_of(request)
                if link is None:
                    raise
        if (link.amount, link.currency) != (request.amount, request.currency):
            raise GatewayRefusedError("this payment has a session for something else")
        return Session(session_id=link.id, payment_url=link.short_url)

    async def capture(self, request: CaptureRequest) -> Standing:
        """Razorpay has captured already what was paid; see `Gateway.capture`."""
        standing = await self.fetch(request.session_id)
        if standing.state is not SessionState.PAID or standing.amount != request.amount:
            raise GatewayRefusedError("there is nothing to capture")
        return standing

    async def void(self, session_id: str) -> Standing:
        """There is nothing set aside, ever; see `Gateway.void`."""
        standing = await self.fetch(session_id)
        raise GatewayRefusedError(f"this session is {standing.state}: Razorpay sets nothing aside")

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        """Give money back, once for each refund id; see `Gateway.refund`.

        What is asked again under an idempotency key may be answered as it was the first time: so it is looked up first
        where this refund stands, and again before a refusal counts, since an answer may have been lost.
        """
        try:
            link = await self._find(request.session_id)
        except UnknownSessionError as unknown:
            raise GatewayRefusedError(unknown.detail) from unknown
        payment_id = _payment_of(link)
        if payment_id is None or link.currency != request.currency or request.amount <= 0:
            raise GatewayRefusedError("this session has no such money to give back")
        made = await self._refund_of(payment_id, request)
        if made is None:
            try:
                made = await self._make_refund(payment_id, request)
            except GatewayRefusedError:
                made = await self._refund_of(payment_id, request)
                if made is None:
                    raise
        if made.amount != request.amount:
            raise GatewayRefusedError("this refund id was used for something else")
        if made.status == "failed":
            raise RefundFailedError("the refund has failed", gateway_ref=made.id)
        return RefundReceipt(gateway_ref=made.id, done=made.status == "processed")

    async def fetch(self, session_id: str) -> Standing:
        """Where a session stands; see `Gateway.fetch`."""
        return await self._standing(await self._find(session_id))

    async def close(self, session_id: str) -> Standing:
        """Cancel a link that nobody has paid; see `Gateway.close`."""
        link = await self._find(session_id)
        if link.status == "created":
            try:
                link = await self._ask("POST", f"payment_links/{link.id}/cancel", Link)
            except GatewayRefusedError as refusal:
                log.info("link not cancelled", session_id=session_id, reason=refusal.detail)
                link = await self._find(session_id)
        return await self._standing(link)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:  # noqa: ARG002
        """The event in a webhook's raw body, signed with any of the secrets; see `Gateway.verify`.

        These signatures have no date. An event that is sent again is known by its bytes.
        """
        check_razorpay_signature(self._webhook_secrets, headers, body)
        return parse_razorpay_event(self.name, body)

    async def _link_of(self, request: SessionRequest) -> Link | None:
        found = await self._ask("GET", "payment_links", Links, query={"reference_id": str(request.payment_id)})
        return next((link for link in found.payment_links if link.reference_id == str(request.payment_id)), None)

    async def _refund_of(self, payment_id: str, request: RefundRequest) -> Refund | None:
        path, many = f"payments/{payment_id}/refunds", {"count": str(REFUNDS_A_PAYMENT)}
        found = await self._ask("GET", path, Refunds, query=many)
        return next((made for made in found.items if made.note("refund_id") == str(request.refund_id)), None)

    async def _make_refund(self, payment_id: str, request: RefundRequest) -> Refund:
        return await self._ask(
            "POST",
            f"payments/{payment_id}/refund",
            Refund,
            headers={"X-Refund-Idempotency": str(request.refund_id)},
            body={
                "amount": request.amount,
                "speed": "normal",
                "notes": {"refund_id": str(request.refund_id), "session_id": request.session_id},
            },
        )

    async def _find(self, session_id: str) -> Link:
        # It becomes a part of an address: whatever is not of this form was not made by Razorpay.
        if not session_id.startswith("plink_") or not session_id.removeprefix("plink_").isalnum():
            raise UnknownSessionError("there is no such payment session")
        if not session_id.isascii():
            raise UnknownSessionError("there is no such payment session")
        try:
            return await self._ask("GET", f"payment_links/{session_id}", Link)
        except GatewayRefusedError as refusal:
            # Razorpay answers 400 where others answer 404; its reference tells of no other reason to refuse this.
            raise UnknownSessionError("there is no such payment session") from refusal

    async def _standing(self, link: Link) -> Standing:
        payment_id = _payment_of(link)
        refunded = 0
        if payment_id is not None:
            refunded = (await self._ask("GET", f"payments/{payment_id}", Payment)).amount_refunded or 0
        return Standing(
            session_id=link.id,
            state=_STATES.get(link.status, SessionState.OPEN),
            amount=link.amount,
            currency=link.currency,
            refunded_amount=refunded,
            gateway_ref=payment_id,
        )

    async def _ask(
        self,
        method: Literal["GET", "POST"],
        path: str,
        kind: type[AnswerT],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AnswerT:
        """Razorpay's answer.

        Raises:
            GatewayDownError: no answer, none that says what became of it, or not now.
            GatewayRefusedError: Razorpay will not, whatever we do.
        """
        try:
            answer = await self._http.request(
                method,
                f"{self._api_base}/v1/{path}",
                params=query,
                content=None if body is None else msgspec.json.encode(body),
                headers={"Content-Type": "application/json", **(headers or {})},
                auth=self._auth,
                timeout=ANSWER_WITHIN_S,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GatewayDownError(f"Razorpay: {type(error).__name__}") from error
        status = answer.status_code
        if status in {401, 403}:
            log.error("razorpay does not accept our key", status=status)
        # 409: the same request is being worked on. 429: too many. A key that is not accepted may be put right.
        if status in {401, 403, 409, 429} or answer.is_server_error:
            raise GatewayDownError(f"Razorpay answered {status}")
        if not answer.is_success:
            reason = _reason(answer.content)
            if any(words in reason.lower() for words in _NOT_NOW):
                raise GatewayDownError(f"Razorpay will not now: {reason}")
            raise GatewayRefusedError(f"Razorpay: {reason or status}")
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            raise GatewayDownError("Razorpay's answer cannot be read") from error


class _Error(msgspec.Struct, frozen=True):
    description: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def _reason(content: bytes) -> str:
    try:
        return msgspec.json.decode(content, type=_Refusal).error.description
    except msgspec.MsgspecError:
        return ""


def _payment_of(link: Link) -> str | None:
    """The payment that was captured; others that a buyer tried and failed stand beside it."""
    return next((paid.payment_id for paid in link.payments or () if paid.status in {"captured", "refunded"}), None)
