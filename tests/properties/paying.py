"""What a course of events is made of, where money is concerned: the gateway's side, and what must be so of the books.

A gateway takes money at once or sets it aside first, as buyers pay by this or that. What happens there is told late,
several times, in any order, or never; it answers, is silent, or its answer is lost; and somebody lies about it.
"""

import asyncio
import json
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import make
from asking import DONE, SEATS, WHICH, WHO, SeatsMachine
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from imagined import LIVE, SET_ASIDE, Payment, There
from ledger import accounts_of, standings_of

MOODS: Final = st.sampled_from(["answers", "answers", "answers", "silent", "answer_lost"])
PAYS: Final = st.sampled_from([None, "success", "authorised", "authorised"])
ANY: Final[frozenset[There]] = frozenset({"open", "authorised", "paid", "voided", "expired"})
COMES_OF: Final[dict[str, tuple[frozenset[There], There | None]]] = {
    # What is told: from where it can come, and what it makes of a session that it is news of.
    "success": (ANY - {"voided"}, "paid"),
    "authorised": (ANY, "authorised"),
    "voided": (frozenset({"authorised", "voided"}), "voided"),
    "failed": (ANY, None),
    "expired": (ANY, "expired"),
}
NEWS: Final[dict[str, frozenset[There]]] = {
    "success": frozenset({"open", "authorised", "expired"}),
    "authorised": frozenset({"open", "expired"}),
    "voided": frozenset({"authorised"}),
    "failed": frozenset(),
    "expired": frozenset({"open"}),
}
"""Where a session must stand for this to change it. A bank may answer after the session's time; a card that was
declined may be tried again; and what is told of a session beyond that is old, told under another id."""


class PaymentsMachine(SeatsMachine):
    """Sessions, authorisations and payments of bookings, and a gateway that tells of them."""

    @precondition(lambda self: self.model.bookings)
    @rule(which=WHICH, mood=MOODS)
    def opens_a_session(self, which: int, mood: str) -> None:
        booking = self.one_booking(which)
        assert booking is not None
        self.house.gateway.mood = mood
        answer = self.ask("POST", "/payments/initiate", booking.buyer, json={"bookingId": booking.id})
        self.house.gateway.mood = "answers"
        payment = booking.live_payment
        if booking.reads != "PENDING":
            assert (answer.status_code, answer.json()["code"]) == (409, "booking_not_payable")
            return
        if payment is None:
            payment = Payment(booking.id, booking.amount)
            booking.payments.append(payment)
        if payment.session is None and mood != "answers":
            assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
            return
        assert (answer.status_code, answer.json()["amount"]) == (201, booking.amount)
        assert payment.session in {None, answer.json()["sessionId"]}
        payment.session = answer.json()["sessionId"]
        if payment.status == "OPENING":
            payment.status = "OPEN"
        DONE["sessions asked for"] += 1

    @initialize(who=WHO, how_many=st.integers(1, 4), first=st.integers(0, SEATS - 1), pays=PAYS)
    def begins_with_a_sale(self, who: str, how_many: int, first: int, pays: str | None) -> None:
        self.goes_to_pay(who, how_many, first, pays)

    @rule(who=WHO, how_many=st.integers(1, 4), first=st.integers(0, SEATS - 1), pays=PAYS)
    def goes_to_pay(self, who: str, how_many: int, first: int, pays: str | None) -> None:
        """Books what is free, opens a session for it and may pay: most of what a box office sees all day."""
        free = [seat for seat in self.seats[first:] + self.seats[:first] if seat not in self.model.taken][:how_many]
        if free and self.model.refusal(who, free) is None:
            self.granted("book", who, free, self.claim("book", who, free))
            self.opens_a_session(len(self.model.bookings) - 1, "answers")
            if pays is not None:
                self.happens_at_the_gateway(len(self.sessions()) - 1, pays, told=True)

    # ------------------------------------------- what happens, and is told ---

    @precondition(lambda self: self.sessions())
    @rule(
        which=WHICH,
        kind=st.sampled_from(["success", "success", "authorised", "authorised", "voided", "failed", "expired"]),
        told=st.booleans(),
    )
    def happens_at_the_gateway(self, which: int, kind: str, *, told: bool) -> None:
        """The gateway decides, and tells or will tell."""
        payment = self.sessions()[which % len(self.sessions())]
        possible, becomes = COMES_OF[kind]
        if payment.there not in possible:
            return
        if becomes is not None and payment.there in NEWS[kind]:
            payment.there = becomes
            self.house.run(self.house.becomes_there(str(payment.session), becomes))
        about = {"sessionId": payment.session, "amount": payment.amount, "currency": "INR"}
        self.outbox.append(make.event(about, payment.booking, f"payment.{kind}"))
        if told:
            self.tell(self.outbox[-1])

    @precondition(lambda self: self.outbox)
    @rule(which=WHICH, times=st.integers(1, 3))
    def is_told(self, which: int, times: int) -> None:
        """One of all that was ever to be told, perhaps again, perhaps several times at one moment."""
        self.tell(self.outbox[which % len(self.outbox)], times)

    def tell(self, event: dict[str, Any], times: int = 1) -> None:
        async def at_once() -> list[httpx.Response]:
            return await asyncio.gather(*(make.deliver(self.house.client, event) for _ in range(times)))

        said = sorted(answer.json()["status"] for answer in self.house.run(at_once()))
        first = self.takes_effect(event)
        assert said == sorted([first] + ["duplicate"] * (times - 1))

    def takes_effect(self, event: dict[str, Any]) -> str:
        """What the answer to this event is, which the model has heard now."""
        payment = next(payment for payment in self.sessions() if payment.session == event["sessionId"])
        does = {
            "payment.success": self.model.succeeded,
            "payment.authorised": self.model.authorised,
            "payment.voided": self.model.voided,
            "payment.failed": self.model.failed,
            "payment.expired": self.model.expired,
        }
        if event["eventId"] in self.model.events:
            return "duplicate"
        self.model.events.add(event["eventId"])
        answer = "processed" if does[event["eventType"]](payment) else "ignored"
        DONE[f"{event['eventType']}: {answer}"] += 1
        return answer

    @precondition(lambda self: self.sessions())
    @rule(
        which=WHICH,
        kind=st.sampled_from(["success", "authorised", "voided", "failed", "expired"]),
        lie=st.sampled_from(["amount", "currency", "bookingId", "sessionId", "signature"]),
    )
    def is_lied_to(self, which: int, kind: str, lie: str) -> None:
        payment = self.sessions()[which % len(self.sessions())]
        about = {"sessionId": payment.session, "amount": payment.amount, "currency": "INR"}
        wrong = {"amount": payment.amount + 1, "currency": "USD", "bookingId": str(uuid4()), "sessionId": "sess_none"}
        event = make.event(about, payment.booking, f"payment.{kind}", **{lie: wrong[lie]} if lie in wrong else {})
        secret = "not-the-secret-at-all" if lie == "signature" else make.WEBHOOK_SECRET
        answer = self.house.run(make.deliver(self.house.client, event, secret=secret))
        assert answer.status_code == (401 if lie == "signature" else 200)
        assert lie == "signature" or answer.json() == {"status": "ignored"}
        DONE["lies"] += 1

    # ------------------------------------------------------- we ask it too ---

    @precondition(lambda self: any(pay.status in SET_ASIDE for pay in self.sessions()))
    @rule(mood=MOODS, cut=st.booleans())
    def takes_or_lets_go(self, mood: str, *, cut: bool) -> None:
        """The durable jobs of authorisations run."""
        for payment in [pay for pay in self.sessions() if pay.status in SET_ASIDE]:
            with_gateway = self.house.take_or_let_go(self.show.id, str(payment.session))
            self.model.decide_anew(payment)
            self.asked(payment, mood, self.hearing(with_gateway, mood, cut=cut))

    def hearing(self, doing: Any, mood: str, *, cut: bool) -> list[dict[str, Any]]:
        """Do something while the gateway is in this mood; the events that came of it and were told."""
        self.house.gateway.mood, self.house.network.cut = mood, cut
        before = len(self.house.network.carried)
        self.house.run(doing)
        self.house.gateway.mood, self.house.network.cut = "answers", False
        events: list[dict[str, Any]] = [json.loads(one.content) for one in self.house.network.carried[before:]]
        self.outbox += events
        return [] if cut else events

    def asked(self, payment: Payment, mood: str, told: list[dict[str, Any]]) -> None:
        """The gateway was told to take what is AUTHORISED, or let go what is VOIDING, which it does once."""
        if mood == "silent":
            return
        if payment.there == "authorised":
            payment.there = "paid" if payment.status == "AUTHORISED" else "voided"
            DONE[f"authorisations: {payment.there}"] += 1
        for event in told:
            self.takes_effect(event)
        if mood == "answers":
            self.learns(payment)

    def learns(self, payment: Payment) -> None:
        """What the gateway says of a session when asked is as good as an event."""
        match payment.there:
            case "paid":
                self.model.succeeded(payment)
            case "authorised":
                self.model.authorised(payment)
            case "voided":
                self.model.voided(payment)
            case "expired":
                self.model.expired(payment)
            case "open":
                pass

    @precondition(lambda self: any(booking.payments for booking in self.model.bookings.values()))
    @rule(which=WHICH, mood=MOODS, cut=st.booleans())
    def is_asked_about(self, which: int, mood: str, *, cut: bool) -> None:
        """Reconciliation asks about one payment, over or not."""
        known = [pay for booking in self.model.bookings.values() for pay in booking.payments]
        payment = known[which % len(known)]
        booking = self.model.bookings[payment.booking]
        reconciling = self.house.ask_about(UUID(booking.id), booking.payments.index(payment))
        told = self.hearing(reconciling, mood, cut=cut)
        DONE["asked about"] += 1
        over = booking.reads != "PENDING"
        if payment.session is None:
            payment.status = "FAILED" if over else payment.status
        elif payment.status in SET_ASIDE:
            self.model.decide_anew(payment)
            self.asked(payment, mood, told)
        elif mood != "silent":
            if payment.status in LIVE and over and payment.there == "open":
                payment.there = "expired"
            if mood == "answers":
                self.learns(payment)

    # ---------------------------------------------------- what must be so ---

    @invariant()
    def the_gateway_is_where_the_model_says(self) -> None:
        """So nothing was taken that the model would not have taken, nor let go what it would have kept."""
        told = self.house.run(standings_of(self.house.pool, [str(pay.session) for pay in self.sessions()]))
        assert told == {pay.session: pay.there for pay in self.sessions()}

    @invariant()
    def the_ledger_is_the_models(self) -> None:
        bookings = list(self.model.bookings.values())
        refunds = [refund for booking in bookings for refund in booking.refunds]
        came = sum(pay.amount for pay in self.sessions() if pay.status == "SUCCEEDED")
        sold = sum(booking.amount for booking in bookings if booking.paid_by is not None)
        gone = sum(refund.amount for refund in refunds if refund.status == "SUCCEEDED")
        owed = sum(refund.amount for refund in refunds if refund.status != "SUCCEEDED")
        asked_back = sum(refund.amount for refund in refunds if refund.reason == "requested")
        expected = {"gateway": came - gone, "owed": -owed, "sales": asked_back - sold}
        assert sum(expected.values()) == 0
        accounts = self.house.run(accounts_of(self.house.pool, self.show.id))
        assert accounts == {account: balance for account, balance in expected.items() if balance}
