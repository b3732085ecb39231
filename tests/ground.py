"""What tests stand on, beside the fixtures: databases of a server, and the way to an application without a socket.

A module of its own, since several folders have a ``conftest``, and which of them that name means is chance.
"""

import os
import random
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import httpx
from litestar import Litestar

from boxoffice.web.hot import HotWeb


def chosen_seed(variable: str, *, long: bool) -> int:
    """The seed of a test that goes another way each time: the one that ``variable`` sets, to bring a run back.

    Else any in a long form, which explores. In the suite always the same: what it says of a change must not be luck.
    """
    given = os.environ.get(variable)
    if given:
        return int(given)
    return random.SystemRandom().randrange(2**32) if long else 20_261_124


def on_database(server: str, name: str) -> str:
    """The address of another database of the same server."""
    parts = urlsplit(server)
    return urlunsplit(parts._replace(path=f"/{name}"))


def run_sql(dsn: str, statement: str) -> None:
    """One statement on a connection of its own, outside any event loop and transaction."""
    import psycopg  # noqa: PLC0415  (only this needs a blocking driver)

    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(statement.encode())


def asgi(app: Litestar, address: str = "127.0.0.1") -> httpx.ASGITransport:
    """The way to an application of this process, from a network address."""
    return httpx.ASGITransport(cast("Any", HotWeb(app)), raise_app_exceptions=False, client=(address, 4711))


class Wire(httpx.AsyncBaseTransport):
    """The fake gateway's way to the application of the same test: over ASGI, without a socket."""

    other_end: httpx.AsyncBaseTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.other_end is None:
            raise httpx.ConnectError("nobody is there")
        return await self.other_end.handle_async_request(request)
