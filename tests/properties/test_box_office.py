"""The box office against the model of `imagined.py`: any course of events, and after each step both say the same.

A short run is part of the suite; `make model` runs long. The seed is printed: MODEL_SEED=… brings a run back, and a
failure prints the shortest course that Hypothesis found, with the blob that reproduces it.
"""

import asyncio
import os
import random
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import make
from asking import DONE, SEATS, SEVERAL, WHICH, WHO, SeatsMachine
from house import House
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from imagined import STAGES, Payment
from ledger import books_of, gateway_of

STARTS_IN: Final = {
    "far": timedelta(days=3),
    "near": timedelta(hours=10),
    "close": timedelta(hours=1),
    "running": timedelta(minutes=-5),
    "over": timedelta(hours=-4),
}
MOODS = st.sampled_from(["answers", "answers", "answers", "silent", "answer_lost"])


class Machine(SeatsMachine):
    """Beside buyers: time, jobs, and a gateway that tells the truth late, twice, in any order, or lies."""

    # ------------------------------------------------------------- buying ---

    @precondition(lambda self: self.model.bookings)
    @rule(which=WHICH)
    def cancels(self, which: int) -> None:
        booking = self.one_booking(which)
        assert booking is not None
        answer = self.ask("PATCH", f"/bookings/{booking.id}/cancel", booking.buyer)
        if self.model.cancel(booking):
            assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "booking_not_cancellable")

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
        payment.session, payment.status = answer.json()["sessionId"], "OPEN"
        DONE["sessions asked for"] += 1

    @initialize(who=WHO, how_many=st.integers(1, 4), first=st.integers(0, SEATS - 1))
    def begins_with_a_sale(self, who: str, how_many: int, first: int) -> None:
        self.goes_to_pay(who, how_many, first)

    @rule(who=WHO, how_many=st.integers(1, 4), first=st.integers(0, SEATS - 1))
    def goes_to_pay(self, who: str, how_many: int, first: int) -> None:
        """Books what is free and opens a session for it: most of what a box office sees all day."""
        free = [seat for seat in self.seats[first:] + self.seats[:first] if seat not in self.model.taken][:how_many]
        if free and self.model.refusal(who, free) is None:
            self.granted("book", who, free, self.claim("book", who, free))
            self.opens_a_session(len(self.model.bookings) - 1, "answers")

    @precondition(lambda self: self.sessions())
    @rule(which=WHICH, kind=st.sampled_from(["success", "success", "failed", "expired"]), told=st.booleans())
    def happens_at_the_gateway(self, which: int, kind: str, *, told: bool) -> None:
        """The gateway decides, and tells or will tell; a card that was declined may be tried again there, and late."""
        payment = self.sessions()[which % len(self.sessions())]
        payment.paid_there |= kind == "success"
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
        first = "duplicate" if event["eventId"] in self.model.events else self.takes_effect(event)
        self.model.events.add(event["eventId"])
        assert said == sorted([first] + ["duplicate"] * (times - 1))
        DONE[f"{event['eventType']}: {first}"] += 1

    def takes_effect(self, event: dict[str, Any]) -> str:
        payment = next(payment for payment in self.sessions() if payment.session == event["sessionId"])
        does = {
            "payment.success": self.model.succeeded,
            "payment.failed": self.model.failed,
            "payment.expired": self.model.expired,
        }
        return "processed" if does[event["eventType"]](payment) else "ignored"

    @precondition(lambda self: self.sessions())
    @rule(
        which=WHICH,
        kind=st.sampled_from(["success", "failed", "expired"]),
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

    @precondition(lambda self: self.model.bookings)
    @rule(which=WHICH, part=st.none() | SEVERAL, twice=st.booleans(), keyed=st.booleans())
    def asks_for_a_refund(self, which: int, part: list[int] | None, *, twice: bool, keyed: bool) -> None:
        booking = self.one_booking(which)
        assert booking is not None
        seats = sorted(booking.prices)
        some = None if part is None else sorted({seats[n % len(seats)] for n in part})
        headers = self.buyers[booking.buyer].headers | ({"Idempotency-Key": str(uuid4())} if keyed else {})
        body = {} if some is None else {"showSeatIds": some}
        post = self.house.client.post

        async def at_once() -> list[httpx.Response]:
            path = f"/api/v1/payments/refund/{booking.id}"
            return await asyncio.gather(*(post(path, json=body, headers=headers) for _ in range(2 if twice else 1)))

        answers = sorted(self.house.run(at_once()), key=lambda answer: answer.status_code)
        for n, answer in enumerate(answers):
            if n == 1 and keyed and answer.status_code == 200:
                assert answer.json() == answers[0].json()
                continue
            refund = self.model.refund(booking, some)
            if isinstance(refund, str):
                assert answer.json()["code"] == refund
            else:
                assert (answer.status_code, answer.json()["refundAmount"]) == (200, refund.amount)
                refund.id = answer.json()["refundId"]
                DONE["refunds: requested"] += 1

    @rule(mood=MOODS, cut=st.booleans())
    def sends_refunds(self, mood: str, *, cut: bool) -> None:
        """The durable jobs run, while the gateway is in some mood and its line to us may be cut."""
        self.house.gateway.mood, self.house.network.cut = mood, cut
        self.house.run(self.house.send_refunds(self.show.id))
        self.house.gateway.mood, self.house.network.cut = "answers", False
        # Done there, its answer lost: its own event has told us, unless the line was cut too.
        if mood == "answers" or (mood == "answer_lost" and not cut):
            for booking in self.model.bookings.values():
                for refund in booking.refunds:
                    refund.status = "SUCCEEDED"

    @precondition(lambda self: self.house.network.carried)
    @rule(which=WHICH)
    def hears_of_a_refund_again(self, which: int) -> None:
        """The gateway's own webhook once more: whatever it settled is settled, and what it told for nothing is late."""
        carried = self.house.network.carried[-(which % 20) - 1 :][0]
        before = self.house.run(books_of(self.house.pool, self.show.id))
        answer = self.house.run(self.house.client.send(_again(carried)))
        assert answer.status_code == 200
        after = self.house.run(books_of(self.house.pool, self.show.id))
        assert after.paid_in == before.paid_in
        told = carried.content.decode()
        for booking in self.model.bookings.values():
            for refund in booking.refunds:
                if refund.id and refund.id in told:
                    refund.status = "SUCCEEDED"

    # ------------------------------------------------------ time and jobs ---

    @rule()
    def holds_lapse(self) -> None:
        self.house.run(self.house.lapse_holds(self.show.id))
        self.model.lapse_holds()

    @precondition(lambda self: self.model.bookings)
    @rule(which=WHICH)
    def a_booking_lapses(self, which: int) -> None:
        booking = self.one_booking(which)
        assert booking is not None
        self.house.run(self.house.lapse_booking(self.show.id, UUID(booking.id)))
        self.model.lapse_booking(booking)

    @rule(often=st.integers(0, 7))
    def the_show_draws_near(self, often: int) -> None:
        if often > 0 or self.model.stage == STAGES[-1]:
            return
        self.model.stage = STAGES[STAGES.index(self.model.stage) + 1]
        self.house.run(make.start_in(self.house.pool, self.show, STARTS_IN[self.model.stage]))

    @rule(name=st.sampled_from(["expire", "tidy", "archive", "a month passes"]))
    def a_job_runs(self, name: str) -> None:
        if name == "a month passes":
            self.house.run(self.house.job("expire", self.show.id))
            self.model.expire()
            self.house.run(self.house.a_month_passes(self.show.id))
            name = "archive"
            for booking in self.model.bookings.values():
                booking.archived |= booking.status in {"EXPIRED", "CANCELLED"}
        self.house.run(self.house.job(name, self.show.id))
        if name == "expire":
            self.model.expire()
        DONE["jobs"] += 1

    def teardown(self) -> None:
        """Settling: the gateway tells what it has not told yet, the jobs run, and then the money must add up."""
        for event in self.outbox:
            if event["eventId"] not in self.model.events:
                self.tell(event)
        self.house.run(self.house.send_refunds(self.show.id))
        self.house.run(self.house.job("expire", self.show.id))
        for booking in self.model.bookings.values():
            for payment in booking.payments:
                assert payment.paid_there == (payment.status == "SUCCEEDED")
                back = sum(refund.amount for refund in booking.refunds if refund.payment is payment)
                seated = payment is booking.paid_by and booking.status in {"CONFIRMED", "REFUNDED"}
                assert not payment.paid_there or seated or back == payment.amount
        books = self.house.run(books_of(self.house.pool, self.show.id))
        paid = sum(pay.amount for pay in self.sessions() if pay.paid_there)
        assert books.paid_in == paid
        assert books.owed_back == 0
        given_back = self.house.run(gateway_of(self.house.pool, [str(pay.session) for pay in self.sessions()]))
        assert books.paid_in - books.paid_back == paid - given_back
        DONE.update(
            f"refunds: {refund.reason}"
            for booking in self.model.bookings.values()
            for refund in booking.refunds
            if refund.reason != "requested"
        )
        DONE["courses"] += 1


def _again(request: httpx.Request) -> httpx.Request:
    headers = {name: request.headers[name] for name in ("content-type", "x-payment-signature")}
    return httpx.Request("POST", request.url, content=request.content, headers=headers)


def test_any_course_of_events_is_as_the_model_says(dsn: str) -> None:
    chosen = int(os.environ.get("MODEL_SEED") or random.SystemRandom().randrange(2**32))
    examples, steps = int(os.environ.get("MODEL_EXAMPLES", "25")), int(os.environ.get("MODEL_STEPS", "40"))
    print(f"MODEL_SEED={chosen} MODEL_EXAMPLES={examples} MODEL_STEPS={steps}")  # noqa: T201  (to bring it back)
    # Whoever only wants to know whether there is a failure (tests/faults/mutations.py) need not wait for the shortest.
    phases = [Phase.generate] if os.environ.get("MODEL_SHRINK") == "0" else [Phase.generate, Phase.shrink]
    DONE.clear()
    with House(dsn) as house:
        machine = type("OfThisHouse", (Machine,), {"house": house})
        run_state_machine_as_test(
            seed(chosen)(machine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                phases=phases,
                database=None,
                print_blob=True,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            ),
        )
    for what, count in sorted(DONE.items()):
        print(f"{count:8d} {what}")  # noqa: T201  (what the run was made of)
    assert DONE["courses"] >= examples
