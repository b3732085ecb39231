"""Which methods an address takes: told to whoever asks by OPTIONS, and to whoever tries another, in the same words."""

import re

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

ANY = {"uuid": "0198c1b2-1111-7222-8333-444455556666", "str": "anything", "path": "css/base.css"}


def addresses(app: Litestar) -> dict[str, set[str]]:
    """An address of each route, and the methods of its handlers."""
    return {
        re.sub(r"\{\w+:(\w+)\}", lambda kind: ANY[kind[1]], route.path): {
            str(method) for handler in route.route_handlers for method in handler.http_methods
        }
        for route in app.routes
        if isinstance(route, HTTPRoute)
    }


def named(answer: httpx.Response) -> set[str]:
    return set(re.split(r",\s*", answer.headers["allow"]))


async def test_every_address_names_all_methods_that_it_takes(client: httpx.AsyncClient, app: Litestar) -> None:
    several = 0
    for path, methods in addresses(app).items():
        asked = await client.options(path)
        assert asked.status_code == 204, (path, asked.text)
        assert named(asked) == methods, path
        refused = await client.request("TRACE", path)
        assert (refused.status_code, named(refused)) == (405, methods), path
        several += len(methods - {"OPTIONS"}) > 1
    assert several > 10


@pytest.mark.parametrize("path", ["/api/v1/movies", "/sign-in"])
async def test_what_is_named_beside_get_is_taken(client: httpx.AsyncClient, path: str) -> None:
    assert {"GET", "POST"} <= named(await client.options(path))
    assert (await client.post(path)).status_code in {400, 401, 403}


async def test_an_unknown_address_takes_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/v1/nowhere")
    assert answer.status_code == 404
    assert "allow" not in answer.headers
