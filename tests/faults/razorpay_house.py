"""A Razorpay that takes money at once: our double of it, in a house of its own."""

import hashlib
import hmac
import random
from typing import Final

from gateway_house import GatewayHouse
from razorpay_double import RazorpayDouble

SECRET: Final = "the-secret-of-the-fault-run"


class RazorpayHouse(GatewayHouse):
    """Payment links. What is paid is ours, and what comes too late has to go back."""

    name = "razorpay"

    def __init__(self, office_url: str, rng: random.Random) -> None:
        self.double = RazorpayDouble()
        super().__init__(office_url, rng, self.double)

    @property
    def settings(self) -> dict[str, str]:
        """As `GatewayHouse.settings`."""
        return {
            "PAYMENT_GATEWAY": "razorpay",
            "RAZORPAY_KEY_ID": "rzp_test_1",
            "RAZORPAY_KEY_SECRET": "secret",
            "RAZORPAY_WEBHOOK_SECRETS": SECRET,
            "RAZORPAY_API_BASE": f"http://127.0.0.1:{self.port}",
        }

    def decide(self, session_id: str, result: str) -> bool:
        """As `crowd.Page`."""
        if self.double.links[session_id]["status"] != "created":
            return False
        if result == "success":
            self.double.pay(session_id)
        else:
            self.double.decline(session_id)
        return True

    def opened(self) -> set[str]:
        """As `GatewayHouse.opened`."""
        return set(self.double.links)

    def undecided(self) -> int:
        """Nothing is ever set aside; as `GatewayHouse.undecided`."""
        return 0

    def taken(self) -> dict[str, int]:
        """As `GatewayHouse.taken`."""
        return {link: found["amount_paid"] for link, found in self.double.links.items() if found["status"] == "paid"}

    def given_back(self) -> dict[str, int]:
        """As `GatewayHouse.given_back`."""
        back: dict[str, int] = {}
        link_of = {
            paid["payment_id"]: link for link, found in self.double.links.items() for paid in found["payments"] or ()
        }
        for _, refund in self.double.refunds.values():
            link = link_of[refund["payment_id"]]
            back[link] = back.get(link, 0) + refund["amount"]
        return back

    def signed(self, body: bytes) -> dict[str, str]:
        """As `GatewayHouse.signed`."""
        return {"X-Razorpay-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
