"""A worker is killed between the mail server's word and our mark: the letter comes again, as the same letter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
import make
import pytest
from postbox import Postbox, mails, open_postbox
from running import BOXOFFICE, START_WITHIN_S, environment
from workers import at_work, make_jobs, queue_is_empty, until

from boxoffice.mail.smtp import SmtpMailer
from boxoffice.postgres.pool import Pool
from boxoffice.tickets.post import Post
from boxoffice.web.office import Office


class Latch(Postbox):
    """Takes a letter, and has its row locked by then: the worker hears the word and cannot leave its mark."""

    def __init__(self, lock: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._lock = lock

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  (the library's)
        await self._lock()
        return await super().handle_DATA(server, session, envelope)


@pytest.fixture
async def marking(dsn: str) -> AsyncIterator[Any]:
    """A connection that can stand in the way of the mark."""
    conn = cast("Any", await asyncpg.connect(dsn))
    try:
        yield conn
    finally:
        await conn.close()


async def test_a_letter_whose_worker_was_killed_before_its_mark_comes_again_as_the_same(
    client: httpx.AsyncClient, pool: Pool, dsn: str, office: Office, marking: Any, tmp_path: Path
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    await client.put(
        f"/api/v1/bookings/{booking['id']}/contact", json={"email": "asha@example.com"}, headers=buyer.headers
    )
    session = await make.session(client, buyer, booking["id"])
    await make.deliver(client, make.event(session, booking["id"]))

    async def lock() -> None:
        if not marking.is_in_transaction():
            await marking.execute("BEGIN")
        await marking.fetch("SELECT FROM mail FOR UPDATE")

    box = Latch(lock)
    async with open_postbox(box) as url:
        with (tmp_path / "worker.log").open("wb") as said:
            worker = await asyncio.create_subprocess_exec(
                *(*BOXOFFICE, "work"),
                env=environment(tmp_path / "data", DATABASE_URL=dsn, SMTP_URL=url),
                stdout=said,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            async with asyncio.timeout(START_WITHIN_S):
                while not await _waits_for_the_row(pool):  # noqa: ASYNC110  (it happens in the database)
                    await asyncio.sleep(0.05)
        finally:
            worker.kill()
            await worker.wait()
        # The mark that it has asked for goes with it, as when its machine dies: else the server would still make it.
        assert await pool.fetchval(f"SELECT count(pg_terminate_backend(pid)) {_WAITING}") == 1
        await marking.execute("ROLLBACK")
        assert await mails(pool) == [("CONFIRMED", "QUEUED")]
        (first,) = box.taken

        # The lease of whoever had it runs out.
        await pool.execute("UPDATE mail SET claimed_until = now()")
        again = Postbox()
        async with open_postbox(again) as other_url:
            post = Post(
                pool=pool,
                mailer=SmtpMailer(other_url),
                keys=office.ticket_keys,
                base_url="https://box.example",
                sender="Box office <tickets@box.example>",
            )
            async with at_work(make_jobs(pool, dsn, send_mail=post.send)):
                await until(lambda: queue_is_empty(pool))

    (second,) = again.taken
    assert second["Message-ID"].partition("@")[0] == first["Message-ID"].partition("@")[0]
    assert await mails(pool) == [("CONFIRMED", "SENT")]


_WAITING = """
  FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%UPDATE mail%'
"""


async def _waits_for_the_row(pool: Pool) -> bool:
    """Whether somebody's UPDATE of a letter stands before a lock."""
    return await pool.fetchval(f"SELECT count(*) > 0 {_WAITING}")
