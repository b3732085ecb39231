"""The list of shows: a page of ten out of ten, and out of many."""

from typing import Final

from benchmarks.cases.case import Case, Prepared, Target, expecting
from benchmarks.data import identifier
from benchmarks.http1 import encode
from benchmarks.plans import Repeat
from benchmarks.scripts import API
from benchmarks.stage import OwnStage, Stage

CONNECTIONS: Final = 32
PAGE: Final = 10
SEATS: Final = 20
"""Of each show: the page counts the free seats of its shows, which costs the same in both lists."""
FEW: Final = "film of ten"
MANY: Final = "film of many"
_OK: Final = 200


def show_list_cases(many: int) -> list[Case[OwnStage]]:
    """The shows of a film that has ``many``, beside those of one that has ten."""
    return [
        Case[OwnStage](
            name=f"shows-{many}",
            title=f"show list, a page of {PAGE} out of {many:,}",
            prepare=lambda stage, seconds: _list(stage, seconds, many),
            baseline=f"a page of {PAGE} out of {PAGE}",
            target=Target(of="ratio", least=0.5),
        )
    ]


def pages(stage: Stage, seconds: float, query: str) -> Repeat:
    """The first page of a list, again and again."""
    path = f"{API}/shows?limit={PAGE}{query}"
    return Repeat(
        host=stage.host,
        port=stage.port,
        connections=CONNECTIONS,
        seconds=seconds,
        operation="list",
        lanes=[[encode("GET", path, host=f"{stage.host}:{stage.port}")]],
        again=True,
    )


def _list(stage: OwnStage, seconds: float, many: int) -> Prepared:
    stage.data.once(FEW, lambda: stage.data.shows(PAGE, SEATS, FEW))
    stage.data.once(MANY, lambda: stage.data.shows(many, SEATS, MANY))
    return Prepared(
        run=lambda: stage.measure(pages(stage, seconds, f"&movieId={identifier(MANY)}"), "list"),
        baseline=lambda: stage.measure(pages(stage, seconds, f"&movieId={identifier(FEW)}"), "list"),
        check=expecting("list", _OK),
    )
