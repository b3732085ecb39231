"""The fake gateway is a gateway: own books, idempotent, webhooks over real HTTP until they are taken."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from boxoffice.payments import fake_delivery
from boxoffice.payments.fake import LATE_PAYMENT, FakeBehaviour, FakeGateway
from boxoffice.payments.gateway import (
    BadSignatureError,
    EventType,
    GatewayDownError,
    GatewayRefusedError,
    RefundRequest,
    SessionDecidedError,
    SessionRequest,
    UnknownSessionError,
)
from boxoffice.payments.webhooks import DELIVER_WEBHOOK, SIGNATURE_HEADER, check_signature
from boxoffice.postgres.pool import Pool

SECRET = "the-tests-webhook-secret"
AMOUNT = 50_000


class Receiver:
    """A merchant's webhook address on 127.0.0.1: keeps what arrives, answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
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
            self.received.append((headers[SIGNATURE_HEADER.lower()], body))
            status = self.answers.pop(0) if self.answers else 200
            await asyncio.sleep(self.slow_s)
            writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        finally:
            writer.close()
            # A client that did not wait for the answer has gone by now.
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


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


@pytest.fixture
def gateway(pool: Pool, http: httpx.AsyncClient, receiver: Receiver) -> FakeGateway:
    return make_gateway(pool, http, receiver)


def a_session(*, lasts: timedelta = timedelta(minutes=15)) -> SessionRequest:
    return SessionRequest(
        payment_id=uuid4(),
        booking_id=uuid4(),
        amount=AMOUNT,
        currency="INR",
        expires_at=datetime.now(UTC) + lasts,
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
        """SELECT args, extract(epoch FROM scheduled_at - now())::float8 AS wait_s FROM procrastinate_jobs
           WHERE task_name = $1 ORDER BY scheduled_at, id""",
        DELIVER_WEBHOOK,
    )
    return [(row["args"], row["wait_s"]) for row in rows]


async def run_waiting(pool: Pool, gateway: FakeGateway) -> None:
    """Do what a worker would do once the time of all queued deliveries has come."""
    jobs = await waiting(pool)
    await pool.execute("DELETE FROM procrastinate_jobs")
    for args, _ in jobs:
        await gateway.deliver(**args)


# ---------------------------------------------------------------- sessions


async def test_a_payment_has_one_session_however_often_it_is_asked_for(gateway: FakeGateway, pool: Pool) -> None:
    request = a_session()
    sessions = await asyncio.gather(*(gateway.open_session(request) for _ in range(8)))
    assert len({session.session_id for session in sessions}) == 1
    assert await pool.fetchval("SELECT count(*) FROM fake_session") == 1
    session = sessions[0]
    assert session.session_id.startswith("sess_")
    assert len(session.session_id) > 30
    assert session.payment_url == (f"http://box-office.test/api/v1/payments/fake-checkout/{session.session_id}")


async def test_a_payment_that_has_a_session_gets_none_for_something_else(gateway: FakeGateway) -> None:
    request = a_session()
    await gateway.open_session(request)
    other = SessionRequest(
        payment_id=request.payment_id,
        booking_id=request.booking_id,
        amount=AMOUNT + 1,
        currency="INR",
        expires_at=request.expires_at,
    )
    with pytest.raises(GatewayRefusedError):
        await gateway.open_session(other)


@pytest.mark.parametrize("session_id", ["", "sess_", "sess_" + "x" * 32, "sess_\x00" + "x" * 32, "\ud800", "x" * 9999])
async def test_a_session_that_is_not_is_unknown(gateway: FakeGateway, session_id: str) -> None:
    with pytest.raises(UnknownSessionError):
        await gateway.checkout(session_id)
    with pytest.raises(UnknownSessionError):
        await gateway.decide(session_id, EventType.SUCCESS)


# --------------------------------------------------------------- decisions


async def test_paying_tells_the_box_office_at_once_in_the_form_of_the_contract(
    gateway: FakeGateway, receiver: Receiver, pool: Pool
) -> None:
    request = a_session()
    session_id = (await gateway.open_session(request)).session_id
    checkout = await gateway.decide(session_id, EventType.SUCCESS)
    assert checkout.status == "paid"
    (event,) = receiver.events
    assert set(event) == {
        *("eventId", "eventType", "sessionId", "bookingId"),
        *("amount", "currency", "timestamp", "gatewayRef"),
    }
    assert event["eventType"] == "payment.success"
    assert event["sessionId"] == session_id
    assert UUID(event["bookingId"]) == request.booking_id
    assert (event["amount"], event["currency"]) == (AMOUNT, "INR")
    assert datetime.strptime(event["timestamp"], "%Y-%m-%dT%H:%M:%S%z").utcoffset() == timedelta(0)
    assert event["timestamp"].endswith("Z")
    # The job behind it comes later, and finds nothing to do.
    assert len(await waiting(pool)) == 1
    await run_waiting(pool, gateway)
    assert len(receiver.received) == 1


async def test_the_signature_is_over_the_raw_bytes(gateway: FakeGateway, receiver: Receiver) -> None:
    await paid_one(gateway)
    ((header, body),) = receiver.received
    now = datetime.now(UTC)
    check_signature(SECRET, header, body, now)
    assert gateway.verify({SIGNATURE_HEADER: header}, body, now).event_type is EventType.SUCCESS
    assert gateway.verify({SIGNATURE_HEADER.lower(): header}, body, now).gateway == "fake"
    for headers, other in (
        ({SIGNATURE_HEADER: header}, json.dumps(json.loads(body), indent=1).encode()),
        ({SIGNATURE_HEADER: header}, body + b" "),
        ({}, body),
    ):
        with pytest.raises(BadSignatureError):
            gateway.verify(headers, other, now)


@pytest.mark.parametrize(
    ("decision", "status"),
    [(EventType.SUCCESS, "paid"), (EventType.FAILED, "declined"), (EventType.EXPIRED, "expired")],
)
async def test_a_decision_stands(gateway: FakeGateway, receiver: Receiver, decision: EventType, status: str) -> None:
    session_id = await open_one(gateway)
    assert (await gateway.decide(session_id, decision)).status == status
    assert (await gateway.decide(session_id, decision)).status == status
    assert (await gateway.checkout(session_id)).status == status
    for other in {EventType.SUCCESS, EventType.FAILED, EventType.EXPIRED} - {decision}:
        with pytest.raises(SessionDecidedError):
            await gateway.decide(session_id, other)
    assert [event["eventType"] for event in receiver.events] == [decision]


async def test_pay_and_decline_at_once_have_one_winner_and_one_event(gateway: FakeGateway, receiver: Receiver) -> None:
    for _ in range(5):
        receiver.received.clear()
        session_id = await open_one(gateway)
        choices = [EventType.SUCCESS, EventType.FAILED] * 4
        answers = await asyncio.gather(
            *(gateway.decide(session_id, choice) for choice in choices), return_exceptions=True
        )
        outcomes = Counter(type(answer).__name__ for answer in answers)
        assert outcomes == {"Checkout": 4, "SessionDecidedError": 4}
        (event,) = receiver.events
        won = (await gateway.checkout(session_id)).status
        assert event["eventType"] == {"paid": "payment.success", "declined": "payment.failed"}[won]


async def test_nothing_is_decided_that_could_not_be_told(
    gateway: FakeGateway, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ConnectionError

    session_id = await open_one(gateway)
    monkeypatch.setattr(fake_delivery, "enqueue", broken)
    with pytest.raises(ConnectionError):
        await gateway.decide(session_id, EventType.SUCCESS)
    assert (await gateway.checkout(session_id)).status == "open"
    assert await pool.fetchval("SELECT count(*) FROM fake_delivery") == 0


async def test_what_was_decided_stands_when_telling_it_at_once_breaks(
    gateway: FakeGateway, http: httpx.AsyncClient, pool: Pool
) -> None:
    await http.aclose()
    assert (await gateway.decide(await open_one(gateway), EventType.SUCCESS)).status == "paid"
    assert [args["attempt"] for args, _ in await waiting(pool)] == [0]


async def test_sessions_that_ran_out_are_closed_and_told(gateway: FakeGateway, receiver: Receiver, pool: Pool) -> None:
    lapsed = await open_one(gateway, lasts=-LATE_PAYMENT)
    just_over = await open_one(gateway, lasts=timedelta(seconds=-1))
    fresh = await open_one(gateway)
    assert sum(await asyncio.gather(gateway.expire_lapsed(), gateway.expire_lapsed())) == 1
    await run_waiting(pool, gateway)
    assert [(event["sessionId"], event["eventType"]) for event in receiver.events] == [(lapsed, "payment.expired")]
    with pytest.raises(SessionDecidedError):
        await gateway.decide(lapsed, EventType.SUCCESS)
    # Its page is closed, yet a payment under way may still come in, as with a bank.
    assert (await gateway.checkout(just_over)).status == "expired"
    assert (await gateway.decide(just_over, EventType.SUCCESS)).status == "paid"
    assert (await gateway.checkout(fresh)).status == "open"


# -------------------------------------------------------------- deliveries


async def test_a_receiver_that_is_down_gets_the_event_when_it_is_back(
    gateway: FakeGateway, receiver: Receiver, pool: Pool
) -> None:
    await receiver.close()
    assert (await gateway.decide(await open_one(gateway), EventType.SUCCESS)).status == "paid"
    await run_waiting(pool, gateway)
    assert [args["attempt"] for args, _ in await waiting(pool)] == [2]
    error = await pool.fetchval("SELECT last_error FROM fake_delivery")
    assert "Connect" in error
    await receiver.open()
    await run_waiting(pool, gateway)
    assert [event["eventType"] for event in receiver.events] == ["payment.success"]
    kept = await pool.fetchrow("SELECT attempts, last_error, delivered_at FROM fake_delivery")
    assert kept is not None
    assert (kept["attempts"], kept["last_error"]) == (3, None)
    assert kept["delivered_at"] is not None
    assert await waiting(pool) == []


async def test_waits_double_up_to_five_minutes_and_the_bytes_stay_the_same(
    gateway: FakeGateway, receiver: Receiver, pool: Pool
) -> None:
    receiver.answers = [500, 503, 404, 302, *[500] * 7]
    await paid_one(gateway)
    waits: list[int] = []
    while len(receiver.received) < 11:
        # The first job is the safety net behind the attempt made at once, and does nothing.
        waits.append(round((await waiting(pool))[0][1]))
        await run_waiting(pool, gateway)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    await run_waiting(pool, gateway)
    assert len({body for _, body in receiver.received}) == 1
    for header, body in receiver.received:
        check_signature(SECRET, header, body, datetime.now(UTC))
    assert len(receiver.received) == 12
    assert await waiting(pool) == []


async def test_a_receiver_that_is_too_slow_has_not_taken_the_event(
    gateway: FakeGateway, receiver: Receiver, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_delivery, "DELIVERY_TIMEOUT_S", 0.2)
    receiver.slow_s = 1.0
    await paid_one(gateway)
    assert "no answer" in await pool.fetchval("SELECT last_error FROM fake_delivery")
    receiver.slow_s = 0.0
    await run_waiting(pool, gateway)
    assert len(receiver.received) == 2
    assert await pool.fetchval("SELECT delivered_at IS NOT NULL FROM fake_delivery")


async def test_an_attempt_is_made_once_and_one_that_is_over_never_again(
    gateway: FakeGateway, receiver: Receiver, pool: Pool
) -> None:
    receiver.answers = [500]
    await paid_one(gateway)
    delivery_id = str(await pool.fetchval("SELECT id FROM fake_delivery"))
    await gateway.deliver(delivery_id, 0)
    await gateway.deliver(delivery_id, 7)
    assert len(receiver.received) == 1
    await gateway.deliver(delivery_id, 1)
    await gateway.deliver(delivery_id, 1)
    await gateway.deliver(delivery_id, 2)
    assert len(receiver.received) == 2


async def test_an_event_that_nobody_took_for_a_day_is_given_up(
    gateway: FakeGateway, receiver: Receiver, pool: Pool
) -> None:
    await receiver.close()
    await paid_one(gateway)
    await pool.execute("UPDATE fake_delivery SET created_at = now() - interval '25 hours'")
    await run_waiting(pool, gateway)
    assert await waiting(pool) == []
    assert await pool.fetchval("SELECT attempts FROM fake_delivery") == 2


async def test_told_to_it_sends_each_event_twice(pool: Pool, http: httpx.AsyncClient, receiver: Receiver) -> None:
    await paid_one(make_gateway(pool, http, receiver, duplicate_rate=1.0))
    assert len(receiver.events) == 2
    assert receiver.events[0] == receiver.events[1]


async def test_told_to_it_is_late(pool: Pool, http: httpx.AsyncClient, receiver: Receiver) -> None:
    gateway = make_gateway(pool, http, receiver, delay_s=7.0)
    session_id = await paid_one(gateway)
    assert receiver.received == []
    ((_, wait_s),) = await waiting(pool)
    assert wait_s == pytest.approx(7.0, abs=1.0)
    await run_waiting(pool, gateway)
    assert len(receiver.received) == 1
    # A slow gateway takes a refund on, and tells later that it is done.
    assert not (await gateway.refund(a_refund(session_id))).done


async def test_told_to_its_events_overtake_each_other(pool: Pool, http: httpx.AsyncClient, receiver: Receiver) -> None:
    gateway = make_gateway(pool, http, receiver, reorder=True)
    paid = [await paid_one(gateway) for _ in range(6)]
    assert receiver.received == []
    await run_waiting(pool, gateway)
    told = [event["sessionId"] for event in receiver.events]
    assert sorted(told) == sorted(paid)
    assert told != paid


async def test_told_to_it_fails_and_asking_again_never_acts_twice(
    pool: Pool, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    sound = make_gateway(pool, http, receiver)
    request = a_refund(await paid_one(sound), 100)
    failing = make_gateway(pool, http, receiver, fail_rate=0.7)
    lost = 0
    for _ in range(30):
        try:
            await failing.refund(request)
        except GatewayDownError:
            lost += 1
    assert 10 < lost < 30
    assert await pool.fetchval("SELECT count(*) FROM fake_refund") == 1
    assert await pool.fetchval("SELECT refunded_amount FROM fake_session") == 100


# ----------------------------------------------------------------- refunds


async def test_eight_refunds_at_once_with_one_key_are_one_refund(
    gateway: FakeGateway, receiver: Receiver, pool: Pool
) -> None:
    request = a_refund(await paid_one(gateway), 20_000)
    receiver.received.clear()
    receipts = await asyncio.gather(*(gateway.refund(request) for _ in range(8)))
    assert len({receipt.gateway_ref for receipt in receipts}) == 1
    assert await pool.fetchval("SELECT count(*) FROM fake_refund") == 1
    assert await pool.fetchval("SELECT refunded_amount FROM fake_session") == 20_000
    (event,) = receiver.events
    assert event["eventType"] == "refund.succeeded"
    assert event["amount"] == 20_000
    assert UUID(event["refundId"]) == request.refund_id
    assert event["gatewayRef"] == receipts[0].gateway_ref


async def test_no_more_goes_back_than_was_paid(gateway: FakeGateway, pool: Pool) -> None:
    session_id = await paid_one(gateway)
    answers = await asyncio.gather(
        *(gateway.refund(a_refund(session_id, AMOUNT // 2)) for _ in range(6)), return_exceptions=True
    )
    assert Counter(type(answer).__name__ for answer in answers) == {
        "RefundReceipt": 2,
        "GatewayRefusedError": 4,
    }
    assert await pool.fetchval("SELECT refunded_amount FROM fake_session") == AMOUNT
    assert await pool.fetchval("SELECT count(*) FROM fake_refund") == 2


async def test_a_refund_that_makes_no_sense_is_refused(gateway: FakeGateway, pool: Pool) -> None:
    paid = await paid_one(gateway)
    for request in (
        a_refund("sess_unknown"),
        a_refund(paid, AMOUNT + 1),
        a_refund(paid, 0),
        a_refund(paid, -1),
        RefundRequest(refund_id=uuid4(), session_id=paid, amount=1, currency="USD"),
    ):
        with pytest.raises(GatewayRefusedError):
            await gateway.refund(request)
    assert await pool.fetchval("SELECT count(*) FROM fake_refund") == 0


async def test_what_the_secret_signed_as_paid_can_be_given_back_once(gateway: FakeGateway) -> None:
    # Somebody with the secret may have signed the success, not we: the merchant has it all the same.
    session_id = await open_one(gateway)
    await gateway.refund(a_refund(session_id))
    assert (await gateway.checkout(session_id)).status == "paid"
    with pytest.raises(GatewayRefusedError):
        await gateway.refund(a_refund(session_id, 1))


async def test_a_refund_key_is_for_one_refund(gateway: FakeGateway) -> None:
    session_id = await paid_one(gateway)
    request = a_refund(session_id, 100)
    await gateway.refund(request)
    other = RefundRequest(refund_id=request.refund_id, session_id=session_id, amount=200, currency="INR")
    with pytest.raises(GatewayRefusedError):
        await gateway.refund(other)
