"""The command line: every command finds its database by itself, and says in one line what stops it.

Libraries are imported inside the commands that need them, so that `boxoffice --help` is quick.
"""
# ruff: noqa: PLC0415  (imports inside functions: see above)

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from boxoffice.database import WEB_URL, WORKER_URL, owned, served
from boxoffice.errors import BoxOfficeError
from boxoffice.processes import CannotRunError, refuse_taken_port, run, work_until_told
from boxoffice.settings import Settings, SettingsError, from_environment

if TYPE_CHECKING:
    from boxoffice.audit import Entry
    from boxoffice.demo.seed import SeedReport
    from boxoffice.postgres.pool import Connection, Pool

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
    except Exception as error:  # noqa: BLE001  (a defect: its trace is told, but not as Python would)
        from boxoffice.logs import tell_crash

        tell_crash(_secrets(), error)
        sys.exit(1)


@cli.command()
def serve(port: Port = None, host: Host = None) -> None:
    """Serve the box office: web and jobs. Migrates first."""
    settings = _settings(port, host)
    refuse_taken_port(settings)
    with served(settings, WEB_URL, WORKER_URL) as found:
        run(settings, found, lambda: out.print(f"The box office is open at {settings.base_url}{_after()}"))


@cli.command()
def demo(port: Port = None, host: Host = None, days: Days = 7) -> None:
    """Serve with demo data, and print where to look and what to try."""
    from boxoffice.demo.tour import welcome

    settings = _settings(port, host)
    _refuse_production(settings, "demo")
    refuse_taken_port(settings)
    with owned(settings) as dsn:
        _seed(settings, dsn, days)
    with served(settings, WEB_URL, WORKER_URL) as found:
        run(settings, found, lambda: out.print(welcome(settings.base_url) + _after()))


@cli.command()
def work() -> None:
    """Run background jobs alone, beside any number of other processes."""
    settings = _settings()
    with served(settings, WORKER_URL) as found:
        work_until_told(settings, found.worker)


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema, and its roles and logins to what they may do."""
    from boxoffice.postgres.schema import look

    with owned(_settings(), migrate=True) as dsn:
        out.print(f"The database is at revision {look(dsn).revision}")


@cli.command()
def seed(
    days: Days = 7,
    force: Annotated[bool, typer.Option("--force", help="In production too.")] = False,  # noqa: FBT002
) -> None:
    """Put demo data in: films, theatres, a week of shows, some seats sold. Repeatable."""
    settings = _settings()
    if not force:
        _refuse_production(settings, "seed")
    with owned(settings) as dsn:
        report = _seed(settings, dsn, days)
    out.print(report.line())


@cli.command()
def reconcile(
    days: Annotated[int, typer.Option(min=1, max=366, help="Ask about payments that were over in these days.")] = 1,
    resolve: Annotated[str | None, typer.Option(help="Ask nobody: this, of what waits, was settled by hand.")] = None,
    note: Annotated[str, typer.Option(help="How it was settled, with --resolve; kept in the audit log.")] = "",
) -> None:
    """Ask the gateways about money, mend what can be mended, and say what waits for a person (exit code 1)."""
    from datetime import UTC, datetime, timedelta

    from boxoffice import app

    if (resolve is None) != (not note.strip()):
        raise CannotRunError("reconcile: --resolve and --note go together", exit_code=2)
    settings = _settings()
    if resolve is not None:
        _resolve(settings, resolve, note.strip())
        return
    with served(settings, WORKER_URL) as found:
        report = asyncio.run(app.reconcile(settings, found.worker, datetime.now(UTC) - timedelta(days=days)))
    for what, done in (("not over", report.unfinished), ("over", report.finished)):
        out.print(
            f"Payments {what}: asked about {done.asked}, agreed {done.agreed}, mended {done.mended}, "
            f"unanswered {done.unanswered}, differing {done.issues}"
        )
    for account in report.accounts:
        out.print(f"Ledger: {account.account:<8} {account.balance:>15,} {account.currency} (minor units)")
    for wrong in report.disagreements:
        err.print(f"The ledger disagrees with the payments of show {wrong.show_id} ({wrong.currency})")
    for matter in report.matters:
        of = "" if matter.payment_id is None else f"payment {matter.payment_id} of show {matter.show_id}: "
        err.print(f"{matter.id} since {matter.since:%Y-%m-%d %H:%M}: {of}{matter.detail}", markup=False)
    out.print(f"Waiting for a person: {report.waiting}")
    if report.waiting:
        raise typer.Exit(1)


def _resolve(settings: Settings, matter_id: str, note: str) -> None:
    """As the owner: neither web nor jobs may say that a person has settled something."""
    from boxoffice.audit import operator
    from boxoffice.bookings.waiting import resolve

    async def resolve_now(dsn: str) -> None:
        async with _pool(dsn) as pool:
            await resolve(pool, matter_id, note, operator())

    with owned(settings) as dsn:
        asyncio.run(resolve_now(dsn))
    out.print(f"{matter_id} waits for nobody any more", markup=False)


@users.command("create")
def create_user(
    email: str,
    role: Annotated[str, typer.Option(help="customer, staff, manager or admin.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for if not given.")],
    name: Annotated[str, typer.Option(help="As it is shown to others.")] = "",
) -> None:
    """Make an account, or give the one that is there this role and password."""
    from boxoffice.accounts import Account, Accounts, Role
    from boxoffice.audit import Act, Action, Kind, operator, record

    settings = _settings()
    if role not in tuple(Role):
        raise CannotRunError(f"--role: one of {', '.join(Role)}, please; not {role!r}", exit_code=2)

    async def write_down(conn: "Connection", account: Account) -> None:
        details = {"email": account.email, "role": account.role}
        await record(
            conn,
            operator(),
            Act(action=Action.PUT_USER, kind=Kind.ACCOUNT, subject_id=account.user_id, details=details),
        )

    async def create(dsn: str) -> None:
        async with _pool(dsn) as pool:
            accounts = Accounts(pool, settings.secret_key)
            try:
                await accounts.create_user(email, Role(role), password, name, beside=write_down)
            finally:
                accounts.close()

    with owned(settings) as dsn:
        asyncio.run(create(dsn))
    out.print(f"{email} is {role}")


@cli.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries, the newest first.")] = 50,
    actor: Annotated[UUID | None, typer.Option(help="Only what this account has done.")] = None,
    subject: Annotated[UUID | None, typer.Option(help="Only what was done to this show, booking, …")] = None,
    action: Annotated[str | None, typer.Option(help="Only such acts, such as show.change.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="From this time on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Before this time (UTC).")] = None,
) -> None:
    """What people who work here have done: who, when, what, to what."""
    from datetime import UTC

    from rich.table import Table

    from boxoffice.audit import Action, Filters, list_entries
    from boxoffice.postgres.pool import connection

    if action is not None and action not in tuple(Action):
        raise CannotRunError(f"--action: one of {', '.join(Action)}, please; not {action!r}", exit_code=2)
    filters = Filters(
        actor_id=actor,
        subject_id=subject,
        action=None if action is None else Action(action),
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
    )

    async def read(dsn: str) -> "list[Entry]":
        async with _pool(dsn) as pool, connection(pool) as conn:
            return (await list_entries(conn, filters, limit)).items

    table = Table("When (UTC)", "Who", "Role", "What", "To what", "Details", "From", box=None, pad_edge=False)
    with owned(_settings()) as dsn:
        for entry in asyncio.run(read(dsn)):
            who = entry.actor_email or (entry.actor_id and str(entry.actor_id)) or ""
            details = json.dumps(entry.details, ensure_ascii=False)
            what = f"{entry.subject_kind} {entry.subject_id}"
            when = f"{entry.at:%Y-%m-%d %H:%M:%S}"
            # Texts and not markup: names in them are anybody's.
            cells = (when, who, entry.actor_role, entry.action, what, details, entry.address or "")
            table.add_row(*(Text(cell) for cell in cells))
    out.print(table)


@cli.command()
def bench(
    url: Annotated[str, typer.Option(help="Where the server runs.")] = "http://127.0.0.1:8001",
    seconds: Annotated[float, typer.Option(min=0.2, max=120, help="Of a round.")] = 2.0,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Rounds of each case.")] = 3,
) -> None:
    """Measure a running server from outside. It takes seats for a moment, and gives them back."""
    root = Path(__file__).parents[2]
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise CannotRunError("bench: the benchmarks come with the source, not with the package", exit_code=2)
    out_folder = str(Path.cwd() / "build" / "bench")
    told = ["--url", url, "--seconds", str(seconds), "--rounds", str(rounds), "--out", out_folder]
    ended = subprocess.run([sys.executable, "-m", "benchmarks", *told], cwd=root, check=False)  # noqa: S603  (our own)
    sys.exit(ended.returncode)


def _settings(port: int | None = None, host: str | None = None) -> Settings:
    """The settings; what the command line says goes into the environment, where our processes read it too."""
    if port is not None:
        os.environ["PORT"] = str(port)
    if host is not None:
        os.environ["HOST"] = host
    return from_environment()


def _secrets() -> frozenset[str]:
    """What must not be told, as far as the settings can be read."""
    try:
        return from_environment().secrets
    except SettingsError:
        return frozenset()


def _seed(settings: Settings, dsn: str, days: int) -> "SeedReport":
    """Seed, with a bar that shows how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from boxoffice.demo.seed import seed

    async def seed_now() -> "SeedReport":
        async with _pool(dsn) as pool:
            return await seed(pool, days=days, cleanup_gap=settings.cleanup_gap, progress=show)

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("Demo data", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return asyncio.run(seed_now())


@asynccontextmanager
async def _pool(dsn: str) -> AsyncGenerator["Pool"]:
    from boxoffice.postgres.pool import connect_pool

    pool = await connect_pool(dsn, size=2)
    try:
        yield pool
    finally:
        await pool.close()


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
