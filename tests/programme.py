"""Builders of a catalogue through its own functions: a film, a screen, a show, a lease on one of its seats."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from boxoffice.catalog.movies import Movie, MovieDraft, add_movie
from boxoffice.catalog.shows import Prices, Show, ShowDraft, add_show
from boxoffice.catalog.theatres import RowDraft, Screen, ScreenDraft, SeatDraft, TheatreDraft, add_screen, add_theatre
from boxoffice.postgres.pool import Pool, transaction

GAP: Final = timedelta(minutes=15)
LENGTH: Final = timedelta(minutes=120)
TOMORROW: Final = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
ALL_TIERS: Final = Prices(regular=20_000, premium=30_000, vip=50_000)


def seats(count: int, tier: Any = "REGULAR") -> list[SeatDraft]:
    return [SeatDraft(number=n, tier=tier) for n in range(1, count + 1)]


async def film(pool: Pool, title: str = "Sholay") -> Movie:
    async with transaction(pool) as conn:
        return await add_movie(
            conn, MovieDraft(title=title, duration_min=int(LENGTH.total_seconds() // 60), language="Hindi")
        )


async def screen(
    pool: Pool,
    rows: Sequence[RowDraft] = (RowDraft(row="A", seats=seats(2)),),
    *,
    city: str = "Mumbai",
    timezone: str = "Asia/Kolkata",
) -> Screen:
    async with transaction(pool) as conn:
        theatre = await add_theatre(conn, TheatreDraft(name="Regal", city=city, timezone=timezone))
        return await add_screen(conn, theatre.id, ScreenDraft(name="Screen 1", rows=list(rows)))


async def show(
    pool: Pool, movie: Movie, where: Screen, starts_at: datetime = TOMORROW, prices: Prices = ALL_TIERS
) -> Show:
    draft = ShowDraft(movie_id=movie.id, screen_id=where.id, starts_at=starts_at, prices=prices)
    async with transaction(pool) as conn:
        return await add_show(conn, draft, cleanup_gap=GAP)


async def take(pool: Pool, show_id: UUID, position: int, until: str, *, booked: bool) -> None:
    """Lease a seat until a time, with or without a booking."""
    booking_id = None
    if booked:
        booking_id = await pool.fetchval(
            """INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at)
               VALUES ($1, gen_random_uuid(), 1, 'INR', now()) RETURNING id""",
            show_id,
        )
    await pool.execute(
        f"""UPDATE show_seat SET taken_until = {until}, holder_id = gen_random_uuid(), booking_id = $3,
                   revision = revision + 1 WHERE show_id = $1 AND position = $2""",
        show_id,
        position,
        booking_id,
    )
