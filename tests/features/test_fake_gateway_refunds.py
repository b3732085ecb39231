"""The fake gateway gives back once for each key, and never more than was paid."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

import pytest
from merchant import (
    AMOUNT,
    Receiver,
    a_refund,
    open_one,
    paid_one,
)

from boxoffice.payments.fake import FakeGateway
from boxoffice.payments.gateway import (
    GatewayRefusedError,
    RefundRequest,
)
from boxoffice.postgres.pool import Pool


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
