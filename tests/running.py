"""The service as a stranger runs it: real processes, on a port and a data folder of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

BOXOFFICE = [sys.executable, "-m", "boxoffice.cli"]
START_WITHIN_S = 120.0
STOP_WITHIN_S = 30.0


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """This process's environment without settings of its own, and with those given."""
    ours = {"DATABASE_URL", "HOST", "PORT", "ENVIRONMENT", "SECRET_KEY", "PAYMENT_WEBHOOK_SECRET", "PUBLIC_URL"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"BOXOFFICE_DATA_DIR": str(data_dir), "WORKERS": "1"} | variables


class Running:
    """A `serve` or `demo` on a port of its own."""

    def __init__(self, data_dir: Path, port: int, process: "subprocess.Popen[bytes]", said: Path) -> None:
        self.data_dir = data_dir
        self.url = f"http://127.0.0.1:{port}"
        self.process = process
        self._said = said

    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    def family(self) -> list[psutil.Process]:
        """The processes below it, and the database's."""
        return psutil.Process(self.process.pid).children(recursive=True) + databases(self.data_dir)

    def job_worker(self) -> psutil.Process | None:
        # It alone is in a session of its own.
        for child in psutil.Process(self.process.pid).children():
            if os.getsid(child.pid) == child.pid:
                return child
        return None

    def stop(self, how: signal.Signals) -> None:
        """Signal it, and wait until it and all of its processes are gone."""
        family = self.family()
        self.process.send_signal(how)
        assert self.process.wait(STOP_WITHIN_S) == 0, self.said()
        assert left_over(family) == []
        assert databases(self.data_dir) == []


def databases(data_dir: Path) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name", "cmdline"]):
        info: dict[str, Any] = process.info
        if info["name"] == "postgres" and str(data_dir.resolve()) in " ".join(info["cmdline"] or ()):
            found.append(process)
    return found


def left_over(family: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def until(what: Callable[[], object], within_s: float = STOP_WITHIN_S) -> bool:
    deadline = time.monotonic() + within_s
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def started(data_dir: Path, command: str, *arguments: str, **variables: str) -> Generator[Running]:
    """The command, once it says that it is open; killed with all of its processes should the test fail."""
    with started_with_log(None, data_dir, command, *arguments, **variables) as running:
        yield running


@contextmanager
def started_with_log(
    log_to: Path | None, data_dir: Path, command: str, *arguments: str, **variables: str
) -> Generator[Running]:
    """The same; its log goes to ``log_to``, if not to what it has `said`."""
    port = free_port()
    said = data_dir.parent / f"{command}-{port}.log"
    with said.open("ab") as out, (log_to or said).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            [*BOXOFFICE, command, "--port", str(port), *arguments],
            env=environment(data_dir, **variables),
            stdout=out,
            stderr=log,
        )
    running = Running(data_dir, port, process, said)
    family: list[psutil.Process] = []
    try:
        ready = until(lambda: "The box office is open" in running.said() or process.poll() is not None, START_WITHIN_S)
        assert ready, running.said()
        assert process.poll() is None, running.said()
        family = running.family()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for one in left_over(family):
            one.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
