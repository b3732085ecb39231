"""Every test gets a database of its own, cloned from a migrated template on a real PostgreSQL.

The server is the one of ``DATABASE_URL``, or an embedded one that the processes of a test run share.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from uuid import uuid4

import httpx
import hypothesis
import make
import pytest
from fasteners import InterProcessLock
from ground import Wire, asgi, on_database, run_sql
from litestar import Litestar
from merchant import Receiver, make_gateway

from boxoffice.app import assemble, fake_gateway
from boxoffice.payments.fake import FakeGateway
from boxoffice.postgres import embedded
from boxoffice.postgres.grants import WEB
from boxoffice.postgres.migrate import migrate
from boxoffice.postgres.pool import Connection, Pool, connect_pool
from boxoffice.postgres.roles import with_role
from boxoffice.settings import Settings
from boxoffice.web.office import Office
from boxoffice.web.router import create_web

# How long an example takes says how busy the machine is, and is no test's to judge. The suite tries the same examples
# each time, so that what it says of a change is not luck; `make explore` tries others, and many more.
_ANY_MACHINE = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("suite", _ANY_MACHINE, derandomize=True)
hypothesis.settings.register_profile("explore", _ANY_MACHINE, max_examples=2000)
hypothesis.settings.load_profile("suite")


def folder_of_run(controller_pid: int) -> Path:
    """Where the processes of one test run share a server.

    Not in pytest's own folder for temporary files: the next run of pytest closes that one to other
    users, and PostgreSQL, which does not run as root, loses its data from under its feet.
    """
    return Path(tempfile.gettempdir()) / f"boxoffice-tests-{controller_pid}"


@pytest.fixture(scope="session")
def controller_pid(worker_id: str) -> int:
    """The process that was started as ``pytest``: this one, or with several, the one that started this."""
    return os.getpid() if worker_id == "master" else os.getppid()


@pytest.fixture(scope="session")
def run_folder(controller_pid: int) -> Path:
    """A folder that all processes of this test run share."""
    folder = folder_of_run(controller_pid)
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server(run_folder: Path) -> Iterator[str]:
    """The address of a database server's ``postgres`` database, where databases can be made."""
    with ExitStack() as stack:
        if "DATABASE_URL" in os.environ:
            yield os.environ["DATABASE_URL"]
            return
        with InterProcessLock(run_folder / "server.lock"):
            running = stack.enter_context(embedded.server(run_folder / "server"))
            # These databases live for one test: they need not survive a power cut.
            for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
                running.psql(f"ALTER SYSTEM SET {setting}")
            running.psql("SELECT pg_reload_conf()")
        yield running.get_uri("postgres")


def template_name(controller_pid: int) -> str:
    """One template a test run, whatever the number of its processes."""
    return f"boxoffice_template_{controller_pid}"


@pytest.fixture(scope="session")
def template(server: str, run_folder: Path, controller_pid: int) -> str:
    """The name of a migrated database that nobody connects to."""
    name = template_name(controller_pid)
    made = run_folder / f"{name}.made"
    with InterProcessLock(run_folder / "template.lock"):
        if not made.exists():
            run_sql(server, f'CREATE DATABASE "{name}"')
            migrate(on_database(server, name))
            made.touch()
    return name


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave nothing behind; the last of the processes to end does this, when its server has stopped."""
    if hasattr(session.config, "workerinput"):
        return
    if "DATABASE_URL" in os.environ:
        run_sql(os.environ["DATABASE_URL"], f'DROP DATABASE IF EXISTS "{template_name(os.getpid())}" WITH (FORCE)')
    shutil.rmtree(folder_of_run(os.getpid()), ignore_errors=True)


@pytest.fixture
def dsn(server: str, template: str) -> Iterator[str]:
    """The address of this test's own database."""
    name = f"boxoffice_test_{uuid4().hex}"
    run_sql(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield on_database(server, name)
    run_sql(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """Connections to this test's own database, committed and separate as in production."""
    made = await connect_pool(dsn, size=20, plan_once=True)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def conn(pool: Pool) -> AsyncIterator[Connection]:
    """One connection, in no transaction."""
    async with pool.acquire() as one:
        yield one


@pytest.fixture
async def web_pool(dsn: str) -> AsyncIterator[Pool]:
    """Connections as those of a web process: in its role."""
    made = await connect_pool(with_role(dsn, WEB), size=20, plan_once=True)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def settings(dsn: str) -> Settings:
    """Settings of a test; a test that needs others replaces this fixture or uses ``msgspec.structs.replace``."""
    return Settings(
        database_url=dsn,
        payment_webhook_secret=make.WEBHOOK_SECRET,
        public_url="http://box-office.test",
        fake_gateway_webhook_url="http://box-office.test/api/v1/payments/webhook",
        # Judging a pick brings the map into memory, which then may be a second behind rows that a test backdates by
        # hand (`make.lapse`). Tests of the rule turn it on.
        orphan_seats="off",
    )


@pytest.fixture
def wire() -> Wire:
    """Cut it by setting ``other_end`` to None: the gateway's webhooks then reach nobody."""
    return Wire()


@pytest.fixture
async def office(settings: Settings, web_pool: Pool, wire: Wire) -> AsyncIterator[Office]:
    """The parts of a box office on this test's database."""
    async with httpx.AsyncClient(transport=wire) as http:
        made = assemble(settings, web_pool, fake_gateway(settings, web_pool, http), web_pool)
        yield made
        await made.live_seats.close()
        await made.usher.close()
        made.accounts.close()


@pytest.fixture
def app(office: Office, wire: Wire) -> Litestar:
    """The web application around the office. Starting and stopping are tested with real processes."""
    made = create_web(lambda: nullcontext(office))
    made.state.office = office
    wire.other_end = asgi(made)
    return made


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A stranger's HTTP client of the whole API, in this process."""
    transport = asgi(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://box-office.test") as http:
        yield http


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A merchant's webhook address on a real socket."""
    made = Receiver()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The way of the ``gateway`` to its ``receiver``."""
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


@pytest.fixture
def gateway(pool: Pool, http: httpx.AsyncClient, receiver: Receiver) -> FakeGateway:
    """The fake gateway by itself, well behaved, with that receiver."""
    return make_gateway(pool, http, receiver)
