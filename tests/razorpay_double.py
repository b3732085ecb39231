"""A Razorpay of our own, by its reference: payment links, refunds with their idempotency header, events."""

import asyncio
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
    refund_status: str = "processed"
    refuses: str = ""
    """The words in which it refuses refunds; none: it makes them."""
    _at_work: dict[str, str] = field(default_factory=dict[str, str])
    """The payments that are given back at this moment, with the keys under which that was asked."""
    _ids: Any = field(default_factory=lambda: count(1))

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer_in_time)

    async def _answer_in_time(self, request: httpx.Request) -> httpx.Response:
        """A refund takes a moment, in which another of that payment is refused."""
        path = request.url.path
        if not path.endswith("/refund"):
            return self.answer(request)
        key = request.headers["x-refund-idempotency"]
        if path in self._at_work:
            busy = "Request failed because another payment operation is in progress"
            return httpx.Response(409 if self._at_work[path] == key else 400, json=_error(busy))
        self._at_work[path] = key
        try:
            await asyncio.sleep(0.01)
            return self.answer(request)
        finally:
            del self._at_work[path]

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not request.headers["authorization"].startswith("Basic "):
            return httpx.Response(401, json={"error": {"description": "Authentication failed"}})
        try:
            return httpx.Response(200, content=json.dumps(self._act(request)))
        except RefusedError as refused:
            return httpx.Response(400, json=_error(str(refused)))

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

    def finish_refund(self, refund_id: str, status: str) -> None:
        """The bank has answered about a refund that was pending."""
        made = next(made for _, made in self.refunds.values() if made["id"] == refund_id)
        self._end(made, status)

    def give_back(self, link_id: str, amount: int, about: dict[str, str] | None = None) -> None:
        """Somebody gives money back in the dashboard; ``about``: the notes."""
        (paid,) = self.links[link_id]["payments"]
        asked = {"amount": amount, "notes": about or []}
        self._make_refund(self.payments[paid["payment_id"]], asked, key=self._id("by_hand_"))

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

    def _act(self, request: httpx.Request) -> Json:  # noqa: PLR0911  (one for each thing that can be asked)
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
                key = request.headers["x-refund-idempotency"]
                return self._refund(self._find(self.payments, payment_id), body, key)
            case ("GET", "payments", payment_id, "refunds"):
                mine = [made for _, made in self.refunds.values() if made["payment_id"] == payment_id]
                shown = mine[-int(request.url.params.get("count", 10)) :]
                return {"entity": "collection", "count": len(shown), "items": shown}
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

    def _refund(self, payment: Json, asked: Json, key: str) -> Json:
        assert len(key) >= 10
        if self.refuses:
            raise RefusedError(self.refuses)
        if key in self.refunds:
            first, made = self.refunds[key]
            if first != asked:
                raise RefusedError("Different payload for the same idempotency key")
            # As it was answered then.
            return made | {"status": "pending"}
        if asked["amount"] > payment["amount"] - payment["amount_refunded"]:
            raise RefusedError("The total refund amount is greater than the refund payment amount")
        return self._make_refund(payment, asked, key)

    def _make_refund(self, payment: Json, asked: Json, key: str) -> Json:
        made: Json = {
            "id": self._id("rfnd_"),
            "entity": "refund",
            "amount": asked["amount"],
            "currency": payment["currency"],
            "payment_id": payment["id"],
            "status": "pending",
            "notes": asked["notes"],
        }
        payment["amount_refunded"] += asked["amount"]
        if payment["amount_refunded"] == payment["amount"]:
            payment["status"] = "refunded"
        self.refunds[key] = (asked, made)
        if self.refund_status != "pending":
            self._end(made, self.refund_status)
        return made

    def _end(self, made: Json, status: str) -> None:
        made["status"] = status
        payment = self.payments[made["payment_id"]]
        if status == "failed":
            payment["amount_refunded"] -= made["amount"]
            payment["status"] = "captured"
        self._tell(f"refund.{status}", refund=made, payment=payment)

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


def _error(description: str) -> Json:
    return {"error": {"code": "BAD_REQUEST_ERROR", "description": description}}
