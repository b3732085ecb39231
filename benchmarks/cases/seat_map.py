"""Looking at the seat map: fresh, unchanged (304), compressed, with holds of one's own; and many hot shows at once."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from benchmarks.cases.case import Case, Prepared, Target, expecting, fetch, problems
from benchmarks.data import Show
from benchmarks.http1 import encode
from benchmarks.measured import Measured
from benchmarks.plans import Repeat
from benchmarks.scripts import API
from benchmarks.stage import OwnStage, Stage, StageError

CONNECTIONS: Final = 32
PLAIN: Final[Mapping[str, str]] = MappingProxyType({})
GZIP: Final[Mapping[str, str]] = MappingProxyType({"Accept-Encoding": "gzip"})
_OK: Final = 200
_UNCHANGED: Final = 304


def seat_map_cases(sizes: tuple[int, ...], hot_shows: int, hot_seats: int) -> list[Case[OwnStage]]:
    """Three for each size, one with an identity, and one with many shows."""
    made: list[Case[OwnStage]] = []
    for seats in sizes:
        made += [
            Case[OwnStage](
                name=f"map-{seats}",
                title=f"seat map, {seats:,} seats, full body",
                prepare=lambda stage, seconds, seats=seats: _fresh(stage, seconds, seats),
                baseline="bare server, same size",
                target=Target(of="ratio", least=0.6) if seats == 1_000 else None,  # noqa: PLR2004  (the issue's case)
            ),
            Case[OwnStage](
                name=f"map-{seats}-304",
                title=f"seat map, {seats:,} seats, unchanged (304)",
                prepare=lambda stage, seconds, seats=seats: _unchanged(stage, seconds, seats),
                baseline="bare server, empty 304",
                target=Target(of="ratio", least=0.8) if seats == 1_000 else None,  # noqa: PLR2004  (the same)
            ),
            Case[OwnStage](
                name=f"map-{seats}-gzip",
                title=f"seat map, {seats:,} seats, compressed",
                prepare=lambda stage, seconds, seats=seats: _fresh(stage, seconds, seats, headers=GZIP),
                baseline="bare server, same size",
            ),
        ]
    mine = sizes[min(1, len(sizes) - 1)]
    return [
        # First, while the server has nothing else in its memory.
        Case[OwnStage](
            name=f"hot-shows-{hot_shows}",
            title=f"seat maps of {hot_shows} hot shows of {hot_seats:,} seats, in turn",
            prepare=lambda stage, seconds: _hot(stage, seconds, hot_shows, hot_seats),
            target=Target(of="peak_mb", most=200),
        ),
        *made,
        Case[OwnStage](
            name=f"map-{mine}-mine",
            title=f"seat map, {mine:,} seats, full body, with identity",
            prepare=lambda stage, seconds: _mine(stage, seconds, mine),
            baseline="bare server, same size",
        ),
    ]


def map_path(show_id: str) -> str:
    """Where a show's map is."""
    return f"/seats/shows/{show_id}"


def looks(
    stage: Stage, show_ids: list[str], seconds: float, token: str | None = None, headers: Mapping[str, str] = PLAIN
) -> Repeat:
    """The maps of shows in turn, again and again."""
    host = f"{stage.host}:{stage.port}"
    asks = [encode("GET", API + map_path(show_id), host=host, token=token, headers=headers) for show_id in show_ids]
    # Each connection begins with another show.
    lanes = [asks[first:] + asks[:first] for first in range(min(CONNECTIONS, len(asks)))]
    return Repeat(
        host=stage.host,
        port=stage.port,
        connections=CONNECTIONS,
        seconds=seconds,
        operation="map",
        lanes=lanes,
        again=True,
    )


def look_once(
    stage: Stage, show_id: str, token: str | None = None, headers: Mapping[str, str] = PLAIN
) -> tuple[str, int]:
    """The tag of a map, and its bytes as they travel.

    Raises:
        StageError: there is no map, or it is not compressed as asked.
    """
    status, answered, body = fetch(stage, map_path(show_id), token, headers)
    if status != _OK or "etag" not in answered:
        raise StageError(f"the seat map was answered {status}, tag {answered.get('etag')}")
    if headers and answered.get("content-encoding") != "gzip":
        raise StageError("the seat map was not compressed")
    return answered["etag"], len(body)


def _fresh(
    stage: OwnStage, seconds: float, seats: int, token: str | None = None, headers: Mapping[str, str] = PLAIN
) -> Prepared:
    show = stage.data.show(seats)
    _tag, size = look_once(stage, show.id, token, headers)
    bare = _constant(stage, f"/body/{size}", seconds)

    def check(found: Measured) -> list[str]:
        return problems(found, {"map": {_OK}})

    return Prepared(
        run=lambda: stage.measure(looks(stage, [show.id], seconds, token, headers), "map"),
        baseline=lambda: stage.measure_bare(bare, "map"),
        check=check,
    )


def _unchanged(stage: OwnStage, seconds: float, seats: int) -> Prepared:
    show = stage.data.show(seats)
    tag, _size = look_once(stage, show.id)
    bare = _constant(stage, "/empty", seconds)
    return Prepared(
        run=lambda: stage.measure(looks(stage, [show.id], seconds, headers={"If-None-Match": tag}), "map"),
        baseline=lambda: stage.measure_bare(bare, "map"),
        check=expecting("map", _UNCHANGED),
    )


def _mine(stage: OwnStage, seconds: float, seats: int) -> Prepared:
    stage.data.buyers(1)
    return _fresh(stage, seconds, seats, stage.data.token(0))


def _hot(stage: OwnStage, seconds: float, shows: int, seats: int) -> Prepared:
    made: list[Show] = stage.data.shows(shows, seats)
    ids = [show.id for show in made]
    return Prepared(
        run=lambda: stage.measure(looks(stage, ids, seconds), "map"),
        check=expecting("map", _OK),
    )


def _constant(stage: OwnStage, path: str, seconds: float) -> Repeat:
    """The same load on a constant of the bare server."""
    return Repeat(
        host=stage.host,
        port=stage.port,
        connections=CONNECTIONS,
        seconds=seconds,
        operation="map",
        lanes=[[encode("GET", path, host=f"{stage.host}:{stage.port}")]],
        again=True,
    )
