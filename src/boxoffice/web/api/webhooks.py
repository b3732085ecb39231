"""What gateways tell us over HTTP; the answer says whether it took effect."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter

from boxoffice.bookings.settlement import Settled, settle
from boxoffice.errors import UnknownError
from boxoffice.payments.gateway import BadSignatureError, EventType, MalformedEventError
from boxoffice.payments.webhooks import SIGNATURE_HEADER, EventBody
from boxoffice.web.documentation import RAW_BODY
from boxoffice.web.errors import problems
from boxoffice.web.examples import BOOKING_ID, SESSION_ID, answers
from boxoffice.web.identity import IGNORES_IDENTITY
from boxoffice.web.limits import UNLIMITED
from boxoffice.web.office import Office


class UnknownGatewayError(UnknownError):
    """There is no such payment gateway."""

    code = "gateway_not_found"


BUILT_IN: Final = "fake"
"""The gateway whose webhooks need not name it."""
_EVENT: Final = EventBody(
    event_id="evt_9bX2kQ7mT4",
    event_type=EventType.SUCCESS,
    session_id=SESSION_ID,
    booking_id=BOOKING_ID,
    amount=50_000,
    currency="INR",
    timestamp=datetime(2030, 1, 31, 12, 2, tzinfo=UTC),
    gateway_ref="pay_5tG7hJ9kL1",
)
_SETTLED: Final = answers(Settled, Settled(status="processed"), "Heard, and what came of it.")
Signature = Annotated[
    str | None,
    HeaderParameter(
        name=SIGNATURE_HEADER,
        required=False,
        description='`t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<raw body>">`; without a good one: 401.',
    ),
]


@post(
    "/payments/webhook",
    operation_id="webhook",
    summary="Events of the built-in gateway",
    tags=["payments"],
    status_code=200,
    opt={IGNORES_IDENTITY: True, UNLIMITED: True, RAW_BODY: _EVENT},
    responses={200: _SETTLED} | problems(MalformedEventError, BadSignatureError),
)
async def webhook(
    request: Request[Any, Any, State],
    office: NamedDependency[Office],
    signature: Signature = None,  # noqa: ARG001  (documents the header; the gateway reads it)
) -> Settled:
    """Takes effect exactly once.

    `X-Payment-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<raw body>">`, within 300 s. The answer
    is `processed`, `duplicate` or `ignored`; an event that contradicts our books changes nothing.
    """
    return await hear(office, BUILT_IN, request.headers, await request.body())


@post(
    "/payments/webhook/{gateway:str}",
    operation_id="gatewayWebhook",
    summary="Events of a gateway",
    tags=["payments"],
    status_code=200,
    opt={IGNORES_IDENTITY: True, UNLIMITED: True, RAW_BODY: _EVENT},
    responses={200: _SETTLED} | problems(MalformedEventError, BadSignatureError, UnknownGatewayError),
)
async def gateway_webhook(
    request: Request[Any, Any, State], office: NamedDependency[Office], gateway: FromPath[str]
) -> Settled:
    """As the built-in gateway's, signed as that gateway signs."""
    return await hear(office, gateway, request.headers, await request.body())


async def hear(office: Office, name: str, headers: Mapping[str, str], body: bytes) -> Settled:
    """What the operation does, whichever way it was reached (`boxoffice.web.hot`)."""
    gateway = office.gateways.get(name)
    if gateway is None:
        raise UnknownGatewayError("no gateway of that name is configured")
    event = gateway.verify(headers, body, datetime.now(UTC))
    if event is None:
        return Settled(status="ignored")
    return await settle(office.pool, event, on_effect=office.hot_maps.changed)


ROUTES = [webhook, gateway_webhook]
