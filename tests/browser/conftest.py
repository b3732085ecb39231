"""The rig of the browser tests: the real service, with its job worker and its gateway's webhooks, and real browsers.

The browser and the service live as long as the process of the test run, and so does the event loop of
these tests; what a person sees and leaves behind is each test's own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from ground import on_database, run_sql
from playwright.async_api import Browser
from running import Running, started

from boxoffice.demo.seed import seed
from boxoffice.postgres.pool import Pool, connect_pool
from browser import chromium
from browser.box_office import BoxOffice
from browser.visits import Device, Visit, visiting

HERE = Path(__file__).parent
HASTY_HOLD_MINUTES = "0.05"
"""3 seconds: holds that lapse before one's eyes."""

Visitors = Callable[..., Awaitable[Visit]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All of these tests share one loop, as they share one browser."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        if pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        if not chromium.wanted():
            item.add_marker(pytest.mark.skip(reason="BROWSER_TESTS=skip"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    executable = chromium.path()
    if executable is None:
        pytest.fail(chromium.MISSING, pytrace=False)
    async with chromium.launched(executable) as made:
        yield made


@pytest.fixture(scope="session")
def pages_dsn(server: str, template: str) -> Iterator[str]:
    """The database of the services that the browser visits."""
    name = f"boxoffice_pages_{uuid4().hex}"
    run_sql(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield on_database(server, name)
    run_sql(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pages_pool(pages_dsn: str) -> AsyncIterator[Pool]:
    """Connections to it; the demo's data of two days are in it."""
    pool = await connect_pool(pages_dsn, size=4, plan_once=True)
    await seed(pool, days=2)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def running(pages_dsn: str, pages_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`boxoffice serve`."""
    with started(tmp_path_factory.mktemp("serve") / "data", "serve", DATABASE_URL=pages_dsn) as made:
        yield made


@pytest.fixture(scope="session")
def box_office(running: Running, pages_pool: Pool) -> BoxOffice:
    """The box office that most tests visit."""
    return BoxOffice(running, pages_pool)


@pytest.fixture(scope="session")
def hasty_box_office(pages_dsn: str, pages_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxOffice]:
    """Another process on the same database, whose holds last for 3 seconds."""
    folder = tmp_path_factory.mktemp("hasty") / "data"
    with started(folder, "serve", DATABASE_URL=pages_dsn, SEAT_HOLD_MINUTES=HASTY_HOLD_MINUTES) as made:
        yield BoxOffice(made, pages_pool)


@pytest_asyncio.fixture(loop_scope="session")
async def api(box_office: BoxOffice) -> AsyncIterator[httpx.AsyncClient]:
    """What other people do there, with apps of their own."""
    async with httpx.AsyncClient(base_url=box_office.url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(browser: Browser, box_office: BoxOffice) -> AsyncIterator[Visitors]:
    """Makes people with a phone or a desktop: ``await visitors("phone", java_script_enabled=False)``.

    ``url``: which box office they visit. All else are options of Playwright's ``new_context``.
    """
    async with AsyncExitStack() as stack:

        async def make_visit(device: Device, *, url: str = box_office.url, **options: Any) -> Visit:
            return await stack.enter_async_context(visiting(browser, device, url, **options))

        yield make_visit


@pytest_asyncio.fixture(loop_scope="session")
async def phone(visitors: Visitors) -> Visit:
    """A person with a phone."""
    return await visitors("phone")


@pytest_asyncio.fixture(loop_scope="session")
async def desktop(visitors: Visitors) -> Visit:
    """A person at a desk."""
    return await visitors("desktop")
