"""The roles of web and jobs, as the logins of all kinds of installations can make and take them."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import psycopg
import pytest
from cluster import Cluster, own_cluster
from ground import run_sql
from running import BOXOFFICE, START_WITHIN_S, environment, started

from boxoffice.postgres.grants import WEB, WORKER
from boxoffice.postgres.migrate import migrate
from boxoffice.postgres.roles import RolesError, as_role, make_roles, put_login, signs_in, with_role
from boxoffice.postgres.schema import look, newest

AT_ONCE = 4
HARD = "p@ss/w%rd ?&x'"
"""A password of all that must be quoted, here or there."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with own_cluster() as made:
        yield made


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as conn:
        found = conn.execute(question.encode()).fetchone()
    return found and found[0]


def refused(dsn: str, statement: str) -> bool:
    try:
        run_sql(dsn, statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def boxoffice(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, *arguments],
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=START_WITHIN_S,
        check=False,
    )


@pytest.mark.parametrize("attributes", ["SUPERUSER", "CREATEROLE"])
def test_an_owner_who_may_makes_the_roles_and_takes_them(cluster: Cluster, attributes: str) -> None:
    dsn = cluster.database(owner=cluster.login("cinema", attributes))
    told: list[str] = []
    assert migrate(dsn, told.append) == newest()
    assert told == []

    for role in (WEB, WORKER):
        address = as_role(dsn, role)
        assert address is not None
        assert ask(address, "SELECT current_user") == role
        assert refused(address, "DELETE FROM booking")
    assert not refused(dsn, "DELETE FROM booking")


def test_an_owner_who_may_make_no_roles_is_told_and_all_works_without(cluster: Cluster, tmp_path: Path) -> None:
    dsn = cluster.database(owner=cluster.login("cinema"))
    said = boxoffice(tmp_path, "migrate", DATABASE_URL=dsn)
    assert said.returncode == 0, said.stderr
    (line,) = said.stderr.splitlines()
    assert f"the roles {WEB} and {WORKER} cannot be made or taken by this login" in line
    assert look(dsn).ready, "no start migrates again for what cannot be had"
    assert as_role(dsn, WEB) is None

    with started(tmp_path / "data", "serve", DATABASE_URL=dsn) as running:
        assert "web and jobs run with all that it may do" in running.said()
        assert httpx.post(f"{running.url}/api/v1/auth/guest").status_code == 201

    # Somebody who may makes them; from the next migration on they are there.
    for role in (WEB, WORKER):
        run_sql(cluster.server, f"CREATE ROLE {role} NOLOGIN")
        run_sql(cluster.server, f"GRANT {role} TO cinema")
    told: list[str] = []
    migrate(dsn, told.append)
    assert told == []
    assert as_role(dsn, WEB) is not None


def test_roles_of_another_owner_get_their_grants_here_too(cluster: Cluster) -> None:
    migrate(cluster.database(owner=cluster.login("first", "CREATEROLE")))
    dsn = cluster.database("second", cluster.login("second"))
    told: list[str] = []
    migrate(dsn, told.append)
    assert len(told) == 1
    assert ask(dsn, f"SELECT has_table_privilege('{WEB}', 'show_seat', 'UPDATE')")
    assert as_role(dsn, WEB) is None


def test_databases_of_a_cluster_that_migrate_at_once_all_have_their_roles(cluster: Cluster, tmp_path: Path) -> None:
    owner = cluster.login("cinema", "CREATEROLE")
    dsns = [cluster.database(f"cinema_{number}", owner) for number in range(AT_ONCE)]

    def go(dsn: str) -> "subprocess.CompletedProcess[str]":
        return boxoffice(tmp_path, "migrate", DATABASE_URL=dsn)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        said = list(threads.map(go, dsns))

    assert [(one.returncode, one.stderr) for one in said] == [(0, "")] * AT_ONCE
    assert all(as_role(dsn, role) for dsn in dsns for role in (WEB, WORKER))


def test_making_the_roles_again_and_again_at_once_ends_well(cluster: Cluster) -> None:
    owner = cluster.login("cinema", "CREATEROLE")
    dsn = cluster.address("postgres", owner)
    for _ in range(10):
        start = Barrier(AT_ONCE)

        def go(_: int, start: Barrier = start) -> str | None:
            start.wait()
            return make_roles(dsn)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            assert list(threads.map(go, range(AT_ONCE))) == [None] * AT_ONCE
        run_sql(cluster.server, f"DROP ROLE {WEB}, {WORKER}")


@pytest.mark.parametrize("attributes", ["SUPERUSER", "CREATEROLE"])
def test_logins_of_their_own_have_no_way_back(cluster: Cluster, tmp_path: Path, attributes: str) -> None:
    dsn = cluster.database(owner=cluster.login("cinema", attributes))
    web, worker = (cluster.address("cinema", name, HARD) for name in ("box_web", "box_jobs"))
    said = boxoffice(tmp_path, "migrate", DATABASE_URL=dsn, WEB_DATABASE_URL=web, WORKER_DATABASE_URL=worker)
    assert (said.returncode, said.stderr) == (0, "")

    assert signs_in(web, WEB)
    assert not signs_in(web.replace("box_web:", "box_web:x"), WEB)
    assert refused(web, "SET ROLE cinema")
    assert refused(web, f"SET ROLE {WORKER}")
    assert refused(web, "DELETE FROM booking")
    assert refused(worker, "SELECT FROM account_session")

    # Another password is given to the login that is there.
    changed = cluster.address("cinema", "box_web", "changed")
    put_login(dsn, changed, "WEB_DATABASE_URL", WEB)
    assert signs_in(changed, WEB)
    assert not signs_in(web, WEB)

    # And that is all that serving needs: the owner's address can stay where one migrates.
    logins = {"WEB_DATABASE_URL": changed, "WORKER_DATABASE_URL": worker}
    with started(tmp_path / "data", "serve", **logins) as running:
        assert httpx.post(f"{running.url}/api/v1/auth/guest").status_code == 201
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'cinema' AND usename NOT LIKE 'box%'"
        assert ask(cluster.server, others) == 0
    assert not (tmp_path / "data" / "postgres").exists(), "no server was embedded"


def test_what_is_set_wrongly_is_one_line(cluster: Cluster, tmp_path: Path) -> None:
    dsn = cluster.database(owner=cluster.login("cinema", "CREATEROLE"))
    migrate(dsn)
    cluster.login("mighty", "CREATEDB")
    cluster.login("guest")
    run_sql(cluster.server, "GRANT pg_monitor TO guest")
    for login, why in (
        ("cinema", "may do more"),
        ("mighty", "may do more"),
        ("guest", "is a member of other roles"),
        ("", "names no user"),
    ):
        with pytest.raises(RolesError, match=f"WEB_DATABASE_URL: .*{why}"):
            put_login(dsn, cluster.address("cinema", login), "WEB_DATABASE_URL", WEB)

    web = cluster.address("cinema", "box_web")
    alone = boxoffice(tmp_path, "serve", WEB_DATABASE_URL=web)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "WEB_DATABASE_URL: no database at revision" in alone.stderr
    put_login(dsn, web, "WEB_DATABASE_URL", WEB)
    half = boxoffice(tmp_path, "serve", WEB_DATABASE_URL=web)
    assert (half.returncode, half.stderr) == (
        2,
        "boxoffice: WORKER_DATABASE_URL: must be set, where DATABASE_URL is not\n",
    )
    for command in (["migrate"], ["seed"], ["user", "create", "a@b.example", "--role", "admin", "--password", "x" * 9]):
        ownerless = boxoffice(tmp_path, *command, WEB_DATABASE_URL=web)
        assert ownerless.returncode == 2, ownerless.stderr
        assert "DATABASE_URL: this needs the owner's address" in ownerless.stderr


@pytest.mark.parametrize(
    ("dsn", "address"),
    [
        ("postgresql://a:b@h:1/d", "postgresql://a:b@h:1/d?options=-c%20role%3Dr"),
        ("postgresql://a@/d?host=/tmp/x y", "postgresql://a@/d?host=%2Ftmp%2Fx%20y&options=-c%20role%3Dr"),
        (
            "postgresql://h/d?options=-c%20geqo%3Doff&sslmode=require",
            "postgresql://h/d?sslmode=require&options=-c%20geqo%3Doff%20-c%20role%3Dr",
        ),
    ],
)
def test_an_address_with_a_role_keeps_what_it_said(dsn: str, address: str) -> None:
    assert with_role(dsn, "r") == address
