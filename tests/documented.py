"""The API's own documentation, as tests read it, and a world in which its examples are true."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import make
import msgspec
from litestar.handlers import HTTPRouteHandler

from boxoffice.postgres.pool import Pool
from boxoffice.tickets.codes import TicketKeys
from boxoffice.web.errors import PROBLEM_TYPE
from boxoffice.web.examples import (
    MOVIE_ID,
    SCREEN_ID,
    SEAT_A1,
    SEAT_A2,
    SHOW_ID,
    THEATRE_ID,
    USER_ID,
)
from boxoffice.web.router import API_ROUTES, create_web


def nowhere() -> AbstractAsyncContextManager[Any]:
    raise AssertionError("the document needs no parts")


def read_document() -> dict[str, Any]:
    """The OpenAPI document."""
    return create_web(nowhere).openapi_schema.to_schema()


@dataclass(frozen=True)
class Operation:
    path: str
    method: str
    said: dict[str, Any]
    handler: HTTPRouteHandler

    @property
    def name(self) -> str:
        return self.said["operationId"]

    def parameters(self, where: str) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.said.get("parameters", []) if one["in"] == where}


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    handlers = {handler.operation_id: handler for handler in API_ROUTES}
    for path, item in document["paths"].items():
        for method, said in item.items():
            yield Operation(path, method, said, handlers[said["operationId"]])


def examples_of(said: dict[str, Any], status: str) -> dict[str, Any]:
    return said["responses"][status]["content"][PROBLEM_TYPE]["examples"]


def request_examples(operation: Operation) -> list[Any]:
    """The examples of a body."""
    (content,) = operation.said["requestBody"]["content"].values()
    return [example["value"] for example in content["examples"].values()]


@dataclass
class World:
    """What the examples speak of, for real."""

    client: httpx.AsyncClient
    pool: Pool
    show: make.Show
    buyer: make.Buyer
    manager: make.Buyer
    keys: TicketKeys

    def real(self, value: Any, **further: str) -> Any:
        """The example with ids of things that exist."""
        ids = {
            str(SHOW_ID): str(self.show.id),
            str(SEAT_A1): str(self.show.seats[0]),
            str(SEAT_A2): str(self.show.seats[1]),
            str(USER_ID): str(self.buyer.id),
            str(MOVIE_ID): str(self.show.movie_id),
            str(SCREEN_ID): str(self.show.screen_id),
            str(THEATRE_ID): str(self.show.theatre_id),
        } | further
        text = msgspec.json.encode(value).decode()
        for told, real in ids.items():
            text = text.replace(told, real)
        return msgspec.json.decode(text)
