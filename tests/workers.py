"""Job workers inside a test, refunds for them to send, and a gateway whose answers are given in advance."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import msgspec

from boxoffice.jobs import JobContext, Jobs, Pace, Recurring
from boxoffice.payments.gateway import (
    Gateway,
    RefundReceipt,
    RefundRequest,
)
from boxoffice.payments.refunds import mark_refunded
from boxoffice.postgres.grants import WORKER
from boxoffice.postgres.pool import Pool
from boxoffice.postgres.roles import with_role

PACE = Pace(poll_s=0.1, heartbeat_s=0.2, dead_after_s=1.0, look_for_dead_s=0.2, shutdown_s=5.0, restart_s=0.1)
EVERY_SECOND = "* * * * * *"
PATIENCE_S = 15


class StubGateway:
    """A gateway whose answers are given in advance; keeps what it was asked."""

    name = "stub"
    page_origins = ()

    def __init__(self, *answers: RefundReceipt | Exception) -> None:
        self.asked: list[RefundRequest] = []
        self._answers = list(answers)

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    captures_at_once = True
    open_session: Any = None
    capture: Any = None
    void: Any = None
    fetch: Any = None
    close: Any = None
    verify: Any = None


class Owed(msgspec.Struct, frozen=True):
    """A refund that was decided, with what it hangs on."""

    show_id: UUID
    booking_id: UUID
    payment_id: UUID
    refund_id: UUID


async def owe(pool: Pool, *, amount: int = 500, beside: Owed | None = None) -> Owed:
    """A PENDING refund of a paid booking; ``beside``: another one of that payment."""
    if beside is None:
        show_id, booking_id, payment_id = await _pay(pool)
    else:
        show_id, booking_id, payment_id = beside.show_id, beside.booking_id, beside.payment_id
    refund_id: UUID = await pool.fetchval(
        """INSERT INTO refund (show_id, booking_id, payment_id, reason, original_amount, amount, percentage, currency)
           VALUES ($1, $2, $3, 'requested', 1000, $4, 50, 'INR') RETURNING id""",
        *(show_id, booking_id, payment_id, amount),
    )
    return Owed(show_id, booking_id, payment_id, refund_id)


async def _pay(pool: Pool) -> tuple[UUID, UUID, UUID]:
    movie = await pool.fetchval(
        "INSERT INTO movie (title, duration_min, language) VALUES ('Pather Panchali', 125, 'bn') RETURNING id"
    )
    theatre = await pool.fetchval(
        "INSERT INTO theatre (name, city, timezone) VALUES ('Regal', 'Mumbai', 'Asia/Kolkata') RETURNING id"
    )
    screen = await pool.fetchval(
        "INSERT INTO screen (theatre_id, name, total_seats) VALUES ($1, 'One', 1) RETURNING id", theatre
    )
    show: UUID = await pool.fetchval(
        """INSERT INTO show (movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                             currency, price_regular, total_seats)
           VALUES ($1, $2, $3, now(), now() + interval '2 h', now() + interval '3 h', 'bn', '2D', 'INR', 1000, 1)
           RETURNING id""",
        *(movie, theatre, screen),
    )
    booking: UUID = await pool.fetchval(
        """INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at)
           VALUES ($1, $2, 1000, 'INR', now()) RETURNING id""",
        *(show, uuid4()),
    )
    payment: UUID = await pool.fetchval(
        """INSERT INTO payment (show_id, booking_id, gateway, session_id, status, amount, currency, expires_at)
           VALUES ($1, $2, 'stub', 'sess_x', 'SUCCEEDED', 1000, 'INR', now()) RETURNING id""",
        *(show, booking),
    )
    return show, booking, payment


async def state(pool: Pool, owed: Owed) -> tuple[str, str | None]:
    """A refund's status and the gateway's reference."""
    row = await pool.fetchrow(
        "SELECT status, gateway_ref FROM refund WHERE show_id = $1 AND id = $2", owed.show_id, owed.refund_id
    )
    assert row is not None
    return row["status"], row["gateway_ref"]


async def told(pool: Pool, owed: Owed, *, refund_id: UUID | None, amount: int) -> bool:
    """What an event about the payment of ``owed`` settles."""
    async with pool.acquire() as conn:
        settled = await mark_refunded(
            conn, show_id=owed.show_id, payment_id=owed.payment_id, refund_id=refund_id, amount=amount
        )
    return settled is not None


async def _nothing() -> int:
    return 0


async def _deliver_nothing(_: str, __: int) -> None:
    return None


async def _send_nothing(_: UUID, __: UUID) -> None:
    return None


def make_jobs(
    pool: Pool,
    dsn: str,
    *,
    gateway: StubGateway | None = None,
    deliver: Callable[[str, int], Awaitable[None]] = _deliver_nothing,
    recurring: tuple[Recurring, ...] = (),
    send_mail: Callable[[UUID, UUID], Awaitable[None]] = _send_nothing,
) -> Jobs:
    gateways: dict[str, Gateway] = {} if gateway is None else {"stub": gateway}
    context = JobContext(
        pool=pool, gateways=gateways, expire_gateway_sessions=_nothing, deliver_webhook=deliver, send_mail=send_mail
    )
    return Jobs(with_role(dsn, WORKER), context, recurring=recurring, pace=PACE)


@asynccontextmanager
async def at_work(*all_jobs: Jobs) -> AsyncGenerator[None]:
    """Workers in this process, while inside."""
    stop = asyncio.Event()
    workers = [asyncio.create_task(jobs.work(stop)) for jobs in all_jobs]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*workers)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110  (what is waited for happens in the database)
            await asyncio.sleep(0.05)


async def queue_is_empty(pool: Pool) -> bool:
    return await pool.fetchval("SELECT count(*) FROM procrastinate_jobs") == 0
