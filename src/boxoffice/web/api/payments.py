"""Paying and being refunded."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath

from boxoffice import idempotency
from boxoffice.accounts import Caller, Role
from boxoffice.audit import Action
from boxoffice.bookings.reading import BookingNotFoundError, find_booking, locate_booking
from boxoffice.bookings.states import BookingStatus
from boxoffice.errors import ForbiddenError, KeyReusedError, MalformedError, UnidentifiedError
from boxoffice.idempotency import Outcome
from boxoffice.payments.gateway import (
    GatewayDownError,
    GatewayRefusedError,
)
from boxoffice.payments.refunds import Refund, list_refunds
from boxoffice.payments.sessions import (
    NotPayableError,
    Payment,
    PaymentSession,
    list_payments,
    open_session,
)
from boxoffice.postgres.pool import Connection, connection
from boxoffice.web.acting import note_of_booking
from boxoffice.web.api.bookings import owner
from boxoffice.web.errors import problems
from boxoffice.web.examples import (
    BOOKING_ID,
    PAYMENT_ID,
    REFUND_ID,
    SESSION_ID,
    answers,
    example,
)
from boxoffice.web.fields import Body
from boxoffice.web.identity import on_behalf_of, signed_in
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer


class InitiateRequest(Body, frozen=True, kw_only=True):
    """A booking to pay."""

    booking_id: UUID
    user_id: UUID | None = None


_EXPIRES_AT: Final = datetime(2030, 1, 31, 12, 15, tzinfo=UTC)
_SESSION: Final = PaymentSession(
    payment_id=PAYMENT_ID,
    session_id=SESSION_ID,
    payment_url=f"https://box-office.example/api/v1/payments/fake-checkout/{SESSION_ID}",
    expires_at=_EXPIRES_AT,
    amount=50_000,
    currency="INR",
)


@post(
    "/payments/initiate",
    operation_id="initiatePayment",
    summary="Open a payment session",
    tags=["payments"],
    guards=[signed_in],
    status_code=201,
    responses={201: answers(PaymentSession, _SESSION, "Where and until when to pay.")}
    | problems(
        MalformedError,
        UnidentifiedError,
        ForbiddenError,
        BookingNotFoundError,
        NotPayableError,
        GatewayRefusedError,
        KeyReusedError,
        GatewayDownError,
    ),
)
async def initiate(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[InitiateRequest, BodyOf(examples=[example(InitiateRequest(booking_id=BOOKING_ID))])],
    idempotency_key: IdempotencyKey = None,
) -> Response[PaymentSession]:
    """Send the buyer to `paymentUrl`. A booking has at most one open session: asking again returns it."""
    return answer(await do_initiate(office, caller, data, idempotency_key), 201)


async def do_initiate(office: Office, caller: Caller, data: InitiateRequest, key_header: str | None) -> Outcome:
    """What the operation does, whichever way it was reached (`boxoffice.web.hot`)."""
    on_behalf_of(caller, data.user_id)
    key = idempotency.claim(caller.user_id, key_header, "initiate", data.booking_id)
    if key is not None:
        async with connection(office.pool) as conn:
            if (first := await idempotency.recall(conn, key)) is not None:
                return Outcome(answer=first, replayed=True)
    session = await session_to_pay(office, caller, data.booking_id)
    if key is None:
        return Outcome(answer=session, replayed=False)
    async with connection(office.pool) as conn:
        return await idempotency.remember(conn, key, session)


async def session_to_pay(office: Office, caller: Caller, booking_id: UUID) -> PaymentSession:
    """The one live session of a booking of the caller's; the gateway sends the buyer back to the booking's page."""
    whose = owner(caller)

    async def sold_by_staff(conn: Connection, payment: Payment) -> None:
        details = {"paymentId": str(payment.id), "amount": payment.amount, "currency": payment.currency}
        await note_of_booking(conn, office, caller, Action.OPEN_PAYMENT, payment.show_id, booking_id, **details)

    try:
        return await open_session(
            office.pool,
            office.gateways,
            office.settings.payment_gateway,
            booking_id,
            owner=whose,
            return_url=f"{office.settings.base_url}/bookings/{booking_id}",
            beside=sold_by_staff if caller.is_at_least(Role.STAFF) else None,
        )
    except NotPayableError:
        # One that is not the caller's is unknown to them, whatever its state.
        async with connection(office.pool) as conn:
            await locate_booking(conn, booking_id, owner=whose)
        raise


class PaymentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attempt to pay; amounts in minor units."""

    payment_id: UUID
    session_id: str | None
    gateway: str
    status: str
    amount: int
    refunded_amount: int
    currency: str
    gateway_ref: str | None
    expires_at: datetime
    created_at: datetime
    settled_at: datetime | None


class RefundView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One refund; amounts in minor units."""

    refund_id: UUID
    payment_id: UUID
    reason: str
    original_amount: int
    refund_amount: int
    refund_percentage: int
    currency: str
    status: str
    created_at: datetime
    settled_at: datetime | None


class PaymentStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All the money of a booking."""

    booking_id: UUID
    status: BookingStatus
    amount: int
    currency: str
    payments: list[PaymentView]
    refunds: list[RefundView]


_MONEY: Final = PaymentStatus(
    booking_id=BOOKING_ID,
    status=BookingStatus.CONFIRMED,
    amount=50_000,
    currency="INR",
    payments=[
        PaymentView(
            payment_id=PAYMENT_ID,
            session_id=SESSION_ID,
            gateway="fake",
            status="SUCCEEDED",
            amount=50_000,
            refunded_amount=25_000,
            currency="INR",
            gateway_ref="pay_5tG7hJ9kL1",
            expires_at=_EXPIRES_AT,
            created_at=datetime(2030, 1, 31, 12, 1, tzinfo=UTC),
            settled_at=datetime(2030, 1, 31, 12, 2, tzinfo=UTC),
        )
    ],
    refunds=[
        RefundView(
            refund_id=REFUND_ID,
            payment_id=PAYMENT_ID,
            reason="requested",
            original_amount=25_000,
            refund_amount=25_000,
            refund_percentage=100,
            currency="INR",
            status="PENDING",
            created_at=datetime(2030, 1, 31, 12, 3, tzinfo=UTC),
            settled_at=None,
        )
    ],
)


@get(
    "/payments/status/{booking_id:str}",
    operation_id="paymentStatus",
    summary="All the money of a booking",
    tags=["payments"],
    guards=[signed_in],
    responses={200: answers(PaymentStatus, _MONEY, "The money.")}
    | problems(MalformedError, UnidentifiedError, BookingNotFoundError),
)
async def payment_status(
    office: NamedDependency[Office], caller: NamedDependency[Caller], booking_id: FromPath[UUID]
) -> PaymentStatus:
    """The booking's status and amount, and every payment and refund of it."""
    async with connection(office.pool) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        booking = await find_booking(conn, booking_id, owner=owner(caller))
        payments = await list_payments(conn, booking.show_id, booking_id)
        refunds = await list_refunds(conn, booking.show_id, booking_id)
    return PaymentStatus(
        booking_id=booking.id,
        status=booking.status,
        amount=booking.total_amount,
        currency=booking.currency,
        payments=[_payment_view(payment) for payment in payments],
        refunds=[_refund_view(refund) for refund in refunds],
    )


def _payment_view(payment: Payment) -> PaymentView:
    return PaymentView(
        payment_id=payment.id,
        session_id=payment.session_id,
        gateway=payment.gateway,
        status=payment.status,
        amount=payment.amount,
        refunded_amount=payment.refunded_amount,
        currency=payment.currency,
        gateway_ref=payment.gateway_ref,
        expires_at=payment.expires_at,
        created_at=payment.created_at,
        settled_at=payment.settled_at,
    )


def _refund_view(refund: Refund) -> RefundView:
    return RefundView(
        refund_id=refund.id,
        payment_id=refund.payment_id,
        reason=refund.reason,
        original_amount=refund.original_amount,
        refund_amount=refund.amount,
        refund_percentage=refund.percentage,
        currency=refund.currency,
        status=refund.status,
        created_at=refund.created_at,
        settled_at=refund.settled_at,
    )


ROUTES = [initiate, payment_status]
