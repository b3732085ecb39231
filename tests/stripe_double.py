"""A Stripe of our own, where localstripe falls short: idempotency keys, over-refunds, Checkout Sessions, all events.

It answers what Stripe's reference says it answers to what the gateway asks, and no more; what it is asked for and
does not know is a 400, so that a guess of ours does not pass.
"""

import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast
from urllib.parse import parse_qsl

import httpx

Json = dict[str, Any]
CHECKOUT_SECONDS_MIN = 30 * 60


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, code: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status, self.body = status, {"error": {"type": kind, "message": message, "code": code}}


@dataclass
class StripeDouble:
    """The merchant's account at Stripe."""

    intents: dict[str, Json] = field(default_factory=dict[str, Json])
    sessions: dict[str, Json] = field(default_factory=dict[str, Json])
    refunds: dict[str, Json] = field(default_factory=dict[str, Json])
    events: list[Json] = field(default_factory=list[Json])
    refund_status: str = "succeeded"
    refuses: str = ""
    """The code with which it refuses refunds; none: it makes them."""
    _keys: dict[str, tuple[Any, int, Json]] = field(default_factory=dict[str, tuple[Any, int, Json]])
    _ids: Any = field(default_factory=lambda: count(1))

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not request.headers["authorization"].startswith("Bearer sk_test_"):
            return httpx.Response(401, json={"error": {"type": "invalid_request_error", "message": "Invalid API Key"}})
        asked = (request.method, request.url.path, request.content)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key in self._keys:
            first, status, body = self._keys[key]
            if first == asked:
                return httpx.Response(status, json=body)
            different = "Keys for idempotent requests can only be used with the same parameters."
            return httpx.Response(400, json={"error": {"type": "idempotency_error", "message": different}})
        try:
            status, body = 200, self._act(request)
        except RefusedError as refused:
            status, body = refused.status, refused.body
        body = json.loads(json.dumps(body))
        if key is not None:
            self._keys[key] = (asked, status, body)
        return httpx.Response(status, json=body)

    def pay(self, session_id: str) -> None:
        """The buyer enters a good card, on whichever page."""
        session = self.sessions.get(session_id)
        if session is None:
            intent = self.intents[session_id]
        else:
            assert session["status"] == "open", "a session that is over shows no form"
            intent = self._make_intent(session["amount_total"], session["currency"], session["_intent"])
            session |= {"status": "complete", "payment_intent": intent["id"]}
        assert intent["status"] in {"requires_payment_method", "requires_confirmation"}
        intent |= {"status": "requires_capture", "latest_charge": self._id("ch_")}
        self._tell("payment_intent.amount_capturable_updated", intent)
        if session is not None:
            self._tell("checkout.session.completed", self._shown(session))

    def decline(self, session_id: str) -> None:
        """The buyer enters a bad card; the page lets them try another."""
        if session_id in self.intents:
            self._tell("payment_intent.payment_failed", self.intents[session_id])
        else:
            session = self.sessions[session_id]
            self._tell("payment_intent.payment_failed", {"id": "pi_0", "metadata": {"through": "checkout"}, **session})

    def finish_refund(self, refund_id: str, status: str) -> None:
        """The bank has answered about a refund that was under way."""
        refund = self.refunds[refund_id]
        refund["status"] = status
        self._tell("refund.failed" if status == "failed" else "refund.updated", refund)

    def give_back(self, session_id: str, amount: int, about: dict[str, str] | None = None) -> None:
        """Somebody gives money back in the dashboard; ``about``: the metadata."""
        session = self.sessions.get(session_id)
        intent_id = session["payment_intent"] if session else session_id
        self._refund({"payment_intent": intent_id, "amount": str(amount), "metadata": about or {}})

    def a_day_passes(self) -> None:
        """After which it no longer knows what it answered under a key."""
        self._keys.clear()

    def dispute(self, session_id: str) -> None:
        """The buyer goes to their bank."""
        session = self.sessions.get(session_id)
        intent = self.intents[session["payment_intent"] if session else session_id]
        dispute = {"id": self._id("dp_"), "object": "dispute", "payment_intent": intent["id"]}
        self._tell("charge.dispute.created", dispute | {"amount": intent["amount"], "currency": intent["currency"]})

    def _act(self, request: httpx.Request) -> Json:  # noqa: PLR0911  (one for each thing that can be asked)
        params = unflatten(parse_qsl(request.content.decode() or request.url.query.decode(), keep_blank_values=True))
        parts = request.url.path.removeprefix("/v1/").split("/")
        match (request.method, *parts):
            case ("POST", "payment_intents"):
                return self._make_intent(int(params.pop("amount")), params.pop("currency"), params)
            case ("GET", "payment_intents", intent_id):
                return self._find(self.intents, intent_id, "payment_intent")
            case ("POST", "payment_intents", intent_id, ("capture" | "cancel") as act):
                return self._change(intent_id, act)
            case ("POST", "checkout", "sessions"):
                return self._open(params)
            case ("GET", "checkout", "sessions", session_id):
                session = self._shown(self._find(self.sessions, session_id, "checkout.session"))
                if params == {"expand": ["payment_intent"]} and session["payment_intent"]:
                    session["payment_intent"] = self.intents[session["payment_intent"]]
                return session
            case ("POST", "checkout", "sessions", session_id, "expire"):
                return self._expire(session_id)
            case ("POST", "refunds"):
                return self._refund(params)
            case ("GET", "refunds"):
                mine = [r for r in self.refunds.values() if r["payment_intent"] == params["payment_intent"]]
                return {"object": "list", "url": "/v1/refunds", "has_more": False, "data": mine}
            case other:
                raise RefusedError(404, f"Unrecognized request URL {other}")

    def _make_intent(self, amount: int, currency: str, given: Json) -> Json:
        if set(given) - {"capture_method", "metadata"} or amount <= 0 or currency != currency.lower():
            raise RefusedError(400, f"Received unknown parameters: {given}", "parameter_unknown")
        assert given["capture_method"] == "manual"
        intent_id = self._id("pi_")
        self.intents[intent_id] = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": currency,
            "status": "requires_payment_method",
            "client_secret": f"{intent_id}_secret_1",
            "latest_charge": None,
            "metadata": given.get("metadata", {}),
        }
        return self.intents[intent_id]

    def _change(self, intent_id: str, act: str) -> Json:
        intent = self._find(self.intents, intent_id, "payment_intent")
        allowed = {"capture": {"requires_capture"}, "cancel": {"requires_capture", "requires_payment_method"}}
        if intent["status"] not in allowed[act]:
            message = f"This PaymentIntent could not be {act}d because it has a status of {intent['status']}."
            raise RefusedError(400, message, "payment_intent_unexpected_state")
        if act == "capture":
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
            self._tell("payment_intent.succeeded", intent)
        else:
            intent |= {"status": "canceled"}
            self._tell("payment_intent.canceled", intent)
        return intent

    def _open(self, params: Json) -> Json:
        known = {"mode", "client_reference_id", "line_items", "payment_intent_data", "metadata", "success_url"}
        if set(params) - known - {"cancel_url", "expires_at"}:
            raise RefusedError(400, "Received unknown parameters", "parameter_unknown")
        if int(params["expires_at"]) < time.time() + CHECKOUT_SECONDS_MIN:
            raise RefusedError(400, "The `expires_at` timestamp must be at least 30 minutes from creation.")
        (line,) = params["line_items"]
        session_id = self._id("cs_test_")
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "amount_total": int(line["price_data"]["unit_amount"]) * int(line["quantity"]),
            "currency": line["price_data"]["currency"],
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "metadata": params["metadata"],
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
            "_intent": params["payment_intent_data"],
        }
        return self._shown(self.sessions[session_id])

    def _expire(self, session_id: str) -> Json:
        session = self._find(self.sessions, session_id, "checkout.session")
        if session["status"] != "open":
            raise RefusedError(400, 'Only Checkout Sessions with a status in ["open"] can be expired.')
        session |= {"status": "expired", "url": None}
        self._tell("checkout.session.expired", self._shown(session))
        return self._shown(session)

    def _refund(self, params: Json) -> Json:
        if self.refuses:
            raise RefusedError(400, "Insufficient funds in your Stripe balance to refund this amount.", self.refuses)
        intent = self._find(self.intents, params["payment_intent"], "payment_intent")
        amount = int(params["amount"])
        gone = sum(
            r["amount"]
            for r in self.refunds.values()
            if r["payment_intent"] == intent["id"] and r["status"] not in {"failed", "canceled"}
        )
        if intent["status"] != "succeeded":
            raise RefusedError(400, "This PaymentIntent does not have a successful charge to refund.")
        if amount > intent["amount_received"] - gone:
            raise RefusedError(
                400, "Refund amount is greater than unrefunded amount on charge", "charge_already_refunded"
            )
        refund: Json = {
            "id": self._id("re_"),
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "status": self.refund_status,
            "failure_reason": None,
            "metadata": params["metadata"],
        }
        self.refunds[refund["id"]] = refund
        self._tell("refund.created", refund)
        return refund

    def _find(self, among: dict[str, Json], wanted: str, kind: str) -> Json:
        if wanted not in among:
            raise RefusedError(404, f"No such {kind}: '{wanted}'", "resource_missing")
        return among[wanted]

    def _shown(self, session: Json) -> Json:
        intent = self.intents.get(session["payment_intent"] or "")
        paid = intent is not None and intent["status"] == "succeeded"
        shown = {key: value for key, value in session.items() if not key.startswith("_")}
        return shown | {"payment_status": "paid" if paid else "unpaid"}

    def _tell(self, kind: str, about: Json) -> None:
        event = {"id": self._id("evt_"), "object": "event", "type": kind, "data": {"object": about}}
        self.events.append(json.loads(json.dumps(event)))

    def _id(self, prefix: str) -> str:
        return f"{prefix}{next(self._ids):024d}"


def unflatten(pairs: list[tuple[str, str]]) -> Json:
    """``a[b]=1&c[0][d]=2`` as the tree that it means."""
    tree: Json = {}
    for name, value in pairs:
        *path, last = name.replace("]", "").split("[")
        at = tree
        for step in path:
            at = at.setdefault(step, {})
        at[last] = value
    return _lists(tree)


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    grown = {key: _lists(value) for key, value in cast("Json", node).items()}
    if grown and all(key.isdigit() for key in grown):
        return [grown[key] for key in sorted(grown, key=int)]
    return grown
