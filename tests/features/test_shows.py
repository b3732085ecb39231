"""Shows: never two on a screen, every seat priced, none moved under its buyers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from programme import GAP, LENGTH, TOMORROW, film, screen, seats, show, take

from boxoffice.catalog.shows import (
    MissingPriceError,
    Prices,
    Show,
    ShowChanges,
    ShowHasBookingsError,
    ShowInPastError,
    ShowOverlapError,
    change_show,
    find_show,
)
from boxoffice.catalog.theatres import (
    RowDraft,
    SeatDraft,
)
from boxoffice.errors import MalformedError
from boxoffice.postgres.pool import Pool, connection, transaction


async def change(pool: Pool, show_id: UUID, **changes: Any) -> Show:
    async with transaction(pool) as conn:
        return await change_show(conn, show_id, ShowChanges(**changes))


async def prices_of(pool: Pool, show_id: UUID) -> list[tuple[int, int]]:
    rows = await pool.fetch("SELECT price, revision FROM show_seat WHERE show_id = $1 ORDER BY position", show_id)
    return [(row["price"], row["revision"]) for row in rows]


async def test_a_show_has_a_seat_for_every_seat_priced_by_tier(pool: Pool) -> None:
    hall = await screen(
        pool,
        [
            RowDraft(row="B", seats=seats(2, "VIP")),
            RowDraft(row="A", seats=[SeatDraft(number=1, kind="companion")]),
            RowDraft(row="C", seats=seats(1, "PREMIUM")),
        ],
    )
    made = await show(pool, await film(pool), hall)

    rows = await pool.fetch(
        "SELECT position, row_label, number, tier, kind, price FROM show_seat WHERE show_id = $1 ORDER BY 1", made.id
    )
    assert [tuple(row.values()) for row in rows] == [
        (0, "A", 1, "REGULAR", "companion", 20_000),
        (1, "B", 1, "VIP", "standard", 50_000),
        (2, "B", 2, "VIP", "standard", 50_000),
        (3, "C", 1, "PREMIUM", "standard", 30_000),
    ]
    assert made.end_time - made.start_time == LENGTH
    assert (made.language, made.format, made.currency) == ("Hindi", "2D", "INR")
    assert (made.availability.total, made.availability.available) == (4, 4)


async def test_every_tier_of_the_screen_needs_a_price_and_others_are_not_kept(pool: Pool) -> None:
    hall = await screen(pool, [RowDraft(row="A", seats=seats(1)), RowDraft(row="B", seats=seats(1, "VIP"))])
    movie = await film(pool)

    with pytest.raises(MissingPriceError) as refusal:
        await show(pool, movie, hall, prices=Prices(regular=1, premium=2))
    assert set(refusal.value.extra["errors"]) == {"prices.VIP"}
    assert (await show(pool, movie, hall)).prices == Prices(regular=20_000, vip=50_000)


@pytest.mark.parametrize("starts_at", [datetime.now(UTC) - timedelta(seconds=1), datetime(1, 1, 1, tzinfo=UTC)])
async def test_a_show_does_not_start_in_the_past(pool: Pool, starts_at: datetime) -> None:
    with pytest.raises(ShowInPastError):
        await show(pool, await film(pool), await screen(pool), starts_at)


async def test_nor_at_the_end_of_time(pool: Pool) -> None:
    with pytest.raises(MalformedError):
        await show(pool, await film(pool), await screen(pool), datetime(9999, 12, 31, 23, 59, tzinfo=UTC))


async def test_a_screen_shows_one_film_at_a_time_and_is_cleaned_between(pool: Pool) -> None:
    movie, hall = await film(pool), await screen(pool)
    first = await show(pool, movie, hall)
    after = TOMORROW + LENGTH + GAP

    for start in (TOMORROW, after - timedelta(seconds=1), TOMORROW - LENGTH - GAP + timedelta(seconds=1)):
        with pytest.raises(ShowOverlapError) as refusal:
            await show(pool, movie, hall, start)
        assert refusal.value.extra["showId"] == first.id
    await show(pool, movie, hall, after)
    await show(pool, movie, hall, TOMORROW - LENGTH - GAP)
    await show(pool, movie, await screen(pool), TOMORROW)


async def test_of_shows_that_overlap_made_at_once_exactly_one_is(pool: Pool) -> None:
    movie, hall = await film(pool), await screen(pool)

    answers = await asyncio.gather(
        *(show(pool, movie, hall, TOMORROW + timedelta(minutes=n)) for n in range(10)), return_exceptions=True
    )

    assert sum(isinstance(answer, Show) for answer in answers) == 1
    assert sum(isinstance(answer, ShowOverlapError) for answer in answers) == 9
    assert await pool.fetchval("SELECT count(*) FROM show") == 1
    assert await pool.fetchval("SELECT count(*) FROM show_seat") == 2


async def test_the_database_refuses_overlaps_whatever_the_code_does(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool))
    with pytest.raises(asyncpg.ExclusionViolationError):
        await pool.execute(
            """INSERT INTO show SELECT (jsonb_populate_record(show, jsonb_build_object('id', gen_random_uuid()))).*
               FROM show WHERE id = $1""",
            made.id,
        )


async def test_a_show_without_bookings_moves_and_takes_as_long(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool))
    later = TOMORROW + timedelta(minutes=30)  # overlaps only with itself

    moved = await change(pool, made.id, starts_at=later, format="IMAX")

    assert (moved.start_time, moved.end_time, moved.format) == (later, later + LENGTH, "IMAX")
    with pytest.raises(ShowInPastError):
        await change(pool, made.id, starts_at=datetime.now(UTC) - timedelta(minutes=1))
    other = await show(pool, await film(pool), await screen(pool))
    assert (await change(pool, other.id, language="Tamil")).start_time == TOMORROW


async def test_a_show_does_not_move_onto_another(pool: Pool) -> None:
    movie, hall = await film(pool), await screen(pool)
    first = await show(pool, movie, hall)
    second = await show(pool, movie, hall, TOMORROW + timedelta(hours=5))

    with pytest.raises(ShowOverlapError) as refusal:
        await change(pool, second.id, starts_at=TOMORROW + timedelta(hours=1))
    assert refusal.value.extra["showId"] == first.id


async def test_a_show_with_bookings_keeps_its_time(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool))
    await take(pool, made.id, 0, "now() + interval '5 minutes'", booked=True)

    with pytest.raises(ShowHasBookingsError):
        await change(pool, made.id, starts_at=TOMORROW + timedelta(hours=1))
    assert (await change(pool, made.id, starts_at=TOMORROW, format="3D")).format == "3D"

    await take(pool, made.id, 0, "now() - interval '1 second'", booked=True)
    assert (await change(pool, made.id, starts_at=TOMORROW + timedelta(hours=1))).id == made.id


async def test_a_booking_under_way_is_seen_before_the_show_moves(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool))
    async with transaction(pool) as buyer:
        await buyer.fetch(
            "SELECT id FROM show_seat WHERE show_id = $1 AND position = 0 ORDER BY id FOR UPDATE", made.id
        )
        moving = asyncio.create_task(change(pool, made.id, starts_at=TOMORROW + timedelta(hours=1)))
        await asyncio.sleep(0.2)
        assert not moving.done()
        booking_id = await buyer.fetchval(
            """INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at)
               VALUES ($1, gen_random_uuid(), 1, 'INR', now() + interval '15 minutes') RETURNING id""",
            made.id,
        )
        await buyer.execute(
            """UPDATE show_seat SET taken_until = now() + interval '15 minutes', holder_id = gen_random_uuid(),
                      booking_id = $2, revision = revision + 1 WHERE show_id = $1 AND position = 0""",
            made.id,
            booking_id,
        )
    with pytest.raises(ShowHasBookingsError):
        await moving


async def test_new_prices_are_for_seats_that_nobody_has_booked(pool: Pool) -> None:
    hall = await screen(pool, [RowDraft(row="A", seats=seats(5)), RowDraft(row="B", seats=seats(1, "VIP"))])
    made = await show(pool, await film(pool), hall)
    await take(pool, made.id, 0, "'infinity'", booked=True)
    await take(pool, made.id, 1, "now() + interval '5 minutes'", booked=True)
    await take(pool, made.id, 2, "now() + interval '5 minutes'", booked=False)
    await take(pool, made.id, 3, "now() - interval '5 minutes'", booked=True)

    changed = await change(pool, made.id, prices=Prices(regular=99))

    assert changed.prices == Prices(regular=99, vip=50_000)
    assert await prices_of(pool, made.id) == [(20_000, 1), (20_000, 1), (99, 2), (99, 2), (99, 1), (50_000, 0)]


async def test_seats_are_counted_by_their_lease(pool: Pool) -> None:
    made = await show(pool, await film(pool), await screen(pool, [RowDraft(row="A", seats=seats(6))]))
    await take(pool, made.id, 0, "'infinity'", booked=True)
    await take(pool, made.id, 1, "now() + interval '5 minutes'", booked=True)
    await take(pool, made.id, 2, "now() + interval '5 minutes'", booked=False)
    await take(pool, made.id, 3, "now() - interval '1 second'", booked=False)
    await take(pool, made.id, 4, "now() - interval '1 second'", booked=True)

    async with connection(pool) as conn:
        seen = (await find_show(conn, made.id)).availability
    assert (seen.total, seen.available, seen.held, seen.booked) == (6, 3, 1, 2)
