"""The demo data: real films, halls one can draw, a programme without overlaps, seats sold for money."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations, pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.accounts import Accounts, Role
from boxoffice.demo.crowd import SOLD_MAX, SOLD_MIN, parties
from boxoffice.demo.films import FILMS
from boxoffice.demo.houses import HOUSES, Hall, House, Place, places
from boxoffice.demo.programme import programme
from boxoffice.demo.seed import seed
from boxoffice.demo.tour import LOGINS, welcome
from boxoffice.postgres.pool import Pool, connection

HALLS = [(house, hall) for house in HOUSES for hall in house.halls]
GAP = timedelta(minutes=15)
each_hall = pytest.mark.parametrize(("house", "hall"), HALLS, ids=lambda part: part.name)


def test_there_are_films_houses_and_halls_enough() -> None:
    assert len({(film.title, film.year) for film in FILMS}) == len(FILMS) >= 12
    assert len({film.language for film in FILMS}) >= 6
    assert len({house.city for house in HOUSES}) == 3
    assert len(HOUSES) == 5
    assert len(HALLS) == 12
    assert len({house.timezone for house in HOUSES}) >= 2
    assert min(hall.seats for _, hall in HALLS) == 60
    assert max(hall.seats for _, hall in HALLS) == 400


@each_hall
def test_a_hall_can_be_drawn(house: House, hall: Hall) -> None:
    drawn = places(hall)

    assert len(drawn) == hall.seats
    assert len({(place.row, place.number) for place in drawn}) == hall.seats
    assert min(place.x for place in drawn) == 0
    assert min(place.y for place in drawn) >= 1
    # A seat is as wide as its pitch, and leaves a fifth of a row's pitch to pass.
    assert not [
        (one, other)
        for one, other in combinations(drawn, 2)
        if abs(one.x - other.x) < 0.99 and abs(one.y - other.y) < 0.8
    ]


@each_hall
def test_a_hall_has_aisles_tiers_and_places_for_wheelchairs(house: House, hall: Hall) -> None:
    drawn = places(hall)
    steps = [right.x - left.x for left, right in _neighbours(drawn)]

    assert max(steps) > 1.5, "an aisle"
    assert {"PREMIUM", "VIP"} <= {place.tier for place in drawn}
    assert [place.kind for place in drawn].count("wheelchair") == 2
    for place in drawn:
        if place.kind == "wheelchair":
            beside = [other for other in drawn if other.row == place.row and abs(other.number - place.number) == 1]
            assert [other.kind for other in beside] == ["companion"]


def test_some_halls_are_curved_and_some_stepped() -> None:
    assert any(hall.curve for _, hall in HALLS)
    assert any(len(set(hall.widths)) > 1 for _, hall in HALLS)


def _neighbours(drawn: list[Place]) -> Iterable[tuple[Place, Place]]:
    return ((left, right) for left, right in pairwise(drawn) if left.row == right.row)


@given(st.dates(date(2025, 1, 1), date(2035, 12, 31)), st.sampled_from(HALLS))
@settings(max_examples=200)
def test_a_programme_fits_into_the_day_without_overlaps(day: date, where: tuple[House, Hall]) -> None:
    house, hall = where
    slots = programme(house, hall, day, GAP) + programme(house, hall, day + timedelta(days=1), GAP)

    for slot in slots:
        begin = slot.starts_at.astimezone(ZoneInfo(house.timezone))
        assert time(10) <= begin.time() <= time(23, 30)
        assert begin.minute % 5 == 0
    for earlier, later in pairwise(slots):
        assert earlier.starts_at + timedelta(minutes=earlier.film.minutes) + GAP <= later.starts_at


@given(st.integers(), st.sampled_from(HALLS))
@settings(max_examples=100)
def test_parties_sit_side_by_side_and_no_seat_is_sold_twice(number: int, where: tuple[House, Hall]) -> None:
    drawn = places(where[1])
    sold = parties(drawn, Random(number))
    seats = [seat for party in sold for seat in party]

    assert len(seats) == len(set(seats))
    assert SOLD_MIN - 0.01 <= len(seats) / len(drawn) <= SOLD_MAX + 0.01
    for party in sold:
        assert {drawn[seat].row for seat in party} == {drawn[party[0]].row}
        assert party == list(range(party[0], party[0] + len(party)))
        assert {drawn[seat].kind for seat in party} == {"standard"}


def test_the_same_show_sells_the_same_seats() -> None:
    drawn = places(HALLS[0][1])

    assert parties(drawn, Random("a show")) == parties(drawn, Random("a show"))


TOLD = """
SELECT (SELECT count(*) FROM movie) AS films,
       (SELECT count(*) FROM theatre) AS theatres,
       (SELECT count(*) FROM screen) AS screens,
       (SELECT count(*) FROM show) AS shows,
       (SELECT count(*) FROM booking) AS bookings,
       (SELECT count(*) FROM show_seat WHERE taken_until = 'infinity') AS seats_sold,
       (SELECT count(*) FROM account WHERE email LIKE '%@boxoffice.example') AS logins,
       (SELECT max(created_at) FROM show) AS newest_show,
       (SELECT sum(revision) FROM show_seat) AS changes
"""

# Sold seats whose booking, line or payment is missing or says something else.
CONTRADICTIONS = """
SELECT count(*)
FROM show_seat s
LEFT JOIN booking b ON b.show_id = s.show_id AND b.id = s.booking_id
LEFT JOIN booking_seat l ON l.show_id = s.show_id AND l.booking_id = b.id AND l.seat_id = s.id
LEFT JOIN payment p ON p.show_id = b.show_id AND p.id = b.paid_by
LEFT JOIN fake_session f ON f.id = p.session_id
WHERE s.taken_until > now() AND (
    b.status = 'CONFIRMED' AND l.price = s.price AND s.holder_id = b.user_id AND p.status = 'SUCCEEDED'
    AND p.amount = b.total_amount AND f.status = 'paid' AND f.amount = p.amount
    AND b.total_amount = (SELECT sum(price) FROM booking_seat x WHERE x.show_id = b.show_id AND x.booking_id = b.id)
    AND b.user_id IN (SELECT id FROM account)) IS NOT TRUE
"""

BY_SHOW = """
SELECT t.timezone, h.starts_at, h.price_regular, h.format,
       (SELECT count(*) FILTER (WHERE s.taken_until = 'infinity')::float / count(*)
        FROM show_seat s WHERE s.show_id = h.id) AS sold
FROM show h JOIN theatre t ON t.id = h.theatre_id
"""


async def _told(pool: Pool) -> dict[str, Any]:
    async with connection(pool) as conn:
        return dict(await conn.fetchrow(TOLD) or {})


async def test_a_seed_looks_like_life_and_repeating_it_changes_nothing(pool: Pool) -> None:
    now = datetime.now(UTC)
    steps: list[tuple[int, int]] = []
    report = await seed(pool, days=2, now=now, progress=lambda done, total: steps.append((done, total)))
    told = await _told(pool)

    assert {
        name: told[name] for name in ("films", "theatres", "screens", "shows", "bookings", "seats_sold", "logins")
    } == {
        "films": report.films,
        "theatres": report.theatres,
        "screens": report.screens,
        "shows": report.shows,
        "bookings": report.bookings,
        "seats_sold": report.seats_sold,
        "logins": report.logins,
    }
    assert steps[-1] == (24, 24)
    assert report.logins == 4
    async with connection(pool) as conn:
        assert await conn.fetchval(CONTRADICTIONS) == 0
        shows = await conn.fetch(BY_SHOW)
    assert {show["format"] for show in shows} <= {"2D", "IMAX"}
    assert len({show["price_regular"] for show in shows}) > 1
    for show in shows:
        assert show["starts_at"] > now
        assert SOLD_MIN - 0.02 <= show["sold"] <= SOLD_MAX + 0.02
        assert time(10) <= show["starts_at"].astimezone(ZoneInfo(show["timezone"])).time() <= time(23, 30)

    again = await seed(pool, days=2, now=now)

    assert again.line() == "The demo data is there already; nothing was changed"
    assert await _told(pool) == told


async def test_more_days_extend_it_and_later_days_follow(pool: Pool) -> None:
    # Early in the morning, everywhere: the whole first day is still to come.
    dawn = datetime.combine(datetime.now(UTC).date() + timedelta(days=2), time(1), UTC)
    first = await seed(pool, days=1, now=dawn)
    longer = await seed(pool, days=2, now=dawn)
    next_morning = await seed(pool, days=2, now=dawn + timedelta(days=1))

    assert first.shows >= 12 * 3
    assert longer.shows >= 12 * 3
    assert longer.films == longer.screens == longer.logins == 0
    assert next_morning.shows >= 12 * 3
    async with connection(pool) as conn:
        days = await conn.fetch(
            "SELECT DISTINCT (starts_at AT TIME ZONE 'Asia/Kolkata')::date AS day FROM show ORDER BY 1"
        )
    assert len(days) == 3


async def test_the_logins_work_and_a_changed_password_stays_changed(pool: Pool) -> None:
    await seed(pool, days=1)
    accounts = Accounts(pool, "any")
    try:
        for login in LOGINS:
            assert (await accounts.login(login.email, login.password)).role == login.role
        await accounts.create_user(LOGINS[0].email, Role.CUSTOMER, "another-password")
        await seed(pool, days=1)
        assert (await accounts.login(LOGINS[0].email, "another-password")).role == "customer"
    finally:
        accounts.close()


def test_the_welcome_names_everything_to_try() -> None:
    text = welcome("http://127.0.0.1:8001")

    assert " http://127.0.0.1:8001/\n" in text
    assert "http://127.0.0.1:8001/api/docs" in text
    assert "http://127.0.0.1:8001/metrics" in text
    assert "python examples/buy_two_seats.py\n" in text
    assert "buy_two_seats.py http://127.0.0.1:9000" in welcome("http://127.0.0.1:9000")
    for login in LOGINS:
        assert login.email in text
        assert login.password in text
