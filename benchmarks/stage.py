"""What is measured on: a box office of our own with its database, or one that runs already.

Everything listens on 127.0.0.1 alone, in a folder that is removed; what was started here is ended
here, by its process id.
"""

import os
import resource
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import msgspec
import psutil

from benchmarks import measured, pgbench
from benchmarks.data import Data
from benchmarks.measured import Measured
from benchmarks.pgbench import Statement
from benchmarks.plans import AnyPlan, LoadReport
from benchmarks.watch import Group, Watch, family
from boxoffice.postgres import embedded

START_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 30.0
FILES_WANTED: Final = 6_000
"""Open files: 2,000 listeners are 2,000 sockets in the client, and as many in the server."""
ROOT: Final = Path(__file__).parents[1]


class StageError(Exception):
    """Nothing can be measured; the text says why."""


class Stage:
    """A server under test: where it is, and how to look at its processes."""

    def __init__(self, url: str, groups: Mapping[str, Group]) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise StageError("--url: an address that begins with http://, please")
        self.host = parts.hostname
        self.port = parts.port or 80
        self.url = f"http://{self.host}:{self.port}"
        self.groups = groups

    def measure(self, plan: AnyPlan, main: str, groups: Mapping[str, Group] | None = None) -> Measured:
        """Carry a plan out in a load client of its own."""
        watched = self.groups if groups is None else groups
        with _client() as process:
            say, hear = _pipes(process)
            encoded = msgspec.msgpack.encode(plan)
            say.write(struct.pack("!Q", len(encoded)) + encoded)
            say.flush()
            if hear.readline() != b"ready\n":
                raise StageError("the load client could not connect; its error is above")
            with Watch(watched) as watch:
                say.write(b"go\n")
                say.flush()
                said = hear.read()
        if not said:
            raise StageError("the load client ended without a report; its error is above")
        report = msgspec.msgpack.decode(said, type=LoadReport)
        return measured.of_load(main, report, watch.cpu_s, watch.peak_mb)


class OwnStage(Stage):
    """A box office of our own: `boxoffice serve` on an embedded PostgreSQL with full durability."""

    def __init__(self, url: str, groups: Mapping[str, Group], *, data: Data, dsn: str, secret: str) -> None:
        super().__init__(url, groups)
        self.data = data
        self.webhook_secret = secret
        self._dsn = dsn
        self._bare: tuple[int, Group] | None = None

    def measure_pgbench(self, statement: Statement, seconds: float) -> Measured:
        """The booking's statement, without a box office."""
        show = pgbench.prepare(self.data, seconds)
        with Watch({"postgres": self.groups["postgres"]}) as watch:
            report = pgbench.run(show, self._dsn, statement, seconds)
        pgbench.check(self.data, show, report)
        return measured.of_pgbench(report, seconds, watch.cpu_s, watch.peak_mb)

    def use_bare(self, port: int, group: Group) -> None:
        """Where the bare server listens."""
        self._bare = (port, group)

    def measure_bare(self, plan: AnyPlan, main: str) -> Measured:
        """A plan against the bare server."""
        if self._bare is None:
            raise StageError("no bare server was started")
        port, group = self._bare
        return self.measure(msgspec.structs.replace(plan, port=port, host="127.0.0.1"), main, {"web": group})


@contextmanager
def own_stage(workers: int, logs: Path) -> Generator[OwnStage]:
    """Start everything; end it all at the end."""
    allow_many_files()
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="boxoffice-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        home.chmod(0o755)  # PostgreSQL does not run as root: its user has to get in
        database = stack.enter_context(embedded.server(home))
        key, secret = secrets.token_hex(24), secrets.token_hex(24)
        port, bare_port = _free_port(), _free_port()
        environ = _environment(home, port, workers, SECRET_KEY=key, PAYMENT_WEBHOOK_SECRET=secret)
        serve = [sys.executable, "-m", "boxoffice.cli", "serve"]
        server = stack.enter_context(_started(serve, environ, logs / "serve.log"))
        _wait_for(f"http://127.0.0.1:{port}/api/v1/health/ready", server, logs / "serve.log")
        bare = stack.enter_context(
            _started(
                [sys.executable, "-m", "benchmarks.bare", str(bare_port), str(workers)], environ, logs / "bare.log"
            )
        )
        _wait_for(f"http://127.0.0.1:{bare_port}/body/1", bare, logs / "bare.log")
        dsn = database.get_uri(embedded.DATABASE)
        data = Data(dsn, key)
        stack.callback(data.close)
        postmaster = psutil.Process(database.get_pid())
        made = OwnStage(
            f"http://127.0.0.1:{port}",
            {
                "web": lambda: _web_workers(server),
                "beside": lambda: [one for one in family(server) if one not in _web_workers(server)],
                "postgres": lambda: family(postmaster),
            },
            data=data,
            dsn=dsn,
            secret=secret,
        )
        made.use_bare(bare_port, lambda: family(bare))
        yield made


def allow_many_files() -> None:
    """Raise this process's limit of open files, which those that it starts inherit.

    Raises:
        StageError: the system does not let us.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES_WANTED:
        return
    if hard != resource.RLIM_INFINITY and hard < FILES_WANTED:
        raise StageError(f"open files: the system allows {hard} a process, {FILES_WANTED} are needed (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_WANTED, hard))


def _web_workers(server: psutil.Process) -> list[psutil.Process]:
    """Children in the server's own session: the job worker is in another."""
    return [one for one in server.children() if os.getsid(one.pid) == os.getsid(server.pid)]


def _environment(home: Path, port: int, workers: int, **more: str) -> dict[str, str]:
    """Defaults for all that could make this run differ from another."""
    passed = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "XDG_RUNTIME_DIR")
    kept = {name: os.environ[name] for name in passed if name in os.environ}
    ours = {"BOXOFFICE_DATA_DIR": str(home), "PORT": str(port), "WORKERS": str(workers), "LOG_FORMAT": "json"}
    return kept | ours | more


@contextmanager
def _started(command: list[str], environ: dict[str, str], log: Path) -> Generator[psutil.Process]:
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)  # noqa: S603  (our own programs)
    running = psutil.Process(process.pid)
    try:
        yield running
    finally:
        below = family(running) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for one in below:
            if one.is_running() and one.pid != process.pid:
                one.kill()


@contextmanager
def _client() -> Generator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if process.stdout is not None:
            process.stdout.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("started with pipes")
    return process.stdin, process.stdout


def _wait_for(url: str, server: psutil.Process, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  (made here)
                return
        except OSError:
            if not server.is_running() or server.status() == psutil.STATUS_ZOMBIE:
                break
            time.sleep(0.1)
    raise StageError(f"no answer from {url}; see {log}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
