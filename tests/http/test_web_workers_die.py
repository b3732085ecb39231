"""Web workers that die, again and again, all at once, or while the database is away: each has a successor."""

import signal
import time
from collections.abc import Generator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
from running import Running, databases, left_over, started, until

from boxoffice.postgres import embedded

HEALTH = "/api/v1/health"
READY = "/api/v1/health/ready"
SHOWS = "/api/v1/shows"
REPLACED_WITHIN_S = 10.0
REFUSED_WITHIN_S = 2.0
BACK_WITHIN_S = 5.0


@pytest.fixture
def data_dir() -> Generator[Path]:
    """Outside pytest's own folder, which the next pytest to start closes to the user that runs PostgreSQL."""
    with TemporaryDirectory(prefix="boxoffice-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"


def web_workers(running: Running) -> list[psutil.Process]:
    """Those that live."""
    jobs = running.job_worker()
    found: list[psutil.Process] = []
    for child in psutil.Process(running.process.pid).children():
        with suppress(psutil.NoSuchProcess):
            if child != jobs and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def kill(dead: list[psutil.Process]) -> None:
    for one in dead:
        one.kill()


def replaced(running: Running, dead: list[psutil.Process]) -> bool:
    """Whether there are two again, and none of the dead."""
    return until(lambda: len(alive := web_workers(running)) == 2 and not set(alive) & set(dead), REPLACED_WITHIN_S)


def answer(running: Running, path: str) -> int | None:
    with suppress(httpx.TransportError):
        return httpx.get(running.url + path, timeout=30).status_code
    return None


def test_a_web_worker_that_dies_again_and_again_is_replaced_each_time(data_dir: Path) -> None:
    with started(data_dir, "serve", WORKERS="2") as running:
        for _ in range(3):
            one = web_workers(running)[:1]
            kill(one)
            assert replaced(running, one), running.said()
        for _ in range(3):
            both = web_workers(running)
            kill(both)
            assert replaced(running, both), running.said()
        assert until(lambda: answer(running, READY) == 200), running.said()
        assert running.said().count("a web worker ended (code -9)") == 9
        # As when its terminal is closed.
        running.stop(signal.SIGHUP)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
def test_web_workers_that_die_while_the_database_is_away_are_replaced_and_refuse(
    data_dir: Path, how: signal.Signals
) -> None:
    with started(data_dir, "serve", WORKERS="2") as running, ExitStack() as at_the_end:
        [head] = databases(data_dir)
        # Who is stopped makes no more children.
        head.send_signal(signal.SIGSTOP)
        servers = [head, *head.children(recursive=True)]
        for server in servers:
            server.send_signal(how)
        both = web_workers(running)
        kill(both)
        assert replaced(running, both), running.said()
        assert until(lambda: answer(running, HEALTH) == 200, BACK_WITHIN_S), running.said()
        for path in (READY, SHOWS) * 3:
            began = time.monotonic()
            assert answer(running, path) == 503
            assert time.monotonic() - began < REFUSED_WITHIN_S

        if how == signal.SIGSTOP:
            for server in servers:
                server.send_signal(signal.SIGCONT)
        else:
            assert until(lambda: left_over(servers) == [])
            at_the_end.enter_context(embedded.server(data_dir))
        assert until(lambda: answer(running, SHOWS) == 200, BACK_WITHIN_S), running.said()
