"""The example of a scanner tells genuine codes from others, knowing only what is published."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from boxoffice.tickets.codes import TicketedSeat, TicketKeys

PROGRAM = Path(__file__).parents[2] / "examples" / "verify_ticket.py"
KEYS = TicketKeys(["a new secret", "the secret before"])


@pytest.fixture
def published(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_bytes(msgspec.json.encode({"keys": KEYS.published()}))
    return file


def scan(published: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, PROGRAM, published, code], capture_output=True, text=True, check=False, timeout=60
    )


def test_it_knows_genuine_codes_of_every_key(published: Path) -> None:
    seat = TicketedSeat(show_id=uuid4(), booking_id=uuid4(), position=7)
    for keys in (KEYS, TicketKeys(["the secret before"])):
        done = scan(published, keys.sign(seat).lower())
        assert done.returncode == 0, done.stderr
        for told in (str(seat.show_id), str(seat.booking_id), "number 7 "):
            assert told in done.stdout


def test_it_refuses_others(published: Path) -> None:
    code = KEYS.sign(TicketedSeat(show_id=uuid4(), booking_id=uuid4(), position=7))
    changed = code[:30] + ("A" if code[30] != "A" else "B") + code[31:]
    for wrong in (changed, code[:-8], "nonsense!", TicketKeys(["of others"]).sign(KEYS.verify(code))):
        done = scan(published, wrong)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("No ticket: ")
