"""Each request gets an id, a log line and its place in the metrics."""

import asyncio
import itertools
import os
import re
import time
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Final
from uuid import uuid4

import structlog
from litestar.enums import ScopeType
from litestar.middleware.base import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from boxoffice.secrecy import without_tokens

REQUESTS: Final = Counter("boxoffice_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS: Final = Histogram(
    "boxoffice_request_seconds",
    "Time from a request's first byte to its answer's first",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_FIRST_REFUSAL: Final = 400
_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

SHOWN_SECONDS: Final = Counter(
    "boxoffice_shown_seconds_total", "Time that seat maps took which were at hand; boxoffice_requests_total counts them"
)
ADD_UP_S: Final = 0.1
"""How late the metrics may be told of maps that were at hand."""

SCOPE: Final[ContextVar[Scope | None]] = ContextVar("scope", default=None)
"""The request that is being answered, for those who are told only what it asks for."""

log = structlog.get_logger("boxoffice.request")


class ObserveMiddleware(ASGIMiddleware):
    """Takes a proxy's ``X-Request-Id`` where it is sane, else makes one; answers with it and logs under it."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap one request."""
        began = time.perf_counter()
        request_id = begin(scope)

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
                message["headers"] = headers
                record(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await next_app(scope, receive, observed)


def begin(scope: Scope) -> str:
    """Log under the request's id from now on, and know where the request came from; returns the id."""
    request_id = request_id_of(scope)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    SCOPE.set(scope)
    return request_id


def request_id_of(scope: Scope) -> str:
    """The request's id: a proxy's where it is sane, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and is_sane(value):
            return value.decode()
    return new_request_id()


def is_sane(request_id: bytes) -> bool:
    """Whether an id that came with a request can be ours, too."""
    return _GIVEN_ID.fullmatch(request_id) is not None


def new_request_id() -> str:
    """An id that no other request has."""
    return f"{_process()}{next(_requests):016x}"


_requests: Final = itertools.count(1)


@cache
def _process() -> str:
    """What the ids of a process begin with."""
    return uuid4().hex[:16]


# Web processes are forks of one that has imported this.
os.register_at_fork(after_in_child=_process.cache_clear)


def record(scope: Scope, status: int, seconds: float, *, told: bool = True) -> None:
    """Count an answered request, and log it (``told``)."""
    # The template and not the path: a label for each booking would fill the memory.
    route = scope.get("path_template") or "unknown"
    method = str(scope.get("method", ""))
    counter, histogram = _metrics(method, route, status)
    counter.inc()
    histogram.observe(seconds)
    if told:
        path = scope["path"]
        # What was answered has an address of ours. What was refused may have anything in it.
        if status >= _FIRST_REFUSAL:
            path = without_tokens(path)
        log.info("request", method=method, path=path, status=status, milliseconds=round(seconds * 1000, 1))


class ShownMaps:
    """Counts answers that come by the ten thousand: added up, and put into the metrics ten times a second.

    To count one by one, in memory that processes share, takes as long as all else that such an answer needs.
    """

    def __init__(self, route: str) -> None:
        self._route = route
        self._statuses: dict[int, int] = {}
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """One map was shown; only within an event loop."""
        if not self._statuses:
            asyncio.get_running_loop().call_later(ADD_UP_S, self._add_up)
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._seconds += seconds

    def _add_up(self) -> None:
        for status, answers in self._statuses.items():
            _metrics("GET", self._route, status)[0].inc(answers)
        SHOWN_SECONDS.inc(self._seconds)
        self._statuses.clear()
        self._seconds = 0.0


@lru_cache(maxsize=2048)
def _metrics(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route)
