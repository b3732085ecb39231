"""The API against its own document, by Schemathesis: whatever is allowed or forbidden is sent, by everybody.

No answer is a 5xx, none has a status, a media type, a header or a shape that the document does not tell, and no
operation works without the identity that it asks for. The seed is printed; FUZZ_SEED=… brings a run back. A short
form is part of the suite; `make fuzz` goes on for long, with every role.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from ground import chosen_seed
from running import BOXOFFICE, Running, environment, started

HERE = Path(__file__).parent
LONG = os.environ.get("FUZZ_LONG") == "1"
PASSWORD = "correct horse"
NOT_SENT = ("seatEvents", "logout")
"""A stream without an end, and the end of the run's own session."""
WITHIN_S = 3600 if LONG else 300


@contextmanager
def open_house(folder: Path) -> Generator[Running]:
    """A running box office with something on, and a member of each kind."""
    # One identity asks for everything as fast as it can: its limits would refuse most of that.
    unlimited = {"CUSTOMER_CHANGES_PER_MINUTE": "0", "STAFF_CHANGES_PER_MINUTE": "0"}
    with started(folder / "data", "serve", LOG_FORMAT="json", **unlimited) as running:
        command(folder, "seed", "--days", "1")
        for role in ("staff", "manager", "admin"):
            command(folder, "user", "create", f"{role}@fuzz.example", "--role", role, "--password", PASSWORD)
        yield running


def command(folder: Path, *words: str) -> None:
    done = subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, *words], env=environment(folder / "data"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def token_of(url: str, role: str) -> str:
    if role == "guest":
        answer = httpx.post(f"{url}/api/v1/auth/guest")
    else:
        body = {"email": f"{role}@fuzz.example", "password": PASSWORD}
        answer = httpx.post(f"{url}/api/v1/auth/login", json=body)
    token: str = answer.json()["accessToken"]
    return token


@pytest.mark.parametrize("role", ["guest", "staff", "manager", "admin"] if LONG else ["guest", "manager"])
def test_every_answer_is_one_that_the_document_tells(tmp_path: Path, role: str) -> None:
    seed = str(chosen_seed("FUZZ_SEED", long=LONG))
    how_much = ["--max-examples", "60"] if LONG else ["--max-examples", "3", "--phases", "examples,fuzzing,stateful"]
    how_much = [
        "--seed",
        seed,
        *how_much,
        "--max-failures",
        "20",
        *(f"--exclude-operation-id={one}" for one in NOT_SENT),
    ]
    with open_house(tmp_path) as running:
        document = f"{running.url}/api/docs/openapi.json"
        identity = ["-H", f"Authorization: Bearer {token_of(running.url, role)}"]
        fuzzer = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
        done = subprocess.run(  # noqa: S603  (a development dependency of ours)
            [*fuzzer, document, "--url", running.url, "--no-color", *identity, *how_much],
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
            cwd=tmp_path,
        )
        alive = httpx.get(f"{running.url}/api/v1/health/ready")
        faults = [line for line in running.said().splitlines() if "unexpected" in line]
    print(f"FUZZ_SEED={seed} as {role}\n{done.stdout[-1500:]}")  # noqa: T201  (what the run was made of)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert alive.status_code == 200
    assert faults == []
