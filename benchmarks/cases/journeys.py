"""The whole journey of a buyer, and a stadium sold out by such journeys."""

from typing import Final

from benchmarks.cases.case import PGBENCH, Case, Prepared, Target, against_pgbench, problems
from benchmarks.data import Sale, Show
from benchmarks.measured import Measured
from benchmarks.plans import Journeys, Purchase
from benchmarks.stage import OwnStage

CONNECTIONS: Final = 32
RATE_MAX: Final = 1_000
"""Seats are made for so many journeys a second."""
HALL_SEATS: Final = 120
SEATS: Final = 2
"""A journey's."""
_EXPECTED: Final = {"map": {200}, "hold": {201}, "book": {201}, "initiate": {201}, "pay": {200}, "read": {200}}


def journey_cases(stadium: int, at_once: int) -> list[Case[OwnStage]]:
    """One in halls, one in a stadium of so many seats."""
    return [
        Case[OwnStage](
            name="journey",
            title=f"whole journey (map of {HALL_SEATS}, hold 2, book, initiate, pay by webhook, read)",
            prepare=_halls,
            baseline=PGBENCH,
            target=Target(of="ratio", least=0.12),
        ),
        Case[OwnStage](
            name=f"sell-out-{stadium}",
            title=f"sell-out of {stadium:,} seats by whole journeys for two (compressed map), {at_once} buyers at once",
            prepare=lambda stage, seconds: _sell_out(stage, seconds, stadium, at_once),
            baseline=PGBENCH,
            target=Target(of="wall_s", most=120),
            warm=False,
        ),
    ]


def _halls(stage: OwnStage, seconds: float) -> Prepared:
    """Buyers come to one hall after the other: 32 at once in the same one."""
    many = max(CONNECTIONS, round(RATE_MAX * seconds))
    each = HALL_SEATS // SEATS
    halls = stage.data.shows(-(-many // each), HALL_SEATS)
    purchases = [purchase for hall in halls for purchase in purchases_of(stage, hall)][:many]
    plan = _plan(stage, purchases, CONNECTIONS, seconds, compressed=False)

    def check(measured: Measured) -> list[str]:
        sales = [stage.data.sale(hall) for hall in halls]
        return _problems(measured, sales)

    return Prepared(run=lambda: stage.measure(plan, "journey"), baseline=against_pgbench(stage, seconds), check=check)


def _sell_out(stage: OwnStage, seconds: float, seats: int, at_once: int) -> Prepared:
    stadium = stage.data.show(seats)
    purchases = purchases_of(stage, stadium)
    plan = _plan(stage, purchases, at_once, None, compressed=True)

    def check(measured: Measured) -> list[str]:
        sale = stage.data.sale(stadium)
        found = _problems(measured, [sale])
        if sale.sold_seats != seats:
            found.append(f"{sale.sold_seats} of {seats} seats sold")
        return found

    return Prepared(run=lambda: stage.measure(plan, "journey"), baseline=against_pgbench(stage, seconds), check=check)


def purchases_of(stage: OwnStage, show: Show) -> list[Purchase]:
    """Each seat of a show in one journey, each journey by a buyer of its own."""
    many = show.seats // SEATS
    # A buyer of another show may come again: the limits are a show's.
    stage.data.buyers(many)
    return [
        Purchase(
            show_id=show.id,
            seat_ids=[show.seat(n * SEATS + seat) for seat in range(1, SEATS + 1)],
            token=stage.data.token(n),
        )
        for n in range(many)
    ]


def _plan(
    stage: OwnStage, purchases: list[Purchase], at_once: int, seconds: float | None, *, compressed: bool
) -> Journeys:
    return Journeys(
        host=stage.host,
        port=stage.port,
        connections=at_once,
        seconds=seconds,
        limit_s=300.0,
        purchases=purchases,
        webhook_secret=stage.webhook_secret,
        compressed=compressed,
    )


def _problems(measured: Measured, sales: list[Sale]) -> list[str]:
    """Every journey ended with a ticket, and no seat was sold twice."""
    found = problems(measured, _EXPECTED)
    confirmed, sold = sum(sale.confirmed for sale in sales), sum(sale.sold_seats for sale in sales)
    if confirmed != measured.count or sold != SEATS * measured.count:
        found.append(f"{measured.count} journeys ended well, {confirmed} bookings are confirmed, {sold} seats sold")
    if any(sale.lines != sale.distinct_seats for sale in sales):
        found.append("a seat is in two bookings")
    return found
