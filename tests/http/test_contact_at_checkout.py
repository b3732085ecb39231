"""Where the tickets go, as it is said on the pages: at the checkout, and with the tickets."""

import httpx
import make
import pytest
from visitor import Visitor

from boxoffice.mail.contact import ADDRESSES_MAX
from boxoffice.payments.gateway import EventType
from boxoffice.postgres.pool import Pool
from boxoffice.web.office import Office


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    """Somebody with a session."""
    return await Visitor(client, office).become_guest()


async def test_the_tickets_go_where_the_buyer_says(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, *show.seats[:1])
    contact = "SELECT email, locale FROM booking_contact WHERE booking_id = $1"

    await visitor.get(f"/bookings/{booking_id}")
    wrong = await visitor.post(f"/bookings/{booking_id}/pay", {"email": "asha@"})
    assert wrong.status_code == 400
    assert 'value="asha@"' in wrong.text
    assert 'aria-invalid="true"' in wrong.text
    assert await pool.fetchrow(contact, booking_id) is None

    paid = await visitor.post(f"/bookings/{booking_id}/pay", {"email": " asha@example.com "})
    assert paid.status_code == 303
    kept = await pool.fetchrow(contact, booking_id)
    assert kept is not None
    assert dict(kept) == {"email": "asha@example.com", "locale": "en"}
    assert 'value="asha@example.com"' in (await visitor.get(f"/bookings/{booking_id}")).text

    # Pay stands in the list of bookings, too, without the field: what was said stays.
    await visitor.post(f"/bookings/{booking_id}/pay")
    assert await pool.fetchrow(contact, booking_id) == kept


async def test_an_address_that_was_changed_too_often_stays_and_paying_goes_on(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, *show.seats[:1])
    await visitor.get(f"/bookings/{booking_id}")
    for number in range(ADDRESSES_MAX):
        assert (await visitor.post(f"/bookings/{booking_id}/pay", {"email": f"a{number}@b.example"})).status_code == 303
    refused = await visitor.post(f"/bookings/{booking_id}/pay", {"email": "asha@example.com"})
    assert refused.status_code == 409
    assert "changed too often" in visitor.text
    kept = f"a{ADDRESSES_MAX - 1}@b.example"
    assert f'value="{kept}"' in refused.text
    assert (await visitor.post(f"/bookings/{booking_id}/pay", {"email": kept})).status_code == 303


async def test_the_tickets_can_be_mailed_when_they_are_there(
    client: httpx.AsyncClient, visitor: Visitor, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    booking_id = await visitor.book(show, *show.seats[:1])
    await visitor.get(f"/bookings/{booking_id}")
    paying = await visitor.post(f"/bookings/{booking_id}/pay")
    assert office.simulated is not None
    await office.simulated.decide(paying.headers["location"].rpartition("/")[2], EventType.SUCCESS)
    await visitor.get(f"/bookings/{booking_id}")
    assert "Have them sent by e-mail, too" in visitor.text

    wrong = await visitor.post(f"/bookings/{booking_id}/contact", {"email": "asah@"})
    assert (wrong.status_code, 'value="asah@"' in wrong.text, 'data-stage="ticket"' in wrong.text) == (400, True, True)
    for email in ("asah@example.com", "asha@example.com"):
        sent = await visitor.post(f"/bookings/{booking_id}/contact", {"email": email})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/bookings/{booking_id}")
        await visitor.get(f"/bookings/{booking_id}")
        assert f"They also go to {email}" in visitor.text
    # One letter for each, since the first may be at somebody else's by now.
    assert await pool.fetchval("SELECT count(*) FROM mail WHERE occasion = 'CONFIRMED'") == 2

    stranger = await Visitor(client, office).become_guest()
    await stranger.get("/")
    assert (await stranger.post(f"/bookings/{booking_id}/contact", {"email": "x@y.example"})).status_code == 404
    assert (await visitor.get(f"/bookings/{booking_id}/contact")).headers["location"] == f"/bookings/{booking_id}"
