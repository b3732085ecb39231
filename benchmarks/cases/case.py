"""What a case is: how to set a round up, what to run, what to hold it against, and what must be true of it."""

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from benchmarks.measured import Measured
from benchmarks.pgbench import Statement
from benchmarks.scripts import API
from benchmarks.stage import OwnStage, Stage

PGBENCH: Final = "pgbench, one round trip"
PGBENCH_ONE: Final = "pgbench, a statement for one"
StageT = TypeVar("StageT", bound=Stage)
_SERVER_FAULT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A round, ready to run. ``check`` says what is wrong with what it gave; nothing, when all is well."""

    run: Callable[[], Measured]
    check: Callable[[Measured], list[str]]
    baseline: Callable[[], Measured] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure to reach. ``of``: ``ratio``, ``wall_s``, ``p99_ms`` or ``peak_mb`` (of a web process)."""

    of: str
    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        """Whether a value reaches it."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def text(self) -> str:
        """As the table says it."""
        unit = {"ratio": " times the baseline", "wall_s": " s in all", "p99_ms": " ms p99", "peak_mb": " MB"}[self.of]
        return f"at least {self.least:g}{unit}" if self.least is not None else f"at most {self.most:g}{unit}"


@dataclass(frozen=True, kw_only=True)
class Case(Generic[StageT]):
    """One line of the table."""

    name: str
    title: str
    prepare: Callable[[StageT, float], Prepared]
    """Takes the stage and how many seconds a round lasts."""
    baseline: str | None = None
    target: Target | None = None
    warm: bool = True
    """Whether a short round that is not counted goes first; what is long or measures a first time has none."""


def against_pgbench(
    stage: OwnStage, seconds: float, statement: Statement = Statement.PRODUCT
) -> Callable[[], Measured]:
    """The baseline of all that sells."""
    return lambda: stage.measure_pgbench(statement, seconds)


def problems(measured: Measured, expected: Mapping[str, set[int]]) -> list[str]:
    """What did not go as expected: other statuses (by operation), and what was no answer at all."""
    found = [f"{times} times {what}" for what, times in measured.failures.items()]
    if measured.count == 0:
        found.append("nothing was measured")
    for name, operation in measured.operations.items():
        wanted = expected.get(name)
        found += [
            f"{name}: {times} times {status}"
            for status, times in operation.statuses.items()
            if (wanted is not None and status not in wanted) or status >= _SERVER_FAULT
        ]
    return found


def expecting(operation: str, *statuses: int) -> Callable[[Measured], list[str]]:
    """A check that one operation was answered with nothing else."""
    return lambda measured: problems(measured, {operation: set(statuses)})


def fetch(stage: Stage, path: str, token: str | None, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """One question outside of what is measured: status, headers in small letters, body as it travelled."""
    connection = http.client.HTTPConnection(stage.host, stage.port, timeout=60)
    identity = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        connection.request("GET", API + path, headers={**headers, **identity})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()
