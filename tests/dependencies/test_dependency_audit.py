"""`make audit`, with a stand-in for the service: all that is locked is asked about, and silence is no answer."""

import json
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dependencies.audit import (
    NOT_CHECKED,
    PIP_AUDIT,
    ROOT,
    SOUND,
    VULNERABLE,
    NotCheckedError,
    Pin,
    audit,
    pins,
    python_findings,
)

FLAW = {
    "id": "PYSEC-2026-1",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}
# Asks and reports as pip-audit does, in as few lines as that takes.
STAND_IN = r"""
import json, re, sys, urllib.request
told = list(zip(sys.argv[1:], sys.argv[2:]))
lines = "".join(open(value).read() for name, value in told if name == "--requirement")
found = []
for name, version in re.findall(r"^(.+)==(.+)$", lines, re.M):
    question = json.dumps({"package": {"name": name, "ecosystem": "PyPI"}, "version": version}).encode()
    answer = json.load(urllib.request.urlopen(urllib.request.Request(dict(told)["--osv-url"], question)))
    vulns = [{"id": one["id"], "fix_versions": ["99.0"]} for one in answer.get("vulns", [])]
    found.append({"name": name, "version": version, "vulns": vulns})
print(json.dumps({"dependencies": found}))
sys.exit(any(one["vulns"] for one in found))
"""


class Osv(ThreadingHTTPServer):
    """Knows the flaws of some packages, keeps what it was asked, and fails for those that it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: set[tuple[str, str, str]] = set()
        self.flaws: dict[str, dict[str, object]] = {}
        self.fails_for: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/query"


class _Handler(BaseHTTPRequestHandler):
    server: Osv  # pyright: ignore[reportIncompatibleVariableOverride]  (whose handler this is)

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        package = question["package"]
        self.server.asked.add((package["ecosystem"], package["name"], question["version"]))
        flaw = self.server.flaws.get(package["name"])
        body = json.dumps({"vulns": [flaw]} if flaw else {}).encode()
        self.send_response(503 if package["name"] in self.server.fails_for else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        """Says nothing."""


@contextmanager
def listening() -> Generator[Osv]:
    with Osv() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def osv() -> Iterator[Osv]:
    with listening() as server:
        yield server


@pytest.fixture(params=["stand-in", "pip-audit"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "pip-audit":
        if not PIP_AUDIT.exists():
            pytest.skip("pip-audit is not here: `make audit` installs it")
        return PIP_AUDIT
    made = tmp_path / "pip-audit"
    made.write_text(f"#!{sys.executable}\n{STAND_IN}", encoding="utf-8")
    made.chmod(0o755)
    return made


def in_the_locks() -> set[tuple[str, str, str]]:
    """Every package of every lock, by another reading of them than the audit's."""
    found: set[tuple[str, str, str]] = set()
    for path in ROOT.glob("*.lock"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "==" in line and not line.startswith("#"):
                name, _, rest = line.split(";")[0].partition("==")
                kind = "npm" if path.name == "assets.lock" else "PyPI"
                found.add((kind, name.split("[")[0], rest.split()[0]))
    return found


def test_all_that_is_locked_is_asked_about(osv: Osv, program: Path) -> None:
    ends_with, says = audit(ROOT, osv.url, program)
    assert ends_with == SOUND, says
    assert osv.asked == in_the_locks()
    assert {kind for kind, _, _ in osv.asked} == {"PyPI", "npm"}
    assert says == f"audit: {len(osv.asked)} packages checked, known vulnerabilities: 0"


@pytest.mark.parametrize(("name", "flaw", "mended"), [("jinja2", FLAW, "99.0"), ("htmx.org", {"id": "GHSA-1"}, "")])
def test_what_is_known_of_one_is_told_and_fails(
    osv: Osv, program: Path, name: str, flaw: dict[str, object], mended: str
) -> None:
    osv.flaws[name] = flaw
    ends_with, says = audit(ROOT, osv.url, program)
    assert ends_with == VULNERABLE
    assert f"https://osv.dev/vulnerability/{flaw['id']}" in says
    assert mended in says
    assert says.endswith("known vulnerabilities: 1")


@pytest.mark.parametrize("name", ["jinja2", "htmx.org"])
def test_where_one_was_not_answered_for_the_audit_fails(osv: Osv, program: Path, name: str) -> None:
    osv.fails_for.add(name)
    ends_with, says = audit(ROOT, osv.url, program)
    assert ends_with == NOT_CHECKED
    assert says.startswith(f"audit: NOTHING WAS CHECKED to the end: {osv.url} did not answer")


def test_without_the_service_it_says_that_nothing_was_checked(program: Path) -> None:
    with listening() as server:
        gone = server.url
    ends_with, says = audit(ROOT, gone, program)
    assert ends_with == NOT_CHECKED
    assert says.startswith(f"audit: NOTHING WAS CHECKED to the end: {gone} did not answer")
    assert "\n" not in says


def test_a_report_that_leaves_one_out_is_no_report(osv: Osv, tmp_path: Path) -> None:
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([{"name": "one", "version": "1.0", "vulns": []}], "nothing was heard of two 2.0"),
        ([{"name": "two", "skip_reason": "not found"}], "two was left out: not found"),
        ([{"name": "one", "version": "1.1", "vulns": []}], "one 1.1 was heard of, and not asked about"),
    ]
    for said, why in cases:
        program = tmp_path / "pip-audit"
        program.write_text(f"#!/bin/sh\necho '{json.dumps({'dependencies': said})}'\n", encoding="utf-8")
        program.chmod(0o755)
        with pytest.raises(NotCheckedError, match=why):
            list(python_findings({Pin("one", "1.0"), Pin("two", "2.0")}, service=osv.url, program=program))


def test_of_a_package_that_is_locked_twice_both_are_asked_about(osv: Osv, program: Path) -> None:
    twice = {Pin("Some_Package", "1.0"), Pin("some-package", "2.0"), Pin("other", "1.0")}
    assert list(python_findings(twice, service=osv.url, program=program)) == []
    assert {version for _, name, version in osv.asked if name.lower().startswith("some")} == {"1.0", "2.0"}


def test_a_lock_is_read_to_its_last_line() -> None:
    lock = (
        "# a comment\n"
        "some-package[extra]==1.2.3 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
        "win-only==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:22\n"
    )
    assert pins(lock) == [Pin("some-package", "1.2.3"), Pin("win-only", "2.0")]
    for odd in ("-e .", "package>=1.0", "package @ https://example.com/x.whl", "--index-url https://example.com"):
        with pytest.raises(NotCheckedError, match="cannot be read"):
            pins(lock + odd)
