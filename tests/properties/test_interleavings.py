"""Every interleaving of claim, payment, expiry, webhooks and refunds, by Spin over `models/box_office.pml`.

The model must hold; with each bug that it can be given, Spin must find it: a check that finds nothing wrong with
a wrong model proves nothing. A short form is part of the suite; `make spin` goes through many more states.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "models" / "box_office.pml"
LONG = os.environ.get("SPIN_LONG") == "1"
MINUTES = 20 if LONG else 2
FOUND = re.compile(r"errors: (\d+)")
STORED = re.compile(r"(\d+) states, stored")

BUGS = {
    "BUG_NO_SECOND_LOOK": "safe",
    "BUG_LATE_UNCHECKED": "safe",
    "BUG_REFUND_WITHOUT_KEY": "safe",
    "BUG_OLD_SESSION_HARMS": "settled",
    "BUG_NO_BOOKING_LOCK": "settled",
    "BUG_TAKES_EFFECT_TWICE": "safe",
    "BUG_LATE_FORGOTTEN": "settled",
    "BUG_RECORDED_APART": "settled",
}
"""What is broken, and the claim that must find it."""


def check(folder: Path, claim: str, *defined: str) -> tuple[int, int]:
    """The number of errors (Spin stops at the first) and of states."""
    spin, gcc = (shutil.which(tool) or pytest.fail(f"{tool} is missing: install it") for tool in ("spin", "gcc"))
    shutil.copy(MODEL, folder)
    flags = [f"-D{one}" for one in defined]
    safety = ["-DSAFETY"] if claim == "safe" else []
    run(folder, spin, "-a", *flags, MODEL.name)
    run(folder, gcc, "-O2", "-w", "-DCOLLAPSE", *safety, "-o", "pan", "pan.c")
    said = run(folder, "./pan", "-m1000000", *([] if safety else ["-a"]), "-N", claim)
    errors, states = FOUND.search(said), STORED.search(said)
    assert errors, said
    assert states, said
    assert "search not completed" not in said
    print(f"{claim:8s} {' '.join(defined):45s} {int(states[1]):12,d} states {errors[1]} errors")  # noqa: T201
    return int(errors[1]), int(states[1])


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(  # noqa: S603  (our own model)
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=60 * MINUTES
    )
    return done.stdout


@pytest.mark.parametrize(
    ("claim", "kills", "again", "rival_pays"),
    [("safe", 1, 0, 0), ("safe", 0, 1, 0), ("settled", 1, 0, 0)]
    + ([("safe", 1, 1, 0), ("settled", 0, 1, 0), ("settled", 1, 1, 0), ("safe", 0, 0, 1)] if LONG else []),
)
def test_no_order_of_steps_breaks_the_promise(
    tmp_path: Path, claim: str, kills: int, again: int, rival_pays: int
) -> None:
    errors, states = check(tmp_path, claim, f"KILLS={kills}", f"AGAIN={again}", f"RIVAL_PAYS={rival_pays}")

    assert errors == 0
    assert states > 100_000


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_the_model_is_found(tmp_path: Path, bug: str) -> None:
    errors, _ = check(tmp_path, BUGS[bug], bug)

    assert errors == 1
