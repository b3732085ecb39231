"""The command line: every command finds its database by itself, and says in one line what stops it.

Libraries are imported inside the commands that need them, so that `boxoffice --help` is quick.
"""
# ruff: noqa: PLC0415  (imports inside functions: see above)

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from boxoffice.errors import BoxOfficeError
from boxoffice.settings import Settings, SettingsError, from_environment

if TYPE_CHECKING:
    from boxoffice.demo.seed import SeedReport
    from boxoffice.postgres.pool import Pool

READY_WITHIN_S: Final = 60.0
"""How long a start may take before we stop looking whether it answers."""
WEB_STOP_S: Final = 5
"""Requests in flight get this long at the end; endless ones (live seats) are cut then."""
JOBS_STOP_S: Final = 10.0
JOBS_PAUSE_S: Final = 1.0
"""Before a job worker that died is replaced; doubled each time, up to `JOBS_PAUSE_S_MAX`."""
JOBS_PAUSE_S_MAX: Final = 30.0
BACKLOG: Final = 4096
"""Connections that may wait to be accepted: a sale's opening brings thousands at once."""

_LOADED_AT: Final = time.monotonic()

cli = typer.Typer(
    name="boxoffice",
    help="A cinema's box office. Settings come from the environment; README.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
users = typer.Typer(help="People who work here.", no_args_is_help=True)
cli.add_typer(users, name="user")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Port = Annotated[int | None, typer.Option(help="Instead of PORT.", show_default=False)]
Host = Annotated[str | None, typer.Option(help="Instead of HOST.", show_default=False)]
Days = Annotated[int, typer.Option(min=1, max=60, help="Days of shows, from today on.")]


class CannotRunError(Exception):
    """The command cannot do its work; the text says why, in one line."""

    def __init__(self, line: str, *, exit_code: int = 1) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def main() -> None:
    """The entry point: what goes wrong for a reason that we know is one line, without a traceback."""
    # Leaving by an exception stops the embedded database on the way out.
    signal.signal(signal.SIGTERM, _leave)
    try:
        cli()
    except SettingsError as error:
        _refuse(str(error), 2)
    except BoxOfficeError as error:
        _refuse(error.detail, 2)
    except CannotRunError as error:
        _refuse(str(error), error.exit_code)


@cli.command()
def serve(port: Port = None, host: Host = None) -> None:
    """Serve the box office: web and jobs. Migrates first."""
    settings = _settings(port, host)
    _refuse_taken_port(settings)
    with _database(settings) as dsn:
        _run(settings, dsn, lambda: out.print(f"The box office is open at {settings.base_url}{_after()}"))


@cli.command()
def demo(port: Port = None, host: Host = None, days: Days = 7) -> None:
    """Serve with demo data, and print where to look and what to try."""
    from boxoffice.demo.tour import welcome

    settings = _settings(port, host)
    _refuse_production(settings, "demo")
    _refuse_taken_port(settings)
    with _database(settings) as dsn:
        _seed(settings, dsn, days)
        _run(settings, dsn, lambda: out.print(welcome(settings.base_url) + _after()))


@cli.command()
def work(parent: Annotated[int | None, typer.Option(hidden=True)] = None) -> None:
    """Run background jobs alone, beside any number of other processes."""
    from boxoffice import app, logs

    settings = _settings()
    logs.configure(settings.log_format)
    if parent is not None:
        _end_with(parent)
    # Who is somebody's child works on what the parent has migrated.
    with _database(settings, migrated=parent is not None) as dsn:
        asyncio.run(app.work(settings, dsn))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from boxoffice.postgres.migrate import newest

    with _database(_settings()):
        out.print(f"The database is at revision {newest()}")


@cli.command()
def seed(
    days: Days = 7,
    force: Annotated[bool, typer.Option("--force", help="In production too.")] = False,  # noqa: FBT002
) -> None:
    """Put demo data in: films, theatres, a week of shows, some seats sold. Repeatable."""
    settings = _settings()
    if not force:
        _refuse_production(settings, "seed")
    with _database(settings) as dsn:
        report = _seed(settings, dsn, days)
    out.print(report.line())


@users.command("create")
def create_user(
    email: str,
    role: Annotated[str, typer.Option(help="customer, staff, manager or admin.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for if not given.")],
    name: Annotated[str, typer.Option(help="As it is shown to others.")] = "",
) -> None:
    """Make an account, or give the one that is there this role and password."""
    from boxoffice.accounts import Accounts, Role

    settings = _settings()
    if role not in tuple(Role):
        raise CannotRunError(f"--role: one of {', '.join(Role)}, please; not {role!r}", exit_code=2)

    async def create(dsn: str) -> None:
        async with _pool(dsn) as pool:
            accounts = Accounts(pool, settings.secret_key)
            try:
                await accounts.create_user(email, Role(role), password, name)
            finally:
                accounts.close()

    with _database(settings) as dsn:
        asyncio.run(create(dsn))
    out.print(f"{email} is {role}")


@cli.command()
def bench() -> None:
    """Measure how much it sells."""
    raise CannotRunError(
        "the benchmarks come with the performance work; there is nothing to run yet", exit_code=2
    )


def _settings(port: int | None = None, host: str | None = None) -> Settings:
    """The settings; what the command line says goes into the environment, where our processes read it too."""
    if port is not None:
        os.environ["PORT"] = str(port)
    if host is not None:
        os.environ["HOST"] = host
    return from_environment()


@contextmanager
def _database(settings: Settings, *, migrated: bool = False) -> Generator[str]:
    """The address of the database, brought to the newest schema unless somebody has.

    Raises:
        CannotRunError: it does not start, or cannot be reached.
    """
    from boxoffice.postgres import embedded

    with ExitStack() as stack:
        try:
            dsn = stack.enter_context(embedded.database(settings))
        except (OSError, subprocess.SubprocessError) as error:
            log = settings.data_dir / "postgres" / "log"
            raise CannotRunError(f"the embedded PostgreSQL does not start ({error}); see {log}") from error
        if not migrated:
            _migrate(dsn)
        yield dsn


def _migrate(dsn: str) -> None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError

    from boxoffice.postgres.migrate import migrate

    try:
        migrate(dsn)
    except ArgumentError as error:
        raise CannotRunError("DATABASE_URL: not an address that can be read", exit_code=2) from error
    except DBAPIError as error:
        where = make_url(dsn).render_as_string(hide_password=True)
        why = str(error.orig).strip().splitlines()[0]
        raise CannotRunError(f"the database at {where} cannot be used: {why}") from error


def _seed(settings: Settings, dsn: str, days: int) -> "SeedReport":
    """Seed, with a bar that shows how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from boxoffice.demo.seed import seed

    async def run() -> "SeedReport":
        async with _pool(dsn) as pool:
            return await seed(pool, days=days, cleanup_gap=settings.cleanup_gap, progress=show)

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("Demo data", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return asyncio.run(run())


@asynccontextmanager
async def _pool(dsn: str) -> AsyncGenerator["Pool"]:
    from boxoffice.postgres.pool import connect_pool

    pool = await connect_pool(dsn, size=2)
    try:
        yield pool
    finally:
        await pool.close()


def _run(settings: Settings, dsn: str, opened: Callable[[], None]) -> None:
    """Web and jobs until a signal; ``opened`` is called once the web answers.

    Raises:
        CannotRunError: the web workers keep dying.
    """
    from granian.constants import Interfaces, Loops
    from granian.server import Server

    # The processes that we start read their settings as we did.
    os.environ["DATABASE_URL"] = dsn
    server = Server(
        "boxoffice.app:create",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop=Loops.uvloop,
        websockets=False,
        backlog=BACKLOG,
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=WEB_STOP_S,
    )

    def announce() -> None:
        # The workers are forks of this process: nothing else runs here until they are made.
        while len(server.wrks) < settings.workers:
            time.sleep(0.02)
        if _answers(settings):
            opened()

    with _JobWorker():
        threading.Thread(target=announce, daemon=True).start()
        try:
            server.serve(target_loader=partial(_web_app, os.getpid()), wrap_loader=False)
        except SystemExit as error:
            # Ctrl+C reaches the workers too, which the server then takes for their failure.
            if error.code and not server.interrupt_signal:
                raise CannotRunError("the web workers keep ending; what they logged says why") from error


def _web_app(parent: int) -> Any:
    """The application, in a web worker."""
    from boxoffice import app

    _end_with(parent)
    return app.create()


class _JobWorker:
    """A process that runs the jobs while inside, replaced when it dies."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, daemon=True)

    def __enter__(self) -> None:
        self._start()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(JOBS_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _start(self) -> None:
        with self._starting:
            if not self._stopping.is_set():
                # A session of its own: Ctrl+C is for us, and we tell it.
                self._process = subprocess.Popen(  # noqa: S603  (our own program)
                    [sys.executable, "-m", "boxoffice.cli", "work", "--parent", str(os.getpid())],
                    start_new_session=True,
                )

    def _keep_running(self) -> None:
        pause = JOBS_PAUSE_S
        while self._process is not None and not self._stopping.is_set():
            since = time.monotonic()
            code = self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - since > JOBS_PAUSE_S_MAX:
                pause = JOBS_PAUSE_S
            err.print(f"The job worker ended (code {code}); another starts in {pause:g} s")
            self._stopping.wait(pause)
            pause = min(2 * pause, JOBS_PAUSE_S_MAX)
            self._start()


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
    import urllib.error
    import urllib.request

    url = f"http://{_local(settings.host)}:{settings.port}/api/v1/health/ready"
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:  # noqa: PLR2004  (ready)
                    return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    err.print(f"No answer from {url} after {READY_WITHIN_S:g} s")
    return False


def _local(host: str) -> str:
    """How this machine reaches what listens on ``host``."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104  (compared, not bound)
        return "127.0.0.1" if host != "::" else "[::1]"
    return f"[{host}]" if ":" in host else host


def _refuse_taken_port(settings: Settings) -> None:
    """Two servers could share a port without noticing (SO_REUSEPORT): look before."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotRunError(f"cannot listen on {settings.host}, port {settings.port}: {why}") from error


def _refuse_production(settings: Settings, command: str) -> None:
    if settings.production:
        raise CannotRunError(f"{command}: demo data and known passwords are not for production", exit_code=2)


def _after() -> str:
    return f"\n(ready after {time.monotonic() - _LOADED_AT:.1f} s)"


def _leave(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def _refuse(line: str, exit_code: int) -> NoReturn:
    err.print(f"boxoffice: {line}", markup=False)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
