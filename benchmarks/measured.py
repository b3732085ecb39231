"""What a round gave: the client's report, beside what the server's processes used."""

import msgspec

from benchmarks.pgbench import PgbenchReport
from benchmarks.plans import LoadReport, OperationReport


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one side. Times in milliseconds, CPU in seconds, memory in MB of the largest process a group."""

    main: str
    """The operation that throughput counts."""
    rate: float
    wall_s: float
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    count: int
    operations: dict[str, OperationReport]
    failures: dict[str, int]
    cpu_s: dict[str, float]
    peak_mb: dict[str, float]

    @property
    def statuses(self) -> dict[int, int]:
        """Of the main operation."""
        found = self.operations.get(self.main)
        return {} if found is None else found.statuses

    @property
    def client_share(self) -> float | None:
        """The client's part of all CPU seconds that were used."""
        total = sum(self.cpu_s.values())
        return self.cpu_s["client"] / total if total and len(self.cpu_s) > 1 else None

    def cpu_ms_each(self, *groups: str) -> float | None:
        """CPU milliseconds of these processes for one operation."""
        used = [self.cpu_s[group] for group in groups if group in self.cpu_s]
        return sum(used) / self.count * 1000 if used and self.count else None


def of_load(main: str, report: LoadReport, cpu_s: dict[str, float], peak_mb: dict[str, float]) -> Measured:
    """What the load client saw."""
    operation = report.operations.get(main)
    count = 0 if operation is None else operation.count
    return Measured(
        main=main,
        rate=count / report.wall_s if report.wall_s else 0.0,
        wall_s=report.wall_s,
        p50_ms=operation and operation.p50_ms,
        p99_ms=operation and operation.p99_ms,
        max_ms=operation and operation.max_ms,
        count=count,
        operations=report.operations,
        failures=report.failures,
        cpu_s=cpu_s | {"client": report.cpu_s},
        peak_mb=peak_mb | {"client": report.peak_mb},
    )


def of_pgbench(report: PgbenchReport, seconds: float, cpu_s: dict[str, float], peak_mb: dict[str, float]) -> Measured:
    """What pgbench said."""
    return Measured(
        main="transaction",
        rate=report.rate,
        wall_s=seconds,
        p50_ms=None,
        p99_ms=None,
        max_ms=None,
        count=report.transactions,
        operations={},
        failures={},
        cpu_s=cpu_s | {"client": report.cpu_s},
        peak_mb=peak_mb,
    )
