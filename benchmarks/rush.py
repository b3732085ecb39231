"""Buyers who come at a fixed rate, whatever the answers: what a server gets that cannot slow its callers down.

Each looks at the map three times, holds, books, initiates, pays and reads the booking. Whoever is refused leaves, as
does whoever waits longer for an answer than `PATIENCE_S` (when it has come: the server had the work all the same).
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.connections import Connection
from benchmarks.plans import LoadReport, Purchase, Rush
from benchmarks.scripts import Ask, Got, Script, purchase_of
from benchmarks.tally import Tally, Usage, percentile

PATIENCE_S: Final = 2.0
"""An answer that takes longer is none that a person would have waited for."""
SERVED: Final = 200
LATE: Final = 408
"""What a purchase is counted under in which an answer took longer than `PATIENCE_S`."""
WINDOW_S: Final = 0.25
REFUSALS: Final = frozenset({429, 503})
BURST_AT_ONCE: Final = 50
"""Arrivals that are begun before the answers that have come are read: a client that is late catches up in steps."""


async def rush(plan: Rush, wait_for_go: Callable[[], None]) -> LoadReport:
    """A crowd for ``plan.seconds`` at ``plan.rate`` a second, then a calm at ``plan.calm_rate``."""
    tally = Tally()
    crowd = _Crowd(plan, tally)
    await crowd.connect(plan.connections)
    wait_for_go()
    usage = Usage()
    purchases = iter(plan.purchases)
    end = await crowd.arrive(purchases, plan.rate, usage.since, plan.seconds or 0.0)
    crowd.calm = True
    await crowd.arrive(purchases, plan.calm_rate, end, plan.calm_s)
    await crowd.leave(plan.limit_s)
    well_after_s = crowd.well_again_after(end, plan.normal_ms / 1000)
    tally.add("well again", SERVED if well_after_s < plan.calm_s else LATE, well_after_s)
    report = usage.report(tally, until=end)
    crowd.close()
    return report


class _Crowd:
    """All buyers and their connections. A buyer has one for as long as the purchase lasts."""

    def __init__(self, plan: Rush, tally: Tally) -> None:
        self.calm = False
        self._plan = plan
        self._tally = tally
        self._free: list[Connection] = []
        self._all: list[Connection] = []
        self._under_way: set[asyncio.Future[None]] = set()
        self._rng = random.Random(20261124)  # noqa: S311  (the same crowd each time)
        self._answered: list[tuple[float, float]] = []
        """When the crowd was gone: when somebody was answered, and how long it took."""

    async def connect(self, many: int) -> None:
        for _ in range(many):
            line = Connection(self._tally)
            await line.open(self._plan.host, self._plan.port)
            self._free.append(line)
            self._all.append(line)

    async def arrive(self, purchases: Iterator[Purchase], rate: float, since: float, seconds: float) -> float:
        """Begin a purchase at each moment that a Poisson process of that rate gives; when it was over."""
        due, end = since, since + seconds
        while True:
            begun = 0
            while due <= time.perf_counter() and due < end and begun < BURST_AT_ONCE:
                purchase = next(purchases, None)
                if purchase is None:
                    self._tally.failures["the plan ran out of purchases"] += 1
                    return end
                self._begin(purchase)
                due += self._rng.expovariate(rate)
                begun += 1
            if due >= end:
                await asyncio.sleep(max(0.0, end - time.perf_counter()))
                return end
            await asyncio.sleep(max(0.0, min(due - time.perf_counter(), 0.002)))

    async def leave(self, within_s: float) -> None:
        """Wait for those who are still there."""
        if self._under_way:
            _done, late = await asyncio.wait(self._under_way, timeout=within_s)
            if late:
                self._tally.failures["no answer in time"] += len(late)

    def close(self) -> None:
        for line in self._all:
            line.close()

    def well_again_after(self, end: float, normal_s: float) -> float:
        """Seconds from ``end`` until the p99 of each following window is at most ``normal_s``."""
        windows: dict[int, list[float]] = {}
        for at, took in self._answered:
            windows.setdefault(int((at - end) / WINDOW_S), []).append(took)
        bad = [n for n, found in windows.items() if percentile(sorted(found), 99) > normal_s]
        return (max(bad) + 1) * WINDOW_S if bad else 0.0

    def _begin(self, purchase: Purchase) -> None:
        while self._free:
            line = self._free.pop()
            if line.is_open:
                break
            # Ended by the server after an answer: another takes its place.
            self._tally.failures["a connection was ended by the server"] += 1
        else:
            self._tally.failures["no connection was free"] += 1
            return
        going = line.start(self._buy(purchase))
        self._under_way.add(going)

        def over(done: "asyncio.Future[None]") -> None:
            self._under_way.discard(done)
            self._free.append(line)

        going.add_done_callback(over)

    def _buy(self, purchase: Purchase) -> Script:
        when = "calm" if self.calm else "rush"
        since = time.perf_counter()
        late = False
        steps = purchase_of(self._plan, purchase)
        got: Got | None = None
        while True:
            try:
                ask: Ask = next(steps) if got is None else steps.send(got)
            except StopIteration as end:
                broken_at: str | None = end.value
                break
            asked = time.perf_counter()
            got = yield ask
            took = time.perf_counter() - asked
            late = late or took > PATIENCE_S
            if self.calm:
                self._answered.append((time.perf_counter(), took))
            if got.status in REFUSALS:
                self._tally.add(f"{when}: refused at {ask.operation}", got.status, took)
                self._tally.add(f"{when}: refused", got.status, took)
                return
        if broken_at is not None:
            self._tally.failures[f"{when}: broken at {broken_at}"] += 1
            return
        self._tally.add(f"{when}: purchase", LATE if late else SERVED, time.perf_counter() - since)
