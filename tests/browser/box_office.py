"""The running service that the browser visits, and what is on there: shows made to measure, in an instant."""

from datetime import timedelta
from uuid import UUID

import make
from running import Running

from boxoffice.demo.houses import Hall, places
from boxoffice.postgres.pool import Pool

GRAND = Hall(
    name="Grand",
    widths=(20,) * 15,
    aisles=(-6, 6),
    cross_aisles=(7,),
    curve=1.8,
    premium_from=7,
    vip_from=13,
    wheelchair_row=6,
)
"""300 seats of all tiers and kinds."""
ARENA = Hall(
    name="Arena",
    widths=(40,) * 25,
    aisles=(-12, 0, 12),
    cross_aisles=(8, 17),
    curve=3,
    premium_from=9,
    vip_from=20,
    wheelchair_row=8,
)
"""1,000 seats."""

_SHOW = """
WITH film AS (
    INSERT INTO movie (title, duration_min, language, rating, synopsis)
    VALUES ('Sholay', 204, 'Hindi', 'UA 13+', 'Two crooks, one village, and a debt of honour.') RETURNING id
), house AS (
    INSERT INTO theatre (name, city, timezone)
    VALUES ('Regal ' || left(gen_random_uuid()::text, 4), 'Mumbai', 'Asia/Kolkata') RETURNING id
), hall AS (
    INSERT INTO screen (theatre_id, name, total_seats) SELECT id, 'Screen 1', cardinality($1::text[]) FROM house
    RETURNING id, theatre_id
), chairs AS (
    INSERT INTO screen_seat (screen_id, position, row_label, number, tier, kind, x, y)
    SELECT hall.id, seat.position, seat.row_label, seat.number, seat.tier, seat.kind, seat.x, seat.y
      FROM hall, unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::real[], $6::real[])
           WITH ORDINALITY AS seat (row_label, number, tier, kind, x, y, position)
    RETURNING screen_id, position, row_label, number, tier, kind
), made AS (
    INSERT INTO show (movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                      currency, price_regular, price_premium, price_vip, total_seats)
    SELECT film.id, hall.theatre_id, hall.id, now() + $7::interval, now() + $7::interval + '204 minutes',
           now() + $7::interval + '219 minutes', 'Hindi', '2D', 'INR', 25000, 45000, 80000, cardinality($1::text[])
      FROM film, hall
    RETURNING id, screen_id, theatre_id, movie_id
), seats AS (
    INSERT INTO show_seat (show_id, position, price, number, row_label, tier, kind)
    SELECT made.id, c.position, CASE c.tier WHEN 'VIP' THEN 80000 WHEN 'PREMIUM' THEN 45000 ELSE 25000 END,
           c.number, c.row_label, c.tier, c.kind
      FROM made, chairs c
    RETURNING id, position
)
SELECT made.*, (SELECT array_agg(id ORDER BY position) FROM seats) AS seats FROM made
"""


class BoxOffice:
    """A running service and its database."""

    def __init__(self, running: Running, pool: Pool) -> None:
        self.running = running
        self.pool = pool
        self.url = running.url

    async def show(self, hall: Hall = GRAND, *, starts_in: timedelta = timedelta(days=3)) -> make.Show:
        """A show in a hall of its own."""
        seats = places(hall)
        columns = [[getattr(seat, name) for seat in seats] for name in ("row", "number", "tier", "kind", "x", "y")]
        made = await self.pool.fetchrow(_SHOW, *columns, starts_in)
        assert made is not None
        return make.Show(
            id=made["id"],
            seats=made["seats"],
            screen_id=made["screen_id"],
            theatre_id=made["theatre_id"],
            movie_id=made["movie_id"],
        )

    async def any_show_of_the_demo(self) -> UUID:
        """A show of the demo data that is well ahead and partly sold."""
        found: UUID | None = await self.pool.fetchval(
            """SELECT s.id FROM show s JOIN theatre t ON t.id = s.theatre_id
                WHERE s.starts_at > now() + interval '3 hours' AND t.name NOT LIKE 'Regal %'
                  AND EXISTS (SELECT FROM booking b WHERE b.show_id = s.id)
                ORDER BY s.starts_at, s.id LIMIT 1"""
        )
        assert found is not None
        return found
