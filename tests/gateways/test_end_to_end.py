"""A purchase through each real gateway's own forms, from the session to the refund, over our HTTP and their doubles."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import make
import msgspec
import pytest
import structlog
from razorpay_double import RazorpayDouble
from rigs import Line, RazorpayRig, StripeRig
from stripe_double import StripeDouble

from boxoffice.bookings.authorisation import SETTLE_AUTHORISATION
from boxoffice.bookings.capture import settle_authorisation
from boxoffice.bookings.reconciliation import reconcile_unfinished
from boxoffice.payments.gateway import EventType, GatewayDownError, GatewayRefusedError, SessionState
from boxoffice.payments.ledger import disagreements
from boxoffice.payments.refunds import send_refund
from boxoffice.payments.stripe_money import from_stripe, to_stripe
from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.web.office import Office

Bench = StripeRig | RazorpayRig


@pytest.fixture(params=["checkout", "payment_intent", "razorpay"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def settings(settings: Settings, way: str) -> Settings:
    name = "razorpay" if way == "razorpay" else "stripe"
    return msgspec.structs.replace(settings, payment_gateway=name)


@pytest.fixture
async def bench(way: str, office: Office) -> AsyncIterator[Bench]:
    """The gateway in the office, before its double."""
    if way == "razorpay":
        theirs = RazorpayDouble()
        line = Line(theirs.transport())
        async with httpx.AsyncClient(transport=line) as http:
            made: Bench = RazorpayRig(http, line, theirs)
            office.gateways["razorpay"] = made.gateway
            yield made
        return
    double = StripeDouble()
    line = Line(double.transport())
    async with httpx.AsyncClient(transport=line) as http:
        made = StripeRig(http, line, double, "checkout" if way == "checkout" else "payment_intent")
        office.gateways["stripe"] = made.gateway
        yield made


class Purchase:
    """An unpaid booking with an open session at the gateway."""

    def __init__(self, office: Office, client: httpx.AsyncClient, bench: Bench, pool: Pool) -> None:
        self.office, self.client, self.bench, self.pool = office, client, bench, pool
        self.told = 0

    async def book(self) -> "Purchase":
        self.show, self.buyer = await make.show(self.pool), await make.guest(self.client)
        self.booking = await make.booking(self.client, self.buyer, self.show, *self.show.seats[:2])
        return self

    async def open(self) -> "Purchase":
        self.session = await make.session(self.client, self.buyer, self.booking["id"])
        return self

    async def cancel(self) -> None:
        path = f"/api/v1/bookings/{self.booking['id']}/cancel"
        assert (await self.client.patch(path, headers=self.buyer.headers)).status_code == 200

    async def hear(self, *, backwards: bool = False) -> list[str]:
        """Everything that the gateway has told since, each event twice."""
        fresh = (await self.bench.told())[self.told :]
        self.told += len(fresh)
        said: list[str] = []
        for headers, body in reversed(fresh) if backwards else fresh:
            for _ in range(2):
                answer = await self.client.post(
                    f"/api/v1/payments/webhook/{self.bench.gateway.name}", content=body, headers=headers
                )
                assert answer.status_code == 200, answer.text
                said.append(answer.json()["status"])
        return said

    async def work(self) -> None:
        jobs = await self.pool.fetch(
            "DELETE FROM procrastinate_jobs WHERE task_name = $1 RETURNING args", SETTLE_AUTHORISATION
        )
        for job in jobs:
            args = {key: UUID(value) for key, value in job["args"].items()}
            await settle_authorisation(self.pool, self.office.gateways, args["show_id"], args["payment_id"])
        for refund in await self.pool.fetch("SELECT show_id, id FROM refund WHERE status = 'PENDING'"):
            await send_refund(self.pool, self.office.gateways, refund["show_id"], refund["id"])

    async def seen(self) -> tuple[str, str]:
        found = await make.see(self.client, self.buyer, self.booking["id"])
        return found["status"], found["payment"]["status"]

    async def refunds(self) -> list[str]:
        return [refund["status"] for refund in await self.pool.fetch("SELECT status FROM refund ORDER BY created_at")]

    async def looked_for(self) -> list[str]:
        """What is shown to a person."""
        shown = "SELECT outcome FROM payment_event WHERE needs_look ORDER BY received_at"
        return [event["outcome"] for event in await self.pool.fetch(shown)]

    async def ledger_agrees(self) -> bool:
        async with self.pool.acquire() as conn:
            return await disagreements(conn) == []


@pytest.fixture
async def purchase(office: Office, client: httpx.AsyncClient, bench: Bench, pool: Pool) -> Purchase:
    return await (await Purchase(office, client, bench, pool).book()).open()


@pytest.fixture
async def to_refund(purchase: Purchase) -> Purchase:
    """A booking that was paid, and given back by its buyer; the gateway has not been asked."""
    await purchase.bench.pay(purchase.session["sessionId"])
    await purchase.hear()
    await purchase.work()
    await purchase.hear()
    path = f"/api/v1/payments/refund/{purchase.booking['id']}"
    assert (await purchase.client.post(path, headers=purchase.buyer.headers)).status_code == 200
    return purchase


@pytest.fixture
async def unanswered(office: Office, client: httpx.AsyncClient, bench: Bench, pool: Pool) -> Purchase:
    """A booking whose session was opened at the gateway, which we were not told."""
    purchase = await Purchase(office, client, bench, pool).book()
    bench.be("change_lost")
    asked = {"bookingId": purchase.booking["id"]}
    answer = await client.post("/api/v1/payments/initiate", json=asked, headers=purchase.buyer.headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
    assert not any(told in answer.text for one in bench.way_to_pay().items() for told in one)
    bench.be("answers")
    return purchase


async def test_bought_and_given_back_in_parts(purchase: Purchase) -> None:
    await purchase.bench.decline(purchase.session["sessionId"])
    assert set(await purchase.hear()) <= {"ignored"}
    await purchase.bench.pay(purchase.session["sessionId"])
    await purchase.hear()
    await purchase.work()
    await purchase.hear()
    assert await purchase.seen() == ("CONFIRMED", "SUCCEEDED")
    for seat in purchase.show.seats[:2]:
        answer = await purchase.client.post(
            f"/api/v1/payments/refund/{purchase.booking['id']}",
            json={"showSeatIds": [str(seat)]},
            headers=purchase.buyer.headers,
        )
        assert answer.status_code == 200, answer.text
        await purchase.work()
        await purchase.hear(backwards=True)
    assert await purchase.seen() == ("REFUNDED", "REFUNDED")
    standing = await purchase.bench.gateway.fetch(purchase.session["sessionId"])
    assert standing.refunded_amount == 2 * make.PRICE
    assert await purchase.ledger_agrees()


async def test_events_out_of_order_end_the_same(purchase: Purchase) -> None:
    await purchase.bench.pay(purchase.session["sessionId"])
    await reconcile_unfinished(purchase.pool, purchase.office.gateways, patience=timedelta(0))
    await purchase.work()
    await purchase.hear(backwards=True)
    assert await purchase.seen() == ("CONFIRMED", "SUCCEEDED")
    assert await purchase.pool.fetchval("SELECT count(*) FROM refund") == 0
    assert await purchase.ledger_agrees()


async def test_a_booking_that_ended_has_its_page_closed_at_the_gateway(purchase: Purchase) -> None:
    await purchase.cancel()
    assert (await reconcile_unfinished(purchase.pool, purchase.office.gateways)).mended == 1
    assert (await purchase.bench.gateway.fetch(purchase.session["sessionId"])).state.final
    assert (await purchase.seen())[0] == "CANCELLED"


async def test_a_session_whose_answer_was_lost_is_found_and_closed_with_its_booking(unanswered: Purchase) -> None:
    await unanswered.open()
    assert list(unanswered.bench.way_to_pay()) == [unanswered.session["sessionId"]]
    await unanswered.cancel()
    assert (await reconcile_unfinished(unanswered.pool, unanswered.office.gateways)).mended == 1
    assert (await unanswered.bench.gateway.fetch(unanswered.session["sessionId"])).state.final


async def test_a_session_whose_answer_was_lost_for_good_can_be_paid_by_nobody(unanswered: Purchase) -> None:
    """It is open there until its own time is over; nobody was told the way, and all that comes of it is its end."""
    ((session_id, way),) = unanswered.bench.way_to_pay().items()
    await unanswered.cancel()
    assert (await reconcile_unfinished(unanswered.pool, unanswered.office.gateways)).mended == 1
    status, bookings = "/api/v1/payments/status/", "/api/v1/bookings/"
    for path in (status, bookings):
        said = await unanswered.client.get(f"{path}{unanswered.booking['id']}", headers=unanswered.buyer.headers)
        assert said.status_code == 200
        assert session_id not in said.text
        assert way not in said.text
    asked = {"bookingId": unanswered.booking["id"]}
    answer = await unanswered.client.post("/api/v1/payments/initiate", json=asked, headers=unanswered.buyer.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "booking_not_payable")

    assert (await unanswered.bench.gateway.fetch(session_id)).state is SessionState.OPEN
    await unanswered.bench.gateway.close(session_id)
    with structlog.testing.capture_logs() as logged:
        assert await unanswered.hear() == ["ignored", "duplicate"]
    assert [entry["log_level"] for entry in logged if "no session" in entry["event"]] == ["info"] * 2
    assert (await unanswered.seen()) == ("CANCELLED", "FAILED")


async def test_money_of_a_session_that_we_never_knew_of_alarms_somebody(unanswered: Purchase) -> None:
    """Who works here may still find it in the gateway's own office, and have it paid."""
    (session_id,) = unanswered.bench.way_to_pay()
    await unanswered.bench.pay(session_id)
    with structlog.testing.capture_logs() as logged:
        await unanswered.hear()
    assert "error" in [entry["log_level"] for entry in logged if "no session" in entry["event"]]
    assert await unanswered.pool.fetchval("SELECT count(*) FROM stray_event WHERE session_id = $1", session_id) == 1


async def test_a_forged_event_is_401_and_nothing_happens(purchase: Purchase) -> None:
    await purchase.bench.pay(purchase.session["sessionId"])
    for _, body in await purchase.bench.told():
        forged = purchase.bench.signed(body, secret="whsec_somebody_elses")
        answer = await purchase.client.post(
            f"/api/v1/payments/webhook/{purchase.bench.gateway.name}", content=body, headers=forged
        )
        assert answer.status_code == 401
    assert (await purchase.seen())[0] == "PENDING"


async def test_a_dispute_waits_for_a_person(purchase: Purchase) -> None:
    if not isinstance(purchase.bench, StripeRig):
        pytest.skip("the double of Razorpay has no disputes")
    await purchase.bench.pay(purchase.session["sessionId"])
    await purchase.hear()
    await purchase.work()
    await purchase.hear()
    purchase.bench.double.dispute(purchase.session["sessionId"])
    assert await purchase.hear() == ["processed", "duplicate"]
    kept = await purchase.pool.fetchrow(
        "SELECT outcome, needs_look FROM payment_event WHERE event_type = $1", EventType.DISPUTED
    )
    assert kept is not None
    assert (kept["outcome"], kept["needs_look"]) == ("disputed", True)
    assert await purchase.seen() == ("CONFIRMED", "SUCCEEDED")


async def test_a_refund_that_does_not_arrive_is_owed_again(purchase: Purchase) -> None:
    if not isinstance(purchase.bench, StripeRig):
        pytest.skip("at Razorpay a refund that was processed does not fail")
    await purchase.bench.pay(purchase.session["sessionId"])
    await purchase.hear()
    await purchase.work()
    purchase.bench.double.refund_status = "pending"
    await purchase.client.post(f"/api/v1/payments/refund/{purchase.booking['id']}", headers=purchase.buyer.headers)
    await purchase.work()
    (refund_id,) = purchase.bench.double.refunds
    for status, ours in (("succeeded", "SUCCEEDED"), ("failed", "FAILED")):
        purchase.bench.double.finish_refund(refund_id, status)
        await purchase.hear()
        assert await purchase.pool.fetchval("SELECT status FROM refund") == ours
        assert await purchase.ledger_agrees()


PAID_OUT = {
    StripeRig: "insufficient_balance_for_refund",
    RazorpayRig: "Your account does not have enough balance to carry out the refund operation.",
}
FORBIDDEN = {StripeRig: "refund_disputed_payment", RazorpayRig: "Refunds cannot be created on your account."}


async def test_a_refund_that_our_account_is_too_poor_for_waits_until_it_is_not(to_refund: Purchase) -> None:
    double = to_refund.bench.double
    double.refuses = PAID_OUT[type(to_refund.bench)]
    for _ in range(2):
        with pytest.raises(GatewayDownError, match="will not now"):
            await to_refund.work()
    assert await to_refund.refunds() == ["PENDING"]
    double.refuses = ""
    if isinstance(double, StripeDouble):
        double.a_day_passes()
    await to_refund.work()
    assert await to_refund.refunds() == ["SUCCEEDED"]
    assert await to_refund.ledger_agrees()


async def test_a_refund_that_was_refused_and_is_told_of_after_all_is_settled(to_refund: Purchase) -> None:
    bench, session_id = to_refund.bench, to_refund.session["sessionId"]
    bench.double.refuses = FORBIDDEN[type(bench)]
    await to_refund.work()
    assert await to_refund.refunds() == ["FAILED"]
    refund_id = await to_refund.pool.fetchval("SELECT id FROM refund")
    about = {"refund_id": str(refund_id), "session_id": session_id}
    bench.double.refuses = ""
    bench.double.give_back(session_id, 2 * make.PRICE, about)
    assert await to_refund.hear() == ["processed", "duplicate"]
    assert await to_refund.refunds() == ["SUCCEEDED"]
    assert await to_refund.ledger_agrees()


async def test_money_given_back_at_the_gateway_by_somebody_else_is_shown_to_a_person(to_refund: Purchase) -> None:
    """The echo of a refund of ours is not; and one that a person has settled, and that was done after all, is."""
    bench, session_id = to_refund.bench, to_refund.session["sessionId"]
    bench.double.refuses = FORBIDDEN[type(bench)]
    await to_refund.work()
    assert await to_refund.looked_for() == []
    bench.double.refuses = ""
    bench.double.give_back(session_id, 100)
    assert await to_refund.hear() == ["ignored", "duplicate"]
    assert await to_refund.looked_for() == ["no_such_refund_pending"]
    await to_refund.pool.execute(
        "UPDATE refund SET amount = amount - 100, original_amount = amount, resolved_at = now()"
    )
    about = {"refund_id": str(await to_refund.pool.fetchval("SELECT id FROM refund")), "session_id": session_id}
    bench.double.give_back(session_id, 2 * make.PRICE - 100, about)
    await to_refund.hear()
    assert (await to_refund.looked_for())[1:] == ["refund_succeeded: settled by a person before"]


async def test_a_refund_of_ours_that_is_told_again_is_shown_to_nobody(to_refund: Purchase) -> None:
    await to_refund.work()
    double = to_refund.bench.double
    ref: str = await to_refund.pool.fetchval("SELECT gateway_ref FROM refund")
    double.finish_refund(ref, "succeeded" if isinstance(double, StripeDouble) else "processed")
    assert "processed" not in await to_refund.hear()
    assert await to_refund.looked_for() == []


async def test_a_refund_that_failed_does_not_succeed_by_what_is_told_late(to_refund: Purchase) -> None:
    """It had succeeded first, or so it was told, and failed afterwards: the two are heard the other way round."""
    double = to_refund.bench.double
    double.refund_status = "pending"
    await to_refund.work()
    ref: str = await to_refund.pool.fetchval("SELECT gateway_ref FROM refund")
    assert set(await to_refund.hear()) <= {"ignored"}
    double.finish_refund(ref, "succeeded" if isinstance(double, StripeDouble) else "processed")
    double.finish_refund(ref, "failed")
    assert await to_refund.hear(backwards=True) == ["processed", "duplicate", "ignored", "duplicate"]
    assert await to_refund.refunds() == ["FAILED"]
    assert await to_refund.ledger_agrees()


@pytest.mark.parametrize("ends", ["SUCCEEDED", "FAILED"])
async def test_how_a_refund_ended_is_asked_for_where_nobody_told(to_refund: Purchase, ends: str) -> None:
    double = to_refund.bench.double
    double.refund_status = "pending"
    await to_refund.work()
    ref: str = await to_refund.pool.fetchval("SELECT gateway_ref FROM refund")
    done = "succeeded" if isinstance(double, StripeDouble) else "processed"
    double.finish_refund(ref, done if ends == "SUCCEEDED" else "failed")
    await reconcile_unfinished(to_refund.pool, to_refund.office.gateways)
    assert await to_refund.refunds() == ["PENDING"]
    await to_refund.pool.execute("UPDATE refund SET created_at = created_at - interval '11 minutes'")
    await reconcile_unfinished(to_refund.pool, to_refund.office.gateways)
    assert await to_refund.refunds() == [ends]
    assert await to_refund.ledger_agrees()


async def test_a_refund_that_was_made_and_failed_at_once_is_failed_for_good(to_refund: Purchase) -> None:
    double = to_refund.bench.double
    double.refund_status = "failed"
    await to_refund.work()
    assert await to_refund.refunds() == ["FAILED"]
    ref: str = await to_refund.pool.fetchval("SELECT gateway_ref FROM refund")
    double.finish_refund(ref, "succeeded" if isinstance(double, StripeDouble) else "processed")
    await to_refund.hear()
    assert await to_refund.refunds() == ["FAILED"]
    assert await to_refund.ledger_agrees()


def test_amounts_are_counted_as_stripe_counts_them() -> None:
    cases: dict[str, tuple[int, int]] = {
        "INR": (25_000, 25_000),
        "JPY": (500, 500),
        "KRW": (12_000, 12_000),
        "ISK": (500, 50_000),
        "UGX": (500, 50_000),
        "MGA": (50_000, 500),
        "KWD": (5_120, 5_120),
    }
    for currency, (ours, theirs) in cases.items():
        assert to_stripe(ours, currency) == theirs
        assert from_stripe(theirs, currency.lower()) == ours
    for currency, amount in (("KWD", 5_123), ("MGA", 50_001)):
        with pytest.raises(GatewayRefusedError):
            to_stripe(amount, currency)
