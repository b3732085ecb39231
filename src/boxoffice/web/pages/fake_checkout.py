"""The fake gateway's own pages: where a buyer pays or declines, and where a developer plays the gateway.

None of this exists in production: there, every address here is 404.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Body as BodyOf
from litestar.params import PathParameter, URLEncodedBody
from litestar.response import Redirect, Template

from boxoffice.errors import MalformedError, UnknownError
from boxoffice.payments.gateway import (
    Checkout,
    EventType,
    SaidOutcome,
    SessionDecidedError,
    SimulatedGateway,
    UnknownSessionError,
    return_address,
)
from boxoffice.web.errors import problems
from boxoffice.web.examples import SESSION_ID, answers, example
from boxoffice.web.fields import Body
from boxoffice.web.identity import IGNORES_IDENTITY, AnyConnection
from boxoffice.web.office import Office

Result = Literal["success", "failed", "expired"]
SessionId = Annotated[str, PathParameter(description="As `POST /payments/initiate` gave it.")]

DECISIONS: Final[dict[Result, EventType]] = {
    "success": EventType.SUCCESS,
    "failed": EventType.FAILED,
    "expired": EventType.EXPIRED,
}
PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # The address is the buyer's key to the session, and what it shows changes.
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
FORWARD_S: Final = 3
"""Long enough to read what came of it."""
OUTCOMES: Final[dict[str, SaidOutcome]] = {
    "open": "cancelled",
    "authorised": "paid",
    "paid": "paid",
    "voided": "cancelled",
    "declined": "declined",
    "expired": "expired",
}
"""What the box office is told on the way back, by the session's status."""
SHOWN: Final = {"authorised": "paid", "voided": "declined"}
"""The states that the page has other words for."""
CURRENCY_SIGNS: Final = {"INR": "₹", "EUR": "€", "GBP": "£", "USD": "$"}


class Choice(Body, frozen=True, kw_only=True):
    """What a buyer chose on the page."""

    result: Literal["success", "failed"]


class Simulation(Body, frozen=True, kw_only=True):
    """What the gateway shall say of a session."""

    result: Result


class Simulated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the session; its webhook was sent."""

    session_id: str
    result: Result
    status: Literal["open", "authorised", "paid", "declined", "expired", "voided"]


_SIMULATED: Final = Simulated(session_id=SESSION_ID, result="success", status="paid")


async def not_in_production(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Guard: before a body is read, so that nothing tells these addresses from those that there never were.

    Raises:
        UnknownError: the gateway is none that can be played.
    """
    _simulated(connection.app.state.office)


@get(
    "/payments/fake-checkout/{session_id:str}",
    include_in_schema=False,
    media_type=MediaType.HTML,
    guards=[not_in_production],
)
async def show_checkout(office: NamedDependency[Office], session_id: SessionId) -> Template:
    """The page with Pay and Decline or, once that is decided, with what came of it."""
    gateway = _simulated(office)
    try:
        checkout = await gateway.checkout(session_id)
    except UnknownSessionError:
        return _page(None)
    return _page(checkout)


@post(
    "/payments/fake-checkout/{session_id:str}",
    include_in_schema=False,
    media_type=MediaType.HTML,
    status_code=303,
    guards=[not_in_production],
)
async def choose(
    request: Request[Any, Any, State],
    office: NamedDependency[Office],
    session_id: SessionId,
    data: URLEncodedBody[Choice],
) -> Redirect | Template:
    """The buyer's choice; the page then tells what came of it, also where somebody was quicker."""
    gateway = _simulated(office)
    try:
        if (await gateway.checkout(session_id)).status == "open":
            await gateway.decide(session_id, DECISIONS[data.result])
    except UnknownSessionError:
        return _page(None)
    except SessionDecidedError:
        pass
    return Redirect(request.url.path, status_code=303, headers=PAGE_HEADERS)


@post(
    "/payments/simulate/{session_id:str}",
    operation_id="simulatePayment",
    summary="Play the fake gateway",
    tags=["payments"],
    guards=[not_in_production],
    status_code=200,
    opt={IGNORES_IDENTITY: True},
    responses={200: answers(Simulated, _SIMULATED, "The gateway has decided.")}
    | problems(MalformedError, UnknownError, UnknownSessionError, SessionDecidedError),
)
async def simulate(
    office: NamedDependency[Office],
    session_id: SessionId,
    data: Annotated[Simulation, BodyOf(examples=[example(Simulation(result="success"))])],
) -> Simulated:
    """Let the fake gateway decide a session and send its webhook. Development only: 404 in production.

    The same decision again is fine and sends nothing more; another is 409. Success is taken for a little
    while after the session's time is over, as banks have it, so that late payments can be tried.
    """
    checkout = await _simulated(office).decide(session_id, DECISIONS[data.result])
    return msgspec.convert(
        {"sessionId": checkout.session_id, "result": data.result, "status": checkout.status}, Simulated
    )


ROUTES: Final = [show_checkout, choose, simulate]


def _simulated(office: Office) -> SimulatedGateway:
    if office.simulated is None:
        raise UnknownError("there is no such address")
    return office.simulated


def _page(checkout: Checkout | None) -> Template:
    """The page of a session; None: there is none."""
    if checkout is None:
        return Template(
            "fake_checkout.html",
            context={"state": "unknown"},
            headers=dict(PAGE_HEADERS),
            status_code=404,
            media_type=MediaType.HTML,
        )
    seconds_left = max(0, int((checkout.expires_at - datetime.now(UTC)).total_seconds()))
    return Template(
        "fake_checkout.html",
        context={
            # Whether money is taken or only set aside is no matter of the buyer's.
            "state": SHOWN.get(checkout.status, checkout.status),
            "amount": readable_amount(checkout.amount, checkout.currency),
            "booking_id": checkout.booking_id,
            "expires_at": checkout.expires_at.astimezone(UTC),
            "seconds_left": seconds_left,
            "back": return_address(checkout.return_url, OUTCOMES[checkout.status]) if checkout.return_url else None,
            "forward_s": FORWARD_S,
        },
        headers=dict(PAGE_HEADERS),
        media_type=MediaType.HTML,
    )


def readable_amount(amount: int, currency: str) -> str:
    """Minor units as people read them: 125000 INR is ₹1,250.00."""
    sign = CURRENCY_SIGNS.get(currency, f"{currency} ")
    return f"{sign}{amount // 100:,}.{amount % 100:02d}"
