"""Every interleaving of claim, payment, expiry, webhooks and refunds, and of authorise, capture and void, by Spin.

The models in `models/` must hold; with each bug that one can be given, Spin must find it: a check that finds nothing
wrong with a wrong model proves nothing. A short form is part of the suite; `make spin` goes through many more states.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "models"
BOX_OFFICE, AUTHORISATION = "box_office.pml", "authorisation.pml"
LONG = os.environ.get("SPIN_LONG") == "1"
MINUTES = 20 if LONG else 2
FOUND = re.compile(r"errors: (\d+)")
STORED = re.compile(r"(\d+) states, stored")

BUGS = {
    "BUG_SUCCESS_TRUSTS_THE_LEASE": "safe",
    "BUG_SEATS_NOT_KEPT": "safe",
    "BUG_DECIDES_UNLOCKED": "safe",
    "BUG_JOB_FORGOTTEN": "settled",
    "BUG_OLD_FAILURE_HARMS": "settled",
    "BUG_NO_SECOND_LOOK": "safe",
    "BUG_LATE_UNCHECKED": "safe",
    "BUG_EXTENDS_WHAT_IS_LEFT": "safe",
    "BUG_REFUND_WITHOUT_KEY": "safe",
    "BUG_OLD_SESSION_HARMS": "settled",
    "BUG_NO_BOOKING_LOCK": "settled",
    "BUG_TAKES_EFFECT_TWICE": "safe",
    "BUG_LATE_FORGOTTEN": "settled",
    "BUG_RECORDED_APART": "settled",
}
"""What is broken, and the claim that must find it."""


def check(folder: Path, model: str, claim: str, *defined: str) -> tuple[int, int]:
    """The number of errors (Spin stops at the first) and of states."""
    spin, gcc = (shutil.which(tool) or pytest.fail(f"{tool} is missing: install it") for tool in ("spin", "gcc"))
    shutil.copy(MODELS / model, folder)
    flags = [f"-D{one}" for one in defined]
    safety = ["-DSAFETY"] if claim == "safe" else []
    run(folder, spin, "-a", *flags, model)
    run(folder, gcc, "-O2", "-w", "-DCOLLAPSE", "-DMEMLIM=20000", *safety, "-o", "pan", "pan.c")
    # Room for the long searches' states, two to that power; a smaller table costs time, not states.
    said = run(folder, "./pan", "-m1000000", f"-w{28 if LONG else 24}", *([] if safety else ["-a"]), "-N", claim)
    errors, states = FOUND.search(said), STORED.search(said)
    assert errors, said
    assert states, said
    assert "search not completed" not in said
    print(f"{model:18s} {claim:8s} {' '.join(defined):45s} {int(states[1]):12,d} states {errors[1]} errors")  # noqa: T201
    return int(errors[1]), int(states[1])


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(  # noqa: S603  (our own model)
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=60 * MINUTES
    )
    return done.stdout


@pytest.mark.parametrize(
    ("claim", "kills", "again", "rival_pays"),
    [("safe", 1, 0, 0), ("safe", 0, 1, 0), ("settled", 1, 0, 0)]
    + (
        [("safe", 1, 1, 0), ("settled", 0, 1, 0), ("settled", 1, 1, 0), ("safe", 0, 0, 1), ("settled", 0, 0, 1)]
        if LONG
        else []
    ),
)
def test_no_order_of_steps_breaks_the_promise(
    tmp_path: Path, claim: str, kills: int, again: int, rival_pays: int
) -> None:
    errors, states = check(tmp_path, BOX_OFFICE, claim, f"KILLS={kills}", f"AGAIN={again}", f"RIVAL_PAYS={rival_pays}")

    assert errors == 0
    assert states > 100_000


@pytest.mark.parametrize(
    ("claim", "defined"),
    [("safe", "LOST=1"), ("settled", "LOST=1")]
    + (
        [
            ("safe", "LOST=1 KILLS=1 AGAIN=1"),
            ("settled", "LOST=1 KILLS=1 AGAIN=1"),
            ("safe", "LOST=1 SECOND=1 WORKERS=1"),
            ("settled", "LOST=0 SECOND=1 WORKERS=1"),
        ]
        if LONG
        else []
    ),
)
def test_what_was_set_aside_is_taken_for_a_seat_or_let_go(tmp_path: Path, claim: str, defined: str) -> None:
    errors, states = check(tmp_path, AUTHORISATION, claim, *defined.split())

    assert errors == 0
    assert states > 100_000


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_a_model_is_found(tmp_path: Path, bug: str) -> None:
    model = AUTHORISATION if f"def {bug}\n" in (MODELS / AUTHORISATION).read_text() else BOX_OFFICE
    errors, _ = check(tmp_path, model, BUGS[bug], bug)

    assert errors == 1
