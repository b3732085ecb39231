"""Films, theatres, screens and the lists of shows, on the database itself."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import pytest
from programme import TOMORROW, film, screen, seats, show

from boxoffice.catalog.listing import _listing  # pyright: ignore[reportPrivateUsage]  (to see its plan)
from boxoffice.catalog.movies import Movie, MovieChanges, change_movie, list_movies
from boxoffice.catalog.shows import (
    Prices,
    ShowFilters,
    list_shows,
)
from boxoffice.catalog.theatres import (
    BadLayoutError,
    RowDraft,
    ScreenChanges,
    ScreenInUseError,
    SeatDraft,
    UnknownTimezoneError,
    change_screen,
    screen_layout,
)
from boxoffice.postgres.pool import Pool, connection, transaction


async def listed(pool: Pool, limit: int = 100, **filters: Any) -> list[UUID]:
    async with connection(pool) as conn:
        return [found.id for found in (await list_shows(conn, ShowFilters(**filters), limit)).items]


# -------------------------------------------------------------- screens ---


async def test_seats_are_listed_by_row_then_number_and_stand_on_a_grid(pool: Pool) -> None:
    made = await screen(
        pool,
        [
            RowDraft(row="AA", seats=[SeatDraft(number=1)]),
            RowDraft(row="B", seats=[SeatDraft(number=10, x=4.5), SeatDraft(number=9, kind="wheelchair")]),
            RowDraft(row="A", seats=[SeatDraft(number=2, tier="VIP", y=7.25)]),
        ],
    )

    async with connection(pool) as conn:
        layout = await screen_layout(conn, made.id)

    assert msgspec.to_builtins(layout) == {
        "screenId": str(made.id),
        "totalSeats": 4,
        "rows": ["A", "B", "AA"],
        "layout": [
            {"row": "A", "seats": [{"number": 2, "tier": "VIP", "kind": "standard", "x": 0, "y": 7.25}]},
            {
                "row": "B",
                "seats": [
                    {"number": 9, "tier": "REGULAR", "kind": "wheelchair", "x": 1, "y": 1},
                    {"number": 10, "tier": "REGULAR", "kind": "standard", "x": 4.5, "y": 1},
                ],
            },
            {"row": "AA", "seats": [{"number": 1, "tier": "REGULAR", "kind": "standard", "x": 0, "y": 0}]},
        ],
    }


async def test_a_layout_that_contradicts_itself_is_refused_by_field(pool: Pool) -> None:
    twice = [SeatDraft(number=1), SeatDraft(number=1)]
    with pytest.raises(BadLayoutError) as refusal:
        await screen(pool, [RowDraft(row="A", seats=twice), RowDraft(row="A", seats=seats(1))])
    assert set(refusal.value.extra["errors"]) == {"rows[0].seats[1].number", "rows[1].row"}


async def test_a_stadium_is_a_screen_and_one_seat_more_is_not(pool: Pool) -> None:
    rows = [RowDraft(row=f"R{n}", seats=seats(400)) for n in range(100)]
    assert (await screen(pool, rows)).total_seats == 40_000
    with pytest.raises(BadLayoutError):
        await screen(pool, [*rows, RowDraft(row="Z", seats=seats(1))])


async def test_seats_are_replaced_until_there_is_a_show(pool: Pool) -> None:
    made = await screen(pool)
    other = ScreenChanges(rows=[RowDraft(row="C", seats=seats(3, "VIP"))])
    async with transaction(pool) as conn:
        assert (await change_screen(conn, made.theatre_id, made.id, other)).total_seats == 3
        assert (await screen_layout(conn, made.id)).rows == ["C"]

    await show(pool, await film(pool), made, prices=Prices(vip=1))
    with pytest.raises(ScreenInUseError):
        async with transaction(pool) as conn:
            await change_screen(conn, made.theatre_id, made.id, other)
    async with transaction(pool) as conn:
        assert (await change_screen(conn, made.theatre_id, made.id, ScreenChanges(name="Big"))).name == "Big"


async def test_a_theatre_is_in_a_zone_of_this_world(pool: Pool) -> None:
    for timezone in ("Nowhere/Land", "UTC+5", "../etc/passwd", "asia/kolkata"):
        with pytest.raises(UnknownTimezoneError):
            await screen(pool, timezone=timezone)


# --------------------------------------------------------------- movies ---


async def test_films_are_paged_by_title(pool: Pool) -> None:
    made = [await film(pool, title) for title in ("Black", "Anand", "Black", "Deewaar", "Chupke")]
    seen: list[Movie] = []
    cursor = None
    async with connection(pool) as conn:
        for _ in range(3):
            found = await list_movies(conn, 2, cursor)
            seen += found.items
            cursor = found.next_cursor
    assert cursor is None
    assert [movie.title for movie in seen] == ["Anand", "Black", "Black", "Chupke", "Deewaar"]
    assert {movie.id for movie in seen} == {movie.id for movie in made}


async def test_changes_of_two_people_at_once_both_count(pool: Pool) -> None:
    movie = await film(pool)

    async def apply(changes: MovieChanges) -> Movie:
        async with transaction(pool) as conn:
            return await change_movie(conn, movie.id, changes)

    await asyncio.gather(apply(MovieChanges(rating="U")), apply(MovieChanges(genres=["Drama"], poster_url="/p.jpg")))

    async with connection(pool) as conn:
        (found,) = (await list_movies(conn, 10)).items
    assert (found.title, found.rating, found.genres, found.poster_url) == ("Sholay", "U", ["Drama"], "/p.jpg")
    assert (await apply(MovieChanges(poster_url=None))).poster_url is None


# -------------------------------------------------------------- listing ---


async def test_shows_are_found_by_each_filter_and_all_together(pool: Pool) -> None:
    movies = [await film(pool), await film(pool, "Anand")]
    halls = [await screen(pool), await screen(pool, city="Pune")]
    made = {
        (movie.id, hall.id): (await show(pool, movie, hall, TOMORROW + timedelta(hours=6 * n))).id
        for n, movie in enumerate(movies)
        for hall in halls
    }
    (m0, m1), (h0, h1) = (movie.id for movie in movies), (hall.id for hall in halls)

    assert await listed(pool) == sorted(
        made.values(), key=lambda found: (found not in {made[m0, h0], made[m0, h1]}, found)
    )
    assert set(await listed(pool, movie_id=m0)) == {made[m0, h0], made[m0, h1]}
    assert set(await listed(pool, screen_id=h1)) == {made[m0, h1], made[m1, h1]}
    assert set(await listed(pool, theatre_id=halls[0].theatre_id)) == {made[m0, h0], made[m1, h0]}
    assert set(await listed(pool, city="pUNE")) == {made[m0, h1], made[m1, h1]}
    assert await listed(pool, movie_id=m1, city="Pune", screen_id=h1) == [made[m1, h1]]
    assert await listed(pool, movie_id=uuid4()) == []


async def test_shows_that_have_begun_are_listed_when_asked_for(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool))
    await pool.execute(
        """UPDATE show SET starts_at = now() - interval '1 minute', ends_at = now() + interval '1 hour',
                  screen_free_at = now() + interval '1 hour'"""
    )

    assert await listed(pool) == []
    assert await listed(pool, include_past=True) == [made.id]


async def test_a_day_is_the_day_at_the_theatre(pool: Pool) -> None:
    movie = await film(pool)
    day = date(2040, 6, 10)
    noon = datetime(2040, 6, 10, 12, 0, tzinfo=UTC)
    west = await screen(pool, timezone="Pacific/Pago_Pago")  # UTC-11
    east = await screen(pool, timezone="Pacific/Kiritimati")  # UTC+14
    # 10:59 UTC is still the 9th in the west; 10:00 UTC is already the 11th in the east.
    late_west = await show(pool, movie, west, noon.replace(hour=10, minute=59))
    west_day = await show(pool, movie, west, noon.replace(hour=14))
    east_day = await show(pool, movie, east, noon.replace(hour=7))
    next_east = await show(pool, movie, east, noon.replace(hour=10, minute=0))

    assert await listed(pool, date=day) == [east_day.id, west_day.id]
    assert await listed(pool, date=day - timedelta(days=1)) == [late_west.id]
    assert await listed(pool, date=day + timedelta(days=1)) == [next_east.id]
    assert await listed(pool, date=date.min) == []
    assert await listed(pool, date=date.max) == []


async def test_pages_of_shows_meet_without_gap_or_repeat_when_many_start_at_once(pool: Pool) -> None:
    movie = await film(pool)
    made = {(await show(pool, movie, await screen(pool))).id for _ in range(7)}
    seen: list[UUID] = []
    cursor = None
    async with connection(pool) as conn:
        for _ in range(3):
            found = await list_shows(conn, ShowFilters(), 3, cursor)
            seen += [item.id for item in found.items]
            cursor = found.next_cursor
    assert cursor is None
    assert len(seen) == 7
    assert set(seen) == made


async def test_ten_thousand_shows_list_by_indexes_alone(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool))
    # Ten thousand shows on a hundred screens of fifty theatres, of twenty films.
    await pool.execute(
        """
        INSERT INTO movie (title, duration_min, language) SELECT 'M' || n, 60, 'x' FROM generate_series(1, 20) n;
        INSERT INTO theatre (name, city, timezone)
            SELECT 'T' || n, 'C' || n, 'Asia/Kolkata' FROM generate_series(1, 50) n;
        INSERT INTO screen (theatre_id, name, total_seats)
            SELECT id, 'S' || n, 1 FROM theatre, generate_series(1, 2) n WHERE city <> 'Mumbai';
        WITH film AS (SELECT id, row_number() OVER () AS n FROM movie WHERE title <> 'Sholay'),
             hall AS (SELECT id, theatre_id, row_number() OVER () AS n FROM screen WHERE total_seats = 1)
        INSERT INTO show (movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                          currency, price_regular, total_seats)
        SELECT film.id, hall.theatre_id, hall.id, t, t + interval '1 hour', t + interval '1 hour', 'x', '2D',
               'INR', 1, 1
          FROM hall, generate_series(1, 100) k, film, LATERAL (SELECT now() + k * interval '2 hours' AS t) AS at
         WHERE film.n = 1 + (hall.n + k) % 20;
        INSERT INTO show_seat (show_id, position, price, number, row_label, tier, kind)
            SELECT id, n, 1, n, 'A', 'REGULAR', 'standard' FROM show, generate_series(1, 3) n
             WHERE movie_id <> (SELECT id FROM movie WHERE title = 'Sholay');
        ANALYZE;
        """
    )
    assert await pool.fetchval("SELECT count(*) FROM show") == 10_001
    one = await pool.fetchrow("SELECT * FROM show WHERE id <> $1 LIMIT 1", made.id)
    assert one is not None
    later = (datetime.now(UTC) + timedelta(days=4), uuid4())

    for filters, after in [
        (ShowFilters(), None),
        (ShowFilters(), later),
        (ShowFilters(movie_id=one["movie_id"]), None),
        (ShowFilters(screen_id=one["screen_id"]), None),
        (ShowFilters(theatre_id=one["theatre_id"]), later),
        (ShowFilters(city="c7"), None),
        (ShowFilters(city="Nowhere"), None),
        (ShowFilters(city="C7", movie_id=one["movie_id"]), later),
        (ShowFilters(date=(datetime.now(UTC) + timedelta(days=3)).date()), None),
        (ShowFilters(include_past=True), None),
    ]:
        statement, values = _listing(filters, 21, after)
        plan: Any = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
        scans = list(walk(msgspec.json.decode(plan)[0]["Plan"]))
        assert not [
            node for node in scans if node["Node Type"] == "Seq Scan" and node["Relation Name"] in {"show", "show_seat"}
        ], filters
        rows = sum(node["Actual Rows"] * node["Actual Loops"] for node in scans if node.get("Relation Name") == "show")
        # 50 shows an hour: those of the days around a date, or little more than the page.
        assert rows <= (3 * 24 * 50 if filters.date else 400), (filters, rows)


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in cast("list[dict[str, Any]]", node.get("Plans", [])):
        yield from walk(child)
