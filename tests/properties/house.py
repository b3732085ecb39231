"""The real box office on a real PostgreSQL, for a machine that takes one step after the other and never sleeps."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
import make
import structlog
from ground import Wire, asgi

from boxoffice.app import assemble, fake_gateway
from boxoffice.bookings.capture import settle_authorisation
from boxoffice.bookings.expiry import archive_ended, expire_lapsed
from boxoffice.bookings.reconciliation import reconcile_finished, reconcile_unfinished
from boxoffice.payments.gateway import (
    CaptureRequest,
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    RefundReceipt,
    RefundRequest,
    Session,
    SessionRequest,
    Standing,
)
from boxoffice.payments.refunds import send_refund
from boxoffice.postgres.pool import Pool, connect_pool
from boxoffice.seating.holds import tidy_lapsed
from boxoffice.settings import Settings
from boxoffice.web.office import Office
from boxoffice.web.router import create_web

Result = TypeVar("Result")


class MoodyGateway:
    """The fake gateway, in the mood that it is told.

    ``answers``, ``silent`` (does nothing), ``answer_lost``; ``refuses``: refunds, which it does all the same.
    """

    def __init__(self, inner: Gateway) -> None:
        self._inner = inner
        self.mood = "answers"
        self.name = inner.name
        self.page_origins = inner.page_origins
        self.captures_at_once = inner.captures_at_once
        self.verify = inner.verify

    async def open_session(self, request: SessionRequest) -> Session:
        self._silent()
        return self._unless_lost(await self._inner.open_session(request))

    async def capture(self, request: CaptureRequest) -> Standing:
        self._silent()
        return self._unless_lost(await self._inner.capture(request))

    async def void(self, session_id: str) -> Standing:
        self._silent()
        return self._unless_lost(await self._inner.void(session_id))

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        self._silent()
        receipt = await self._inner.refund(request)
        if self.mood == "refuses":
            raise GatewayRefusedError("it will not")
        return self._unless_lost(receipt)

    async def fetch(self, session_id: str) -> Standing:
        self._silent()
        return self._unless_lost(await self._inner.fetch(session_id))

    async def close(self, session_id: str) -> Standing:
        self._silent()
        return self._unless_lost(await self._inner.close(session_id))

    def _silent(self) -> None:
        if self.mood == "silent":
            raise GatewayDownError("no answer, and nothing done")

    def _unless_lost(self, answer: Result) -> Result:
        if self.mood == "answer_lost":
            raise GatewayDownError("done, and no answer")
        return answer


class Network(Wire):
    """The gateway's way to us. Keeps every webhook that went over it; while ``cut``, none arrives."""

    def __init__(self) -> None:
        self.carried: list[httpx.Request] = []
        self.cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.carried.append(request)
        if self.cut:
            raise httpx.ConnectError("the line is cut")
        return await super().handle_async_request(request)


class House:
    """A box office in this process; ``run`` does one thing in it and returns when it is done."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._runner = asyncio.Runner()
        self.network = Network()
        self.pool: Pool
        self.office: Office
        self.gateway: MoodyGateway
        self.client: httpx.AsyncClient

    def __enter__(self) -> Self:
        # A line a request would be all that a run says.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self._open = self._parts()
        self.run(self._open.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._open.__aexit__(None, None, None))
        self._runner.close()
        structlog.reset_defaults()

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(what)

    @asynccontextmanager
    async def _parts(self) -> AsyncGenerator[None]:
        base = "http://box-office.test"
        settings = Settings(
            database_url=self._dsn,
            payment_webhook_secret=make.WEBHOOK_SECRET,
            public_url=base,
            fake_gateway_webhook_url=f"{base}/api/v1/payments/webhook",
        )
        self.pool = await connect_pool(self._dsn, size=8, plan_once=True)
        async with httpx.AsyncClient(transport=self.network) as http:
            self.office = assemble(settings, self.pool, fake_gateway(settings, self.pool, http), self.pool)
            self.gateway = MoodyGateway(self.office.gateways["fake"])
            self.office.gateways["fake"] = self.gateway
            app = create_web(lambda: nullcontext(self.office))
            app.state.office = self.office
            self.network.other_end = asgi(app)
            async with httpx.AsyncClient(transport=asgi(app), base_url=base) as self.client:
                yield
            await self.office.live_seats.close()
            await self.office.hot_maps.close()
            self.office.accounts.close()
        await self.pool.close()

    # ------------------------------------- what other processes, and time, do ---

    async def job(self, name: str, show_id: UUID) -> None:
        """A recurring job runs, in another process."""
        await {"expire": expire_lapsed, "tidy": tidy_lapsed, "archive": archive_ended}[name](self.pool)
        self.office.hot_maps.changed(show_id)

    async def send_refunds(self, show_id: UUID) -> None:
        """What the durable jobs do, each once, in the present mood of the gateway."""
        pending = await self.pool.fetch("SELECT id FROM refund WHERE show_id = $1 AND status = 'PENDING'", show_id)
        for refund in pending:
            try:
                await send_refund(self.pool, self.office.gateways, show_id, refund["id"])
            except GatewayDownError:
                continue

    async def take_or_let_go(self, show_id: UUID, session: str) -> None:
        """What the durable job of an authorisation does, once, in the present mood of the gateway."""
        payment = await self.pool.fetchval("SELECT id FROM payment WHERE session_id = $1", session)
        try:
            await settle_authorisation(self.pool, self.office.gateways, show_id, payment, self.office.hot_maps.changed)
        except GatewayDownError:
            return

    async def ask_about(self, booking_id: UUID, nth: int) -> None:
        """Reconciliation runs, and of all payments only this one of a booking is due."""
        await self.pool.execute("UPDATE payment SET asked_at = now() WHERE settled_at IS NULL")
        await self.pool.execute(
            "UPDATE payment SET settled_at = settled_at - interval '2 days' WHERE settled_at > now()"
        )
        show_id = await self.pool.fetchval(
            """UPDATE payment SET asked_at = NULL, settled_at = settled_at + interval '2 days'
                WHERE id = (SELECT id FROM payment WHERE booking_id = $1 ORDER BY created_at, id OFFSET $2 LIMIT 1)
               RETURNING show_id""",
            *(booking_id, nth),
        )
        await reconcile_unfinished(self.pool, self.office.gateways, patience=timedelta(0))
        await reconcile_finished(self.pool, self.office.gateways, datetime.now(UTC) + timedelta(hours=1))
        self.office.hot_maps.changed(show_id)

    async def becomes_there(self, session: str, status: str) -> None:
        """Something happens at the gateway: a buyer pays, a bank answers, somebody uses its dashboard."""
        await self.pool.execute("UPDATE fake_session SET status = $2 WHERE id = $1", session, status)

    async def lapse_holds(self, show_id: UUID) -> None:
        await self.pool.execute(
            """UPDATE show_seat SET held_since = held_since - interval '1 hour', revision = revision + 1,
                      taken_until = now() - interval '1 second'
                WHERE show_id = $1 AND booking_id IS NULL AND taken_until > now()""",
            show_id,
        )
        self.office.hot_maps.changed(show_id)

    async def lapse_booking(self, show_id: UUID, booking_id: UUID) -> None:
        lapsed = await self.pool.fetchval(
            """UPDATE booking SET expires_at = now() - interval '2 minutes'
                WHERE show_id = $1 AND id = $2 AND status = 'PENDING' RETURNING true""",
            *(show_id, booking_id),
        )
        if lapsed:
            await self.pool.execute(
                """UPDATE show_seat SET taken_until = now() - interval '1 second', revision = revision + 1
                    WHERE show_id = $1 AND booking_id = $2 AND taken_until > now()""",
                *(show_id, booking_id),
            )
        self.office.hot_maps.changed(show_id)

    async def a_month_passes(self, show_id: UUID) -> None:
        """For the bookings that ended unpaid."""
        await self.pool.execute(
            """UPDATE booking SET ended_at = ended_at - interval '31 days'
                WHERE show_id = $1 AND status IN ('EXPIRED', 'CANCELLED')""",
            show_id,
        )
