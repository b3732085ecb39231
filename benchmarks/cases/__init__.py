"""All cases, in the order of the table."""

from benchmarks.cases.case import Case
from benchmarks.cases.claims import claim_cases
from benchmarks.cases.journeys import journey_cases
from benchmarks.cases.live import live_cases
from benchmarks.cases.overload import overload_cases
from benchmarks.cases.seat_map import seat_map_cases
from benchmarks.cases.shows import show_list_cases
from benchmarks.stage import OwnStage


def all_cases(*, short: bool) -> list[Case[OwnStage]]:
    """Every case; ``short``: small ones, which show that the suite works and nothing about speed."""
    if short:
        return [
            *seat_map_cases((120, 1_000), hot_shows=5, hot_seats=200),
            *claim_cases(connections=(64,), crowds=(50,)),
            *journey_cases(stadium=400, at_once=50),
            *show_list_cases(200),
            *live_cases(100),
            *overload_cases(400),
        ]
    return [
        *seat_map_cases((120, 1_000, 30_000), hot_shows=100, hot_seats=1_000),
        *claim_cases(connections=(256, 1_000), crowds=(50, 500, 2_000)),
        *journey_cases(stadium=30_000, at_once=500),
        *show_list_cases(10_000),
        *live_cases(2_000),
        *overload_cases(3_000),
    ]
