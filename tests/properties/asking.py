"""What a course of events is made of: asking for seats, and what must be so after every step."""

import asyncio
from collections import Counter
from typing import Any, Final
from uuid import uuid4

import httpx
import make
from house import House
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from imagined import Booking, BoxOffice, Payment, Taken
from ledger import holders_of

BUYERS: Final[tuple[str, ...]] = ("asha", "bela", "chand")
SEATS: Final = 12
PRICE: Final = 333
"""Odd, so that halves are rounded."""
SEVERAL = st.lists(st.integers(0, SEATS - 1), min_size=1, max_size=6, unique=True)
"""Seats, by their number."""
WHO = st.sampled_from(BUYERS)
WHICH = st.integers(0, 1000)
"""One of those that there are, whatever their number."""
DONE: Counter[str] = Counter()
"""What the steps of this run came to."""


class SeatsMachine(RuleBasedStateMachine):
    """Three buyers of one show, and the model beside it."""

    house: House

    def __init__(self) -> None:
        super().__init__()
        self.show = self.house.run(make.show(self.house.pool, rows=1, seats_a_row=SEATS, price=PRICE))
        self.buyers = {name: self.house.run(make.guest(self.house.client)) for name in BUYERS}
        self.seats = [str(seat) for seat in self.show.seats]
        self.model = BoxOffice(prices=dict.fromkeys(self.seats, PRICE))
        self.outbox: list[dict[str, Any]] = []
        """Everything that the gateway has ever wanted to tell, told or not."""
        self.keyed: list[tuple[str, str, list[str], Any]] = []
        """Who asked for what, under which key (kind and key), and the answer."""
        self.asking_is_enough = False
        self.house.network.carried.clear()
        self.version = -1
        self.maps: dict[int, object] = {}

    # ------------------------------------------------------------- asking ---

    def ask(self, method: str, path: str, who: str | None, **more: Any) -> httpx.Response:
        headers = (self.buyers[who].headers if who else {}) | more.pop("headers", {})
        answer = self.house.run(self.house.client.request(method, f"/api/v1{path}", headers=headers, **more))
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        return answer

    def claim(self, kind: str, who: str, seats: list[str], key: str | None = None) -> httpx.Response:
        path = "/bookings" if kind == "book" else "/bookings/hold-seats"
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask("POST", path, who, json={"showId": str(self.show.id), "showSeatIds": seats}, headers=headers)

    def one_booking(self, which: int) -> Booking | None:
        known = list(self.model.bookings.values())
        return known[which % len(known)] if known else None

    def sessions(self) -> list[Payment]:
        return [pay for booking in self.model.bookings.values() for pay in booking.payments if pay.session is not None]

    # -------------------------------------------------------------- seats ---

    @rule(kind=st.sampled_from(["hold", "book"]), who=WHO, numbers=SEVERAL, keyed=st.booleans())
    def claims(self, kind: str, who: str, numbers: list[int], *, keyed: bool) -> None:
        seats = [self.seats[n] for n in numbers]
        key = str(uuid4()) if keyed else None
        expected = self.model.refusal(who, seats)
        answer = self.claim(kind, who, seats, key)
        if expected is None:
            self.granted(kind, who, seats, answer)
            if key is not None:
                self.keyed.append((f"{kind} {key}", who, seats, answer.json()))
        else:
            code, in_the_way = expected
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (409, code)
            assert set(problem.get("showSeatIds", [])) == in_the_way
            DONE[code] += 1

    def granted(self, kind: str, who: str, seats: list[str], answer: httpx.Response) -> None:
        assert answer.status_code == 201, answer.text
        body = answer.json()
        DONE[f"granted: {kind}"] += 1
        if kind == "hold":
            assert {hold["seatId"] for hold in body["holds"]} == set(seats)
            self.model.hold(who, seats)
        else:
            assert (body["status"], body["totalAmount"]) == ("PENDING", PRICE * len(seats))
            assert body["id"] not in self.model.bookings
            self.model.book(body["id"], who, seats)

    @rule(kind=st.sampled_from(["hold", "book"]), numbers=SEVERAL)
    def everybody_at_once(self, kind: str, numbers: list[int]) -> None:
        """The same seats, three buyers, one moment: at most one gets them, and somebody does if anybody could."""
        seats = [self.seats[n] for n in numbers]
        could = [who for who in BUYERS if self.model.refusal(who, seats) is None]
        path = "/api/v1/bookings" if kind == "book" else "/api/v1/bookings/hold-seats"
        body = {"showId": str(self.show.id), "showSeatIds": seats}
        post = self.house.client.post

        async def rush() -> list[httpx.Response]:
            return await asyncio.gather(
                *(post(path, json=body, headers=buyer.headers) for buyer in self.buyers.values())
            )

        answers: dict[str, httpx.Response] = dict(zip(BUYERS, self.house.run(rush()), strict=True))
        winners = [who for who, answer in answers.items() if answer.status_code == 201]
        assert len(winners) == min(1, len(could))
        assert set(winners) <= set(could)
        for who in winners:
            self.granted(kind, who, seats, answers[who])

    @precondition(lambda self: self.keyed)
    @rule(which=WHICH, other=st.booleans())
    def repeats(self, which: int, *, other: bool) -> None:
        """The same key again: the first answer, whatever has happened since; with another payload: 422."""
        kind_key, who, seats, first = self.keyed[which % len(self.keyed)]
        kind, key = kind_key.split()
        asked = [seat for seat in self.seats if seat not in seats][:1] if other else seats
        answer = self.claim(kind, who, asked, key)
        if other:
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        else:
            assert answer.status_code == 201
            assert answer.headers["Idempotent-Replayed"] == "true"
            assert answer.json() == first
        DONE["repeated"] += 1

    @rule(who=WHO, numbers=SEVERAL)
    def releases(self, who: str, numbers: list[int]) -> None:
        seats = [self.seats[n] for n in numbers]
        path = f"/bookings/holds/{self.buyers[who].id}"
        answer = self.ask("DELETE", path, who, params={"showId": str(self.show.id), "showSeatIds": ",".join(seats)})
        assert answer.json() == {"released": self.model.release(who, seats)}

    # ---------------------------------------------------- what must be so ---

    @invariant()
    def the_map_is_the_models(self) -> None:
        for who in (*BUYERS, None):
            body = self.ask("GET", f"/seats/shows/{self.show.id}", who).json()
            seen = {seat["id"]: seat["status"] for seat in body["seats"]}
            assert seen == {seat: _seen(self.model.taken.get(seat), who) for seat in self.seats}
            assert body["version"] >= self.version
            self.version = body["version"]
        assert self.maps.setdefault(self.version, seen) == seen  # pyright: ignore[reportPossiblyUnboundVariable]

    @invariant()
    def every_booking_reads_as_in_the_model(self) -> None:
        for who in BUYERS:
            listed = self.ask("GET", f"/bookings/user/{self.buyers[who].id}", who, params={"limit": 100}).json()
            told = {one["id"]: one for one in listed["items"]}
            expected = [booking for booking in self.model.bookings.values() if booking.buyer == who]
            assert set(told) == {booking.id for booking in expected}
            for booking in expected:
                one = told[booking.id]
                assert one["status"] == booking.reads
                assert {seat["id"]: seat["price"] for seat in one["seats"]} == booking.prices
                assert {seat["id"] for seat in one["seats"] if seat["refunded"]} == booking.refunded
                whole = [refund.reason for refund in booking.refunds if refund.reason != "requested"]
                assert one["refundReason"] == (whole[-1] if whole else None)

    @invariant()
    def the_money_is_the_models(self) -> None:
        for booking in self.model.bookings.values():
            told = self.ask("GET", f"/payments/status/{booking.id}", booking.buyer).json()
            payments = [(pay["sessionId"], pay["status"], pay["amount"]) for pay in told["payments"]]
            assert payments == [(pay.session, pay.status, pay.amount) for pay in booking.payments]
            refunds = sorted((one["reason"], one["refundAmount"], one["status"]) for one in told["refunds"])
            assert refunds == sorted((one.reason, one.amount, one.status) for one in booking.refunds)

    @invariant()
    def one_seat_has_one_holder(self) -> None:
        """Asked of the tables, not of the API: a confirmed booking has each seat that it has not given back."""
        sold = {
            (seat, booking.id)
            for booking in self.model.bookings.values()
            if booking.status == "CONFIRMED"
            for seat in set(booking.prices) - booking.refunded
        }
        assert len({seat for seat, _ in sold}) == len(sold)
        assert self.house.run(holders_of(self.house.pool, self.show.id)) == sold


def _seen(has: Taken | None, who: str | None) -> str:
    if has is None:
        return "available"
    if has.booking is not None:
        return "booked"
    return "held_by_me" if has.buyer == who else "held"
