"""A Stripe that sets money aside first: our double of it, in a house of its own."""

import random
import time
from typing import Final

from gateway_house import GatewayHouse
from stripe_double import StripeDouble

from boxoffice.payments.webhooks import sign

SECRET: Final = "whsec_of_the_fault_run"


class StripeHouse(GatewayHouse):
    """Checkout Sessions, with money that waits to be captured."""

    name = "stripe"

    def __init__(self, office_url: str, rng: random.Random) -> None:
        self.double = StripeDouble()
        super().__init__(office_url, rng, self.double)

    @property
    def settings(self) -> dict[str, str]:
        """As `GatewayHouse.settings`."""
        return {
            "PAYMENT_GATEWAY": "stripe",
            "STRIPE_SECRET_KEY": "sk_test_123",
            "STRIPE_WEBHOOK_SECRETS": SECRET,
            "STRIPE_MODE": "checkout",
            "STRIPE_API_BASE": f"http://127.0.0.1:{self.port}",
        }

    def decide(self, session_id: str, result: str) -> bool:
        """As `crowd.Page`."""
        if self.double.sessions[session_id]["status"] != "open":
            return False
        if result == "success":
            self.double.pay(session_id)
        else:
            self.double.decline(session_id)
        return True

    def opened(self) -> set[str]:
        """As `GatewayHouse.opened`."""
        return set(self.double.sessions)

    def undecided(self) -> int:
        """As `GatewayHouse.undecided`."""
        return sum(intent["status"] == "requires_capture" for intent in self.double.intents.values())

    def taken(self) -> dict[str, int]:
        """As `GatewayHouse.taken`."""
        return {
            session: self.double.intents[found["payment_intent"]]["amount_received"]
            for session, found in self.double.sessions.items()
            if found["payment_intent"] and self.double.intents[found["payment_intent"]]["status"] == "succeeded"
        }

    def given_back(self) -> dict[str, int]:
        """As `GatewayHouse.given_back`."""
        back: dict[str, int] = {}
        session_of = {found["payment_intent"]: session for session, found in self.double.sessions.items()}
        for refund in self.double.refunds.values():
            session = session_of[refund["payment_intent"]]
            back[session] = back.get(session, 0) + refund["amount"]
        return back

    def signed(self, body: bytes) -> dict[str, str]:
        """As `GatewayHouse.signed`."""
        return {"Stripe-Signature": sign(SECRET, body, int(time.time()))}
