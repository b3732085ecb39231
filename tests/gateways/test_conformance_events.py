"""What every gateway tells: genuine events are understood, and nothing else passes for one."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rigs import AMOUNT, CURRENCY, SECRETS, Rig, a_refund, without
from test_conformance import capture_of, opened, paid

from boxoffice.payments.gateway import (
    BadSignatureError,
    EventType,
    GatewayEvent,
    MalformedEventError,
)

TELL_PATIENCE_S = 5


async def heard(rig: Rig, wanted: EventType) -> GatewayEvent:
    """The first event of that type, as soon as it is there."""
    for _ in range(TELL_PATIENCE_S * 20):
        for headers, body in await rig.told():
            event = rig.gateway.verify(headers, body, datetime.now(UTC))
            if event is not None and event.event_type is wanted:
                return event
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {wanted} was told")


async def test_money_that_comes_is_told(rig: Rig) -> None:
    request, session_id = await opened(rig)
    await rig.pay(session_id)
    if EventType.AUTHORISED in rig.tells:
        event = await heard(rig, EventType.AUTHORISED)
        assert (event.session_id, event.booking_id) == (session_id, request.booking_id)
        assert (event.amount, event.currency) == (AMOUNT, CURRENCY)
        assert event.gateway_ref == (await rig.gateway.fetch(session_id)).gateway_ref
    await rig.gateway.capture(capture_of(request, session_id))
    if EventType.SUCCESS in rig.tells:
        event = await heard(rig, EventType.SUCCESS)
        assert (event.session_id, event.booking_id) == (session_id, request.booking_id)
        assert (event.amount, event.currency) == (AMOUNT, CURRENCY)


async def test_money_that_goes_is_told_with_the_refund_that_it_is(rig: Rig) -> None:
    if EventType.REFUNDED not in rig.tells:
        pytest.skip("localstripe tells of no refund")
    request = a_refund(await paid(rig), 20_000)
    await rig.gateway.refund(request)
    event = await heard(rig, EventType.REFUNDED)
    assert (event.session_id, event.refund_id, event.amount) == (request.session_id, request.refund_id, 20_000)


async def test_what_is_let_go_or_closed_is_told(rig: Rig) -> None:
    _, open_one = await opened(rig)
    await rig.gateway.close(open_one)
    if EventType.EXPIRED in rig.tells:
        assert (await heard(rig, EventType.EXPIRED)).session_id == open_one
    if EventType.VOIDED in rig.tells:
        _, session_id = await opened(rig)
        await rig.pay(session_id)
        await rig.gateway.void(session_id)
        assert (await heard(rig, EventType.VOIDED)).session_id in {session_id, open_one}


async def genuine(rig: Rig) -> tuple[dict[str, str], bytes]:
    await paid(rig)
    await heard(rig, EventType.SUCCESS if EventType.SUCCESS in rig.tells else EventType.AUTHORISED)
    return (await rig.told())[-1]


async def test_the_same_bytes_are_the_same_event(rig: Rig) -> None:
    headers, body = await genuine(rig)
    now = datetime.now(UTC)
    first, again = rig.gateway.verify(headers, body, now), rig.gateway.verify(headers, body, now)
    assert first == again


async def test_what_was_not_signed_so_does_not_pass(rig: Rig) -> None:
    headers, body = await genuine(rig)
    now = datetime.now(UTC)
    (name,) = rig.signed(body)
    signature = next(value for key, value in headers.items() if key.lower() == name.lower())
    forged: list[tuple[dict[str, str], bytes]] = [
        (without(headers, name.lower()) | {name: ""}, body),
        ({}, body),
        (rig.signed(body, secret="whsec_somebody_elses"), body),
        ({name: signature}, body + b" "),
        ({name: signature}, body.replace(b"5", b"6")),
        ({name: "t=1,v1=" + "0" * 64}, body),
        ({name: "0" * 64}, body),
        ({name: "é" * 10}, body),
        ({name: signature * 100}, body),
    ]
    for those_headers, that_body in forged:
        with pytest.raises(BadSignatureError):
            rig.gateway.verify(those_headers, that_body, now)


async def test_an_old_signature_does_not_pass(rig: Rig) -> None:
    if not rig.dated:
        pytest.skip("its signatures have no date")
    _, body = await genuine(rig)
    now = datetime.now(UTC)
    for wrong in (timedelta(seconds=-302), timedelta(seconds=302)):
        with pytest.raises(BadSignatureError):
            rig.gateway.verify(rig.signed(body, at=now + wrong), body, now)
    rig.gateway.verify(rig.signed(body, at=now - timedelta(seconds=290)), body, now)


async def test_either_secret_passes_while_one_takes_the_others_place(rig: Rig) -> None:
    if rig.gateway.name == "fake":
        pytest.skip("the built-in gateway has one secret, and several signatures")
    _, body = await genuine(rig)
    now = datetime.now(UTC)
    told = [rig.gateway.verify(rig.signed(body, secret=secret), body, now) for secret in SECRETS]
    assert told[0] == told[1]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"id": 5}', b"[" * 5000, b"{}", b'"x"'])
async def test_signed_nonsense_is_told_as_such(rig: Rig, body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        rig.gateway.verify(rig.signed(body), body, datetime.now(UTC))


async def test_an_event_about_something_else_is_passed_over(rig: Rig) -> None:
    if rig.gateway.name == "fake":
        pytest.skip("the built-in gateway tells of nothing else")
    about: dict[str, Any] = {
        "id": "evt_1",
        "event": "settlement.processed",
        "type": "balance.available",
        "data": {"object": {}},
    }
    body = json.dumps(about | {"payload": {}, "created_at": 1}).encode()
    assert rig.gateway.verify(rig.signed(body), body, datetime.now(UTC)) is None
