"""What the load client counts while it runs, and what it used."""

import gc
import math
import resource
import time
from array import array
from collections import Counter
from collections.abc import Sequence

from benchmarks.plans import LoadReport, OperationReport


class Tally:
    """Counts while it runs: cheap to add to, summed up at the end."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()
        self._seconds: dict[str, array[float]] = {}
        self._statuses: dict[str, Counter[int]] = {}

    def add(self, operation: str, status: int, seconds: float) -> None:
        """One answer."""
        taken = self._seconds.get(operation)
        if taken is None:
            taken = self._seconds[operation] = array("d")
            self._statuses[operation] = Counter()
        taken.append(seconds)
        self._statuses[operation][status] += 1

    def operations(self) -> dict[str, OperationReport]:
        """All of it, by operation."""
        return {name: self._operation(name) for name in self._seconds}

    def _operation(self, name: str) -> OperationReport:
        taken = sorted(self._seconds[name])
        return OperationReport(
            count=len(taken),
            statuses=dict(sorted(self._statuses[name].items())),
            p50_ms=percentile(taken, 50) * 1000,
            p99_ms=percentile(taken, 99) * 1000,
            max_ms=taken[-1] * 1000,
        )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that was measured, at or above ``percent`` of all."""
    if not ascending:
        raise ValueError("nothing was measured")
    return ascending[max(1, math.ceil(len(ascending) * percent / 100)) - 1]


class Usage:
    """What this process used since the start of the measured part."""

    def __init__(self) -> None:
        # What was read and encoded stays: the collector need not look through it while we measure.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._cpu = self._cpu_now()
        self.since = time.perf_counter()

    def report(self, tally: Tally, until: float) -> LoadReport:
        """All of it."""
        cpu_s = self._cpu_now() - self._cpu
        return LoadReport(
            wall_s=until - self.since,
            cpu_s=cpu_s,
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            operations=tally.operations(),
            failures=dict(tally.failures),
        )

    @staticmethod
    def _cpu_now() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime
