"""Letters to strangers: anybody may name any address, and no more comes of it than a little."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import make
import pytest
from postbox import deliver_all, jobs, mails, post_for, text_of

from boxoffice.bookings.expiry import expire_lapsed
from boxoffice.mail.contact import ADDRESSES_MAX
from boxoffice.mail.fake import FakeMailer
from boxoffice.mail.mailer import MailDownError
from boxoffice.mail.unpaid import UNPAID_LETTERS_A_DAY, count_unpaid, forget_unpaid, mailbox_of
from boxoffice.postgres.pool import Pool, connection
from boxoffice.tickets.post import Post
from boxoffice.web.office import Office

VICTIM = "asha@example.com"


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


async def name_address(
    client: httpx.AsyncClient, buyer: make.Buyer, booking_id: str, email: str | None
) -> httpx.Response:
    body = {"email": email, "locale": "en"}
    return await client.put(f"/api/v1/bookings/{booking_id}/contact", json=body, headers=buyer.headers)


async def let_run_out(client: httpx.AsyncClient, pool: Pool, show: make.Show, *emails: str) -> None:
    """A booking for each address, by a guest each, that nobody pays."""
    for email, seat in zip(emails, show.seats, strict=False):
        guest = await make.guest(client)
        booking = await make.booking(client, guest, show, seat)
        assert (await name_address(client, guest, booking["id"], email)).status_code == 200
    await make.lapse(pool, show)
    assert await expire_lapsed(pool) == len(emails)


def recipients(mailer: FakeMailer) -> list[str]:
    return [str(message["To"]) for message in mailer.sent]


class TestUnpaid:
    """Of bookings that ran out a mailbox is told a few times a day."""

    async def test_a_mailbox_gets_a_few_a_day_however_its_address_is_written(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        await let_run_out(
            client, pool, show, VICTIM, "as.ha@example.com", "ASHA+1@example.com", "asha+2@EXAMPLE.com", VICTIM
        )
        await deliver_all(pool, post)
        assert len(mailer.sent) == UNPAID_LETTERS_A_DAY
        assert sorted(await mails(pool)) == [("EXPIRED", "DROPPED")] * 2 + [("EXPIRED", "SENT")] * UNPAID_LETTERS_A_DAY

    async def test_others_are_told_all_the_same(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        await let_run_out(client, pool, show, *[VICTIM] * 4, "ravi@example.com")
        await deliver_all(pool, post)
        assert recipients(mailer).count("ravi@example.com") == 1

    async def test_an_account_in_another_s_name_has_no_more_of_them(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        member = await make.member(client, pool, "customer")
        for seat in show.seats[: UNPAID_LETTERS_A_DAY + 2]:
            await make.booking(client, member, show, seat)
        await make.lapse(pool, show)
        await expire_lapsed(pool)
        await deliver_all(pool, post)
        assert len(mailer.sent) == UNPAID_LETTERS_A_DAY

    async def test_what_is_paid_for_is_always_told(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show, buyer: make.Buyer
    ) -> None:
        await let_run_out(client, pool, show, *[VICTIM] * (UNPAID_LETTERS_A_DAY + 1))
        for seat in show.seats[-4:]:
            booking = await make.booking(client, buyer, show, seat)
            await name_address(client, buyer, booking["id"], VICTIM)
            session = await make.session(client, buyer, booking["id"])
            await make.deliver(client, make.event(session, booking["id"]))
        await deliver_all(pool, post)
        assert [message["Subject"] for message in mailer.sent].count("Your tickets for Sholay") == 4

    async def test_the_day_after_there_may_be_letters_again(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        async with connection(pool) as conn:
            for _ in range(UNPAID_LETTERS_A_DAY):
                assert await count_unpaid(conn, VICTIM, uuid4())
            assert not await count_unpaid(conn, VICTIM, uuid4())
        await pool.execute("UPDATE unpaid_mail SET day = day - 1")
        await let_run_out(client, pool, show, VICTIM)
        await deliver_all(pool, post)
        assert recipients(mailer) == [VICTIM]

    async def test_a_letter_that_is_tried_again_counts_once(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        await let_run_out(client, pool, show, VICTIM)
        (letter,) = await jobs(pool)
        mailer.failures = [MailDownError("451 later")] * (UNPAID_LETTERS_A_DAY + 1)
        for _ in range(UNPAID_LETTERS_A_DAY + 1):
            with pytest.raises(MailDownError):
                await post.send(*letter)
        await post.send(*letter)
        assert recipients(mailer) == [VICTIM]

    async def test_an_address_that_is_changed_afterwards_is_the_one_that_counts(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        """Bookings that ran out while they named addresses of the caller's own, and name another's in the end."""
        for number, seat in enumerate(show.seats[: UNPAID_LETTERS_A_DAY + 1]):
            guest = await make.guest(client)
            booking = await make.booking(client, guest, show, seat)
            await name_address(client, guest, booking["id"], f"own{number}@example.org")
        await make.lapse(pool, show)
        await expire_lapsed(pool)
        await pool.execute("UPDATE booking_contact SET email = $1", VICTIM)
        await deliver_all(pool, post)
        assert recipients(mailer) == [VICTIM] * UNPAID_LETTERS_A_DAY

    async def test_days_that_are_over_are_forgotten(self, pool: Pool) -> None:
        async with connection(pool) as conn:
            for email in (VICTIM, "ravi@example.com", "meera@example.com"):
                await count_unpaid(conn, email, uuid4())
        for days, email in ((1, "ravi@example.com"), (2, "meera@example.com")):
            await pool.execute("UPDATE unpaid_mail SET day = day - $1::int WHERE mailbox = $2", days, email)
        await forget_unpaid(pool)
        kept = await pool.fetch("SELECT mailbox FROM unpaid_mail ORDER BY mailbox")
        assert [one["mailbox"] for one in kept] == [VICTIM, "ravi@example.com"]

    async def test_of_many_workers_at_once_no_more_send(self, pool: Pool) -> None:
        """Each on a connection and in a transaction of its own, all of them open before the first commits."""
        everybody = 12
        ready = asyncio.Barrier(everybody)

        async def count() -> bool:
            async with connection(pool) as conn:
                await ready.wait()
                async with conn.transaction():
                    may = await count_unpaid(conn, VICTIM, uuid4())
                    await asyncio.sleep(0.005)
                return may

        for _ in range(5):
            await pool.execute("TRUNCATE unpaid_mail")
            assert sum(await asyncio.gather(*(count() for _ in range(everybody)))) == UNPAID_LETTERS_A_DAY

    async def test_of_many_letters_that_workers_have_in_hand_at_once_no_more_go(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        await let_run_out(client, pool, show, *[VICTIM] * 8)
        await asyncio.gather(*(post.send(*letter) for letter in await jobs(pool)))
        assert recipients(mailer) == [VICTIM] * UNPAID_LETTERS_A_DAY


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("Asha@Example.com", "asha@example.com"),
        ("a.s.h.a+box+office@example.com", "asha@example.com"),
        ("+@example.com", "@example.com"),
        ("asha@a.b.example.com", "asha@a.b.example.com"),
    ],
)
def test_the_ways_of_writing_a_mailbox(email: str, mailbox: str) -> None:
    assert mailbox_of(email) == mailbox


# A booking that is being confirmed, and whether anybody waits for it.
_CONFIRM = """
UPDATE booking b SET status = 'CONFIRMED', paid_by = p.id, confirmed_at = now()
  FROM payment p WHERE b.id = $1 AND p.show_id = b.show_id AND p.booking_id = b.id
"""
_WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


class TestAddressesInTurn:
    """A booking's address can be put right, and the right one gets the tickets; but not for ever."""

    @pytest.fixture
    async def booking(self, client: httpx.AsyncClient, buyer: make.Buyer, show: make.Show) -> dict[str, Any]:
        """Paid for, with an address that was mistyped."""
        booking = await make.booking(client, buyer, show, show.seats[0])
        await name_address(client, buyer, booking["id"], "asah@example.com")
        session = await make.session(client, buyer, booking["id"])
        await make.deliver(client, make.event(session, booking["id"]))
        return booking

    async def test_tickets_that_went_astray_go_to_the_right_address_too(
        self,
        client: httpx.AsyncClient,
        pool: Pool,
        post: Post,
        mailer: FakeMailer,
        buyer: make.Buyer,
        booking: dict[str, Any],
    ) -> None:
        await deliver_all(pool, post)
        for _ in range(3):
            assert (await name_address(client, buyer, booking["id"], VICTIM)).status_code == 200
        await deliver_all(pool, post)
        assert recipients(mailer) == ["asah@example.com", VICTIM]
        assert len({message["Message-ID"] for message in mailer.sent}) == 2

    async def test_tickets_still_on_their_way_go_to_the_last_address_once(
        self,
        client: httpx.AsyncClient,
        pool: Pool,
        post: Post,
        mailer: FakeMailer,
        buyer: make.Buyer,
        booking: dict[str, Any],
    ) -> None:
        await name_address(client, buyer, booking["id"], "ahsa@example.com")
        await name_address(client, buyer, booking["id"], VICTIM)
        await deliver_all(pool, post)
        assert recipients(mailer) == [VICTIM]
        assert sorted(await mails(pool)) == [("CONFIRMED", "DROPPED")] * 2 + [("CONFIRMED", "SENT")]

    async def test_the_tickets_of_an_account_go_to_another_address_as_well(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, show: make.Show
    ) -> None:
        member = await make.member(client, pool, "customer")
        own = await pool.fetchval("SELECT email FROM account WHERE id = $1", member.id)
        booking = await make.paid_booking(client, member, show, show.seats[0])
        await deliver_all(pool, post)
        await name_address(client, member, booking["id"], None)
        await name_address(client, member, booking["id"], VICTIM)
        await deliver_all(pool, post)
        assert recipients(mailer) == [own, VICTIM]

    async def test_the_address_can_be_changed_a_few_times(
        self,
        client: httpx.AsyncClient,
        pool: Pool,
        post: Post,
        mailer: FakeMailer,
        buyer: make.Buyer,
        booking: dict[str, Any],
    ) -> None:
        await deliver_all(pool, post)
        others = [f"stranger{number}@example.com" for number in range(ADDRESSES_MAX + 3)]
        answers: list[httpx.Response] = []
        for email in others:
            answers.append(await name_address(client, buyer, booking["id"], email))
            await deliver_all(pool, post)
        statuses = [answer.status_code for answer in answers]
        # The first of all was given before the booking was paid for.
        assert statuses == [200] * (ADDRESSES_MAX - 1) + [409] * 4
        problem = answers[-1].json()
        assert (problem["code"], problem["limit"]) == ("contact_addresses_used_up", ADDRESSES_MAX)
        assert len(mailer.sent) == ADDRESSES_MAX

        last = others[ADDRESSES_MAX - 2]
        again = await name_address(client, buyer, booking["id"], last)
        assert (again.status_code, again.json()["email"]) == (200, last)
        assert (await client.get(f"/api/v1/bookings/{booking['id']}/tickets", headers=buyer.headers)).status_code == 200

        staff = await make.member(client, pool, "staff")
        helped = await name_address(client, staff, booking["id"], VICTIM)
        assert (helped.status_code, helped.json()["email"]) == (200, VICTIM)
        await deliver_all(pool, post)
        assert recipients(mailer)[ADDRESSES_MAX:] == [VICTIM]

    async def test_of_many_changes_at_once_no_more_count(
        self, client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, booking: dict[str, Any]
    ) -> None:
        changes = [name_address(client, buyer, booking["id"], f"stranger{number}@example.com") for number in range(12)]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*changes))
        assert statuses == [200] * (ADDRESSES_MAX - 1) + [409] * (13 - ADDRESSES_MAX)
        assert len(await mails(pool)) == ADDRESSES_MAX

    async def test_an_address_that_is_given_while_a_payment_is_settled_sees_what_came_of_it(
        self, client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, show: make.Show
    ) -> None:
        booking = await make.booking(client, buyer, show, show.seats[0])
        await make.session(client, buyer, booking["id"])
        async with connection(pool) as conn, conn.transaction():
            await conn.execute(_CONFIRM, UUID(booking["id"]))
            naming = asyncio.create_task(name_address(client, buyer, booking["id"], VICTIM))
            async with asyncio.timeout(10):
                while not await pool.fetchval(_WAITING):  # noqa: ASYNC110  (what is waited for happens in the database)
                    await asyncio.sleep(0.01)
        assert (await naming).status_code == 200
        assert await mails(pool) == [("CONFIRMED", "QUEUED")]

    async def test_an_address_that_comes_with_the_money_gets_the_tickets_once(
        self, client: httpx.AsyncClient, pool: Pool, post: Post, mailer: FakeMailer, buyer: make.Buyer, show: make.Show
    ) -> None:
        """The success of the payment and the first address, at once: whichever is first, the tickets are told."""
        for seat in show.seats[:6]:
            booking = await make.booking(client, buyer, show, seat)
            session = await make.session(client, buyer, booking["id"])
            await asyncio.gather(
                make.deliver(client, make.event(session, booking["id"])),
                name_address(client, buyer, booking["id"], VICTIM),
            )
        await deliver_all(pool, post)
        assert recipients(mailer) == [VICTIM] * 6
        told = {text_of(message).partition("/bookings/")[2][:36] for message in mailer.sent}
        assert len({UUID(one) for one in told}) == 6
