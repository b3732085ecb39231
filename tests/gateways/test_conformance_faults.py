"""Every gateway when the line to it is bad: an unknown outcome is told as one, and asking again does no harm."""

from collections.abc import Awaitable, Callable

import pytest
from rigs import AMOUNT, CURRENCY, Rig, a_payment, a_refund
from test_conformance import capture_of, opened, paid

from boxoffice.payments.gateway import GatewayDownError, SessionState


@pytest.mark.parametrize("mood", ["silent", "answer_lost", "broken", "nonsense"])
async def test_no_answer_is_told_as_no_answer_whatever_is_asked(rig: Rig, mood: str) -> None:
    if mood not in rig.moods:
        pytest.skip("the built-in gateway is not reached over a line")
    request, session_id = await opened(rig)
    session_paid = await paid(rig)
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: rig.gateway.open_session(a_payment()),
        lambda: rig.gateway.capture(capture_of(request, session_id)),
        lambda: rig.gateway.fetch(session_id),
        lambda: rig.gateway.close(session_id),
        lambda: rig.gateway.refund(a_refund(session_paid)),
    ]
    await rig.pay(session_id)
    rig.be(mood)
    for ask in asked:
        with pytest.raises(GatewayDownError):
            await ask()


async def test_a_capture_whose_answer_was_lost_is_there_when_asked_again(rig: Rig) -> None:
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    rig.be("answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.capture(capture_of(request, session_id))
    rig.be("answers")
    assert (await rig.gateway.capture(capture_of(request, session_id))).state is SessionState.PAID
    assert (await rig.gateway.fetch(session_id)).amount == AMOUNT


async def test_a_refund_whose_answer_was_lost_goes_back_once(rig: Rig) -> None:
    request = a_refund(await paid(rig), 20_000)
    rig.be("answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.refund(request)
    rig.be("answers")
    await rig.gateway.refund(request)
    assert (await rig.gateway.fetch(request.session_id)).refunded_amount == 20_000


async def test_a_session_whose_answer_was_lost_is_the_one_that_is_found(rig: Rig) -> None:
    if not rig.keeps_keys:
        pytest.skip("localstripe ignores idempotency keys")
    request = a_payment()
    rig.be("answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.open_session(request)
    rig.be("answers")
    session = await rig.gateway.open_session(request)
    assert await rig.gateway.open_session(request) == session
    standing = await rig.gateway.fetch(session.session_id)
    assert (standing.state, standing.currency) == (SessionState.OPEN, CURRENCY)


async def test_a_slow_gateway_is_only_slow(rig: Rig) -> None:
    if "nonsense" not in rig.moods:
        pytest.skip("the built-in gateway is not reached over a line")
    rig.be("slow")
    session_id = await paid(rig)
    assert (await rig.gateway.fetch(session_id)).state is SessionState.PAID
