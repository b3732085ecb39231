"""A Razorpay of our own, by its reference: payment links, refunds with their idempotency header, events."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

Json = dict[str, Any]


class RefusedError(Exception):
    """A 400, as Razorpay answers nearly everything that it will not do."""


@dataclass
class RazorpayDouble:
    """The merchant's account at Razorpay."""

    links: dict[str, Json] = field(default_factory=dict[str, Json])
    payments: dict[str, Json] = field(default_factory=dict[str, Json])
    refunds: dict[str, tuple[Json, Json]] = field(default_factory=dict[str, tuple[Json, Json]])
    """By idempotency key: what was asked, and what was made."""
    events: list[Json] = field(default_factory=list[Json])
    _ids: Any = field(default_factory=lambda: count(1))

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not request.headers["authorization"].startswith("Basic "):
            return httpx.Response(401, json={"error": {"description": "Authentication failed"}})
        try:
            return httpx.Response(200, content=json.dumps(self._act(request)))
        except RefusedError as refused:
            error = {"code": "BAD_REQUEST_ERROR", "description": str(refused)}
            return httpx.Response(400, json={"error": error})

    def pay(self, link_id: str) -> None:
        """The buyer pays by UPI; it is captured at once."""
        link = self.links[link_id]
        assert link["status"] == "created", "a link that is over shows no form"
        payment = self._attempt(link, "captured")
        link |= {"status": "paid", "amount_paid": link["amount"]}
        self._tell("payment_link.paid", payment_link=link, payment=payment)

    def decline(self, link_id: str) -> None:
        """A bank refuses; the page lets the buyer try again."""
        self._tell("payment.failed", payment=self._attempt(self.links[link_id], "failed"))

    def _attempt(self, link: Json, status: str) -> Json:
        payment: Json = {
            "id": self._id("pay_"),
            "entity": "payment",
            "amount": link["amount"],
            "currency": link["currency"],
            "status": status,
            "amount_refunded": 0,
            "notes": [],
        }
        self.payments[payment["id"]] = payment
        link["payments"] = [
            *(link["payments"] or []),
            {"payment_id": payment["id"], "amount": link["amount"], "status": status, "method": "upi"},
        ]
        return payment

    def _act(self, request: httpx.Request) -> Json:
        body: Json = json.loads(request.content) if request.content else {}
        match (request.method, *request.url.path.removeprefix("/v1/").split("/")):
            case ("POST", "payment_links"):
                return self._create(body)
            case ("GET", "payment_links"):
                wanted = request.url.params["reference_id"]
                return {"payment_links": [link for link in self.links.values() if link["reference_id"] == wanted]}
            case ("GET", "payment_links", link_id):
                return self._find(self.links, link_id)
            case ("POST", "payment_links", link_id, "cancel"):
                return self._cancel(self._find(self.links, link_id))
            case ("GET", "payments", payment_id):
                return self._find(self.payments, payment_id)
            case ("POST", "payments", payment_id, "refund"):
                return self._refund(self._find(self.payments, payment_id), body, request)
            case other:
                raise RefusedError(f"The requested URL was not found: {other}")

    def _create(self, asked: Json) -> Json:
        if any(link["reference_id"] == asked["reference_id"] for link in self.links.values()):
            raise RefusedError(f"payment link with given reference_id ({asked['reference_id']}) already exists")
        assert len(asked["reference_id"]) <= 40
        assert asked["callback_method"] == "get"
        link: Json = asked | {
            "id": self._id("plink_"),
            "amount_paid": 0,
            "payments": None,
            "status": "created",
            "short_url": "https://rzp.io/i/nxrHnLJ",
        }
        self.links[link["id"]] = link
        return link

    def _cancel(self, link: Json) -> Json:
        if link["status"] != "created":
            raise RefusedError(f"Payment link cannot be cancelled as it is {link['status']}")
        link["status"] = "cancelled"
        self._tell("payment_link.cancelled", payment_link=link)
        return link

    def _refund(self, payment: Json, asked: Json, request: httpx.Request) -> Json:
        key = request.headers["x-refund-idempotency"]
        assert len(key) >= 10
        if key in self.refunds:
            first, made = self.refunds[key]
            if first != asked:
                raise RefusedError("Different payload for the same idempotency key")
            return made
        if asked["amount"] > payment["amount"] - payment["amount_refunded"]:
            raise RefusedError("The total refund amount is greater than the refund payment amount")
        made: Json = {
            "id": self._id("rfnd_"),
            "entity": "refund",
            "amount": asked["amount"],
            "currency": payment["currency"],
            "payment_id": payment["id"],
            "status": "processed",
            "notes": asked["notes"],
        }
        payment["amount_refunded"] += asked["amount"]
        if payment["amount_refunded"] == payment["amount"]:
            payment["status"] = "refunded"
        self.refunds[key] = (asked, made)
        self._tell("refund.processed", refund=made, payment=payment)
        return made

    def _find(self, among: dict[str, Json], wanted: str) -> Json:
        if wanted not in among:
            raise RefusedError("The id provided does not exist")
        return among[wanted]

    def _tell(self, kind: str, **payload: Json) -> None:
        event = {
            "entity": "event",
            "account_id": "acc_1",
            "event": kind,
            "contains": list(payload),
            "payload": {name: {"entity": entity} for name, entity in payload.items()},
            "created_at": next(self._ids),
        }
        self.events.append(json.loads(json.dumps(event)))

    def _id(self, prefix: str) -> str:
        return f"{prefix}{next(self._ids):014d}"
