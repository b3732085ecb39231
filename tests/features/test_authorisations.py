"""Money that is set aside is taken only when the seats are the booking's, and let go otherwise; whatever is late."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import make
import msgspec
import pytest

from boxoffice.bookings.authorisation import CAPTURE_LEASE, SETTLE_AUTHORISATION
from boxoffice.bookings.capture import settle_authorisation
from boxoffice.bookings.expiry import expire_lapsed
from boxoffice.payments.gateway import (
    CaptureRequest,
    EventType,
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    SessionState,
    Standing,
)
from boxoffice.payments.ledger import balances, disagreements
from boxoffice.payments.refunds import send_refund
from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.web.office import Office

PATIENCE_S = 30.0
"""No test takes that long, on the slowest machine."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, fake_gateway_authorise_first=True)


class Case:
    """An unpaid booking with an open session at a gateway that sets money aside first."""

    def __init__(self, office: Office, client: httpx.AsyncClient, pool: Pool) -> None:
        self.office, self.client, self.pool = office, client, pool

    async def open(self, seats: int = 2) -> "Case":
        self.show, self.buyer = await make.show(self.pool), await make.guest(self.client)
        self.booking = await make.booking(self.client, self.buyer, self.show, *self.show.seats[:seats])
        self.session = await make.session(self.client, self.buyer, self.booking["id"])
        self.id = UUID(self.booking["id"])
        return self

    async def authorise(self, session: dict[str, Any] | None = None) -> None:
        assert self.office.simulated is not None
        await self.office.simulated.decide((session or self.session)["sessionId"], EventType.SUCCESS)

    async def work(self) -> None:
        """What a job worker does: everything that was queued about money."""
        jobs = await self.pool.fetch(
            "DELETE FROM procrastinate_jobs WHERE task_name = $1 RETURNING args", SETTLE_AUTHORISATION
        )
        for job in jobs:
            args = {key: UUID(value) for key, value in job["args"].items()}
            await settle_authorisation(self.pool, self.office.gateways, args["show_id"], args["payment_id"])
        for refund in await self.pool.fetch("SELECT show_id, id FROM refund WHERE status = 'PENDING'"):
            await send_refund(self.pool, self.office.gateways, refund["show_id"], refund["id"])

    async def payments(self) -> list[str]:
        rows = await self.pool.fetch("SELECT status FROM payment WHERE booking_id = $1 ORDER BY created_at", self.id)
        return [row["status"] for row in rows]

    async def status(self) -> str:
        return await self.pool.fetchval("SELECT status FROM booking WHERE id = $1", self.id)

    async def at_the_gateway(self, session: dict[str, Any] | None = None) -> Standing:
        return await self.office.gateways["fake"].fetch((session or self.session)["sessionId"])

    async def lapse(self, left_s: float = -1.0) -> None:
        """The booking's time is over, or will be in so many seconds."""
        left = timedelta(seconds=left_s)
        await self.pool.execute("UPDATE booking SET expires_at = now() + $2::interval WHERE id = $1", self.id, left)
        await self.pool.execute(
            "UPDATE show_seat SET taken_until = now() + $2, revision = revision + 1 WHERE booking_id = $1",
            *(self.id, left),
        )

    async def left(self) -> timedelta:
        """How long its seats are its own, and its buyer is told so."""
        return await self.pool.fetchval(
            """SELECT least(b.expires_at, min(s.taken_until)) - now() FROM booking b
                 JOIN show_seat s ON s.show_id = b.show_id AND s.booking_id = b.id
                WHERE b.id = $1 GROUP BY b.expires_at""",
            self.id,
        )

    async def seats_shown(self) -> list[str]:
        answer = await self.client.get(f"/api/v1/seats/shows/{self.show.id}")
        seats = {seat["id"]: seat["status"] for seat in answer.json()["seats"]}
        return [seats[str(seat)] for seat in self.show.seats]

    async def money_is_right(self) -> None:
        """The promise: ours is what was captured and not given back; what is CONFIRMED has its seats."""
        async with self.pool.acquire() as conn:
            assert await disagreements(conn) == []
            assert sum(account.balance for account in await balances(conn)) == 0
        seats = await self.pool.fetchval(
            "SELECT count(*) FROM show_seat WHERE booking_id = $1 AND taken_until = 'infinity'", self.id
        )
        assert seats == (2 if await self.status() == "CONFIRMED" else 0)


@pytest.fixture
async def case(office: Office, client: httpx.AsyncClient, pool: Pool) -> Case:
    return await Case(office, client, pool).open()


async def test_nothing_is_confirmed_before_the_money_is_taken(case: Case) -> None:
    await case.authorise()
    assert (await case.status(), await case.payments()) == ("PENDING", ["AUTHORISED"])
    assert (await case.at_the_gateway()).state is SessionState.AUTHORISED
    await case.work()
    assert (await case.status(), await case.payments()) == ("CONFIRMED", ["SUCCEEDED"])
    assert (await case.at_the_gateway()).state is SessionState.PAID
    await case.money_is_right()


async def test_a_late_authorisation_with_the_seats_free_is_kept_then_taken(case: Case) -> None:
    await case.lapse()
    await expire_lapsed(case.pool)
    await case.authorise()
    assert (await case.status(), await case.payments()) == ("PENDING", ["AUTHORISED"])
    other = await make.guest(case.client)
    assert (await make.book(case.client, other, case.show, case.show.seats[0])).status_code == 409
    await case.work()
    assert await case.status() == "CONFIRMED"
    await case.money_is_right()


async def test_a_late_authorisation_with_a_seat_gone_is_let_go_and_nothing_refunded(case: Case) -> None:
    await case.lapse()
    other = await make.guest(case.client)
    await make.booking(case.client, other, case.show, case.show.seats[0])
    await case.authorise()
    assert await case.payments() == ["VOIDING"]
    await case.work()
    assert await case.payments() == ["VOIDED"]
    assert (await case.at_the_gateway()).state is SessionState.VOIDED
    assert await case.pool.fetchval("SELECT count(*) FROM refund") == 0
    await case.money_is_right()


async def test_what_is_to_be_let_go_is_not_taken_though_its_seats_come_free_meanwhile(case: Case) -> None:
    await case.lapse()
    other = await make.guest(case.client)
    theirs = await make.booking(case.client, other, case.show, case.show.seats[0])
    await case.authorise()
    await case.client.patch(f"/api/v1/bookings/{theirs['id']}/cancel", headers=other.headers)
    again = make.event(case.session, case.booking["id"], "payment.authorised")
    assert (await make.deliver(case.client, again)).json() == {"status": "ignored"}
    assert await case.payments() == ["VOIDING"]
    await case.work()
    assert (await case.payments(), await case.status()) == (["VOIDED"], "PENDING")
    await case.money_is_right()


async def test_who_cancels_while_the_money_is_being_taken_gets_it_let_go(case: Case) -> None:
    await case.authorise()
    cancelled = await case.client.patch(f"/api/v1/bookings/{case.id}/cancel", headers=case.buyer.headers)
    assert cancelled.status_code == 200
    await case.work()
    assert (await case.status(), await case.payments()) == ("CANCELLED", ["VOIDED"])
    await case.money_is_right()


async def test_a_second_authorisation_is_let_go_while_the_first_is_taken(case: Case) -> None:
    first = case.session
    await case.pool.execute("UPDATE payment SET status = 'FAILED', settled_at = now()")
    second = await make.session(case.client, case.buyer, case.booking["id"])
    await case.authorise(first)
    await case.authorise(second)
    assert await case.payments() == ["AUTHORISED", "VOIDING"]
    await case.work()
    assert await case.payments() == ["SUCCEEDED", "VOIDED"]
    assert (await case.at_the_gateway(second)).state is SessionState.VOIDED
    assert await case.status() == "CONFIRMED"
    await case.money_is_right()


async def test_asking_for_a_session_while_the_money_is_taken_opens_no_other(case: Case) -> None:
    await case.authorise()
    assert (await make.session(case.client, case.buyer, case.booking["id"]))["sessionId"] == case.session["sessionId"]


async def test_the_events_of_one_authorisation_take_effect_once(case: Case) -> None:
    event = make.event(case.session, case.booking["id"], "payment.authorised", amount=2 * make.PRICE)
    answers = await asyncio.gather(*(make.deliver(case.client, event) for _ in range(8)))
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 7 + ["processed"]
    queued = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = $1"
    assert await case.pool.fetchval(queued, SETTLE_AUTHORISATION) == 1


@pytest.mark.parametrize("kind", ["payment.failed", "payment.expired"])
async def test_what_was_so_before_the_authorisation_and_is_told_after_it_loses_nothing(case: Case, kind: str) -> None:
    await case.authorise()
    late = make.event(case.session, case.booking["id"], kind)
    assert (await make.deliver(case.client, late)).json() == {"status": "ignored"}
    assert (await case.status(), await case.payments()) == ("PENDING", ["AUTHORISED"])
    await case.work()
    assert (await case.status(), await case.payments()) == ("CONFIRMED", ["SUCCEEDED"])
    await case.money_is_right()


async def test_who_learns_of_a_void_before_its_authorisation_lets_the_buyer_pay_again(case: Case, wire: Any) -> None:
    receiver, wire.other_end = wire.other_end, None
    await case.authorise()
    await case.office.gateways["fake"].void(case.session["sessionId"])
    wire.other_end = receiver
    voided = make.event(case.session, case.booking["id"], "payment.voided")
    assert (await make.deliver(case.client, voided)).json() == {"status": "processed"}
    assert (await case.status(), await case.payments()) == ("PENDING", ["VOIDED"])
    late = make.event(case.session, case.booking["id"], "payment.authorised")
    assert (await make.deliver(case.client, late)).json() == {"status": "ignored"}
    again = await make.session(case.client, case.buyer, case.booking["id"])
    assert again["sessionId"] != case.session["sessionId"]


class Moody:
    """The gateway, whose answers to a capture are lost, or which does not hear it, or takes what it was to let go."""

    def __init__(self, inner: Gateway, *, lost: bool = False, lies: bool = False, silent: bool = False) -> None:
        self.inner, self.lost, self.lies, self.silent = inner, lost, lies, silent
        self.name, self.page_origins, self.captures_at_once = inner.name, inner.page_origins, inner.captures_at_once
        self.open_session, self.refund, self.verify = inner.open_session, inner.refund, inner.verify
        self.fetch, self.close = inner.fetch, inner.close

    async def capture(self, request: CaptureRequest) -> Standing:
        if self.silent:
            raise GatewayDownError("no answer, and nothing done")
        standing = await self.inner.capture(request)
        if self.lost:
            raise GatewayDownError("done, and no answer")
        return standing

    async def void(self, session_id: str) -> Standing:
        if self.lies:
            held = await self.inner.fetch(session_id)
            capture = CaptureRequest(
                payment_id=UUID(int=0), session_id=session_id, amount=held.amount, currency=held.currency
            )
            await self.inner.capture(capture)
        return await self.inner.void(session_id)


async def test_a_capture_without_an_answer_is_asked_again_and_the_seats_are_kept_meanwhile(
    case: Case, wire: Any
) -> None:
    await case.authorise()
    wire.other_end = None
    honest = case.office.gateways["fake"]
    case.office.gateways["fake"] = Moody(honest, lost=True)
    job = (case.show.id, UUID(case.session["paymentId"]))
    with pytest.raises(GatewayDownError):
        await settle_authorisation(case.pool, case.office.gateways, *job)
    assert (await case.status(), await case.payments()) == ("PENDING", ["AUTHORISED"])
    await case.lapse()
    case.office.gateways["fake"] = honest
    await settle_authorisation(case.pool, case.office.gateways, *job)
    assert await case.status() == "CONFIRMED"
    await case.money_is_right()


async def test_each_attempt_to_take_the_money_keeps_the_seats_for_longer_than_to_the_next(
    case: Case, wire: Any
) -> None:
    shortest = CAPTURE_LEASE - timedelta(seconds=PATIENCE_S)
    await case.lapse(left_s=PATIENCE_S)
    await case.authorise()
    assert await case.left() > shortest
    await case.lapse(left_s=PATIENCE_S)
    wire.other_end = None
    lost: dict[str, Gateway] = {"fake": Moody(case.office.gateways["fake"], lost=True)}
    with pytest.raises(GatewayDownError):
        await settle_authorisation(case.pool, lost, case.show.id, UUID(case.session["paymentId"]))
    assert await case.left() > shortest


async def test_seats_that_come_back_show_at_once_though_the_gateway_has_not_answered(case: Case, wire: Any) -> None:
    await case.authorise()
    await case.lapse()
    wire.other_end = None
    case.office.hot_maps.changed(case.show.id)
    assert (await case.seats_shown())[:2] == ["available", "available"]
    lost: dict[str, Gateway] = {"fake": Moody(case.office.gateways["fake"], lost=True)}
    job = (case.show.id, UUID(case.session["paymentId"]))
    with pytest.raises(GatewayDownError):
        await settle_authorisation(case.pool, lost, *job, case.office.hot_maps.changed)
    assert (await case.seats_shown())[:2] == ["booked", "booked"]


@pytest.mark.parametrize("told", ["to take it", "that it was taken"])
async def test_a_show_that_is_over_seats_nobody_however_long_the_gateway_was_away(
    case: Case, wire: Any, told: str
) -> None:
    """Each attempt to take the money has kept the seats for longer, as if the buyer were in time."""
    await case.authorise()
    wire.other_end = None
    honest = case.office.gateways["fake"]
    case.office.gateways["fake"] = Moody(honest, lost=told == "that it was taken", silent=told == "to take it")
    with pytest.raises(GatewayDownError):
        await case.work()
    assert await case.left() > timedelta(minutes=4)
    await make.begin(case.pool, case.show, ago=timedelta(hours=3))
    case.office.gateways["fake"] = honest
    await settle_authorisation(case.pool, case.office.gateways, case.show.id, UUID(case.session["paymentId"]))
    assert await case.status() == "PENDING"
    if told == "to take it":
        assert await case.payments() == ["VOIDED"]
        assert (await case.at_the_gateway()).state is SessionState.VOIDED
        assert await case.pool.fetchval("SELECT count(*) FROM refund") == 0
    else:
        assert await case.payments() == ["SUCCEEDED"]
        assert await case.pool.fetchval("SELECT reason FROM refund") == "paid_too_late"
        await case.work()
        assert (await case.at_the_gateway()).refunded_amount == 2 * make.PRICE
    await case.money_is_right()


async def test_money_that_was_taken_instead_of_let_go_is_refunded(case: Case) -> None:
    await case.lapse()
    other = await make.guest(case.client)
    await make.booking(case.client, other, case.show, case.show.seats[0])
    await case.authorise()
    case.office.gateways["fake"] = Moody(case.office.gateways["fake"], lies=True)
    await case.work()
    assert await case.payments() == ["SUCCEEDED"]
    assert await case.pool.fetchval("SELECT reason FROM refund") == "paid_too_late"
    await case.work()
    assert (await case.at_the_gateway()).refunded_amount == 2 * make.PRICE
    await case.money_is_right()


@pytest.mark.parametrize("run", range(6))
async def test_taking_letting_go_cancelling_and_expiring_at_once_end_seated_or_unpaid(case: Case, run: int) -> None:
    if run % 2:
        await case.lapse()
    other = await make.guest(case.client)
    await asyncio.gather(
        case.authorise(),
        expire_lapsed(case.pool),
        case.client.patch(f"/api/v1/bookings/{case.id}/cancel", headers=case.buyer.headers),
        make.book(case.client, other, case.show, *case.show.seats[:2]),
    )
    job = (case.show.id, UUID(case.session["paymentId"]))
    await asyncio.gather(*(settle_authorisation(case.pool, case.office.gateways, *job) for _ in range(4)))
    await case.work()
    await case.work()
    standing = await case.at_the_gateway()
    assert standing.state.final
    kept = standing.amount - standing.refunded_amount if standing.state is SessionState.PAID else 0
    assert (kept > 0) is (await case.status() == "CONFIRMED")
    await case.money_is_right()


@pytest.mark.parametrize("said", [SessionState.FAILED, SessionState.EXPIRED, SessionState.VOIDED])
async def test_what_the_gateway_has_let_go_by_itself_can_be_paid_again(case: Case, said: SessionState) -> None:
    await case.authorise()
    case.office.gateways["fake"] = Gone(case.office.gateways["fake"], said)
    await case.work()
    assert (await case.status(), await case.payments()) == ("PENDING", ["VOIDED"])
    again = await make.session(case.client, case.buyer, case.booking["id"])
    assert again["sessionId"] != case.session["sessionId"]


class Gone(Moody):
    """The gateway, where what was set aside is no more: it refuses to take it, and says so when it is asked."""

    def __init__(self, inner: Gateway, state: SessionState) -> None:
        super().__init__(inner)
        self.state = state
        self.fetch = self.says

    async def capture(self, request: CaptureRequest) -> Standing:
        raise GatewayRefusedError(f"there is nothing to take of {request.session_id}")

    async def says(self, session_id: str) -> Standing:
        return msgspec.structs.replace(await self.inner.fetch(session_id), state=self.state)
