"""Measuring a server that runs already, through its API alone: what it lets a stranger do, and giving it all back."""

import http.client
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from benchmarks.cases.case import Case, Prepared, expecting, problems
from benchmarks.cases.claims import BOOK, HOLD, claim
from benchmarks.cases.seat_map import GZIP, PLAIN, look_once, looks
from benchmarks.cases.shows import pages
from benchmarks.data import SEATS_OF_A_BUYER
from benchmarks.measured import Measured
from benchmarks.plans import Repeat
from benchmarks.scripts import API
from benchmarks.stage import Stage, StageError

SEATS_WANTED: Final = 200
"""Seats of the show that are taken for a moment, at most."""
SHOWN_WITHIN_S: Final = 2.0
CROWD: Final = 50
_GOOD_BELOW: Final = 300
_CREATED: Final = 201


class RunningStage(Stage):
    """A server somebody runs, on the show that has most free seats; what was taken is given back at the end."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {})
        self._guests: list[tuple[str, str]] = []
        shows = self.ask("GET", "/shows?limit=100")["items"]
        if not shows:
            raise StageError("that server has no shows to come: `boxoffice seed` makes some")
        best: dict[str, Any] = max(shows, key=lambda show: show["availability"]["available"])
        self.show_id: str = best["id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.give_back()

    def ask(self, method: str, path: str, token: str | None = None, body: object = None) -> Any:
        """One question outside of what is measured, and its answer's body.

        Raises:
            StageError: it is refused, or nobody answers.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        encoded = None if body is None else msgspec.json.encode(body)
        try:
            connection.request(
                method, API + path, encoded, headers | ({} if encoded is None else {"Content-Type": "application/json"})
            )
            answer = connection.getresponse()
            said = answer.read()
        except OSError as error:
            raise StageError(f"no answer from {self.url}: {error}") from error
        finally:
            connection.close()
        if answer.status >= _GOOD_BELOW:
            raise StageError(f"{method} {path} was answered {answer.status}: {said[:200].decode(errors='replace')}")
        return msgspec.json.decode(said) if said else None

    def guest(self, n: int) -> str:
        """The token of guest ``n``; guests come as they are needed."""
        while len(self._guests) <= n:
            made = self.ask("POST", "/auth/guest")
            self._guests.append((made["userId"], made["accessToken"]))
        return self._guests[n][1]

    def free_seats(self, many: int) -> list[str]:
        """So many of the show's free seats, or as many as there are.

        Raises:
            StageError: there is none.
        """
        deadline = time.monotonic() + SHOWN_WITHIN_S
        while True:
            free = [seat["id"] for seat in self.ask("GET", f"/seats/shows/{self.show_id}/available")["seats"]]
            # What is shown may be a moment old: seats that were given back just now are seen by then.
            if free and (len(free) >= many or time.monotonic() > deadline):
                return free[:many]
            if time.monotonic() > deadline:
                raise StageError("no seat of that server's shows is free")
            time.sleep(0.2)

    def give_back(self) -> None:
        """Release every hold and cancel every booking of our guests."""
        for user_id, token in self._guests:
            self.ask("DELETE", f"/bookings/holds/{user_id}", token)
            for booking in self.ask("GET", f"/bookings/user/{user_id}?limit=100", token)["items"]:
                if booking["status"] == "PENDING":
                    self.ask("PATCH", f"/bookings/{booking['id']}/cancel", token)


def running_cases() -> list[Case[RunningStage]]:
    """What can be measured from outside. Rates of claims come from few requests: a hall has few seats."""
    return [
        Case[RunningStage](name="map", title="seat map, full body", prepare=_map),
        Case[RunningStage](name="map-304", title="seat map, unchanged (304)", prepare=_unchanged),
        Case[RunningStage](
            name="map-gzip", title="seat map, compressed", prepare=lambda stage, seconds: _map(stage, seconds, GZIP)
        ),
        Case[RunningStage](name="shows", title="show list, a page of 10", prepare=_shows),
        Case(
            name="hold-1",
            title=f"hold of 1 seat, at most {SEATS_WANTED} of them",
            prepare=lambda stage, _: _claims(stage, HOLD),
            warm=False,
        ),
        Case(
            name="booking-1",
            title=f"booking of 1 seat, at most {SEATS_WANTED} of them",
            prepare=lambda stage, _: _claims(stage, BOOK),
            warm=False,
        ),
        Case(
            name=f"contention-{CROWD}",
            title=f"{CROWD} buyers at once for one seat",
            prepare=lambda stage, _: _everybody(stage),
            warm=False,
        ),
    ]


def _map(stage: RunningStage, seconds: float, headers: Mapping[str, str] = PLAIN) -> Prepared:
    look_once(stage, stage.show_id, headers=headers)
    plan = looks(stage, [stage.show_id], seconds, headers=headers)
    return Prepared(run=lambda: stage.measure(plan, "map"), check=expecting("map", 200))


def _unchanged(stage: RunningStage, seconds: float) -> Prepared:
    tag, _size = look_once(stage, stage.show_id)
    plan = looks(stage, [stage.show_id], seconds, headers={"If-None-Match": tag})
    # Somebody else may buy meanwhile: the map is then a new one.
    return Prepared(run=lambda: stage.measure(plan, "map"), check=expecting("map", 304, 200))


def _shows(stage: RunningStage, seconds: float) -> Prepared:
    plan = pages(stage, seconds, "")
    return Prepared(run=lambda: stage.measure(plan, "list"), check=expecting("list", 200))


def _claims(stage: RunningStage, path: str) -> Prepared:
    """Each free seat once, by guests who take as many as one may."""
    stage.give_back()
    seats = stage.free_seats(SEATS_WANTED)
    lanes = [
        [claim(stage, path, stage.show_id, [seat], stage.guest(n // SEATS_OF_A_BUYER)) for seat in seats[n : n + 10]]
        for n in range(0, len(seats), SEATS_OF_A_BUYER)
    ]
    plan = _plan(stage, lanes)
    # A seat may have gone to somebody else meanwhile.
    return Prepared(run=lambda: stage.measure(plan, "claim"), check=expecting("claim", _CREATED, 409))


def _everybody(stage: RunningStage) -> Prepared:
    stage.give_back()
    seat = stage.free_seats(1)
    plan = _plan(stage, [[claim(stage, BOOK, stage.show_id, seat, stage.guest(n))] for n in range(CROWD)])

    def check(measured: Measured) -> list[str]:
        found = problems(measured, {"claim": {_CREATED, 409}})
        if measured.statuses.get(_CREATED, 0) > 1:
            found.append(f"one seat was sold {measured.statuses[_CREATED]} times")
        return found

    return Prepared(run=lambda: stage.measure(plan, "claim"), check=check)


def _plan(stage: Stage, lanes: list[list[bytes]]) -> Repeat:
    return Repeat(
        host=stage.host, port=stage.port, connections=len(lanes), seconds=None, operation="claim", lanes=lanes
    )
