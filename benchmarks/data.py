"""The data that is measured on, by bulk SQL: shows whose seats, and buyers, have ids that can be worked out.

An id is the MD5 of a name such as ``show 7 seat 12``: pgbench can make it inside the booking's own
statement, Python without asking the database, and to indexes and compression it looks as random
as the ids that the product makes.
"""

import hashlib
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from boxoffice.accounts.tokens import AccessTokens

SEATS_OF_A_BUYER: Final = 10
"""The most that one may have unpaid in a show: a benchmark's buyer takes so many, then comes the next."""
PRICE: Final = 25_000
"""Paise."""
_SEATS_A_ROW: Final = 100


class Show(msgspec.Struct, frozen=True, kw_only=True):
    """A show of so many free seats, numbered from 1."""

    number: int
    seats: int

    @property
    def id(self) -> str:
        """Its id."""
        return identifier(f"show {self.number}")

    def seat(self, n: int) -> str:
        """The id of seat ``n``."""
        return identifier(f"show {self.number} seat {n}")


def identifier(name: str) -> str:
    """What ``md5(name)::uuid`` is to PostgreSQL."""
    return str(UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()))


# The film and the house of all benchmarks.
_HOUSE: Final = """
WITH film AS (
    INSERT INTO movie (id, title, duration_min, language)
    VALUES (md5('film')::uuid, 'Opening night', 90, 'Hindi'), (md5('film of ten')::uuid, 'Ten shows', 90, 'Hindi'),
           (md5('film of many')::uuid, 'Many shows', 90, 'Hindi')
    ON CONFLICT DO NOTHING
)
INSERT INTO theatre (id, name, city, timezone) VALUES (md5('house')::uuid, 'Benchmark', 'Mumbai', 'Asia/Kolkata')
ON CONFLICT DO NOTHING
"""

# A screen of so many seats.
_SCREEN: Final = f"""
WITH hall AS (
    INSERT INTO screen (id, theatre_id, name, total_seats)
    VALUES (md5(%(name)s)::uuid, md5('house')::uuid, %(name)s, %(seats)s) ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO screen_seat (screen_id, position, row_label, number, tier, kind, x, y)
SELECT hall.id, n, 'R' || (n - 1) / {_SEATS_A_ROW}, (n - 1) %% {_SEATS_A_ROW} + 1, 'REGULAR', 'standard',
       (n - 1) %% {_SEATS_A_ROW}, (n - 1) / {_SEATS_A_ROW}
  FROM hall, generate_series(1, %(seats)s) n
"""

# Shows with consecutive numbers on one screen, three hours apart.
_SHOWS: Final = f"""
INSERT INTO show (id, movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                  currency, price_regular, total_seats)
SELECT md5('show ' || n)::uuid, md5(%(film)s)::uuid, md5('house')::uuid, md5(%(screen)s)::uuid,
       starts_at, starts_at + interval '90 minutes', starts_at + interval '105 minutes', 'Hindi', '2D',
       'INR', {PRICE}, %(seats)s
  FROM generate_series(%(first)s::int, %(last)s::int) n,
       LATERAL (SELECT date_trunc('hour', now()) + interval '2 days' + n * interval '3 hours' AS starts_at) slot
"""
_SEATS: Final = f"""
INSERT INTO show_seat (show_id, id, position, price, number, row_label, tier, kind)
SELECT md5('show ' || n)::uuid, md5('show ' || n || ' seat ' || s)::uuid, s, {PRICE},
       (s - 1) %% {_SEATS_A_ROW} + 1, 'R' || (s - 1) / {_SEATS_A_ROW}, 'REGULAR', 'standard'
  FROM generate_series(%(first)s::int, %(last)s::int) n, generate_series(1, %(seats)s::int) s
"""

# Guests with a session each.
_BUYERS: Final = """
WITH people AS (
    INSERT INTO account (id) SELECT md5('buyer ' || n)::uuid FROM generate_series(%(first)s::int, %(last)s::int) n
)
INSERT INTO account_session (id, account_id, refresh_hash, expires_at)
SELECT md5('session ' || n)::uuid, md5('buyer ' || n)::uuid, sha256(('session ' || n)::bytea), now() + interval '1 day'
  FROM generate_series(%(first)s::int, %(last)s::int) n
"""

# What a sale of a show left behind.
_SALE: Final = """
SELECT (SELECT count(*) FROM booking WHERE show_id = %(show)s::uuid),
       (SELECT count(*) FROM booking WHERE show_id = %(show)s::uuid AND status = 'CONFIRMED'),
       (SELECT count(*) FROM show_seat s WHERE show_id = %(show)s::uuid AND taken_until = 'infinity'
           AND EXISTS (SELECT FROM booking_seat l WHERE l.show_id = s.show_id AND l.seat_id = s.id
                                                    AND l.booking_id = s.booking_id)),
       (SELECT count(*) FROM booking_seat WHERE show_id = %(show)s::uuid),
       (SELECT count(DISTINCT seat_id) FROM booking_seat WHERE show_id = %(show)s::uuid)
"""

_DURABILITY: Final = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers")
_MUST_BE_ON: Final = ("fsync", "synchronous_commit", "full_page_writes")


class NotDurableError(Exception):
    """The database may lose what it confirmed: figures from it do not count."""


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """What a show's rows say about its sale."""

    bookings: int
    confirmed: int
    sold_seats: int
    """Seats sold for good, each to the booking that lists it."""
    lines: int
    distinct_seats: int


class Data:
    """Makes what benchmarks need, in the database of the server that is measured."""

    def __init__(self, dsn: str, secret_key: str) -> None:
        self._conn = psycopg.connect(dsn, autocommit=True)
        self._tokens = AccessTokens(secret_key)
        self._signed: dict[int, str] = {}
        self._buyers = 0
        self._shows = 0
        self._screens: set[str] = set()
        self._made: set[str] = set()
        self._conn.execute(_HOUSE.encode())

    def close(self) -> None:
        """Leave the database."""
        self._conn.close()

    def show(self, seats: int) -> Show:
        """A new show."""
        return self.shows(1, seats)[0]

    def shows(self, many: int, seats: int, film: str = "film") -> list[Show]:
        """New shows, of one film, each of ``seats`` seats."""
        screen = f"screen of {seats}"
        if screen not in self._screens:
            self._conn.execute(_SCREEN.encode(), {"name": screen, "seats": seats})
            self._screens.add(screen)
        first, last = self._shows + 1, self._shows + many
        wanted = {"film": film, "screen": screen, "seats": seats, "first": first, "last": last}
        with self._conn.transaction():
            self._conn.execute(_SHOWS.encode(), wanted)
            self._conn.execute(_SEATS.encode(), wanted)
        self._shows = last
        return [Show(number=number, seats=seats) for number in range(first, last + 1)]

    def once(self, name: str, make: Callable[[], object]) -> None:
        """Make what all rounds share."""
        if name not in self._made:
            make()
            self._made.add(name)

    def buyers(self, many: int) -> None:
        """See to it that buyers 0 to ``many`` - 1 exist."""
        if many > self._buyers:
            self._conn.execute(_BUYERS.encode(), {"first": self._buyers, "last": many - 1})
            self._buyers = many

    def token(self, buyer: int) -> str:
        """The access token of a buyer, made by the product's own code; good for an hour."""
        token = self._signed.get(buyer)
        if token is None:
            ids = UUID(identifier(f"buyer {buyer}")), UUID(identifier(f"session {buyer}"))
            token = self._signed[buyer] = self._tokens.sign(*ids)
        return token

    def settle(self) -> None:
        """Let no round pay for the one before: statistics, visibility and dirty pages are seen to."""
        self._conn.execute("VACUUM (ANALYZE) show, show_seat, show_buyer, booking, booking_seat, account_session")
        self._conn.execute("CHECKPOINT")

    def sale(self, show: Show) -> Sale:
        """What was sold of a show."""
        found = self._conn.execute(_SALE.encode(), {"show": show.id}).fetchone()
        if found is None:
            raise RuntimeError("counts always give a row")
        bookings, confirmed, sold_seats, lines, distinct = (int(value) for value in found)
        return Sale(bookings=bookings, confirmed=confirmed, sold_seats=sold_seats, lines=lines, distinct_seats=distinct)

    def durability(self) -> dict[str, str]:
        """How safe a commit is here, and the server's version.

        Raises:
            NotDurableError: less than fully.
        """
        shown: dict[str, str] = {}
        for name in (*_DURABILITY, "server_version"):
            found = self._conn.execute("SELECT current_setting(%s)", [name]).fetchone()
            shown[name] = "" if found is None else str(found[0])
        weak = [name for name in _MUST_BE_ON if shown[name] != "on"]
        if weak:
            raise NotDurableError(f"{', '.join(weak)}: must be on for figures to count")
        return shown
