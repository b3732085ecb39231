"""The box office against the model of `imagined.py`: any course of events, and after each step both say the same.

A short run is part of the suite; `make model` runs long. The seed is printed: MODEL_SEED=… brings a run back, and a
failure prints the shortest course that Hypothesis found, with the blob that reproduces it.
"""

import asyncio
import os
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import httpx
import make
from asking import DONE, SEVERAL, WHICH
from ground import chosen_seed
from house import House
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from imagined import SET_ASIDE, STAGES
from ledger import books_of, differences_of, gateway_of
from paying import MOODS, PaymentsMachine

STARTS_IN: Final = {
    "far": timedelta(days=3),
    "near": timedelta(hours=10),
    "close": timedelta(hours=1),
    "running": timedelta(minutes=-5),
    "over": timedelta(hours=-4),
}
REFUND_MOODS: Final = MOODS | st.just("refuses")
ROUNDS: Final = 3
"""Whatever has happened is known, and done with, after asking about it this often: set aside, decided, taken."""


class Machine(PaymentsMachine):
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

    @rule(mood=REFUND_MOODS, cut=st.booleans())
    def sends_refunds(self, mood: str, *, cut: bool) -> None:
        """The durable jobs run, while the gateway is in some mood and its line to us may be cut."""
        self.house.gateway.mood, self.house.network.cut = mood, cut
        self.house.run(self.house.send_refunds(self.show.id))
        self.house.gateway.mood, self.house.network.cut = "answers", False
        for booking in self.model.bookings.values():
            for refund in [one for one in booking.refunds if one.status == "PENDING" and mood != "silent"]:
                # Done now, its answer lost or a refusal: its own event has told us, unless the line was cut too.
                heard = mood == "answers" or not (refund.made or cut)
                refund.made = True
                if heard or mood == "refuses":
                    refund.status = "SUCCEEDED" if heard else "FAILED"
                    DONE[f"refunds: {refund.status}"] += 1

    @precondition(lambda self: self.refunds_told())
    @rule(which=WHICH)
    def hears_of_a_refund_again(self, which: int) -> None:
        """The gateway's own webhook once more: whatever it settled is settled, and what it told for nothing is late."""
        known = self.refunds_told()
        carried = known[which % len(known)]
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

    def refunds_told(self) -> list[httpx.Request]:
        return [one for one in self.house.network.carried[-60:] if b"refund.succeeded" in one.content]

    def hears_of_what_was_refused(self) -> None:
        """Of what the gateway has done, though it said that it would not, its event tells in the end."""
        told = [one for one in self.house.network.carried if b"refund.succeeded" in one.content]
        failed = [r for booking in self.model.bookings.values() for r in booking.refunds if r.status == "FAILED"]
        for carried in told if failed else ():
            assert self.house.run(self.house.client.send(_again(carried))).status_code == 200
        for refund in failed:
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

    @initialize(asking=st.booleans())
    def ends_by_asking(self, *, asking: bool) -> None:
        """In the end everything is told; or nothing more is told, and all of it is asked for."""
        self.asking_is_enough = asking

    def settles(self) -> None:
        known = [pay for booking in self.model.bookings.values() for pay in booking.payments]
        for _ in range(ROUNDS):
            if self.asking_is_enough:
                for n in range(len(known)):
                    self.is_asked_about(n, "answers", cut=True)
            else:
                for event in list(self.outbox):
                    self.tell(event)
                self.takes_or_lets_go("answers", cut=False)
        assert not [pay for pay in known if pay.status in SET_ASIDE or pay.there == "authorised"]

    def teardown(self) -> None:
        """Settling: what has happened becomes known, the jobs run, and then the money must add up."""
        self.settles()
        self.house.run(self.house.send_refunds(self.show.id))
        self.hears_of_what_was_refused()
        self.house.run(self.house.job("expire", self.show.id))
        for booking in self.model.bookings.values():
            for payment in booking.payments:
                paid = payment.there == "paid"
                assert paid == (payment.status == "SUCCEEDED")
                back = sum(refund.amount for refund in booking.refunds if refund.payment is payment)
                seated = payment is booking.paid_by and booking.status in {"CONFIRMED", "REFUNDED"}
                assert not paid or seated or back == payment.amount
        books = self.house.run(books_of(self.house.pool, self.show.id))
        paid = sum(pay.amount for pay in self.sessions() if pay.there == "paid")
        assert books.paid_in == paid
        assert books.owed_back == 0
        given_back = self.house.run(gateway_of(self.house.pool, [str(pay.session) for pay in self.sessions()]))
        assert books.paid_in - books.paid_back == paid - given_back
        assert self.house.run(differences_of(self.house.pool, self.show.id)) == []
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
    chosen = chosen_seed("MODEL_SEED", long="MODEL_EXAMPLES" in os.environ)
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
