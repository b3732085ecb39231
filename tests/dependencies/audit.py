"""`make audit`: asks OSV (osv.dev) about everything that is locked: Python packages by pip-audit, copied files by hand.

Says which of them have a known vulnerability, and ends with 1; or that none has, and ends with 0. Where anything was
not asked about, for whatever reason, it says so and ends with 2: silence is no answer.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import msgspec

ROOT: Final = Path(__file__).parents[2]
PIP_AUDIT: Final = Path(sys.prefix) / "audit" / "bin" / "pip-audit"
"""In an environment of its own: it needs other versions of what we lock."""
OSV: Final = "https://api.osv.dev/v1/query"
COPIED: Final = "assets.lock"
"""The lock of files that were copied from npm packages; all others are for pip."""
TIMEOUT_S: Final = 30
SOUND, VULNERABLE, NOT_CHECKED = 0, 1, 2

_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;[^\\]*)?\s*\\?")
_BESIDE: Final = re.compile(r"\s*(#.*)?|\s+--hash=\S+\s*\\?|\s+\S+ --hash=sha256:[0-9a-f]{64}")


class NotCheckedError(Exception):
    """Something was not asked about; the text says what, and why."""


class Pin(NamedTuple):
    """A package as it is locked."""

    name: str
    version: str


class Finding(NamedTuple):
    """A vulnerability of a locked package."""

    pin: Pin
    id: str
    mended_in: str


class _Vulnerability(msgspec.Struct):
    id: str
    fix_versions: list[str] = []


class _Answer(msgspec.Struct):
    name: str
    version: str | None = None
    vulns: list[_Vulnerability] = []
    skip_reason: str | None = None


class _Report(msgspec.Struct):
    dependencies: list[_Answer]


class _Osv(msgspec.Struct):
    vulns: list[_Vulnerability] = []


def pins(lock: str) -> list[Pin]:
    """Every package of a lock, for whichever system it is.

    Raises:
        NotCheckedError: a line is neither a package nor its hash nor a comment.
    """
    found: list[Pin] = []
    for line in lock.splitlines():
        if (pin := _PIN.fullmatch(line)) is not None:
            found.append(Pin(pin[1], pin[2]))
        elif not _BESIDE.fullmatch(line):
            raise NotCheckedError(f"a lock has a line that cannot be read: {line.strip()[:80]}")
    return found


def python_findings(wanted: set[Pin], *, service: str, program: Path = PIP_AUDIT) -> Iterator[Finding]:
    """The vulnerabilities of Python packages.

    Raises:
        NotCheckedError: the service did not answer, or not about each of them.
    """
    left = {(canonical(pin.name), pin.version): pin for pin in wanted}
    for one in chain.from_iterable(_ask_pip_audit(pinned, service, program) for pinned in _once_each(wanted)):
        if one.skip_reason is not None:
            raise NotCheckedError(f"{one.name} was left out: {one.skip_reason}")
        pin = left.pop((canonical(one.name), one.version or ""), None)
        if pin is None:
            raise NotCheckedError(f"{one.name} {one.version} was heard of, and not asked about")
        yield from (Finding(pin, flaw.id, ", ".join(flaw.fix_versions)) for flaw in one.vulns)
    if left:
        raise NotCheckedError(
            "nothing was heard of " + ", ".join(f"{name} {version}" for name, version in sorted(left))
        )


def canonical(name: str) -> str:
    """The one spelling of a Python package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _ask_pip_audit(pinned: list[Pin], service: str, program: Path) -> list[_Answer]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as asked:
        asked.write("".join(f"{pin.name}=={pin.version}\n" for pin in pinned))
        asked.flush()
        told = subprocess.run(  # noqa: S603  (the one that we installed)
            [
                # Everything is pinned already, and hashes are looked at when it is installed.
                *(program, "--requirement", asked.name, "--no-deps", "--disable-pip"),
                *("--vulnerability-service", "osv", "--osv-url", service, "--timeout", str(TIMEOUT_S)),
                *("--format", "json", "--progress-spinner", "off"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    # It ends with 1 for vulnerabilities and for its own failures alike: its report tells which.
    try:
        return msgspec.json.decode(told.stdout, type=_Report).dependencies
    except msgspec.MsgspecError:
        raise NotCheckedError(f"{service} did not answer: {_last_line(told.stderr)}") from None


def _once_each(wanted: set[Pin]) -> list[list[Pin]]:
    """Lists in which each name stands once, as pip-audit wants it: a package may be locked in two versions."""
    lists: list[dict[str, Pin]] = []
    for pin in sorted(wanted):
        name = canonical(pin.name)
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = pin
    return [list(one.values()) for one in lists]


def asset_findings(wanted: set[Pin], *, service: str) -> Iterator[Finding]:
    """The vulnerabilities of the npm packages that files were copied from.

    Raises:
        NotCheckedError: the service did not answer about each of them.
    """
    with httpx.Client(timeout=TIMEOUT_S) as client:
        for pin in sorted(wanted):
            question = {"package": {"name": pin.name, "ecosystem": "npm"}, "version": pin.version}
            try:
                answer = client.post(service, content=json.dumps(question)).raise_for_status()
                told = msgspec.json.decode(answer.content, type=_Osv)
            except (httpx.HTTPError, msgspec.MsgspecError) as error:
                raise NotCheckedError(f"{service} did not answer about {pin.name}: {error}") from error
            yield from (Finding(pin, flaw.id, "") for flaw in told.vulns)


def audit(root: Path, service: str, program: Path) -> tuple[int, str]:
    """Ask about all locks of ``root``; returns what to end with, and what to say."""
    try:
        installed, copied = locked(root)
        found = {
            *python_findings(installed, service=service, program=program),
            *asset_findings(copied, service=service),
        }
    except NotCheckedError as error:
        return NOT_CHECKED, f"audit: NOTHING WAS CHECKED to the end: {error}"
    lines = [
        f"{flaw.pin.name} {flaw.pin.version}: https://osv.dev/vulnerability/{flaw.id}"
        + (f" (mended in {flaw.mended_in})" if flaw.mended_in else "")
        for flaw in sorted(found)
    ]
    checked = len(installed) + len(copied)
    lines.append(f"audit: {checked} packages checked, known vulnerabilities: {len(found)}")
    return VULNERABLE if found else SOUND, "\n".join(lines)


def locked(root: Path) -> tuple[set[Pin], set[Pin]]:
    """What the locks of ``root`` install from PyPI, and what was copied from npm."""
    found = {path.name: set(pins(path.read_text(encoding="utf-8"))) for path in root.glob("*.lock")}
    copied = found.pop(COPIED, set[Pin]())
    return set[Pin]().union(*found.values()), copied


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


if __name__ == "__main__":
    ends_with, says = audit(ROOT, os.environ.get("AUDIT_URL", OSV), PIP_AUDIT)
    print(says, file=sys.stdout if ends_with == SOUND else sys.stderr)
    sys.exit(ends_with)
