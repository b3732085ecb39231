"""Who watches over the processes goes on, whatever becomes of one of them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from boxoffice import processes
from boxoffice.settings import Settings
from boxoffice.web import server as web_server
from boxoffice.web.server import Server

SOON_S = 5.0


class Inner:
    exitcode = -9
    pid: int | None = None


class Worker:
    """A worker that starts, or cannot."""

    def __init__(self, failure: Exception | None = None, *, runs: bool = True) -> None:
        self.birth = 0.0
        self.inner = Inner()
        self.failure = failure
        self.killed = False
        if runs:
            self.inner.pid = 1

    def start(self) -> None:
        if self.failure is not None:
            raise self.failure

    def kill(self) -> None:
        self.killed = True

    def join(self) -> None:
        pass


class Watched(Server):
    """A server whose workers are made up."""

    def __init__(self, successors: list[Worker]) -> None:
        self.told: list[str] = []
        super().__init__(tell=self.told.append, target="nothing:nothing")
        self.successors = successors
        self.wrks: Any = [Worker(), Worker()]
        self.opened.set()

    def _spawn_worker(self, idx: int, target: object, callback_loader: object) -> Any:
        assert (idx, target, callback_loader) == (1, None, None)
        return self.successors.pop(0)

    def one_dies(self, place: int) -> None:
        self.interrupt_children.append(place)
        self.main_loop_interrupt.set()


def until(what: Callable[[], bool]) -> bool:
    waiting = threading.Event()
    for _ in range(round(SOON_S / 0.01)):
        if what():
            return True
        waiting.wait(0.01)
    return False


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "PAUSE_S", 0.01)
    monkeypatch.setattr(processes, "JOBS_PAUSE_S", 0.01)
    monkeypatch.setattr(processes, "JOBS_PAUSE_S_MAX", 0.01)


def test_a_place_is_filled_once_the_machine_has_room_again() -> None:
    no_process = Worker(BlockingIOError(11, "Resource temporarily unavailable"), runs=False)
    no_thread = Worker(RuntimeError("can't start new thread"))
    good = Worker()
    server = Watched([no_process, no_thread, good])
    first = server.wrks[0]
    watching = threading.Thread(target=lambda: server.watch_over(None, None))
    watching.start()
    try:
        server.one_dies(1)
        assert until(lambda: server.wrks[1] is good)
        assert server.wrks[0] is first
        # One that runs without being watched would be there for ever.
        assert (no_process.killed, no_thread.killed, good.killed) == (False, True, False)
        assert sum("cannot be started" in line for line in server.told) == 2
    finally:
        server.signal_handler_interrupt()
        watching.join(SOON_S)
    assert not watching.is_alive()


def test_a_worker_that_ends_before_any_has_answered_ends_the_server() -> None:
    server = Watched([])
    server.opened.clear()
    server.one_dies(1)
    server.watch_over(None, None)
    assert server.interrupt_children, "by which Granian's exit code says that it failed"


class Process:
    """A job worker that has ended."""

    exitcode = 1

    def join(self, _: float | None = None) -> None:
        pass

    def terminate(self) -> None:
        pass

    def is_alive(self) -> bool:
        return False


class Lasting(Process):
    """One that goes on."""

    def __init__(self) -> None:
        self._end = threading.Event()

    def join(self, _: float | None = None) -> None:
        self._end.wait(SOON_S)

    def terminate(self) -> None:
        self._end.set()


def test_a_job_worker_is_started_once_the_machine_has_room_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lasting = Lasting()
    outcomes: list[Any] = [Process(), BlockingIOError(11, "Resource temporarily unavailable"), lasting]

    def start(_: object) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(processes.JobWorker, "_start", start)
    with processes.JobWorker(Settings(), ""):
        assert until(lambda: not outcomes)
    assert "cannot be started: Resource temporarily unavailable" in capsys.readouterr().err
