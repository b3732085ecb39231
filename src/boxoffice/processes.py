"""The processes of a running box office: web workers, a job worker beside them, and how all of them end.

Whatever happens to one of them, the others do not stay behind: a process that dies is replaced,
and when the first one is gone, however it went, those that it started end by themselves.
"""
# ruff: noqa: PLC0415  (the server is imported where it is started: see boxoffice.cli)

import asyncio
import gc
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boxoffice.settings import Settings

if TYPE_CHECKING:
    from boxoffice.postgres.roles import Addresses

READY_WITHIN_S: Final = 60.0
"""How long a start may take before we stop looking whether it answers."""
WEB_STOP_S: Final = 5
"""Requests in flight get this long at the end; endless ones (live seats) are cut then."""
JOBS_STOP_S: Final = 10.0
JOBS_PAUSE_S: Final = 1.0
"""Before a job worker that died is replaced; doubled each time, up to `JOBS_PAUSE_S_MAX`."""
JOBS_PAUSE_S_MAX: Final = 4.0
"""A job worker ends whenever its database does, and is back within five seconds of it. What lived longer than this
begins anew with `JOBS_PAUSE_S`."""
BACKLOG: Final = 4096
"""Connections that may wait to be accepted: a sale's opening brings thousands at once."""


class CannotRunError(Exception):
    """A command cannot do its work; the text says why, in one line."""

    def __init__(self, line: str, *, exit_code: int = 1) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def refuse_taken_port(settings: Settings) -> None:
    """Two servers could share a port without noticing (SO_REUSEPORT): look before.

    Raises:
        CannotRunError: somebody listens there, or nobody may.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotRunError(f"cannot listen on {settings.host}, port {settings.port}: {why}") from error


def run(settings: Settings, database: "Addresses", opened: Callable[[], None]) -> None:
    """Web and jobs until a signal; ``opened`` is called once the web answers.

    Raises:
        CannotRunError: the data folder cannot be written, or a web worker ended before any had answered.
    """
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings

    from boxoffice.web.connections import allow_many_files, connections_max
    from boxoffice.web.server import Server

    allow_many_files()
    # The processes that we start read their settings as we did, and where they are forks of this
    # one, they share what was imported here: the start takes one import instead of one a process.
    os.environ["WEB_DATABASE_URL"] = database.web
    os.environ.pop("DATABASE_URL", None)
    _share_metrics(settings)
    import_module("boxoffice.app")
    gc.freeze()
    server = Server(
        tell=_tell,
        target="boxoffice.app:create",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop=Loops.uvloop,
        websockets=False,
        backlog=BACKLOG,
        backpressure=connections_max(),
        # HTTP/2 as well would mean to wait without a limit for a first byte that tells which of the two it is.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=round(settings.slow_client_s * 1000)),
        log_enabled=False,
        workers_kill_timeout=WEB_STOP_S,
    )

    def announce() -> None:
        # The workers are forks of this process: nothing else runs here until they are made.
        while len(server.wrks) < settings.workers:
            time.sleep(0.02)
        answers = _answers(settings)
        server.opened.set()
        if answers:
            opened()

    with JobWorker(settings, database.worker):
        threading.Thread(target=announce, daemon=True).start()
        try:
            server.serve(target_loader=partial(_web_app, os.getpid(), settings), wrap_loader=False)
        except SystemExit as error:
            # Ctrl+C reaches the workers too, which the server then takes for their failure.
            if error.code == 1 and not server.interrupt_signal:
                raise CannotRunError("a web worker cannot start; what it logged says why") from error


def _share_metrics(settings: Settings) -> None:
    """Let any worker tell the metrics of all: prometheus-client looks for this folder as it is imported."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder = settings.data_dir.expanduser().resolve() / f"metrics-{settings.port}"
        try:
            # What stands there is of a run that is over: two servers do not share a port.
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        except OSError as error:
            why = error.strerror or str(error)
            raise CannotRunError(f"BOXOFFICE_DATA_DIR: {folder}, for metrics, cannot be made there: {why}") from error
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def work_until_told(settings: Settings, dsn: str) -> None:
    """Run jobs until a signal."""
    from boxoffice import app, logs

    logs.configure(settings.log_format, settings.secrets)
    asyncio.run(app.work(settings, dsn))


def _web_app(parent: int, settings: Settings) -> Any:
    """The application, in a web worker."""
    from boxoffice import app

    _end_with(parent)
    threading.Thread(target=_drop_who_does_not_read, args=(settings,), daemon=True).start()
    return app.create()


def _drop_who_does_not_read(settings: Settings) -> None:
    """Have the system close connections whose other end takes nothing of what was sent to it for `SLOW_CLIENT_S`.

    The server has no limit for that: an answer that nobody reads would be kept for ever. It opens its listening socket
    itself, after the application was loaded; connections that it accepts have what is set on it.
    """
    if sys.platform != "linux":
        return
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        for listening in _listening(settings.port):
            with listening:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(settings.slow_client_s * 1000))
            return
        time.sleep(0.02)


def _listening(port: int) -> Iterator[socket.socket]:
    """This process's socket that listens on ``port``, if it has one."""
    for name in Path("/proc/self/fd").iterdir():
        try:
            if not name.is_socket():
                continue
            found = socket.socket(fileno=os.dup(int(name.name)))
        except OSError:
            # Closed since we looked.
            continue
        internet = found.family in {socket.AF_INET, socket.AF_INET6}
        if internet and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and found.getsockname()[1] == port:
            yield found
        else:
            found.close()


class JobWorker:
    """A process that runs the jobs while inside, replaced when it dies."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        self._args = (os.getpid(), settings, dsn)
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep_running, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._stopping.set()
        self._process.terminate()
        self._process.join(JOBS_STOP_S)
        if self._process.is_alive():
            self._process.kill()
        self._thread.join()

    def _start(self) -> multiprocessing.Process:
        process = multiprocessing.Process(target=_work, args=self._args)
        process.start()
        return process

    def _keep_running(self) -> None:
        pause = JOBS_PAUSE_S
        while True:
            since = time.monotonic()
            self._process.join()
            if time.monotonic() - since > JOBS_PAUSE_S_MAX:
                pause = JOBS_PAUSE_S
            if not self._stopping.is_set():
                code = self._process.exitcode
                _tell(f"the job worker ended (code {code}); another starts in {pause:g} s")
            self._stopping.wait(pause)
            pause = min(2 * pause, JOBS_PAUSE_S_MAX)
            with self._starting:
                if self._stopping.is_set():
                    return
                try:
                    self._process = self._start()
                except OSError as error:
                    # The machine has no room for a process. The dead one is found dead again, and this tried again.
                    _tell(f"a job worker cannot be started: {error.strerror}")


def _work(parent: int, settings: Settings, dsn: str) -> None:
    """The jobs, in a process of their own."""
    # A session of its own: Ctrl+C is for the parent, who tells us. Until the worker listens, a
    # signal ends us at once.
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _end_with(parent)
    try:
        work_until_told(settings, dsn)
    except Exception as error:  # noqa: BLE001  (a defect: its trace is told, but not as Python would)
        from boxoffice.logs import tell_crash

        tell_crash(settings.secrets, error)
        sys.exit(1)


def _end_with(parent: int) -> None:
    """Have this process end when ``parent`` is gone, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(JOBS_STOP_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _answers(settings: Settings) -> bool:
    """Wait until the web is ready; False if it takes too long."""
    url = f"http://{_local(settings.host)}:{settings.port}/api/v1/health/ready"
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:  # noqa: PLR2004  (ready)
                    return True
        except OSError:
            time.sleep(0.05)
    _tell(f"No answer from {url} after {READY_WITHIN_S:g} s")
    return False


def _local(host: str) -> str:
    """How this machine reaches what listens on ``host``."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104  (compared, not bound)
        return "127.0.0.1" if host != "::" else "[::1]"
    return f"[{host}]" if ":" in host else host


def _tell(line: str) -> None:
    # Who watches over the others does not end because nobody can be told.
    with suppress(OSError, ValueError):
        print(f"boxoffice: {line}", file=sys.stderr, flush=True)  # noqa: T201  (the operator's terminal)
