"""Opening night: thousands at once, each on a connection of their own, and each gets a clean answer.

The service runs as its users run it: `boxoffice serve`, two workers, real sockets. A client of a
few lines speaks HTTP/1.1, so that the crowd costs the machine little besides the service itself.
"""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import make
import pytest
from running import Running, started

from boxoffice.accounts.tokens import AccessTokens
from boxoffice.postgres import embedded
from boxoffice.postgres.pool import Pool, connect_pool
from boxoffice.settings import DEVELOPMENT_SECRET_KEY, Settings

CROWD = 2_000
ANSWERED_WITHIN_S = 45
FILES_OF_A_USUAL_SHELL = 1_024
HOLD, BOOK = "/api/v1/bookings/hold-seats", "/api/v1/bookings"


class Answer(NamedTuple):
    """What came back on one connection."""

    status: int
    body: dict[str, Any]


class Person(NamedTuple):
    """A guest and what identifies them."""

    id: UUID
    token: str


class Wish(NamedTuple):
    """Who asks, where, for which seat."""

    person: Person
    path: str
    seat: UUID


@pytest.fixture(scope="module")
def theatre() -> Generator[Running]:
    """A running service, with no more open files than a usual shell gives it; this process takes more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with TemporaryDirectory(prefix="boxoffice-test-", ignore_cleanup_errors=True) as folder:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_OF_A_USUAL_SHELL, soft), hard))
        try:
            with started(Path(folder) / "data", "serve", WORKERS="2") as running:
                resource.setrlimit(resource.RLIMIT_NOFILE, (_enough(hard), hard))
                yield running
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _enough(hard: int) -> int:
    wanted = 4 * CROWD
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


@pytest.fixture
async def books(theatre: Running) -> AsyncGenerator[Pool]:
    """The database of the running service, to look at from outside."""
    with embedded.database(Settings(data_dir=theatre.data_dir)) as dsn:
        pool = await connect_pool(dsn, size=2)
        try:
            yield pool
        finally:
            await pool.close()


async def crowd(pool: Pool, count: int) -> list[Person]:
    """So many guests, as the product would have made them one by one."""
    tokens = AccessTokens(DEVELOPMENT_SECRET_KEY)
    made = await pool.fetch(
        """WITH person AS (INSERT INTO account (name) SELECT '' FROM generate_series(1, $1) RETURNING id)
           INSERT INTO account_session (account_id, refresh_hash, expires_at)
           SELECT id, uuid_send(gen_random_uuid()), now() + interval '1 day' FROM person RETURNING account_id, id""",
        count,
    )
    return [Person(one["account_id"], tokens.sign(one["account_id"], one["id"])) for one in made]


@asynccontextmanager
async def connected(url: str, count: int) -> AsyncGenerator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """So many open connections, all asked for at once; one that is refused fails the test."""
    host, _, port = urlsplit(url).netloc.partition(":")
    opened = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(count)))
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def rush(theatre: Running, show: make.Show, wishes: Sequence[Wish]) -> list[Answer]:
    """Everybody is connected, then everybody asks at once."""
    async with connected(theatre.url, len(wishes)) as lines, asyncio.timeout(ANSWERED_WITHIN_S):
        return await asyncio.gather(*(_ask(*line, show, wish) for line, wish in zip(lines, wishes, strict=True)))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, show: make.Show, wish: Wish) -> Answer:
    body = json.dumps({"showId": str(show.id), "showSeatIds": [str(wish.seat)]}).encode()
    head = (
        f"POST {wish.path} HTTP/1.1\r\nHost: box-office.test\r\nAuthorization: Bearer {wish.person.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    length = next(int(field.split(":")[1]) for field in fields if field.lower().startswith("content-length:"))
    return Answer(int(first.split()[1]), json.loads(await reader.readexactly(length)))


def tally(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    """How often each status came, with the code of its problem."""
    return Counter((answer.status, answer.body.get("code", "")) for answer in answers)


@pytest.mark.parametrize("path", [[BOOK], [HOLD], [HOLD, BOOK]], ids=["book", "hold", "hold-and-book"])
async def test_of_two_thousand_who_want_one_seat_one_gets_it_and_each_other_a_clean_refusal(
    theatre: Running, books: Pool, path: list[str], record_property: Callable[[str, object], None]
) -> None:
    show = await make.show(books)
    seat = show.seats[0]
    wishes = [Wish(person, way, seat) for person, way in zip(await crowd(books, CROWD), cycle(path), strict=False)]
    since = asyncio.get_running_loop().time()

    answers = await rush(theatre, show, wishes)

    record_property("seconds", round(asyncio.get_running_loop().time() - since, 2))
    assert tally(answers) == {(201, ""): 1, (409, "seats_taken"): CROWD - 1}
    assert all(answer.body["showSeatIds"] == [str(seat)] for answer in answers if answer.status == 409)
    (winner,) = [wish for wish, answer in zip(wishes, answers, strict=True) if answer.status == 201]
    taken = await books.fetch("SELECT id, holder_id FROM show_seat WHERE show_id = $1 AND taken_until > now()", show.id)
    assert [(one["id"], one["holder_id"]) for one in taken] == [(seat, winner.person.id)]
    booked = await books.fetch("SELECT user_id FROM booking WHERE show_id = $1", show.id)
    assert [one["user_id"] for one in booked] == ([winner.person.id] if winner.path == BOOK else [])


async def test_three_hundred_who_want_a_seat_each_all_get_it(theatre: Running, books: Pool) -> None:
    show = await make.show(books, rows=15, seats_a_row=20)
    people = await crowd(books, len(show.seats))
    wishes = [Wish(person, BOOK, seat) for person, seat in zip(people, show.seats, strict=True)]

    answers = await rush(theatre, show, wishes)

    assert tally(answers) == {(201, ""): 300}
    sold = await books.fetch(
        """SELECT line.seat_id, booking.user_id, seat.holder_id FROM booking
             JOIN booking_seat line ON line.show_id = booking.show_id AND line.booking_id = booking.id
             JOIN show_seat seat ON seat.show_id = line.show_id AND seat.id = line.seat_id
                                AND seat.booking_id = booking.id AND seat.taken_until = booking.expires_at
            WHERE booking.show_id = $1""",
        show.id,
    )
    wanted = {(wish.seat, wish.person.id, wish.person.id) for wish in wishes}
    assert {(one["seat_id"], one["user_id"], one["holder_id"]) for one in sold} == wanted
    assert len(sold) == len(wishes)
