"""Every gateway when the line to it is bad: an unknown outcome is told as one, and asking again does no harm."""

from collections.abc import Awaitable, Callable

import pytest
from rigs import AMOUNT, CURRENCY, MOODS, Rig, StripeRig, a_payment, a_refund
from test_conformance import capture_of, opened, paid

from boxoffice.payments.gateway import GatewayDownError, GatewayRefusedError, SessionState


@pytest.mark.parametrize("mood", MOODS)
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
    if not rig.gateway.captures_at_once:
        _, set_aside = await opened(rig)
        await rig.pay(set_aside)
        asked.append(lambda: rig.gateway.void(set_aside))
    rig.be(mood)
    for ask in asked:
        with pytest.raises(GatewayDownError):
            await ask()


async def test_a_capture_whose_answer_was_lost_is_there_when_asked_again(rig: Rig) -> None:
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    # Where nothing is set aside there is nothing to change, only to look.
    rig.be("answer_lost" if rig.gateway.captures_at_once else "changes_answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.capture(capture_of(request, session_id))
    rig.be("answers")
    assert (await rig.gateway.capture(capture_of(request, session_id))).state is SessionState.PAID
    assert (await rig.gateway.fetch(session_id)).amount == AMOUNT


async def test_a_void_whose_answer_was_lost_is_done_when_asked_again(rig: Rig) -> None:
    if rig.gateway.captures_at_once:
        pytest.skip("there is nothing set aside to let go")
    _, session_id = await opened(rig)
    await rig.pay(session_id)
    rig.be("changes_answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.void(session_id)
    rig.be("answers")
    assert (await rig.gateway.void(session_id)).state is SessionState.VOIDED
    assert (await rig.gateway.fetch(session_id)).state is SessionState.VOIDED


async def test_taking_and_letting_go_are_asked_again_under_the_key_of_the_first_time(rig: Rig) -> None:
    if not isinstance(rig, StripeRig):
        pytest.skip("only Stripe sets money aside and keeps keys over a line")
    keys: list[set[str]] = []
    for _ in range(2):
        request, to_take = await opened(rig)
        _, to_let_go = await opened(rig)
        await rig.pay(to_take)
        await rig.pay(to_let_go)
        for ask in (lambda: rig.gateway.capture(capture_of(request, to_take)), lambda: rig.gateway.void(to_let_go)):  # noqa: B023  (done with at once)
            rig.keys.clear()
            rig.be("changes_silent")
            for _ in range(2):
                with pytest.raises(GatewayDownError):
                    await ask()
            rig.be("answers")
            assert (await ask()).state in {SessionState.PAID, SessionState.VOIDED}
            assert len(rig.keys) == 3
            keys.append(set(rig.keys))
    assert all(len(of_one) == 1 for of_one in keys)
    assert len({key for of_one in keys for key in of_one}) == len(keys)


async def test_a_close_whose_answer_was_lost_is_done_when_asked_again(rig: Rig) -> None:
    _, session_id = await opened(rig)
    rig.be("changes_answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.close(session_id)
    rig.be("answers")
    assert (await rig.gateway.close(session_id)).state in {SessionState.EXPIRED, SessionState.VOIDED}


async def test_a_refund_whose_answer_was_lost_goes_back_once(rig: Rig) -> None:
    request = a_refund(await paid(rig), 20_000)
    rig.be("changes_answer_lost")
    with pytest.raises(GatewayDownError):
        await rig.gateway.refund(request)
    rig.be("answers")
    await rig.gateway.refund(request)
    assert (await rig.gateway.fetch(request.session_id)).refunded_amount == 20_000


async def test_a_session_whose_answer_was_lost_is_the_one_that_is_found(rig: Rig) -> None:
    if not rig.keeps_keys:
        pytest.skip("localstripe ignores idempotency keys")
    request = a_payment()
    rig.be("changes_answer_lost")
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


async def test_what_a_gateway_says_it_took_is_held_against_what_was_to_be_taken(rig: Rig) -> None:
    if "nonsense" not in rig.moods:
        pytest.skip("the built-in gateway is not reached over a line")
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    rig.be("lies")
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.capture(capture_of(request, session_id))
    # Told as it was said: reconciliation holds it against the books, and leaves it for a person.
    assert (await rig.gateway.fetch(session_id)).amount == AMOUNT - 1


async def test_what_a_gateway_says_it_gave_back_is_held_against_what_was_to_go_back(rig: Rig) -> None:
    if "nonsense" not in rig.moods:
        pytest.skip("the built-in gateway is not reached over a line")
    session_id = await paid(rig)
    rig.be("lies")
    with pytest.raises(GatewayRefusedError):
        await rig.gateway.refund(a_refund(session_id))


async def test_a_part_given_back_is_repeated_by_its_key_beside_another(rig: Rig) -> None:
    if not rig.keeps_keys:
        pytest.skip("localstripe ignores idempotency keys")
    session_id = await paid(rig)
    first, second = a_refund(session_id, 20_000), a_refund(session_id, 20_000)
    receipts = [(await rig.gateway.refund(one)).gateway_ref for one in (first, second, first, second)]
    assert receipts[:2] == receipts[2:]
    assert receipts[0] != receipts[1]
    assert (await rig.gateway.fetch(session_id)).refunded_amount == 40_000
