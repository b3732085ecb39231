"""Breaks the box office on purpose, one rule at a time, in a copy: each time a test must notice.

    python tests/faults/mutations.py [NAME …]

prints which test caught which mutation, and fails if one was caught by none. It also fails where a mutation no longer
fits the code: then it must be written anew.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = "tests/properties/test_box_office.py"
PARTS = ("src", "tests", "models", "examples", "benchmarks", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Mutation:
    """One rule, broken: in ``file``, ``rule`` becomes ``broken``; ``tests`` must fail."""

    name: str
    file: str
    rule: str
    broken: str
    tests: str = MODEL

    def fits(self) -> bool:
        """Whether the rule stands in the code, once."""
        return (ROOT / "src" / "boxoffice" / self.file).read_text(encoding="utf-8").count(self.rule) == 1


MUTATIONS = (
    Mutation(
        "claim: the second look, under the locks, is left out",
        "seating/claims.py",
        "s.held_since,\n           {_CLAIMABLE} AS claimable",
        "s.held_since,\n           true AS claimable",
        "tests/concurrency/test_claims.py",
    ),
    Mutation(
        "claim: a seat that anybody holds can be had",
        "seating/claims.py",
        "OR (s.holder_id = w.user_id AND s.booking_id IS NULL)",
        "OR (s.booking_id IS NULL)",
    ),
    Mutation(
        "settlement: a late payment takes seats that are somebody else's",
        "seating/leases.py",
        "s.taken_until <= now() AS free",
        "true AS free",
        f"tests/features/test_late_payment.py {MODEL}",
    ),
    Mutation(
        "settlement: decided without the booking's lock",
        "bookings/settlement.py",
        "   FOR NO KEY UPDATE OF b, p\n",
        "",
        f"tests/concurrency/test_settlement.py {MODEL}",
    ),
    Mutation(
        "settlement: the amount that an event names is not held against the books",
        "bookings/settlement.py",
        "event.amount != books.amount",
        "event.amount < 0",
    ),
    Mutation(
        "settlement: money that bought no seat is kept",
        "bookings/settlement.py",
        "    await refund_whole_payment(\n        conn,",
        "    refund_whole_payment(\n        conn,",
    ),
    Mutation(
        "webhook record: an event is not recognised when it comes again",
        "bookings/settlement.py",
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        "VALUES ($1, $2, $3 || gen_random_uuid(), $4, $5, $6, $7, $8)",
    ),
    Mutation(
        "settlement: a failed payment gives more time though a seat is another's by now",
        "bookings/settlement.py",
        "    if not await keep_seats(conn, books.show_id, books.booking_id, books.user_id, until):\n",
        "    if await keep_seats(conn, books.show_id, books.booking_id, books.user_id, until) is None:\n",
        "tests/concurrency/test_settlement.py",
    ),
    Mutation(
        "refund: what a gateway has taken on is never asked about again",
        "payments/refunds.py",
        "WHERE status = 'PENDING' AND created_at <= now() - $2::interval",
        "WHERE status = 'PENDING' AND created_at <= now() - $2::interval AND false",
        "tests/features/test_jobs_refunds.py",
    ),
    Mutation(
        "refund: one that was refused is not settled by its event",
        "payments/refunds.py",
        "status = 'FAILED' AND id = $3 AND gateway_ref IS DISTINCT FROM $5",
        "status = 'FAILED' AND id = $3 AND false AND gateway_ref IS DISTINCT FROM $5",
        "tests/gateways/test_end_to_end.py",
    ),
    Mutation(
        "refund decision: made without the booking's lock",
        "bookings/cancellation.py",
        '_LOCK: Final = f"""{_LOOK}   FOR UPDATE OF b',
        '_LOCK: Final = f"""{_LOOK}',
        "tests/features/test_bookings.py -k many_refunds_at_once",
    ),
    Mutation(
        "refund decision: the same however near the show is",
        "bookings/refund_policy.py",
        "return 50 if left >= self.half_before else 0",
        "return 100",
        f"tests/unit/test_refund_policy.py {MODEL}",
    ),
    Mutation(
        "refund: the gateway is asked under another key each time",
        "payments/refunds.py",
        "            refund_id=unsent.id,\n",
        "            refund_id=__import__('uuid').uuid4(),\n",
    ),
    Mutation(
        "ledger: what went back is not written down",
        "payments/refunds.py",
        "'owed', 'gateway', amount, currency FROM done WHERE amount > 0",
        "'owed', 'gateway', amount, currency FROM done WHERE false",
    ),
    Mutation(
        "capture: what was set aside is taken though the seats are lost since",
        "bookings/capture.py",
        "await keep_or_let_go(conn, books) is not AfterSuccess.CONFIRM",
        "await keep_or_let_go(conn, books) is None",
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "capture: money set aside for lost seats is taken instead of let go",
        "bookings/authorisation.py",
        'status = "AUTHORISED" if after is AfterSuccess.CONFIRM else "VOIDING"',
        'status = "AUTHORISED"',
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "capture: what is to be let go is taken after all, once its seats are free again",
        "bookings/authorisation.py",
        'if books.payment_status in SET_ASIDE | {"SUCCEEDED", "VOIDED"}:',
        'if books.payment_status in {"AUTHORISED", "SUCCEEDED", "VOIDED"}:',
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "capture: the seats are not kept for longer before it",
        "bookings/authorisation.py",
        "if books.in_time and books.expires_at >= until:",
        "if books.in_time:",
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "capture: a second authorisation of a booking is taken too",
        "bookings/authorisation.py",
        "AND id <> $3 AND status = 'AUTHORISED')",
        "AND id <> $3 AND status = 'AUTHORISED' AND false)",
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "capture: the gateway is asked under another key each time",
        "payments/stripe.py",
        'f"capture-{request.payment_id}"',
        "f\"capture-{__import__('uuid').uuid4()}\"",
        "tests/gateways/test_conformance_faults.py -k stripe",
    ),
    Mutation(
        "capture: nobody is told that the seats came back, before the gateway answers",
        "bookings/capture.py",
        "    if held.take:\n",
        "    if False:\n",
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "void: the gateway is asked under another key each time",
        "payments/stripe.py",
        'f"void-{intent.id}"',
        "f\"void-{__import__('uuid').uuid4()}\"",
        "tests/gateways/test_conformance_faults.py -k stripe",
    ),
    Mutation(
        "void: what the gateway let go by itself, and calls expired, stays to be taken",
        "payments/asking.py",
        'known in {"AUTHORISED", "VOIDING"}',
        "known in set[str]()",
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "authorisation: a failure from before it, told after it, drops it",
        "bookings/settlement.py",
        "whoever would take it is told so.\n    if books.payment_status not in LIVE:",
        "whoever would take it is told so.\n    if books.payment_status not in LIVE | SET_ASIDE:",
        "tests/features/test_authorisations.py",
    ),
    Mutation(
        "job worker: one that lost its database waits for the parts of it that have not ended",
        "jobs.py",
        "await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)",
        "await asyncio.wait(parts)",
        "tests/features/test_jobs_survive_death.py",
    ),
    Mutation(
        "lease expiry: a lease that ran out still counts",
        "seating/claims.py",
        '"s.taken_until <= now() OR',
        "\"s.taken_until = '-infinity' OR",
    ),
    Mutation(
        "booking expiry: one whose time is over can still be cancelled and paid as if it were not",
        "bookings/cancellation.py",
        "AND status = 'PENDING' AND expires_at > now()",
        "AND status = 'PENDING'",
    ),
    Mutation(
        "idempotency: the answer is not kept with the change",
        "seating/claims.py",
        "WHERE g.key IS NOT NULL",
        "WHERE false",
    ),
)


def main(wanted: list[str]) -> int:
    """Apply each mutation whose name contains one of the words; the number of those that nobody noticed."""
    unnoticed = 0
    for mutation in MUTATIONS:
        if wanted and not any(word in mutation.name for word in wanted):
            continue
        began = time.monotonic()
        caught = _caught_by(mutation)
        unnoticed += caught is None
        verdict = f"caught by {caught}" if caught else "NOBODY NOTICED"
        print(f"{mutation.name}\n    {verdict} ({time.monotonic() - began:.0f} s)", flush=True)  # noqa: T201  (the report)
    return unnoticed


def _caught_by(mutation: Mutation) -> str | None:
    """The first test that failed."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-mutation-") as folder:
        copy = Path(folder)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        if not mutation.fits():
            raise SystemExit(f"{mutation.name}: the code has changed, and this mutation must follow it")
        broken = copy / "src" / "boxoffice" / mutation.file
        text = broken.read_text(encoding="utf-8")
        broken.write_text(text.replace(mutation.rule, mutation.broken), encoding="utf-8")
        done = subprocess.run(  # noqa: S603  (our own tests)
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests.split()],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy / "src"), "MODEL_EXAMPLES": "200", "MODEL_SHRINK": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stdout[-3_000:] + done.stderr[-1_000:])
    return failed[1] if failed else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
