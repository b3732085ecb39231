"""The operations that a sale's opening is made of, reached without the framework.

What they do is in `boxoffice.web.api`; only the way there is shorter, by some 0.3 ms of processor time
a request (docs/performance.md). A request that is not plainly good (no token, an odd header, a body
that does not decode) goes to the framework, which knows how to say what is wrong: so nothing is
decided twice, and both ways have one documentation.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import structlog
from litestar import Litestar, Request
from litestar.types import Message, Receive, Scope, Send

from boxoffice.accounts import Caller
from boxoffice.errors import BoxOfficeError, UnidentifiedError
from boxoffice.idempotency import KEY_LENGTH_MAX, Outcome
from boxoffice.web.api.bookings import BookingRequest, HoldRequest, do_book, do_hold
from boxoffice.web.errors import EXCEPTION_HANDLERS, PROBLEM_TYPE, on_box_office_error, on_unexpected
from boxoffice.web.observe import record, request_id_of
from boxoffice.web.office import Office
from boxoffice.web.once import REPLAYED_HEADER
from boxoffice.web.router import BODY_BYTES_MAX

_KEY: Final = re.compile(rb"[\x20-\x7e]{1,%d}" % KEY_LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class _Operation:
    decode: Callable[[bytes], Any]
    act: Callable[[Office, Caller, Any, str | None], Awaitable[Outcome]]


_OPERATIONS: Final = {
    "/api/v1/bookings": _Operation(msgspec.json.Decoder(BookingRequest).decode, do_book),
    "/api/v1/bookings/hold-seats": _Operation(msgspec.json.Decoder(HoldRequest).decode, do_hold),
}


class HotWeb:
    """The ASGI application: the short way for hot operations, the framework for all else."""

    def __init__(self, app: Litestar) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        operation = _OPERATIONS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if operation is None:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        read: list[Message] = []
        good = await self._read(operation, scope, receive, read)
        if good is None:
            await self.app(scope, _again(read, receive), send)
            return
        caller, data, key = good
        request_id = request_id_of(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            outcome = await operation.act(self.app.state.office, caller, data, key)
        except Exception as error:  # noqa: BLE001  (told as the framework would)
            status, headers, body = _failure(Request(scope), error)
        else:
            headers = [(REPLAYED_HEADER.lower().encode(), b"true")] if outcome.replayed else []
            headers.append((b"content-type", b"application/json"))
            status, body = 201, msgspec.json.encode(outcome.answer)
        headers += [(b"content-length", b"%d" % len(body)), (b"x-request-id", request_id.encode())]
        scope["path_template"] = scope["path"]
        record(scope, status, time.perf_counter() - began)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _read(
        self, operation: _Operation, scope: Scope, receive: Receive, read: list[Message]
    ) -> tuple[Caller, Any, str | None] | None:
        """Who asks for what, with what key; None where the framework must look. What was received is in ``read``."""
        headers = _headers(scope)
        if headers is None:
            return None
        token, key = headers
        body = await _body(receive, read)
        if body is None:
            return None
        office: Office = self.app.state.office
        try:
            return await office.accounts.identify(token), operation.decode(body), key
        except (UnidentifiedError, msgspec.MsgspecError, ValueError, RecursionError):
            return None


def _headers(scope: Scope) -> tuple[str, str | None] | None:
    """The token and the idempotency key; None where a header is missing or odd."""
    token = key = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            token = value
        elif name == b"idempotency-key":
            key = value
        elif name == b"content-type" and not value.startswith(b"application/json"):
            return None
    if token is None or not token.startswith(b"Bearer ") or not token.isascii():
        return None
    if key is not None and not _KEY.fullmatch(key):
        return None
    return token[7:].decode(), None if key is None else key.decode()


async def _body(receive: Receive, read: list[Message]) -> bytes | None:
    """The whole body; None where it is too large or its sender is gone."""
    body = b""
    while len(body) <= BODY_BYTES_MAX:
        message = await receive()
        read.append(cast("Message", message))
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body if len(body) <= BODY_BYTES_MAX else None
    return None


def _again(read: list[Message], receive: Receive) -> Receive:
    """The same messages once more, then those that follow."""
    waiting = iter(read)

    async def from_the_start() -> Any:
        for message in waiting:
            return message
        return await receive()

    return from_the_start


def _failure(request: Request[Any, Any, Any], error: Exception) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The problem that the framework would answer with."""
    if isinstance(error, BoxOfficeError):
        response = on_box_office_error(request, error)
    else:
        kind = next((kind for kind in type(error).__mro__ if kind in EXCEPTION_HANDLERS), None)
        handler: Any = on_unexpected if kind is None else EXCEPTION_HANDLERS[kind]
        response = handler(request, error)
    headers = [(name.lower().encode(), str(value).encode()) for name, value in response.headers.items()]
    headers.append((b"content-type", PROBLEM_TYPE.encode()))
    return response.status_code or 500, headers, msgspec.json.encode(response.content)
