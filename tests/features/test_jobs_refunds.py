"""A refund that was decided is asked of the gateway until it answers, always with the same key."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from workers import StubGateway, at_work, make_jobs, owe, queue_is_empty, state, told, until

from boxoffice.audit import operator
from boxoffice.jobs import MONEY_BACKOFF
from boxoffice.payments.gateway import (
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    RefundFailedError,
    RefundReceipt,
    RefundRequest,
)
from boxoffice.payments.refunds import ask_again, list_refunds, queue_refund, send_refund
from boxoffice.postgres.pool import Pool


async def test_a_refund_is_sent_when_its_decision_is_committed_and_not_otherwise(pool: Pool, dsn: str) -> None:
    kept, dropped = await owe(pool), await owe(pool)
    gateway = StubGateway(RefundReceipt(gateway_ref="re_1", done=True))
    async with pool.acquire() as conn, conn.transaction():
        await queue_refund(conn, kept.show_id, kept.refund_id)
    async with pool.acquire() as conn:
        undone = conn.transaction()
        await undone.start()
        await queue_refund(conn, dropped.show_id, dropped.refund_id)
        await undone.rollback()
    async with at_work(make_jobs(pool, dsn, gateway=gateway)):
        await until(lambda: queue_is_empty(pool))
    assert [asked.refund_id for asked in gateway.asked] == [kept.refund_id]
    assert gateway.asked[0] == RefundRequest(refund_id=kept.refund_id, session_id="sess_x", amount=500, currency="INR")
    assert await state(pool, kept) == ("SUCCEEDED", "re_1")
    assert await state(pool, dropped) == ("PENDING", None)


async def test_a_gateway_that_is_down_is_asked_again_with_the_same_key(pool: Pool, dsn: str) -> None:
    owed = await owe(pool)
    gateway = StubGateway(GatewayDownError(), RefundReceipt(gateway_ref="re_2", done=True))
    async with pool.acquire() as conn:
        await queue_refund(conn, owed.show_id, owed.refund_id)
    async with at_work(make_jobs(pool, dsn, gateway=gateway)):
        await until(lambda: queue_is_empty(pool))
    assert [asked.refund_id for asked in gateway.asked] == [owed.refund_id] * 2
    assert await state(pool, owed) == ("SUCCEEDED", "re_2")


async def test_a_gateway_that_is_not_set_up_counts_as_down(pool: Pool) -> None:
    owed = await owe(pool)
    with pytest.raises(GatewayDownError):
        await send_refund(pool, {}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("PENDING", None)


async def test_a_refused_refund_is_left_for_a_person(pool: Pool) -> None:
    owed = await owe(pool)
    gateway = StubGateway(GatewayRefusedError("the account is closed"))
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("FAILED", None)
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert len(gateway.asked) == 1


async def test_a_refund_taken_on_is_settled_by_its_event(pool: Pool) -> None:
    owed = await owe(pool)
    gateway = StubGateway(RefundReceipt(gateway_ref="re_3", done=False))
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("PENDING", "re_3")
    assert not await told(pool, owed, refund_id=owed.refund_id, amount=501)
    assert not await told(pool, owed, refund_id=uuid4(), amount=500)
    assert not await told(pool, await owe(pool), refund_id=owed.refund_id, amount=500)
    assert await told(pool, owed, refund_id=owed.refund_id, amount=500)
    assert not await told(pool, owed, refund_id=owed.refund_id, amount=500)
    assert await state(pool, owed) == ("SUCCEEDED", "re_3")


async def grows_older(pool: Pool, **by: float) -> None:
    await pool.execute(
        "UPDATE refund SET created_at = created_at - $1::interval, asked_at = asked_at - $1::interval", timedelta(**by)
    )


async def test_a_refund_taken_on_is_asked_about_the_older_the_more_seldom(pool: Pool) -> None:
    owed, pending = await owe(pool), RefundReceipt(gateway_ref="re_4", done=False)
    gateway = StubGateway(pending, GatewayDownError(), pending, pending, RefundReceipt(gateway_ref="re_4", done=True))
    gateways: dict[str, Gateway] = {"stub": gateway}
    await send_refund(pool, gateways, owed.show_id, owed.refund_id)
    assert await ask_again(pool, gateways) == 0
    await grows_older(pool, minutes=10)
    for _ in range(2):
        assert sum(await asyncio.gather(*(ask_again(pool, gateways) for _ in range(3)))) == 1
        await grows_older(pool, minutes=4)
        assert await ask_again(pool, gateways) == 0
        await grows_older(pool, minutes=1)
    assert await state(pool, owed) == ("PENDING", "re_4")
    await grows_older(pool, days=5)
    assert await ask_again(pool, gateways) == 1
    await grows_older(pool, hours=5)
    assert await ask_again(pool, gateways) == 0
    await grows_older(pool, hours=1)
    assert await ask_again(pool, gateways) == 1
    assert await state(pool, owed) == ("SUCCEEDED", "re_4")
    await grows_older(pool, days=1)
    assert await ask_again(pool, gateways) == 0


async def test_whoever_asks_by_hand_is_written_down_with_the_refund_that_it_settles(pool: Pool) -> None:
    owed, refused = await owe(pool), await owe(pool)
    gateways: dict[str, Gateway] = {"stub": StubGateway(RefundReceipt(gateway_ref="re_5", done=True))}
    refusing: dict[str, Gateway] = {"stub": StubGateway(RefundFailedError(gateway_ref="re_6"))}
    await send_refund(pool, gateways, owed.show_id, owed.refund_id, operator())
    await send_refund(pool, refusing, refused.show_id, refused.refund_id, operator())
    assert await state(pool, refused) == ("FAILED", "re_6")
    entries = await pool.fetch("SELECT subject_id, details->>'event' AS event FROM audit_entry ORDER BY id")
    assert [tuple(entry) for entry in entries] == [
        (owed.payment_id, "refund.succeeded"),
        (refused.payment_id, "refund.failed"),
    ]


async def test_an_event_without_an_id_settles_only_what_it_must_mean(pool: Pool) -> None:
    first = await owe(pool)
    second = await owe(pool, beside=first)
    other = await owe(pool, amount=300, beside=first)
    assert not await told(pool, first, refund_id=None, amount=500)
    assert await told(pool, first, refund_id=None, amount=300)
    assert await told(pool, first, refund_id=second.refund_id, amount=500)
    assert await told(pool, first, refund_id=None, amount=500)
    async with pool.acquire() as conn:
        refunds = await list_refunds(conn, first.show_id, first.booking_id)
    assert [refund.id for refund in refunds] == [first.refund_id, second.refund_id, other.refund_id]
    assert {refund.status for refund in refunds} == {"SUCCEEDED"}


async def test_nothing_is_asked_for_a_refund_of_nothing(pool: Pool) -> None:
    owed = await owe(pool, amount=0)
    gateway = StubGateway()
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("SUCCEEDED", None)


def test_a_refund_is_tried_for_days() -> None:
    job: Any = SimpleNamespace(attempts=0)
    tried_for = timedelta()
    while (decision := MONEY_BACKOFF.get_retry_decision(exception=GatewayDownError(), job=job)) is not None:
        assert decision.retry_at is not None
        wait = decision.retry_at - datetime.now(UTC)
        assert wait <= timedelta(minutes=10)
        tried_for += wait
        job.attempts += 1
    assert tried_for > timedelta(days=5)
