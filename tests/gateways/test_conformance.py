"""What the box office relies on in a gateway (`payments/gateway.py`), asked of every one of them alike."""

import asyncio
from uuid import uuid4

import pytest
from rigs import AMOUNT, CURRENCY, Rig, a_payment, a_refund

from boxoffice.payments.gateway import (
    CaptureRequest,
    GatewayDownError,
    GatewayRefusedError,
    RefundReceipt,
    RefundRequest,
    SessionRequest,
    SessionState,
    UnknownSessionError,
)

PATIENCE_S = 10


async def opened(rig: Rig) -> tuple[SessionRequest, str]:
    request = a_payment()
    return request, (await rig.gateway.open_session(request)).session_id


def capture_of(request: SessionRequest, session_id: str, amount: int = AMOUNT) -> CaptureRequest:
    return CaptureRequest(payment_id=request.payment_id, session_id=session_id, amount=amount, currency=CURRENCY)


async def paid(rig: Rig) -> str:
    """A session whose money is ours."""
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    await rig.gateway.capture(capture_of(request, session_id))
    return session_id


async def test_a_session_is_open_for_what_was_asked(rig: Rig) -> None:
    session = await rig.gateway.open_session(a_payment())
    standing = await rig.gateway.fetch(session.session_id)
    assert (standing.state, standing.amount, standing.currency) == (SessionState.OPEN, AMOUNT, CURRENCY)
    assert standing.refunded_amount == 0
    assert session.payment_url.startswith("http")


async def test_asking_twice_opens_one_session(rig: Rig) -> None:
    if not rig.keeps_keys:
        pytest.skip("localstripe ignores idempotency keys")
    request = a_payment()
    assert await rig.gateway.open_session(request) == await rig.gateway.open_session(request)
    assert await rig.gateway.open_session(a_payment()) != await rig.gateway.open_session(request)


async def test_what_a_buyer_pays_is_set_aside_or_ours_as_the_gateway_says(rig: Rig) -> None:
    _, session_id = await opened(rig)
    await rig.pay(session_id)
    expected = SessionState.PAID if rig.gateway.captures_at_once else SessionState.AUTHORISED
    standing = await rig.gateway.fetch(session_id)
    assert (standing.state, standing.amount) == (expected, AMOUNT)
    assert standing.gateway_ref


async def test_a_declined_card_ends_nothing_or_all_of_the_session(rig: Rig) -> None:
    _, session_id = await opened(rig)
    await rig.decline(session_id)
    assert (await rig.gateway.fetch(session_id)).state in {SessionState.OPEN, SessionState.FAILED}


async def test_capturing_takes_it_once(rig: Rig) -> None:
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    for _ in range(2):
        assert (await rig.gateway.capture(capture_of(request, session_id))).state is SessionState.PAID
    standing = await rig.gateway.fetch(session_id)
    assert (standing.state, standing.amount) == (SessionState.PAID, AMOUNT)


async def test_eight_captures_at_once_take_it_once(rig: Rig) -> None:
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    standings = await asyncio.gather(*(rig.gateway.capture(capture_of(request, session_id)) for _ in range(8)))
    assert {standing.state for standing in standings} == {SessionState.PAID}


async def test_nothing_is_captured_that_nobody_authorised(rig: Rig) -> None:
    request, session_id = await opened(rig)
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.capture(capture_of(request, session_id))
    assert (await rig.gateway.fetch(session_id)).state is SessionState.OPEN


async def test_voiding_lets_it_go_once_and_for_good(rig: Rig) -> None:
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    if rig.gateway.captures_at_once:
        with pytest.raises(GatewayRefusedError):
            await rig.gateway.void(session_id)
        return
    for _ in range(2):
        assert (await rig.gateway.void(session_id)).state is SessionState.VOIDED
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.capture(capture_of(request, session_id))
    assert (await rig.gateway.fetch(session_id)).state is SessionState.VOIDED


async def test_what_was_captured_cannot_be_voided(rig: Rig) -> None:
    session_id = await paid(rig)
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.void(session_id)
    assert (await rig.gateway.fetch(session_id)).state is SessionState.PAID


async def test_what_nobody_paid_cannot_be_voided(rig: Rig) -> None:
    _, session_id = await opened(rig)
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.void(session_id)


async def test_a_whole_refund_repeated_by_its_key_is_one(rig: Rig) -> None:
    request = a_refund(await paid(rig))
    first, again = await rig.gateway.refund(request), await rig.gateway.refund(request)
    assert first.gateway_ref == again.gateway_ref
    standing = await rig.gateway.fetch(request.session_id)
    assert (standing.state, standing.refunded_amount) == (SessionState.PAID, AMOUNT)


async def test_parts_add_up_and_no_more_goes_back_than_was_paid(rig: Rig) -> None:
    session_id = await paid(rig)
    await rig.gateway.refund(a_refund(session_id, 20_000))
    await rig.gateway.refund(a_refund(session_id, 20_000))
    assert (await rig.gateway.fetch(session_id)).refunded_amount == 40_000
    if not rig.counts_refunds:
        pytest.skip("localstripe gives back more than was paid")
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.refund(a_refund(session_id, 10_001))
    await rig.gateway.refund(a_refund(session_id, 10_000))
    assert (await rig.gateway.fetch(session_id)).refunded_amount == AMOUNT


async def given_back(rig: Rig, request: RefundRequest) -> RefundReceipt:
    """Asked for until there is an answer, as the durable job does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await rig.gateway.refund(request)
            except GatewayDownError:
                await asyncio.sleep(0.01)


async def test_two_parts_at_once_both_go_back(rig: Rig) -> None:
    session_id = await paid(rig)
    parts = [a_refund(session_id, 20_000), a_refund(session_id, 30_000)]
    receipts = await asyncio.gather(*(given_back(rig, part) for part in parts))
    assert len({receipt.gateway_ref for receipt in receipts}) == 2
    assert (await rig.gateway.fetch(session_id)).refunded_amount == AMOUNT


async def test_eight_refunds_at_once_with_one_key_are_one(rig: Rig) -> None:
    if not rig.keeps_keys:
        pytest.skip("localstripe ignores idempotency keys")
    request = a_refund(await paid(rig), 20_000)
    receipts = await asyncio.gather(*(given_back(rig, request) for _ in range(8)))
    assert len({receipt.gateway_ref for receipt in receipts}) == 1
    assert (await rig.gateway.fetch(request.session_id)).refunded_amount == 20_000


async def test_a_refund_key_is_for_one_refund(rig: Rig) -> None:
    request = a_refund(await paid(rig), 10_000)
    await rig.gateway.refund(request)
    other = RefundRequest(refund_id=request.refund_id, session_id=request.session_id, amount=20_000, currency=CURRENCY)
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.refund(other)
    assert (await rig.gateway.fetch(request.session_id)).refunded_amount == 10_000


async def test_refunds_that_make_no_sense_are_refused(rig: Rig) -> None:
    session_id = await paid(rig)
    unknown = RefundRequest(refund_id=uuid4(), session_id="pi_unheard_of", amount=1, currency=CURRENCY)
    foreign = RefundRequest(refund_id=uuid4(), session_id=session_id, amount=1, currency="USD")
    for request in (unknown, foreign, a_refund(session_id, 0), a_refund(session_id, -1)):
        with pytest.raises(GatewayRefusedError):
            await rig.gateway.refund(request)
    assert (await rig.gateway.fetch(session_id)).refunded_amount == 0


async def test_what_was_only_set_aside_cannot_be_refunded(rig: Rig) -> None:
    _, session_id = await opened(rig)
    await rig.pay(session_id)
    if rig.gateway.captures_at_once or not rig.counts_refunds:
        pytest.skip("it is ours already, or localstripe, which does not mind")
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.refund(a_refund(session_id))


@pytest.mark.parametrize(
    "session_id", ["", "x", "../../v1/balance", "sess_\x00", "cs_", "plink_0", "pi_" + "9" * 40, "é"]
)
async def test_a_session_that_is_none_is_unknown(rig: Rig, session_id: str) -> None:
    if session_id.startswith("cs_") and not rig.keeps_keys:
        pytest.skip("localstripe has no Checkout Sessions, and answers so in no form of Stripe's")
    with pytest.raises(UnknownSessionError):
        await rig.gateway.fetch(session_id)
    with pytest.raises(UnknownSessionError):
        await rig.gateway.close(session_id)


async def test_a_closed_session_takes_no_money(rig: Rig) -> None:
    request, session_id = await opened(rig)
    for _ in range(2):
        standing = await rig.gateway.close(session_id)
        assert standing.state in {SessionState.EXPIRED, SessionState.VOIDED}
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.capture(capture_of(request, session_id))
    assert (await rig.gateway.fetch(session_id)).state.final


async def test_closing_leaves_what_was_paid_as_it_is(rig: Rig) -> None:
    _, session_id = await opened(rig)
    await rig.pay(session_id)
    before = await rig.gateway.fetch(session_id)
    assert await rig.gateway.close(session_id) == before
    assert await rig.gateway.fetch(session_id) == before
