"""A merchant of the fake gateway: its webhook address on a real socket, and what it asks of the gateway."""

import asyncio
import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from boxoffice.payments.fake import FakeBehaviour, FakeGateway
from boxoffice.payments.gateway import (
    EventType,
    RefundRequest,
    SessionRequest,
)
from boxoffice.payments.webhooks import DELIVER_WEBHOOK, SIGNATURE_HEADER
from boxoffice.postgres.pool import Pool

SECRET = "the-tests-webhook-secret"
AMOUNT = 50_000


class Receiver:
    """A merchant's webhook address on 127.0.0.1: keeps what arrives, answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        """The signature and the body of each."""
        self.heard: list[tuple[dict[str, str], bytes]] = []
        """The same with all headers, for gateways that sign otherwise."""
        self.answers: list[int] = []
        """Statuses to answer with, in turn; 200 after the last."""
        self.slow_s = 0.0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = (line.partition(": ") for line in head.splitlines()[1:])
            headers = {key.lower(): value for key, _, value in fields}
            body = await reader.readexactly(int(headers["content-length"]))
            self.received.append((headers.get(SIGNATURE_HEADER.lower(), ""), body))
            self.heard.append((headers, body))
            status = self.answers.pop(0) if self.answers else 200
            await asyncio.sleep(self.slow_s)
            writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        finally:
            writer.close()
            # A client that did not wait for the answer has gone by now.
            with suppress(ConnectionError):
                await writer.wait_closed()


def make_gateway(
    pool: Pool, http: httpx.AsyncClient, receiver: Receiver, *, seed: int = 1, **behaviour: Any
) -> FakeGateway:
    return FakeGateway(
        pool,
        http,
        webhook_secret=SECRET,
        webhook_url=f"http://127.0.0.1:{receiver.port}/hook",
        public_base_url="http://box-office.test",
        behaviour=FakeBehaviour(**behaviour),
        rng=random.Random(seed),
    )


def a_session(*, lasts: timedelta = timedelta(minutes=15)) -> SessionRequest:
    return SessionRequest(
        payment_id=uuid4(),
        booking_id=uuid4(),
        amount=AMOUNT,
        currency="INR",
        expires_at=datetime.now(UTC) + lasts,
        return_url="http://box-office.test/bookings/1",
    )


async def open_one(gateway: FakeGateway, *, lasts: timedelta = timedelta(minutes=15)) -> str:
    return (await gateway.open_session(a_session(lasts=lasts))).session_id


async def paid_one(gateway: FakeGateway) -> str:
    session_id = await open_one(gateway)
    await gateway.decide(session_id, EventType.SUCCESS)
    return session_id


def a_refund(session_id: str, amount: int = AMOUNT) -> RefundRequest:
    return RefundRequest(refund_id=uuid4(), session_id=session_id, amount=amount, currency="INR")


async def waiting(pool: Pool) -> list[tuple[dict[str, Any], float]]:
    """The queued deliveries: their arguments, and in how many seconds they come, in that order."""
    rows = await pool.fetch(
        """SELECT args, coalesce(extract(epoch FROM scheduled_at - now())::float8, 0) AS wait_s
             FROM procrastinate_jobs WHERE task_name = $1 ORDER BY scheduled_at NULLS FIRST, id""",
        DELIVER_WEBHOOK,
    )
    return [(row["args"], row["wait_s"]) for row in rows]


async def run_waiting(pool: Pool, gateway: FakeGateway) -> None:
    """Do what a worker would do once the time of all queued deliveries has come."""
    jobs = await waiting(pool)
    await pool.execute("DELETE FROM procrastinate_jobs")
    for args, _ in jobs:
        await gateway.deliver(**args)
