"""Webhooks of every gateway over HTTP: nothing that is sent is a fault of ours, and nothing unsigned has an effect."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import make
import msgspec
import pytest
from ground import Wire

from boxoffice.payments.razorpay import RazorpayGateway
from boxoffice.payments.stripe import StripeGateway
from boxoffice.payments.webhooks import sign
from boxoffice.postgres.pool import Pool
from boxoffice.web.office import Office

SECRET = "whsec_of_the_tests"
GATEWAYS = ("fake", "stripe", "razorpay")
TABLES = ("payment_event", "stray_event")


@pytest.fixture(autouse=True)
async def every_gateway(office: Office) -> AsyncIterator[None]:
    """Those that hear webhooks; nothing here asks them anything."""
    async with httpx.AsyncClient(transport=Wire()) as http:
        secrets = (SECRET,)
        office.gateways["stripe"] = StripeGateway(
            http, secret_key="sk_test_1", webhook_secrets=secrets, mode="checkout"
        )
        office.gateways["razorpay"] = RazorpayGateway(
            http, key_id="rzp_test_1", key_secret="a-secret", webhook_secrets=secrets
        )
        yield


def signature(gateway: str, body: bytes) -> dict[str, str]:
    """The headers of a genuine event."""
    if gateway == "razorpay":
        return {"X-Razorpay-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
    if gateway == "stripe":
        return {"Stripe-Signature": sign(SECRET, body, int(time.time()))}
    return {"X-Payment-Signature": sign(make.WEBHOOK_SECRET, body, int(time.time()))}


def stripe(kind: str, **thing: Any) -> bytes:
    return json.dumps(
        {"id": "evt_1", "type": kind, "data": {"object": {"id": "x_1", "currency": "inr", **thing}}}
    ).encode()


def razorpay(kind: str, **entity: Any) -> bytes:
    whole = {"id": "x_1", "amount": 1, "currency": "INR", "status": "paid", "payment_id": "pay_1", **entity}
    return json.dumps({"event": kind, "payload": {kind.split(".", maxsplit=1)[0]: {"entity": whole}}}).encode()


def fake(**changes: Any) -> bytes:
    return json.dumps(
        make.event({"sessionId": "sess_1", "amount": 1, "currency": "INR"}, str(uuid4()), **changes)
    ).encode()


ODD = {
    "fake": [
        fake(),
        fake(amount=2**63 - 1),
        fake(amount=2**63),
        fake(sessionId="sess_\x00"),
        fake(timestamp="9999-12-31T23:59:59Z"),
    ],
    "stripe": [
        stripe("refund.updated", amount=1, status="succeeded", metadata={"session_id": "cs_\x00"}),
        stripe("refund.updated", amount=1, status="succeeded", metadata={"session_id": "x" * 9000}),
        stripe("refund.failed", amount=1, status="failed", payment_intent=None),
        stripe("charge.dispute.created", amount=2**63 - 1, payment_intent="pi_\x00"),
        stripe("charge.dispute.created", amount=1),
        stripe("payment_intent.succeeded", amount=2**63 - 1, currency="ugx"),
        stripe("payment_intent.succeeded", amount=1, metadata={"booking_id": "\x00"}),
    ],
    "razorpay": [
        razorpay("refund.processed", notes={"session_id": "plink_\x00"}),
        razorpay("refund.processed", notes={"session_id": ["plink_1"], "refund_id": 5}),
        razorpay("payment_link.paid", notes=[]),
        razorpay("payment_link.paid", currency="\x00"),
        razorpay("payment_link.paid", amount=2**63 - 1),
    ],
}  # fmt: skip
ANYTHING = [
    b"",
    b"{}",
    b"null",
    b"\xff\xfe",
    b"\x00",
    b"[" * 9_000,
    b'{"id": 1e999}',
    b'{"id": "\\ud800"}',
    b"x" * 70_000,
]


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_nothing_that_is_signed_is_a_fault_of_ours(client: httpx.AsyncClient, gateway: str) -> None:
    for body in ODD[gateway] + ANYTHING:
        for _ in range(2):
            headers = signature(gateway, body)
            answer = await client.post(f"/api/v1/payments/webhook/{gateway}", content=body, headers=headers)
            assert answer.status_code in {200, 400, 413}, (body, answer.text)


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_nothing_unsigned_has_an_effect(client: httpx.AsyncClient, pool: Pool, gateway: str) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    session = await make.session(client, buyer, booking["id"])
    true = msgspec.json.encode(make.event(session, booking["id"]))
    path = f"/api/v1/payments/webhook/{gateway}"
    unsigned: list[dict[str, str]] = [
        {},
        dict.fromkeys(signature(gateway, true), ""),
        dict.fromkeys(signature(gateway, true), "t=1,v1=" + "0" * 64),
        signature(gateway, true + b" "),
        *(signature(other, true) for other in GATEWAYS if other != gateway),
    ]
    answers = await asyncio.gather(
        *(client.post(path, content=body, headers=headers) for headers in unsigned for body in [true, *ODD[gateway]])
    )
    assert {answer.status_code for answer in answers} == {401}
    assert (await make.see(client, buyer, booking["id"]))["status"] == "PENDING"
    for table in TABLES:
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
