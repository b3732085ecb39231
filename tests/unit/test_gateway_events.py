"""What real gateways send: any bytes at all end in an event that fits our columns, in nothing, or in one of two errors.

Each shape below is one that the gateway does send; Hypothesis puts whatever it likes in place of any part of it.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxoffice.payments.gateway import BadSignatureError, EventType, GatewayEvent, MalformedEventError
from boxoffice.payments.razorpay_events import check_razorpay_signature, parse_razorpay_event
from boxoffice.payments.stripe_events import check_stripe_signature, parse_stripe_event
from boxoffice.payments.webhooks import AMOUNT_MAX, EVENT_BYTES_MAX, sign

BOOKING = "7a8f0a2e-27a6-4a2c-8b6e-0d9c2b3c4d5e"
NOW = datetime(2026, 1, 31, 1, 0, tzinfo=UTC)
SECRETS = ("whsec_new", "whsec_old")


def stripe(kind: str, **thing: Any) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": kind, "data": {"object": {"id": "x_1", **thing}}}


def razorpay(kind: str, **entities: dict[str, Any]) -> dict[str, Any]:
    return {"event": kind, "payload": {name: {"entity": entity} for name, entity in entities.items()}}


_OURS = {"booking_id": BOOKING, "session_id": "cs_1", "refund_id": BOOKING, "through": "checkout"}
_MONEY: dict[str, Any] = {"amount": 500, "currency": "inr", "metadata": _OURS}
_LINK: dict[str, Any] = {"id": "plink_1", "amount": 500, "currency": "INR", "status": "paid", "notes": _OURS}
_PAYMENT: dict[str, Any] = {"id": "pay_1", "amount": 500, "currency": "INR", "status": "captured"}
_REFUND: dict[str, Any] = {**_PAYMENT, "payment_id": "pay_1", "notes": _OURS}

Parse = Callable[[str, bytes], GatewayEvent | None]
SHAPES: Final[list[tuple[Parse, dict[str, Any]]]] = [
    (parse_stripe_event, stripe("checkout.session.completed", **_MONEY, amount_total=500, payment_status="unpaid")),
    (parse_stripe_event, stripe("checkout.session.expired", **_MONEY, amount_total=500, payment_status="unpaid")),
    (parse_stripe_event, stripe("payment_intent.amount_capturable_updated", amount=500, currency="inr", metadata={})),
    (parse_stripe_event, stripe("payment_intent.succeeded", amount=500, currency="inr", amount_received=500)),
    (parse_stripe_event, stripe("payment_intent.canceled", **_MONEY)),
    (parse_stripe_event, stripe("refund.updated", **_MONEY, status="succeeded", payment_intent="pi_1")),
    (parse_stripe_event, stripe("charge.dispute.created", **_MONEY, payment_intent="pi_1")),
    (parse_stripe_event, stripe("customer.created")),
    (parse_razorpay_event, razorpay("payment_link.paid", payment_link=_LINK, payment=_PAYMENT)),
    (parse_razorpay_event, razorpay("payment_link.expired", payment_link=_LINK)),
    (parse_razorpay_event, razorpay("refund.processed", refund=_REFUND)),
    (parse_razorpay_event, razorpay("refund.failed", refund=_REFUND)),
    (parse_razorpay_event, razorpay("payment.dispute.created", dispute=_REFUND)),
    (parse_razorpay_event, razorpay("order.paid")),
]

ODD: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\x00", "cs_\x00", "é" * 300, "x" * 300, "inr\n", "XYZ", "jpy", "ugx", "", " ", "9" * 40]),
    st.lists(st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=3), max_size=3),
)


def paths(value: dict[str, Any], here: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to every part of an event but the whole of it."""
    found: list[tuple[str, ...]] = []
    for name, part in value.items():
        found.append((*here, name))
        if isinstance(part, dict):
            found += paths(cast("dict[str, Any]", part), found[-1])
    return found


@st.composite
def events(draw: st.DrawFn) -> tuple[Parse, bytes]:
    """An event of which up to three parts are something else, or missing, or told twice."""
    parse, shape = draw(st.sampled_from(SHAPES))
    event = deepcopy(shape)
    for path in draw(st.lists(st.sampled_from(paths(shape)), max_size=3, unique=True)):
        parent: Any = event
        for name in path[:-1]:
            parent = parent.get(name, {}) if isinstance(parent, dict) else {}  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(parent, dict):
            continue
        if draw(st.booleans()):
            parent[path[-1]] = draw(ODD)
        else:
            parent.pop(path[-1], None)
    raw = json.dumps(event, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        name, value = draw(st.sampled_from(["id", "event", "type", "payload", "data"])), draw(ODD)
        raw = f"{raw[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}"
    return parse, raw.encode("utf-8", "surrogatepass")


def read(parse: Parse, body: bytes) -> GatewayEvent | None:
    """The event, which fits our columns; None: there was none."""
    try:
        event = parse("some", body)
    except MalformedEventError:
        return None
    if event is not None:
        for text in (event.event_id, event.session_id, event.gateway_ref or ""):
            assert len(text) <= 255
            assert all("!" <= letter <= "~" for letter in text)
        assert "\x00" not in event.body + event.currency
        assert 0 <= event.amount <= AMOUNT_MAX * 100
    return event


@pytest.mark.parametrize(("parse", "shape"), SHAPES)
def test_every_shape_is_read_as_it_is(parse: Parse, shape: dict[str, Any]) -> None:
    event = parse("some", json.dumps(shape).encode())
    assert event is None or event.amount == 500
    if event is not None and event.event_type is EventType.REFUNDED:
        assert (str(event.refund_id), event.session_id) == (BOOKING, "cs_1")


@settings(max_examples=500)
@given(of=events())
@example(of=(parse_stripe_event, json.dumps(stripe("refund.updated", **_MONEY, status="failed")).encode()))
def test_no_part_that_is_something_else_breaks_the_parser(of: tuple[Parse, bytes]) -> None:
    read(*of)


@pytest.mark.parametrize("session_id", ["cs_\x00", "cs_1\n", "c" * 256, "é", " "])
@pytest.mark.parametrize(
    ("parse", "shape"),
    [
        (parse_stripe_event, stripe("refund.updated", **_MONEY, status="succeeded")),
        (parse_razorpay_event, razorpay("refund.processed", refund=_REFUND)),
    ],
)
def test_a_refund_whose_note_is_no_session_of_ours_is_known_by_its_money(
    parse: Parse, shape: dict[str, Any], session_id: str
) -> None:
    refund = deepcopy(shape)
    entity = refund["data"]["object"] if "data" in refund else refund["payload"]["refund"]["entity"]
    entity["metadata" if "data" in refund else "notes"]["session_id"] = session_id
    entity["payment_intent"] = entity["payment_id"] = "pi_1"
    event = read(parse, json.dumps(refund).encode())
    assert event is not None
    assert event.session_id == "pi_1"


@given(body=st.binary(max_size=300), parse=st.sampled_from([parse_stripe_event, parse_razorpay_event]))
def test_no_bytes_break_the_parsers(body: bytes, parse: Parse) -> None:
    assert read(parse, body) is None


@pytest.mark.parametrize("parse", [parse_stripe_event, parse_razorpay_event])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000 + b"]" * 30_000,
        b'{"id": "evt_1", "type": "refund.updated", "data": {"object": '
        + b'{"a":' * 9_000
        + b"1"
        + b"}" * 9_000
        + b"}}",
        b'{"event": "refund.failed", "payload": {"refund": {"entity": ' + b"[" * 30_000 + b"]" * 30_000 + b"}}}",
        b'{"id": "evt_1", "type": "refund.updated", "data": {"object": {"id": "\xff"}}}',
        b'{"event": "refund.failed", "payload": {"x": "\xff"}}',
        b'{"event": "refund.failed", "payload": {"refund": {"entity": {"amount": ' + b"9" * 60_000 + b"}}}}",
        b" " * (EVENT_BYTES_MAX + 1),
    ],
)
def test_what_is_no_event_at_all_is_refused(parse: Parse, body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        parse("some", body)


@given(header=st.text(max_size=300), body=st.binary(max_size=100), name=st.sampled_from(["x", "stripe-signature"]))
def test_no_header_passes_for_a_signature_of_stripe(header: str, body: bytes, name: str) -> None:
    with pytest.raises(BadSignatureError):
        check_stripe_signature(SECRETS, {name: header}, body, NOW)


@given(header=st.text(max_size=300) | st.just("0" * 64), body=st.binary(max_size=100), none=st.booleans())
def test_no_header_passes_for_a_signature_of_razorpay(header: str, body: bytes, *, none: bool) -> None:
    with pytest.raises(BadSignatureError):
        check_razorpay_signature(() if none else SECRETS, {"X-Razorpay-Signature": header}, body)


@given(body=st.binary(max_size=100), at=st.sampled_from([0, 1, 10**11, 10**12 - 1, 2**31, int(NOW.timestamp()) + 301]))
def test_a_time_out_of_range_passes_for_none(body: bytes, at: int) -> None:
    with pytest.raises(BadSignatureError):
        check_stripe_signature(SECRETS, {"Stripe-Signature": sign(SECRETS[0], body, at)}, body, NOW)


@given(body=st.binary(max_size=100), secret=st.sampled_from(SECRETS), changed=st.integers(0, 99))
def test_what_was_signed_passes_and_what_was_changed_since_does_not(body: bytes, secret: str, changed: int) -> None:
    theirs = {"X-Razorpay-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
    stripes = {"Stripe-Signature": sign(secret, body, int(NOW.timestamp()))}
    check_razorpay_signature(SECRETS, theirs, body)
    check_stripe_signature(SECRETS, stripes, body, NOW)
    other = body[:changed] + b"!" + body[changed:]
    with pytest.raises(BadSignatureError):
        check_razorpay_signature(SECRETS, theirs, other)
    with pytest.raises(BadSignatureError):
        check_stripe_signature(SECRETS, stripes, other, NOW)
