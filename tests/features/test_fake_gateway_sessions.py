"""The fake gateway keeps its own books: a payment has one session, and a session is decided once."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import msgspec
import pytest
from merchant import (
    AMOUNT,
    SECRET,
    Receiver,
    a_session,
    open_one,
    paid_one,
    run_waiting,
    waiting,
)

from boxoffice.payments import fake_delivery
from boxoffice.payments.fake import FakeGateway
from boxoffice.payments.fake_books import LATE_PAYMENT
from boxoffice.payments.gateway import (
    BadSignatureError,
    EventType,
    GatewayRefusedError,
    SessionDecidedError,
    UnknownSessionError,
)
from boxoffice.payments.webhooks import SIGNATURE_HEADER, check_signature
from boxoffice.postgres.pool import Pool


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
    other = msgspec.structs.replace(request, amount=AMOUNT + 1)
    with pytest.raises(GatewayRefusedError):
        await gateway.open_session(other)


@pytest.mark.parametrize(
    "elsewhere", ["https://elsewhere.example/bookings/1", "//elsewhere.example", "http://box-office.test.example/", ""]
)
async def test_buyers_are_sent_back_to_the_merchant_alone(gateway: FakeGateway, pool: Pool, elsewhere: str) -> None:
    with pytest.raises(GatewayRefusedError):
        await gateway.open_session(msgspec.structs.replace(a_session(), return_url=elsewhere))
    assert await pool.fetchval("SELECT count(*) FROM fake_session") == 0


async def test_a_session_that_is_not_is_unknown(gateway: FakeGateway) -> None:
    for session_id in ("", "sess_", "sess_" + "x" * 32, "sess_\x00" + "x" * 32, "\ud800", "x" * 9999):
        with pytest.raises(UnknownSessionError):
            await gateway.checkout(session_id)
        with pytest.raises(UnknownSessionError):
            await gateway.decide(session_id, EventType.SUCCESS)


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
