"""Live updates: how long until a hold has arrived at everybody who watches the show."""

from typing import Final

from benchmarks.cases.case import Case, Prepared, Target, problems
from benchmarks.cases.claims import HOLD, claim
from benchmarks.data import SEATS_OF_A_BUYER
from benchmarks.plans import Listen
from benchmarks.scripts import API
from benchmarks.stage import OwnStage

SHOW_SEATS: Final = 1_000
PAUSE_S: Final = 0.37
"""Between holds: no multiple of the half second at which a process may look, so that all delays occur."""


def live_cases(listeners: int) -> list[Case[OwnStage]]:
    """So many listeners of one show."""
    return [
        Case[OwnStage](
            name=f"live-{listeners}",
            title=f"live update to {listeners:,} listeners, from the hold to each",
            prepare=lambda stage, seconds: _listen(stage, seconds, listeners),
            target=Target(of="p99_ms", most=1_000),
            warm=False,
        )
    ]


def _listen(stage: OwnStage, seconds: float, listeners: int) -> Prepared:
    show = stage.data.show(SHOW_SEATS)
    many = max(3, round(seconds / PAUSE_S))
    stage.data.buyers(many // SEATS_OF_A_BUYER + 1)
    plan = Listen(
        host=stage.host,
        port=stage.port,
        connections=listeners,
        seconds=None,
        path=f"{API}/seats/shows/{show.id}/events",
        holds=[
            claim(stage, HOLD, show.id, [show.seat(n + 1)], stage.data.token(n // SEATS_OF_A_BUYER))
            for n in range(many)
        ],
        pause_s=PAUSE_S,
    )
    return Prepared(
        run=lambda: stage.measure(plan, "update"),
        check=lambda measured: problems(measured, {"hold": {201}, "update": {200}}),
    )
