"""My bookings, and giving seats back: what would come back is shown first, and exactly that is agreed to."""

import html
import re
from datetime import timedelta
from uuid import UUID

import httpx
import make
import pytest
from visitor import Visitor

from boxoffice.payments.gateway import EventType
from boxoffice.postgres.pool import Pool
from boxoffice.web.office import Office


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    """Somebody with a session."""
    return await Visitor(client, office).become_guest()


async def paid(visitor: Visitor, office: Office, pool: Pool, show: make.Show, *seats: UUID) -> str:
    """A confirmed booking of the visitor's."""
    booking_id = await visitor.book(show, *seats)
    await visitor.get("/bookings")
    await visitor.post(f"/bookings/{booking_id}/pay")
    session_id = await pool.fetchval("SELECT session_id FROM payment WHERE booking_id = $1", booking_id)
    assert office.simulated is not None
    await office.simulated.decide(session_id, EventType.SUCCESS)
    return booking_id


async def agree(visitor: Visitor, booking_id: str) -> httpx.Response:
    """Press the button of the offer that is seen."""
    return await visitor.post(f"/bookings/{booking_id}/refund", visitor.form(f"/bookings/{booking_id}/refund"))


async def test_who_has_no_bookings_is_told_how_to_have_some(client: httpx.AsyncClient, office: Office) -> None:
    for visitor in (Visitor(client, office), await Visitor(client, office).become_guest()):
        for view in ("", "?view=past"):
            page = await visitor.get(f"/bookings{view}")
            assert page.status_code == 200
            assert "See what is on" in visitor.text
            assert page.headers["cache-control"] == "private, no-store"


async def test_my_bookings_ahead_and_over(visitor: Visitor, office: Office, pool: Pool) -> None:
    show, seen = await make.show(pool), await make.show(pool)
    watched = await paid(visitor, office, pool, seen, seen.seats[0])
    await make.begin(pool, seen, ago=timedelta(hours=3))
    ticket = await paid(visitor, office, pool, show, *show.seats[:2])
    unpaid = await visitor.book(show, show.seats[2])
    cancelled = await visitor.book(show, show.seats[3])
    await visitor.post(f"/bookings/{cancelled}/cancel")

    page = await visitor.get("/bookings")
    assert [page.text.index(one) for one in (unpaid, ticket)] == sorted(
        page.text.index(one) for one in (unpaid, ticket)
    )
    assert watched not in page.text
    assert cancelled not in page.text
    for words in ("Not paid yet: kept until", "Pay ₹250", "Show tickets", "Seats A1 and A2", "Paid"):
        assert words in visitor.text, words
    page = await visitor.get("/bookings?view=past")
    for one, words in ((watched, "Seen"), (cancelled, "Cancelled")):
        assert one in page.text
        assert words in visitor.text
    assert ticket not in page.text


async def test_many_bookings_come_in_pages(visitor: Visitor, pool: Pool) -> None:
    made: list[str] = []
    for _ in range(2):
        show = await make.show(pool)
        made += [await visitor.book(show, seat) for seat in show.seats[:7]]
    seen: list[str] = []
    path = "/bookings"
    while path:
        page = await visitor.get(path)
        seen += re.findall(r'<h2><a href="/bookings/([0-9a-f-]+)"', page.text)
        more = re.search(r'href="(/bookings\?view=upcoming&amp;cursor=[^"]+)"', page.text)
        path = html.unescape(more[1]) if more else ""
    assert sorted(seen) == sorted(made)
    assert (await visitor.get("/bookings?cursor=garbage")).status_code == 400
    assert (await visitor.get("/bookings?view=nonsense")).status_code == 400


async def test_what_would_come_back_is_shown_and_exactly_that_comes(
    visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:2])
    await make.start_in(pool, show, timedelta(hours=5))

    await visitor.get(f"/bookings/{booking_id}/refund")
    for words in ("100 %", "50 %", "0 %", "paid ₹250", "You get back ₹250", "Give 2 seats back for ₹250"):
        assert words in visitor.text, words
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0

    sent = await agree(visitor, booking_id)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/bookings/{booking_id}")
    assert await pool.fetchval("SELECT amount FROM refund") == make.PRICE
    page = await visitor.get(f"/bookings/{booking_id}")
    assert 'data-stage="refunded"' in page.text
    assert "₹250" in visitor.text
    assert "On its way" in visitor.text
    await pool.execute("UPDATE refund SET status = 'SUCCEEDED'")
    await visitor.get(f"/bookings/{booking_id}")
    assert "Refunded" in visitor.text
    await visitor.get("/bookings?view=past")
    assert "Refunded" in visitor.text


async def test_some_seats_are_given_back_and_the_other_tickets_stay(
    visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:3])
    await visitor.get(f"/bookings/{booking_id}/refund?chosen=1&seat={show.seats[1]}")
    assert "Paid for seat A2 ₹250" in visitor.text
    assert visitor.form(f"/bookings/{booking_id}/refund")["seat"] == [str(show.seats[1])]

    assert (await agree(visitor, booking_id)).status_code == 303

    page = await visitor.get(f"/bookings/{booking_id}")
    assert page.text.count('class="qr"') == 2
    assert "Seat A2 was given back." in visitor.text
    await visitor.get("/bookings")
    assert "Partly refunded" in visitor.text
    assert "Seats A1 and A3" in visitor.text


async def test_no_seat_ticked_is_no_offer(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:2])
    for query in ("chosen=1", f"chosen=1&seat={show.seats[7]}"):
        page = await visitor.get(f"/bookings/{booking_id}/refund?{query}")
        assert "Tick the seats that you want to give back." in visitor.text
        assert 'name="amount"' not in page.text


async def test_a_double_tap_and_a_reload_give_back_once(visitor: Visitor, office: Office, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:2])
    await visitor.get(f"/bookings/{booking_id}/refund?chosen=1&seat={show.seats[0]}")
    form = visitor.form(f"/bookings/{booking_id}/refund")
    for _ in range(3):
        assert (await visitor.post(f"/bookings/{booking_id}/refund", form)).status_code == 303
    assert await pool.fetch("SELECT amount FROM refund") == [(make.PRICE,)]


async def test_a_step_of_the_policy_reached_meanwhile_shows_the_new_figure_and_does_nothing(
    visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:2])
    await visitor.get(f"/bookings/{booking_id}/refund")
    await make.start_in(pool, show, timedelta(hours=23))

    page = await agree(visitor, booking_id)
    assert page.status_code == 409
    assert "Things changed meanwhile, so nothing was done." in visitor.text
    assert "Give 2 seats back for ₹250" in visitor.text
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0

    await make.start_in(pool, show, timedelta(hours=1))
    page = await agree(visitor, booking_id)
    assert page.status_code == 409
    assert "nothing comes back any more" in visitor.text
    assert 'name="amount"' not in page.text
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0


async def test_seats_given_back_in_another_tab_are_not_offered_again(
    visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:2])
    await visitor.get(f"/bookings/{booking_id}/refund")
    both = visitor.form(f"/bookings/{booking_id}/refund")
    await visitor.get(f"/bookings/{booking_id}/refund?chosen=1&seat={show.seats[0]}")
    await agree(visitor, booking_id)
    await visitor.get(f"/bookings/{booking_id}/refund")

    assert (await visitor.post(f"/bookings/{booking_id}/refund", both)).status_code == 409
    assert visitor.form(f"/bookings/{booking_id}/refund")["seat"] == [str(show.seats[1])]
    await agree(visitor, booking_id)
    for answer in (
        await visitor.get(f"/bookings/{booking_id}/refund"),
        await visitor.post(f"/bookings/{booking_id}/refund", both),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, f"/bookings/{booking_id}")


async def test_a_seat_that_somebody_went_in_for_is_shown_and_cannot_be_given_back(
    visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, *show.seats[:2])
    refund = f"/bookings/{booking_id}/refund"
    await visitor.get(refund)
    both = visitor.form(refund)
    await go_in(pool, show, booking_id, show.seats[0])

    page = await visitor.post(refund, both)
    assert page.status_code == 409
    assert "Things changed meanwhile, so nothing was done." in visitor.text
    assert "used at the door" in visitor.text
    assert re.search(rf'value="{show.seats[0]}" disabled>', page.text)
    assert visitor.form(refund)["seat"] == [str(show.seats[1])]
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0

    await go_in(pool, show, booking_id, show.seats[1])
    page = await visitor.get(refund)
    assert "Your tickets have been used at the door, so nothing can be given back." in visitor.text
    assert 'name="amount"' not in page.text


async def go_in(pool: Pool, show: make.Show, booking_id: str, seat: UUID) -> None:
    """Somebody takes the seat."""
    await pool.execute(
        """INSERT INTO ticket_admission (show_id, booking_id, seat_id, admitted_by)
           SELECT $1, $2, $3, user_id FROM booking WHERE id = $2""",
        show.id,
        UUID(booking_id),
        seat,
    )


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"seat": ["x"], "amount": "1", "key": "k"},
        {"seat": ["00000000-0000-0000-0000-000000000001"], "amount": "much", "key": "k"},
        {"seat": ["00000000-0000-0000-0000-000000000001"], "amount": "1"},
        {"seat": ["00000000-0000-0000-0000-000000000001"], "amount": "1", "key": "k" * 256},
        {"seat": ["00000000-0000-0000-0000-000000000001"] * 11, "amount": "1", "key": "k"},
        {"seat": ["00000000-0000-0000-0000-000000000001"], "amount": "1", "key": "\x00"},
        {"seat": ["00000000-0000-0000-0000-000000000001"], "amount": str(2**70), "key": "k"},
    ],
)
async def test_a_form_of_something_else_is_refused(
    visitor: Visitor, office: Office, pool: Pool, form: dict[str, object]
) -> None:
    show = await make.show(pool)
    booking_id = await paid(visitor, office, pool, show, show.seats[0])
    await visitor.get(f"/bookings/{booking_id}/refund")
    answer = await visitor.post(f"/bookings/{booking_id}/refund", dict(form))
    assert answer.status_code == (409 if form.get("amount") == str(2**70) else 400)
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0
