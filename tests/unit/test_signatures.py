"""Webhook signatures and the parser of events: any bytes at all end in an event or one of two errors."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.payments.gateway import BadSignatureError, EventType, MalformedEventError
from boxoffice.payments.webhooks import (
    AMOUNT_MAX,
    EVENT_BYTES_MAX,
    SIGNATURE_TOLERANCE_S,
    check_signature,
    parse_event,
    sign,
)

SECRET = "a-secret-of-tests"
NOW = datetime(2026, 1, 31, 1, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
BODY = b'{"amount": 25000 , "x":1}'
EVENT: dict[str, Any] = {
    "eventId": "evt_1",
    "eventType": "payment.success",
    "sessionId": "sess_abc",
    "bookingId": "7a8f0a2e-27a6-4a2c-8b6e-0d9c2b3c4d5e",
    "amount": 25000,
    "currency": "INR",
    "timestamp": "2026-01-31T01:00:00Z",
    "gatewayRef": "pay_1",
}


def test_the_header_is_the_one_of_the_contract() -> None:
    expected = hmac.new(SECRET.encode(), f"{AT}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert sign(SECRET, BODY, AT) == f"t={AT},v1={expected}"


@given(secret=st.text(max_size=50), body=st.binary(max_size=200), at=st.integers(0, 10**11))
def test_what_was_signed_is_accepted(secret: str, body: bytes, at: int) -> None:
    secret = secret.encode("utf-8", "ignore").decode()
    now = datetime.fromtimestamp(at, tz=UTC)
    check_signature(secret, sign(secret, body, at), body, now)


@pytest.mark.parametrize("seconds", [-SIGNATURE_TOLERANCE_S, 0, SIGNATURE_TOLERANCE_S])
def test_a_signature_is_good_within_the_tolerance(seconds: int) -> None:
    check_signature(SECRET, sign(SECRET, BODY, AT + seconds), BODY, NOW)


@pytest.mark.parametrize("seconds", [-SIGNATURE_TOLERANCE_S - 1, SIGNATURE_TOLERANCE_S + 1])
def test_an_older_or_a_future_signature_is_refused(seconds: int) -> None:
    with pytest.raises(BadSignatureError):
        check_signature(SECRET, sign(SECRET, BODY, AT + seconds), BODY, NOW)


def test_the_same_json_in_other_bytes_is_refused() -> None:
    header = sign(SECRET, BODY, AT)
    compact = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    with pytest.raises(BadSignatureError):
        check_signature(SECRET, header, compact, NOW)


def test_the_time_is_signed_too() -> None:
    digest = sign(SECRET, BODY, AT - 1000).split(",")[1]
    with pytest.raises(BadSignatureError):
        check_signature(SECRET, f"t={AT},{digest}", BODY, NOW)


def test_while_a_secret_changes_either_signature_will_do() -> None:
    new = sign("the-new-secret", BODY, AT)
    old = sign(SECRET, BODY, AT).split(",")[1]
    check_signature(SECRET, f"{new}, {old}", BODY, NOW)
    check_signature("the-new-secret", f"{new}, {old}", BODY, NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"t={AT}",
        "v1=" + "0" * 64,
        f"t={AT},v1=" + "0" * 64,
        f"t={AT},v1=" + "0" * 63,
        f"t={AT},v1=ünïcode",
        f"t={AT},t={AT}," + sign(SECRET, BODY, AT).split(",")[1],
        f"t=-5,{sign(SECRET, BODY, AT).split(',')[1]}",
        f"t={'9' * 400},{sign(SECRET, BODY, AT).split(',')[1]}",
        sign(SECRET, BODY, AT).replace("v1=", "v0="),
        sign("another-secret", BODY, AT),
        sign(SECRET, BODY, AT) + "," * 2000,
    ],
)
def test_any_other_header_is_refused(header: str | None) -> None:
    with pytest.raises(BadSignatureError):
        check_signature(SECRET, header, BODY, NOW)


@given(header=st.none() | st.text(max_size=300), body=st.binary(max_size=100))
def test_no_header_breaks_the_check(header: str | None, body: bytes) -> None:
    with pytest.raises(BadSignatureError):
        check_signature(SECRET, header, body, NOW)


def test_an_event_is_read() -> None:
    body = json.dumps(EVENT).encode()
    event = parse_event("fake", body)
    assert event.gateway == "fake"
    assert event.event_type is EventType.SUCCESS
    assert event.booking_id == UUID(EVENT["bookingId"])
    assert (event.amount, event.currency, event.gateway_ref) == (25000, "INR", "pay_1")
    assert event.refund_id is None
    assert event.body.encode() == body


def test_members_unknown_to_us_are_passed_over() -> None:
    assert parse_event("fake", json.dumps({**EVENT, "livemode": {"a": [1]}}).encode()).event_id == "evt_1"


def test_a_refund_names_itself() -> None:
    refund_id = "11111111-2222-3333-4444-555555555555"
    event = parse_event("fake", json.dumps({**EVENT, "eventType": "refund.succeeded", "refundId": refund_id}).encode())
    assert event.refund_id == UUID(refund_id)


@pytest.mark.parametrize("field", [name for name in EVENT if name != "gatewayRef"])
def test_a_missing_member_is_refused(field: str) -> None:
    with pytest.raises(MalformedEventError):
        parse_event("fake", json.dumps({k: v for k, v in EVENT.items() if k != field}).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("eventId", "evt\x00"),
        ("eventId", ""),
        ("eventId", "e" * 256),
        ("eventId", "evt_1\n"),
        ("eventId", 5),
        ("eventId", None),
        ("eventType", "payment.invented"),
        ("eventType", ["payment.success"]),
        ("sessionId", "sess_\x00"),
        ("sessionId", {}),
        ("bookingId", "nonsense"),
        ("bookingId", 7),
        ("amount", "25000"),
        ("amount", 250.5),
        ("amount", True),
        ("amount", -1),
        ("amount", AMOUNT_MAX + 1),
        ("amount", 10**300),
        ("currency", "inr"),
        ("currency", "INR\n"),
        ("currency", "RUPEES"),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-01-31T01:00:00"),
        ("gatewayRef", "ref\x00"),
        ("gatewayRef", 12),
        ("refundId", "nonsense"),
    ],
)
def test_a_wrong_value_is_refused(field: str, value: object) -> None:
    with pytest.raises(MalformedEventError):
        parse_event("fake", json.dumps({**EVENT, field: value}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'"\xff"',
        b"\x00",
        b'{"eventId": "\\ud800"}',
        json.dumps(EVENT).encode("utf-16"),
        json.dumps(EVENT).encode()[:-1] + b', "x": "\xff"}',
        json.dumps(EVENT).encode()[:-1] + b', "x": "\x00"}',
        json.dumps(EVENT).encode()[:-1] + b', "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        json.dumps({**EVENT, "x": "x" * EVENT_BYTES_MAX}).encode(),
    ],
)
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        parse_event("fake", body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(body=st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        parse_event("fake", body)


@given(changes=st.dictionaries(st.sampled_from([*EVENT, "refundId"]), json_values, max_size=3))
def test_what_is_read_fits_our_columns(changes: dict[str, Any]) -> None:
    try:
        event = parse_event("fake", json.dumps({**EVENT, **changes}).encode())
    except MalformedEventError:
        return
    said = event.event_id + event.session_id + event.currency + (event.gateway_ref or "") + event.body
    assert "\x00" not in said
    assert 0 <= event.amount <= AMOUNT_MAX
    assert max(len(event.event_id), len(event.session_id)) <= 255


def test_a_clock_that_is_a_little_off_does_not_matter() -> None:
    check_signature(SECRET, sign(SECRET, BODY, AT), BODY, NOW + timedelta(seconds=SIGNATURE_TOLERANCE_S))
