"""The load client: one process, one event loop, a protocol a connection, and nothing else.

Run as ``python -m benchmarks.load``. It reads a plan from its input, connects, says ``ready``, waits
for ``go``, asks until the plan is done, and writes its report: so that connecting and encoding are
no part of what is measured, and its own CPU seconds are.
"""

import asyncio
import struct
import sys
from collections.abc import Callable

import msgspec
import uvloop

from benchmarks.connections import connect
from benchmarks.listening import listen
from benchmarks.plans import AnyPlan, Journeys, Listen, LoadReport, Repeat, Rush
from benchmarks.rush import rush
from benchmarks.scripts import Script, buy, repeat
from benchmarks.tally import Tally, Usage


def main() -> None:
    """Read a plan, carry it out, report."""
    (length,) = struct.unpack("!Q", sys.stdin.buffer.read(8))
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=AnyPlan)
    report = uvloop.run(carry_out(plan, _say_ready_and_wait))
    sys.stdout.buffer.write(msgspec.msgpack.encode(report))


def _say_ready_and_wait() -> None:
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    if sys.stdin.buffer.readline() != b"go\n":
        sys.exit("the one who started this load client is gone")


async def carry_out(plan: AnyPlan, wait_for_go: Callable[[], None]) -> LoadReport:
    """Connect, call ``wait_for_go`` (which may block), and do what the plan says."""
    if isinstance(plan, Listen):
        return await listen(plan, wait_for_go)
    if isinstance(plan, Rush):
        return await rush(plan, wait_for_go)
    tally = Tally()
    lines = await connect(plan, tally, plan.connections)
    scripts = _scripts(plan, tally)
    wait_for_go()
    usage = Usage()
    deadline = float("inf") if plan.seconds is None else usage.since + plan.seconds
    pending = [line.start(script, deadline) for line, script in zip(lines, scripts, strict=True)]
    _done, late = await asyncio.wait(pending, timeout=plan.limit_s)
    if late:
        tally.failures["no answer in time"] += len(late)
    last_answer = max((line.last_answer for line in lines), default=usage.since)
    report = usage.report(tally, until=max(last_answer, usage.since))
    for line in lines:
        line.close()
    return report


def _scripts(plan: Repeat | Journeys, tally: Tally) -> list[Script]:
    if isinstance(plan, Repeat):
        return [repeat(plan, plan.lanes[n % len(plan.lanes)]) for n in range(plan.connections)]
    # Whoever is free takes the next purchase.
    purchases = iter(plan.purchases)
    return [buy(plan, purchases, tally) for _ in range(plan.connections)]


if __name__ == "__main__":
    main()
