"""Puts the demo data in, through the catalogue's own functions. Repeatable: what is there is left alone.

Each day of each screen is planned and partly sold in one transaction, so that a seed which is
cut short goes on where it stopped.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec

from boxoffice.accounts import Accounts, Role
from boxoffice.catalog.layouts import RowDraft, SeatDraft
from boxoffice.catalog.movies import MovieDraft, add_movie
from boxoffice.catalog.shows import Prices, ShowDraft, ShowOverlapError, add_show
from boxoffice.catalog.theatres import ScreenDraft, TheatreDraft, add_screen, add_theatre
from boxoffice.demo.crowd import parties
from boxoffice.demo.films import FILMS, Film
from boxoffice.demo.houses import HOUSES, Hall, House, Place, places
from boxoffice.demo.programme import Slot, programme
from boxoffice.demo.tour import LOGINS
from boxoffice.postgres.pool import Connection, Pool, connection, transaction

CUSTOMERS: Final = 2_000
"""People who bought what is sold: guests, whom nobody can sign in as."""
LEAD: Final = timedelta(minutes=30)
"""A show that begins sooner than this is not planned any more."""
BOUGHT_BEFORE_MAX_H: Final = 72
"""Tickets of the demo were bought within this many hours before now."""

_NAMES: Final = UUID("6f0b5a3c-5a5e-4c5e-9d39-0b0c50ff1ce0")
"""The name space of the ids that are derived from names."""


class SeedReport(msgspec.Struct, kw_only=True):
    """What a seed added."""

    films: int = 0
    theatres: int = 0
    screens: int = 0
    shows: int = 0
    bookings: int = 0
    seats_sold: int = 0
    logins: int = 0

    def line(self) -> str:
        """The report in a sentence."""
        added = [f"{count} {what.replace('_', ' ')}" for what, count in msgspec.structs.asdict(self).items() if count]
        return f"Added {', '.join(added)}" if added else "The demo data is there already; nothing was changed"


def _no_progress(_done: int, _total: int) -> None:
    pass


async def seed(
    pool: Pool,
    *,
    days: int = 7,
    now: datetime | None = None,
    cleanup_gap: timedelta = timedelta(minutes=15),
    progress: Callable[[int, int], None] = _no_progress,
) -> SeedReport:
    """Add what is missing: logins, films, theatres, screens, and shows for ``days`` days from today on.

    A day for which a screen has a show already is left alone. ``progress`` is told how many
    of how many steps are done.
    """
    now = now or datetime.now(UTC)
    report = SeedReport()
    await _add_logins(pool, report)
    async with transaction(pool) as conn:
        rooms = await _add_catalogue(conn, report)
    for index, room in enumerate(rooms):
        today = now.astimezone(ZoneInfo(room.house.timezone)).date()
        for ahead in range(days):
            async with transaction(pool) as conn:
                await _plan_day(conn, room, today + timedelta(days=ahead), cleanup_gap, now, report)
            progress(index * days + ahead + 1, len(rooms) * days)
    return report


class _Room(msgspec.Struct, frozen=True, kw_only=True):
    """A screen in the database and what it was made from."""

    house: House
    hall: Hall
    screen_id: UUID
    movie_ids: dict[str, UUID]
    places: list[Place]


# Whether an e-mail address has an account.
_HAS_LOGIN = """
SELECT EXISTS (SELECT FROM account WHERE email = $1)
"""


async def _add_logins(pool: Pool, report: SeedReport) -> None:
    # Nobody signs in here, so nothing is signed.
    accounts = Accounts(pool, "")
    try:
        for login in LOGINS:
            async with connection(pool) as conn:
                there = await conn.fetchval(_HAS_LOGIN, login.email)
            if not there:
                await accounts.create_user(login.email, Role(login.role), login.password, login.name)
                report.logins += 1
    finally:
        accounts.close()


# Two seeds at once would both find a film missing: the second waits for the first here.
_ONE_AT_A_TIME = "LOCK TABLE movie IN SHARE ROW EXCLUSIVE MODE"

# Guests who are there already stay as they are.
_ADD_CUSTOMERS = """
INSERT INTO account (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING
"""


async def _add_catalogue(conn: Connection, report: SeedReport) -> list[_Room]:
    await conn.execute(_ONE_AT_A_TIME)
    await conn.execute(_ADD_CUSTOMERS, [_customer(number) for number in range(CUSTOMERS)])
    movie_ids = {film.title: await _movie(conn, film, report) for film in FILMS}
    rooms: list[_Room] = []
    for house in HOUSES:
        theatre_id = await _theatre(conn, house, report)
        for hall in house.halls:
            screen_id = await _screen(conn, theatre_id, hall, report)
            rooms.append(_Room(house=house, hall=hall, screen_id=screen_id, movie_ids=movie_ids, places=places(hall)))
    return rooms


# A film by what makes it that film.
_FIND_MOVIE = """
SELECT id FROM movie WHERE title = $1 AND release_year = $2 LIMIT 1
"""


async def _movie(conn: Connection, film: Film, report: SeedReport) -> UUID:
    found: UUID | None = await conn.fetchval(_FIND_MOVIE, film.title, film.year)
    if found is not None:
        return found
    draft = MovieDraft(
        title=film.title,
        duration_min=film.minutes,
        language=film.language,
        rating=film.rating,
        genres=list(film.genres),
        synopsis=film.synopsis,
        release_year=film.year,
    )
    report.films += 1
    return (await add_movie(conn, draft)).id


# A theatre by its name in its city.
_FIND_THEATRE = """
SELECT id FROM theatre WHERE name = $1 AND city = $2 LIMIT 1
"""


async def _theatre(conn: Connection, house: House, report: SeedReport) -> UUID:
    found: UUID | None = await conn.fetchval(_FIND_THEATRE, house.name, house.city)
    if found is not None:
        return found
    report.theatres += 1
    draft = TheatreDraft(name=house.name, city=house.city, timezone=house.timezone)
    return (await add_theatre(conn, draft)).id


# A screen by its name, which is unique in its theatre.
_FIND_SCREEN = """
SELECT id FROM screen WHERE theatre_id = $1 AND name = $2
"""


async def _screen(conn: Connection, theatre_id: UUID, hall: Hall, report: SeedReport) -> UUID:
    found: UUID | None = await conn.fetchval(_FIND_SCREEN, theatre_id, hall.name)
    if found is not None:
        return found
    rows: dict[str, list[SeatDraft]] = {}
    for place in places(hall):
        seat = SeatDraft(number=place.number, tier=place.tier, kind=place.kind, x=place.x, y=place.y)
        rows.setdefault(place.row, []).append(seat)
    draft = ScreenDraft(name=hall.name, rows=[RowDraft(row=row, seats=seats) for row, seats in rows.items()])
    report.screens += 1
    return (await add_screen(conn, theatre_id, draft)).id


# Keeps others from planning on the screen until the transaction ends.
_HOLD_SCREEN = """
SELECT total_seats FROM screen WHERE id = $1 FOR NO KEY UPDATE
"""

# Whether a screen has a show on a day of its theatre's own calendar.
_IS_PLANNED = """
SELECT EXISTS (
    SELECT FROM show
    WHERE screen_id = $1
      AND starts_at >= $2::date::timestamp AT TIME ZONE $3::text
      AND starts_at < ($2::date + 1)::timestamp AT TIME ZONE $3::text)
"""


async def _plan_day(
    conn: Connection, room: _Room, day: date, gap: timedelta, now: datetime, report: SeedReport
) -> None:
    total_seats = await conn.fetchval(_HOLD_SCREEN, room.screen_id)
    if await conn.fetchval(_IS_PLANNED, room.screen_id, day, room.house.timezone):
        return
    sales = _Sales()
    for slot in programme(room.house, room.hall, day, gap):
        if slot.starts_at < now + LEAD:
            continue
        show_id = await _add_show(conn, room, slot, gap)
        if show_id is None:
            continue
        report.shows += 1
        # A screen that somebody has given other seats since is shown, but nothing is sold in it.
        if total_seats == len(room.places):
            _sell(sales, show_id, room, slot, now)
    await _record(conn, sales)
    report.bookings += len(sales.booking_ids)
    report.seats_sold += len(sales.positions)


async def _add_show(conn: Connection, room: _Room, slot: Slot, gap: timedelta) -> UUID | None:
    draft = ShowDraft(
        movie_id=room.movie_ids[slot.film.title],
        screen_id=room.screen_id,
        starts_at=slot.starts_at,
        prices=Prices(**{tier.lower(): price for tier, price in slot.prices.items()}),
        language=slot.language,
        format=slot.format,
    )
    try:
        return (await add_show(conn, draft, cleanup_gap=gap)).id
    except ShowOverlapError:
        # A late show of somebody else's reaches into the morning: it was there first.
        return None


class _Sales(msgspec.Struct, kw_only=True):
    """What is sold, as the columns that `_SELL` takes: first of the bookings, then of their seats."""

    show_ids: list[UUID] = []
    booking_ids: list[UUID] = []
    user_ids: list[UUID] = []
    payment_ids: list[UUID] = []
    bought_at: list[datetime] = []
    seat_show_ids: list[UUID] = []
    seat_booking_ids: list[UUID] = []
    positions: list[int] = []


def _sell(sales: _Sales, show_id: UUID, room: _Room, slot: Slot, now: datetime) -> None:
    """Add the tickets sold for a show; the same show of the same hall sells the same seats."""
    chance = Random(f"{room.house.name}/{room.hall.name}/{slot.starts_at}")  # noqa: S311  (a demo, no secret)
    for number, seats in enumerate(parties(room.places, chance)):
        booking_id = uuid5(show_id, f"booking {number}")
        sales.show_ids.append(show_id)
        sales.booking_ids.append(booking_id)
        sales.user_ids.append(_customer(chance.randrange(CUSTOMERS)))
        sales.payment_ids.append(uuid5(booking_id, "payment"))
        sales.bought_at.append(now - timedelta(hours=chance.uniform(0.1, BOUGHT_BEFORE_MAX_H)))
        for position in seats:
            sales.seat_show_ids.append(show_id)
            sales.seat_booking_ids.append(booking_id)
            sales.positions.append(position)


# Sells seats nobody has: bookings, their lines, their payments, the gateway's side of these, and the leases,
# all or nothing. The keys between them are checked at the end of the statement.
_SELL = """
WITH sale AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[])
        AS given (show_id, booking_id, user_id, payment_id, bought_at)
), line AS (
    SELECT sale.*, seat.id AS seat_id, seat.position, seat.price, seat.number, seat.row_label, seat.tier
    FROM unnest($6::uuid[], $7::uuid[], $8::integer[]) AS given (show_id, booking_id, position)
    JOIN sale ON sale.show_id = given.show_id AND sale.booking_id = given.booking_id
    JOIN show_seat AS seat ON seat.show_id = given.show_id AND seat.position = given.position
), bill AS (
    SELECT line.show_id, booking_id, user_id, payment_id, bought_at, currency, sum(price) AS amount
    FROM line JOIN show ON show.id = line.show_id
    GROUP BY line.show_id, booking_id, user_id, payment_id, bought_at, currency
), booked AS (
    INSERT INTO booking (show_id, id, user_id, status, total_amount, currency, expires_at, paid_by,
                         created_at, confirmed_at)
    SELECT show_id, booking_id, user_id, 'CONFIRMED', amount, currency, bought_at + interval '15 minutes',
           payment_id, bought_at, bought_at + interval '2 minutes'
    FROM bill
), lines AS (
    INSERT INTO booking_seat (show_id, booking_id, seat_id, position, price, number, row_label, tier)
    SELECT show_id, booking_id, seat_id, position, price, number, row_label, tier FROM line
), paid AS (
    INSERT INTO payment (show_id, id, booking_id, gateway, session_id, status, amount, currency,
                         gateway_ref, expires_at, created_at, settled_at)
    SELECT show_id, payment_id, booking_id, 'fake', 'sess_demo_' || payment_id, 'SUCCEEDED', amount, currency,
           'demo_' || payment_id, bought_at + interval '15 minutes',
           bought_at + interval '1 minute', bought_at + interval '2 minutes'
    FROM bill
), ledger AS (
    INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency, written_at)
    SELECT show_id, payment_id, 'sale', payment_id, 'gateway', 'sales', amount, currency,
           bought_at + interval '2 minutes'
    FROM bill WHERE amount > 0
), gateway_side AS (
    INSERT INTO fake_session (id, idempotency_key, booking_id, amount, currency, status, expires_at,
                              created_at, decided_at)
    SELECT 'sess_demo_' || payment_id, payment_id::text, booking_id, amount, currency, 'paid',
           bought_at + interval '15 minutes', bought_at + interval '1 minute', bought_at + interval '2 minutes'
    FROM bill
)
UPDATE show_seat AS seat
SET taken_until = 'infinity', holder_id = line.user_id, booking_id = line.booking_id, revision = revision + 1
FROM line
WHERE seat.show_id = line.show_id AND seat.id = line.seat_id
"""


async def _record(conn: Connection, sales: _Sales) -> None:
    await conn.execute(_SELL, *msgspec.structs.astuple(sales))


def _customer(number: int) -> UUID:
    return uuid5(_NAMES, f"customer {number}")
