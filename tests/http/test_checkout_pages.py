"""A booking's one page, through all of its life: to pay, waiting, declined, late, ticket, over; and nobody else's."""

from datetime import timedelta
from uuid import uuid4

import httpx
import make
import msgspec
import pytest
from ground import Wire
from visitor import Visitor

from boxoffice.payments.gateway import (
    EventType,
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    Session,
    SessionRequest,
)
from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.web.office import Office


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    """Somebody with a session."""
    return await Visitor(client, office).become_guest()


async def session_of(pool: Pool, booking_id: str) -> str:
    """The session id of the booking's latest payment."""
    found: str | None = await pool.fetchval(
        "SELECT session_id FROM payment WHERE booking_id = $1 ORDER BY created_at DESC LIMIT 1", booking_id
    )
    assert found is not None
    return found


async def decide(office: Office, pool: Pool, booking_id: str, decision: EventType) -> None:
    """At the gateway; its webhook reaches us unless the wire is cut."""
    assert office.simulated is not None
    await office.simulated.decide(await session_of(pool, booking_id), decision)


async def test_checkout_says_what_it_is_what_it_costs_and_how_long(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, *show.seats[:2])

    page = await visitor.get(f"/bookings/{booking_id}")

    assert page.status_code == 200
    assert page.headers["cache-control"] == "private, no-store"
    for words in (
        "Sholay",
        "Regal, Mumbai",
        "Screen 1",
        "Seat A1",
        "Seat A2",
        "₹250",
        "Booking fee",
        "none",
        "₹500",
        "IST",
    ):
        assert words in visitor.text, words
    assert 'data-stage="to-pay"' in page.text
    assert 'data-seconds-left="8' in page.text  # of 900
    assert "Pay ₹500" in visitor.text


async def test_pay_leads_to_one_session_however_often_it_is_pressed(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    sent = [await visitor.post(f"/bookings/{booking_id}/pay") for _ in range(3)]
    assert [answer.status_code for answer in sent] == [303] * 3
    assert len({answer.headers["location"] for answer in sent}) == 1
    gateway = await visitor.get(sent[0].headers["location"].removeprefix("http://box-office.test"))
    assert f"http://box-office.test/bookings/{booking_id}?outcome=cancelled" in gateway.text
    back = await visitor.get(f"/bookings/{booking_id}?outcome=cancelled")
    assert "You came back without paying" in visitor.text
    assert 'data-stage="to-pay"' in back.text


async def test_from_pay_to_the_ticket(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, *show.seats[:2])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await decide(office, pool, booking_id, EventType.SUCCESS)

    page = await visitor.get(f"/bookings/{booking_id}?outcome=paid")

    assert 'data-stage="ticket"' in page.text
    assert page.text.count('class="qr"') == 2
    for words in ("Your tickets", "Sholay", "Regal, Mumbai", "Screen 1", "Row A", "Seat 1", "Seat 2"):
        assert words in visitor.text, words
    for link in ("tickets.pdf", "calendar.ics", "refund"):
        assert f'href="/bookings/{booking_id}/{link}"' in page.text
    assert page.headers["cache-control"] == "private, no-store"
    paid_again = await visitor.post(f"/bookings/{booking_id}/pay")
    assert (paid_again.status_code, paid_again.headers["location"]) == (303, f"/bookings/{booking_id}")


@pytest.mark.parametrize(
    ("decision", "said", "then"),
    [(EventType.SUCCESS, "paid", "ticket"), (EventType.FAILED, "declined", "declined")],
)
async def test_until_the_gateway_has_told_the_page_waits_and_says_so(
    visitor: Visitor, office: Office, pool: Pool, wire: Wire, decision: EventType, said: str, then: str
) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    connected, wire.other_end = wire.other_end, None
    await decide(office, pool, booking_id, decision)

    page = await visitor.get(f"/bookings/{booking_id}?outcome={said}")
    assert 'data-stage="waiting"' in page.text
    assert "We are waiting for its confirmation" in visitor.text
    assert "did not go through" not in visitor.text
    assert '<noscript><meta http-equiv="refresh" content="4"></noscript>' in page.text
    state = (await visitor.get(f"/bookings/{booking_id}/state?outcome={said}", Accept="application/json")).json()
    assert state["stage"] == "waiting"
    assert visitor.page.headers["cache-control"] == "private, no-store"
    assert 880 < state["secondsLeft"] <= 900

    wire.other_end = connected
    body = await pool.fetchval("SELECT body FROM fake_delivery")
    assert connected is not None
    async with httpx.AsyncClient(transport=connected, base_url="http://box-office.test") as gateway:
        assert (await make.deliver(gateway, body)).json() == {"status": "processed"}
    state = (await visitor.get(f"/bookings/{booking_id}/state?outcome={said}", Accept="application/json")).json()
    assert state["stage"] == then


async def test_money_that_is_set_aside_is_waited_for_whatever_was_said(
    visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await pool.execute("UPDATE payment SET status = 'AUTHORISED' WHERE booking_id = $1", booking_id)
    for said in ("", "?outcome=declined", "?outcome=cancelled"):
        page = await visitor.get(f"/bookings/{booking_id}{said}")
        assert 'data-stage="waiting"' in page.text
        assert "Your money is set aside" in visitor.text
        assert "not completed" not in visitor.text


async def test_names_are_text_wherever_they_stand(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    nasty = "<script>alert(1)</script>&\"'"
    await pool.execute("UPDATE booking_seat SET row_label = $1", nasty)
    await pool.execute("UPDATE movie SET title = $1", nasty)
    await pool.execute("UPDATE theatre SET name = $1", nasty)
    await pool.execute("UPDATE screen SET name = $1", nasty)
    pages = [await visitor.get(f"/bookings/{booking_id}"), await visitor.get("/bookings")]
    await visitor.post(f"/bookings/{booking_id}/pay")
    await visitor.get(f"/bookings/{booking_id}?outcome=%3Cscript%3Ealert(1)")
    pages += [visitor.page, await visitor.get(f"/bookings/{booking_id}?outcome=paid")]
    await decide(office, pool, booking_id, EventType.SUCCESS)
    pages += [await visitor.get(f"/bookings/{booking_id}{path}") for path in ("", "/refund")]
    assert [page.status_code for page in pages] == [200] * 6
    for page in pages:
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text


async def test_declined_then_paid(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await decide(office, pool, booking_id, EventType.FAILED)

    page = await visitor.get(f"/bookings/{booking_id}?outcome=declined")
    assert 'data-stage="declined"' in page.text
    assert "The payment did not go through." in visitor.text
    assert "Nothing was charged" in visitor.text
    assert 'data-seconds-left="1' in page.text  # five minutes more: 1,200 s

    first = await session_of(pool, booking_id)
    await visitor.post(f"/bookings/{booking_id}/pay")
    assert await session_of(pool, booking_id) != first
    await decide(office, pool, booking_id, EventType.SUCCESS)
    assert 'data-stage="ticket"' in (await visitor.get(f"/bookings/{booking_id}?outcome=paid")).text


async def test_time_ran_out(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await make.lapse(pool, show)

    late = await visitor.post(f"/bookings/{booking_id}/pay")
    assert (late.status_code, late.headers["location"]) == (303, f"/bookings/{booking_id}")
    page = await visitor.get(f"/bookings/{booking_id}")
    assert 'data-stage="expired"' in page.text
    assert "The time to pay is over" in visitor.text
    assert "Nothing was charged" in visitor.text
    assert f'href="/shows/{show.id}"' in page.text
    assert "data-poll-s" not in page.text


async def test_paid_too_late_is_told_kindly_and_refunded_by_itself(
    visitor: Visitor, client: httpx.AsyncClient, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await make.lapse(pool, show)

    page = await visitor.get(f"/bookings/{booking_id}?outcome=paid")
    assert 'data-stage="late"' in page.text
    assert "you get your seats if they are still free, or all of your money back" in visitor.text
    page = await visitor.get(f"/bookings/{booking_id}")
    assert 'data-stage="expired"' in page.text
    assert "data-poll-s" in page.text
    assert "Nothing was charged" not in visitor.text

    quicker = await make.guest(client)
    await make.paid_booking(client, quicker, show, show.seats[0])
    await decide(office, pool, booking_id, EventType.SUCCESS)
    page = await visitor.get(f"/bookings/{booking_id}?outcome=paid")
    assert 'data-stage="money-back"' in page.text
    assert "All of your money goes back to you by itself" in visitor.text
    assert "₹250" in visitor.text
    assert "On its way" in visitor.text


async def test_cancelling_and_paying_all_the_same(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await visitor.get(f"/bookings/{booking_id}")
    for _ in range(2):
        sent = await visitor.post(f"/bookings/{booking_id}/cancel")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/bookings/{booking_id}")
    await visitor.get(f"/bookings/{booking_id}")
    assert "Your booking is cancelled" in visitor.text
    await decide(office, pool, booking_id, EventType.SUCCESS)
    await visitor.get(f"/bookings/{booking_id}")
    assert "A payment came after this booking was cancelled" in visitor.text


async def test_tickets_are_taken_along_once_there_are_any(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    for name in ("tickets.pdf", "calendar.ics"):
        early = await visitor.get(f"/bookings/{booking_id}/{name}")
        assert (early.status_code, early.headers["location"]) == (303, f"/bookings/{booking_id}")
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await decide(office, pool, booking_id, EventType.SUCCESS)
    for name, begins in (("tickets.pdf", b"%PDF-"), ("calendar.ics", b"BEGIN:VCALENDAR")):
        taken = await visitor.get(f"/bookings/{booking_id}/{name}")
        assert taken.status_code == 200
        assert taken.content.startswith(begins)
        assert taken.headers["cache-control"] == "private, no-store"


async def test_a_paid_booking_is_not_cancelled(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    await visitor.post(f"/bookings/{booking_id}/pay")
    await decide(office, pool, booking_id, EventType.SUCCESS)
    assert (await visitor.post(f"/bookings/{booking_id}/cancel")).status_code == 303
    assert 'data-stage="ticket"' in (await visitor.get(f"/bookings/{booking_id}")).text


async def test_somebody_elses_booking_does_not_exist(
    visitor: Visitor, client: httpx.AsyncClient, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    stranger, nobody = await Visitor(client, office).become_guest(), Visitor(client, office)
    for other in (stranger, nobody):
        await other.get("/")
        for path in ("", "/state", "/refund", "/tickets.pdf", "/calendar.ics"):
            assert (await other.get(f"/bookings/{booking_id}{path}")).status_code == 404, path
        for path in ("/pay", "/cancel"):
            await other.get("/")
            assert (await other.post(f"/bookings/{booking_id}{path}")).status_code == 404, path
        await other.get("/")
        fields = {"seat": [str(show.seats[0])], "amount": "1", "key": "k"}
        assert (await other.post(f"/bookings/{booking_id}/refund", fields)).status_code == 404
    for unknown in (str(uuid4()), "nope", "%00"):
        assert (await visitor.get(f"/bookings/{unknown}")).status_code == 404
    assert 'data-stage="to-pay"' in (await visitor.get(f"/bookings/{booking_id}")).text


async def test_a_form_of_another_site_pays_and_cancels_nothing(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    for path in ("pay", "cancel", "refund"):
        assert (await visitor.post(f"/bookings/{booking_id}/{path}", {"csrf": "x"})).status_code == 403
    assert await pool.fetchval("SELECT count(*) FROM payment") == 0
    assert await pool.fetchval("SELECT status FROM booking") == "PENDING"


class Broken:
    """A gateway that does not open sessions."""

    name = "fake"
    page_origins = ()

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def open_session(self, request: SessionRequest) -> Session:  # noqa: ARG002  (as the protocol has it)
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (GatewayDownError("no answer", retry_after_s=7), 503, "The payment company does not answer just now."),
        (GatewayRefusedError("no"), 409, "The payment company will not take this payment."),
    ],
)
async def test_a_gateway_that_does_not_take_it_leaves_the_seats_and_a_way_to_try_again(
    visitor: Visitor, office: Office, pool: Pool, error: Exception, status: int, words: str
) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}")
    working: Gateway = office.gateways["fake"]
    office.gateways["fake"] = Broken(error)  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]  (a double of one method)

    page = await visitor.post(f"/bookings/{booking_id}/pay")

    assert page.status_code == status
    assert page.headers.get("retry-after") == ("7" if status == 503 else None)
    assert words in visitor.text
    assert "Try again: pay ₹250" in visitor.text
    again = await visitor.get(f"/bookings/{booking_id}/pay")
    assert (again.status_code, again.headers["location"]) == (303, f"/bookings/{booking_id}")
    await visitor.get(f"/bookings/{booking_id}")
    office.gateways["fake"] = working
    assert (
        (await visitor.post(f"/bookings/{booking_id}/pay")).headers["location"].startswith("http://box-office.test/api")
    )


class TestAFreeSeat:
    async def test_a_seat_of_nothing_has_a_price_all_the_same(self, visitor: Visitor, pool: Pool) -> None:
        show = await make.show(pool, price=0)
        booking_id = await visitor.book(show, show.seats[0])
        await visitor.get(f"/bookings/{booking_id}")
        assert "₹0" in visitor.text


class TestElsewhere:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, booking_expiry=timedelta(seconds=0.6))

    async def test_seconds_left_are_never_less_than_none(self, visitor: Visitor, pool: Pool) -> None:
        show = await make.show(pool)
        booking_id = await visitor.book(show, show.seats[0])
        page = await visitor.get(f"/bookings/{booking_id}")
        assert 'data-seconds-left="0"' in page.text
