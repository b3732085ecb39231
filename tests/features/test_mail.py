"""Letters to buyers: one for each occasion, to those who gave an address, with what they need."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import make
import pytest
from paper import Sheet, events_of
from postbox import attachments_of, deliver_all, html_of, jobs, mails, post_for, text_of

from boxoffice.bookings.expiry import expire_lapsed
from boxoffice.mail.fake import FakeMailer
from boxoffice.mail.mailer import MailDownError, MailRefusedError
from boxoffice.mail.outbox import MailLeasedError
from boxoffice.postgres.pool import Pool
from boxoffice.tickets.post import Post
from boxoffice.web.office import Office

ADDRESS = "asha@example.com"


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


@pytest.fixture
def post(pool: Pool, office: Office, mailer: FakeMailer) -> Post:
    return post_for(pool, office, mailer)


@pytest.fixture
async def buyer(client: httpx.AsyncClient) -> make.Buyer:
    return await make.guest(client)


@pytest.fixture
async def show(pool: Pool) -> make.Show:
    return await make.show(pool)


async def contact(client: httpx.AsyncClient, buyer: make.Buyer, booking_id: str, **body: Any) -> httpx.Response:
    said = {"email": ADDRESS, "locale": "en"} | body
    return await client.put(f"/api/v1/bookings/{booking_id}/contact", json=said, headers=buyer.headers)


async def confirm(client: httpx.AsyncClient, buyer: make.Buyer, show: make.Show, **said: Any) -> dict[str, Any]:
    """A paid booking of two seats, whose success is told three times, twice of them at once."""
    booking = await make.booking(client, buyer, show, *show.seats[:2])
    assert (await contact(client, buyer, booking["id"], **said)).status_code == 200
    session = await make.session(client, buyer, booking["id"])
    event = make.event(session, booking["id"])
    await asyncio.gather(make.deliver(client, event), make.deliver(client, event))
    await make.deliver(client, make.event(session, booking["id"]))
    return booking


async def test_confirmed_is_told_once_with_tickets(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
) -> None:
    booking = await confirm(client, buyer, show)
    await deliver_all(pool, post)

    (message,) = mailer.sent
    assert (message["To"], message["From"]) == (ADDRESS, "Box office <tickets@box.example>")
    assert message["Subject"] == "Your tickets for Sholay"
    for told in (text_of(message), html_of(message)):
        for words in (
            "Sholay",
            "A1 and A2",
            "₹500",
            "Regal, Screen 1",
            f"https://box.example/bookings/{booking['id']}",
        ):
            assert words in told
    files = attachments_of(message)
    assert set(files) == {"tickets.pdf", "show.ics"}
    assert len(Sheet(files["tickets.pdf"]).scanned()) == 2
    assert [event["UID"] for event in events_of(files["show.ics"])] == [booking["id"]]
    assert await mails(pool) == [("CONFIRMED", "SENT")]


async def test_without_an_address_nothing_is_written_down(
    client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, show: make.Show
) -> None:
    booking = await make.paid_booking(client, buyer, show, show.seats[0])
    await client.post(f"/api/v1/payments/refund/{booking['id']}", headers=buyer.headers)

    assert (await mails(pool), await jobs(pool)) == ([], [])


async def test_an_account_is_written_to_at_its_own_address(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
) -> None:
    member = await make.member(client, pool, "customer")
    await make.paid_booking(client, member, show, show.seats[0])
    await deliver_all(pool, post)

    assert [message["To"] for message in mailer.sent] == [
        await pool.fetchval("SELECT email FROM account WHERE id = $1", member.id)
    ]


async def test_each_refund_is_told_with_its_amount(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
) -> None:
    booking = await confirm(client, buyer, show)
    path = f"/api/v1/payments/refund/{booking['id']}"
    await client.post(path, json={"showSeatIds": [str(show.seats[0])]}, headers=buyer.headers)
    await client.post(path, headers=buyer.headers)
    await deliver_all(pool, post)

    # The tickets are no more, so that nobody is sent any.
    assert await mails(pool) == [("CONFIRMED", "DROPPED"), ("REFUNDED", "SENT"), ("REFUNDED", "SENT")]
    assert [message["Subject"] for message in mailer.sent] == ["₹250 comes back: Sholay"] * 2
    assert ["A1" in text_of(message) for message in mailer.sent] == [True, False]
    assert "As you asked" in text_of(mailer.sent[0])


async def test_expired_by_the_sweep_then_paid_too_late(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
) -> None:
    booking = await make.booking(client, buyer, show, show.seats[0])
    await contact(client, buyer, booking["id"])
    session = await make.session(client, buyer, booking["id"])
    await make.lapse(pool, show)
    assert await expire_lapsed(pool) == 1
    assert await expire_lapsed(pool) == 0
    await make.deliver(client, make.event(session, booking["id"], "payment.expired"))
    await deliver_all(pool, post)
    assert [message["Subject"] for message in mailer.sent] == ["Your booking for Sholay has run out"]
    assert f"https://box.example/shows/{show.id}" in text_of(mailer.sent[0])

    await make.booking(client, await make.guest(client), show, show.seats[0])
    await make.deliver(client, make.event(session, booking["id"]))
    await deliver_all(pool, post)
    assert await mails(pool) == [("EXPIRED", "SENT"), ("REFUNDED", "SENT")]
    assert "sold to others" in text_of(mailer.sent[1])
    assert "₹250" in mailer.sent[1]["Subject"]


async def test_expired_by_the_gateways_word(
    client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, show: make.Show
) -> None:
    booking = await make.booking(client, buyer, show, show.seats[0])
    await contact(client, buyer, booking["id"])
    session = await make.session(client, buyer, booking["id"])
    await make.deliver(client, make.event(session, booking["id"], "payment.expired"))
    assert await mails(pool) == [("EXPIRED", "QUEUED")]


async def test_an_address_given_after_paying_gets_the_tickets_once(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
) -> None:
    booking = await make.paid_booking(client, buyer, show, show.seats[0])
    for _ in range(3):
        assert (await contact(client, buyer, booking["id"])).json() == {"email": ADDRESS, "locale": "en"}
    await deliver_all(pool, post)
    assert len(mailer.sent) == 1


async def test_letters_are_in_hindi(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
) -> None:
    await pool.execute("UPDATE movie SET title = 'शोले'")
    await confirm(client, buyer, show, locale="hi")
    await deliver_all(pool, post)

    (message,) = mailer.sent
    assert "शोले" in message["Subject"]
    assert "Your tickets" not in message["Subject"]
    assert 'lang="hi"' in html_of(message)
    assert "टिकट" in text_of(message)


@pytest.mark.parametrize(
    "bad", ["", "x", "a@b", "a@b.c\r\nBcc: x@y.z", "a b@c.de", "a@b.c, d@e.f", "<a@b.c>", "ä@b.de"]
)
async def test_what_is_no_address_is_refused(
    client: httpx.AsyncClient, buyer: make.Buyer, show: make.Show, bad: str
) -> None:
    booking = await make.booking(client, buyer, show, show.seats[0])
    assert (await contact(client, buyer, booking["id"], email=bad)).status_code == 400
    assert (await contact(client, await make.guest(client), booking["id"])).status_code == 404
    assert (await contact(client, buyer, booking["id"], locale="xx")).status_code == 400


async def test_names_inject_no_header_and_no_markup(
    client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
) -> None:
    evil = "A\r\nBcc: thief@evil.example\r\n\r\n<script>alert(1)</script>\u2028B"
    await pool.execute("UPDATE movie SET title = $1", evil)
    await pool.execute("UPDATE theatre SET name = $1", evil)
    await confirm(client, buyer, show)
    await deliver_all(pool, post)

    (message,) = mailer.sent
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    headers, _, _ = message.as_bytes().partition(b"\r\n\r\n")
    assert b"\nBcc:" not in headers
    assert "<script>" not in html_of(message)


class TestWhenTheServerFails:
    """The fake mailer's failures, and a real server's."""

    @pytest.fixture(autouse=True)
    async def letter(
        self, client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, show: make.Show
    ) -> tuple[UUID, UUID]:
        await confirm(client, buyer, show)
        (found,) = await jobs(pool)
        return found

    async def test_what_was_not_taken_is_sent_later_as_the_same_letter(
        self, pool: Pool, post: Post, mailer: FakeMailer, letter: tuple[UUID, UUID]
    ) -> None:
        mailer.failures = [MailDownError("451 later"), MailDownError("451 later")]
        for _ in range(2):
            with pytest.raises(MailDownError):
                await post.send(*letter)
            assert await mails(pool) == [("CONFIRMED", "QUEUED")]
        await post.send(*letter)
        assert [message["Message-ID"] for message in mailer.sent] == [f"<{letter[1]}@box.example>"]

    async def test_what_is_refused_is_given_up(
        self, pool: Pool, post: Post, mailer: FakeMailer, letter: tuple[UUID, UUID]
    ) -> None:
        mailer.failures = [MailRefusedError("550 no such user")]
        await post.send(*letter)
        await post.send(*letter)
        assert (mailer.asked, await mails(pool)) == (1, [("CONFIRMED", "FAILED")])

    async def test_after_a_day_it_is_given_up(
        self, pool: Pool, post: Post, mailer: FakeMailer, letter: tuple[UUID, UUID]
    ) -> None:
        await pool.execute("UPDATE mail SET created_at = now() - interval '25 h'")
        mailer.failures = [MailDownError("451 later")]
        await post.send(*letter)
        assert await mails(pool) == [("CONFIRMED", "FAILED")]

    async def test_two_workers_send_it_once(self, post: Post, mailer: FakeMailer, letter: tuple[UUID, UUID]) -> None:
        mailer.block()
        first = asyncio.create_task(post.send(*letter))
        async with asyncio.timeout(10):
            while mailer.asked == 0:  # noqa: ASYNC110  (what is waited for happens in another task)
                await asyncio.sleep(0.01)
        with pytest.raises(MailLeasedError):
            await post.send(*letter)
        mailer.unblock()
        await first
        await post.send(*letter)
        assert len(mailer.sent) == 1

    async def test_a_worker_that_died_with_it_is_followed_by_another(
        self, pool: Pool, post: Post, mailer: FakeMailer, letter: tuple[UUID, UUID]
    ) -> None:
        await pool.execute("UPDATE mail SET claimed_until = now() - interval '1 s', attempts = 1")
        await post.send(*letter)
        assert len(mailer.sent) == 1

    async def test_without_a_mailer_it_is_marked_so(self, pool: Pool, post: Post, letter: tuple[UUID, UUID]) -> None:
        silent = Post(pool=pool, mailer=None, keys=post.keys, base_url=post.base_url, sender=post.sender)
        await silent.send(*letter)
        assert await mails(pool) == [("CONFIRMED", "FAILED")]
        assert await pool.fetchval("SELECT error FROM mail") == "SMTP_URL is not set"
