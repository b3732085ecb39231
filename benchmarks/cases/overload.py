"""Four times as many buyers as can be served: how many are served all the same, and how soon the rest is told."""

from collections.abc import Iterator
from typing import Final

import msgspec

from benchmarks.cases.case import Case, Prepared, Target
from benchmarks.cases.journeys import SEATS, purchases_of
from benchmarks.measured import Measured
from benchmarks.plans import Journeys, Purchase, Rush
from benchmarks.rush import LATE, REFUSALS, SERVED
from benchmarks.stage import OwnStage, StageError

TIMES: Final = 4
BEST_CONNECTIONS: Final = 64
"""Closed loop: each asks again as soon as it is answered."""
HALL_SEATS: Final = 600
CALM_S: Final = 3.0
CALM_SHARE: Final = 0.5
NORMAL_MS: Final = 1_000.0
"""The p99 that counts as well: what one waits at the best throughput, with room."""
RATE_MAX: Final = 700
"""Purchases are made for four times so many a second."""
_LOOKS: Final = 3


def overload_cases(connections: int) -> list[Case[OwnStage]]:
    """One, with at most so many connections."""
    return [
        Case[OwnStage](
            name="overload",
            title=f"{TIMES} times as many buyers as can be served (3 looks, hold 2, book, initiate, pay, read)",
            prepare=lambda stage, seconds: _overload(stage, seconds, connections),
            baseline="as many as can be served",
            target=Target(of="ratio", least=0.8),
            warm=False,
        )
    ]


def _overload(stage: OwnStage, seconds: float, connections: int) -> Prepared:
    many = round(RATE_MAX * seconds * (1 + TIMES)) + round(RATE_MAX * CALM_S * CALM_SHARE)
    each = HALL_SEATS // SEATS
    halls = stage.data.shows(-(-many // each), HALL_SEATS)
    # Everybody at all the halls, and not at one after the other.
    by_hall = [purchases_of(stage, hall) for hall in halls]
    purchases = [purchase for together in zip(*by_hall, strict=True) for purchase in together]
    waiting = iter(purchases)
    best: list[Measured] = []

    def at_best() -> Measured:
        plan = Journeys(
            host=stage.host,
            port=stage.port,
            connections=BEST_CONNECTIONS,
            seconds=seconds,
            purchases=_take(waiting, round(RATE_MAX * seconds)),
            webhook_secret=stage.webhook_secret,
            compressed=True,
            looks=_LOOKS,
        )
        best.append(stage.measure(plan, "journey"))
        return best[-1]

    def run() -> Measured:
        if not best:
            raise StageError("how much can be served was not measured before")
        rate = best[-1].rate
        plan = Rush(
            host=stage.host,
            port=stage.port,
            connections=connections,
            seconds=seconds,
            purchases=list(waiting),
            webhook_secret=stage.webhook_secret,
            rate=TIMES * rate,
            calm_rate=CALM_SHARE * rate,
            calm_s=CALM_S,
            normal_ms=NORMAL_MS,
            looks=_LOOKS,
        )
        return _served(stage.measure(plan, "rush: purchase"))

    return Prepared(run=run, baseline=at_best, check=_problems)


def _take(purchases: Iterator[Purchase], many: int) -> list[Purchase]:
    return [purchase for purchase, _ in zip(purchases, range(many), strict=False)]


def _served(measured: Measured) -> Measured:
    """Throughput counts only those who were served in time."""
    served = measured.statuses.get(SERVED, 0)
    return msgspec.structs.replace(measured, count=served, rate=served / measured.wall_s)


def _problems(measured: Measured) -> list[str]:
    """Refusals are what is wanted; anything else that is no success is not."""
    found = [f"{times} times {what}" for what, times in measured.failures.items()]
    for name, operation in measured.operations.items():
        if ": " not in name and name != "well again":
            found += [
                f"{name}: {times} times {status}"
                for status, times in operation.statuses.items()
                if status >= 400 and status not in REFUSALS  # noqa: PLR2004  (a failure)
            ]
    if LATE in measured.operations["well again"].statuses:
        found.append("not well again")
    return found
