"""The fake gateway tells what was decided over real HTTP until it is taken, in time, twice or late as told to."""

from datetime import UTC, datetime

import httpx
import pytest
from merchant import SECRET, Receiver, a_refund, make_gateway, open_one, paid_one, run_waiting, waiting

from boxoffice.payments import fake_delivery
from boxoffice.payments.fake import FakeGateway
from boxoffice.payments.gateway import (
    EventType,
    GatewayDownError,
)
from boxoffice.payments.webhooks import check_signature
from boxoffice.postgres.pool import Pool


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
