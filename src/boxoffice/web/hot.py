"""The operations that a purchase is made of, reached without the framework.

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
from uuid import UUID

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import Headers
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from boxoffice.accounts import Caller
from boxoffice.errors import BoxOfficeError, TooSlowError, UnidentifiedError
from boxoffice.idempotency import KEY_LENGTH_MAX, Outcome
from boxoffice.postgres import turns
from boxoffice.web.admission import Admission, kind_of
from boxoffice.web.api.bookings import BookingRequest, do_book, do_read
from boxoffice.web.api.holds import HoldRequest, do_hold
from boxoffice.web.api.payments import InitiateRequest, do_initiate
from boxoffice.web.api.seats import answer_map
from boxoffice.web.api.webhooks import BUILT_IN, hear
from boxoffice.web.errors import EXCEPTION_HANDLERS, PROBLEM_TYPE, on_box_office_error, on_unexpected
from boxoffice.web.lanes import Stay
from boxoffice.web.limits import CHANGES
from boxoffice.web.observe import ShownMaps, begin, record
from boxoffice.web.office import Office
from boxoffice.web.once import REPLAYED_HEADER
from boxoffice.web.ready import Header, send_whole
from boxoffice.web.router import BODY_BYTES_MAX
from boxoffice.web.safe_headers import NOT_KEPT, is_https, of_the_api
from boxoffice.web.shown import MAPS, MAPS_TEMPLATE, show_at_hand, show_in

Answer = tuple[int, list[Header], bytes]
Act = Callable[[], Awaitable[Answer]]

_KEY: Final = re.compile(rb"[\x20-\x7e]{1,%d}" % KEY_LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class _Operation:
    decode: Callable[[bytes], Any]
    act: Callable[[Office, Caller, Any, str | None], Awaitable[Outcome]]


_OPERATIONS: Final = {
    "/api/v1/bookings": _Operation(msgspec.json.Decoder(BookingRequest).decode, do_book),
    "/api/v1/bookings/hold-seats": _Operation(msgspec.json.Decoder(HoldRequest).decode, do_hold),
    "/api/v1/payments/initiate": _Operation(msgspec.json.Decoder(InitiateRequest).decode, do_initiate),
}


_WEBHOOK: Final = "/api/v1/payments/webhook"
_BOOKINGS: Final = "/api/v1/bookings/"
_BOOKINGS_TEMPLATE: Final = "/api/v1/bookings/{booking_id}"
_FIRST_REFUSAL: Final = 400
_JSON: Final[list[Header]] = [(b"content-type", b"application/json"), NOT_KEPT]
_REPLAYED: Final[list[Header]] = [*_JSON, (REPLAYED_HEADER.lower().encode(), b"true")]


class HotWeb:
    """The ASGI application: the short way for hot operations, the framework for all else."""

    def __init__(self, app: Litestar) -> None:
        self.app = app
        self.admission = Admission()
        self._shown = ShownMaps(MAPS_TEMPLATE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "GET" and _is_map(scope):
            office: Office = self.app.state.office
            if await show_at_hand(office, self._shown, scope, send):
                return
        if scope["type"] == "http":
            kind = kind_of(scope)
            stay = self.admission.let_in(kind)
            if stay is None:
                await self.admission.refuse(kind, scope, send)
                return
            turns.begin()
            try:
                await self._serve(scope, receive, send, stay)
            finally:
                stay.end()
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send, stay: Stay) -> None:
        send = stay.until_answered(send)
        if scope["method"] in CHANGES:
            receive = self.app.state.office.patience.bounded(receive, stay)
        read: list[Message] = []
        began = time.perf_counter()
        try:
            act = await self._hot(scope, receive, read)
        except Exception as error:  # noqa: BLE001  (who calls could not be found out: told as the framework would)
            act = _raising(error)
        if act is None:
            await self.app(scope, _again(read, receive) if read else receive, send)
            return
        request_id = begin(scope)
        try:
            status, headers, body = await act()
        except Exception as error:  # noqa: BLE001  (told as the framework would)
            status, headers, body = _failure(Request(scope), error)
        # Maps that were shown are counted and not told: on an opening night they would be nearly all of the log.
        shown = status < _FIRST_REFUSAL and scope.get("method") == "GET"
        record(scope, status, time.perf_counter() - began, told=not shown)
        safe = of_the_api(https=is_https(self.app.state.office.settings))
        await send_whole(send, status, [*headers, *safe, (b"x-request-id", request_id.encode())], body)

    async def _hot(self, scope: HTTPScope, receive: Receive, read: list[Message]) -> Act | None:
        """What to do for a request; None where it is not hot, or not plainly good. What was received is in ``read``."""
        path = scope["path"]
        if scope["method"] == "POST":
            if path == _WEBHOOK:
                return await self._webhook(scope, receive, read)
            operation = _OPERATIONS.get(path)
            return operation and await self._change(operation, scope, receive, read)
        if scope["method"] == "GET":
            if _is_map(scope):
                return await self._map(scope)
            if path.startswith(_BOOKINGS) and not scope["query_string"]:
                return await self._booking(scope)
        return None

    async def _change(
        self, operation: _Operation, scope: HTTPScope, receive: Receive, read: list[Message]
    ) -> Act | None:
        headers = _headers(scope)
        if headers is None:
            return None
        token, key = headers
        body = await _body(receive, read)
        if body is None:
            return None
        office: Office = self.app.state.office
        try:
            caller, data = await office.accounts.identify(token), operation.decode(body)
        except (UnidentifiedError, msgspec.MsgspecError, ValueError, RecursionError):
            return None
        scope["path_template"] = scope["path"]

        async def act() -> Answer:
            await _count(office, scope, caller)
            outcome = await operation.act(office, caller, data, key)
            return 201, _REPLAYED if outcome.replayed else _JSON, msgspec.json.encode(outcome.answer)

        return act

    async def _webhook(self, scope: HTTPScope, receive: Receive, read: list[Message]) -> Act | None:
        body = await _body(receive, read)
        if body is None:
            return None
        office: Office = self.app.state.office
        headers = Headers.from_scope(scope)
        scope["path_template"] = _WEBHOOK

        async def act() -> Answer:
            return 200, _JSON, msgspec.json.encode(await hear(office, BUILT_IN, headers, body))

        return act

    async def _booking(self, scope: HTTPScope) -> Act | None:
        office: Office = self.app.state.office
        headers = _headers(scope)
        if headers is None:
            return None
        try:
            booking_id = UUID(scope["path"][len(_BOOKINGS) :])
            caller = await office.accounts.identify(headers[0])
        except (UnidentifiedError, ValueError):
            return None
        scope["path_template"] = _BOOKINGS_TEMPLATE

        async def act() -> Answer:
            await _count(office, scope, caller)
            return 200, _JSON, msgspec.json.encode(await do_read(office, caller, booking_id))

        return act

    async def _map(self, scope: HTTPScope) -> Act | None:
        office: Office = self.app.state.office
        token = if_none_match = None
        accept_encoding = ""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = value
            elif name == b"if-none-match":
                if_none_match = value.decode("latin-1")
            elif name == b"accept-encoding":
                accept_encoding = value.decode("latin-1")
        try:
            show_id = show_in(scope["path"])
            viewer = None if token is None else (await office.accounts.identify(_bearer(token))).user_id
        except (UnidentifiedError, ValueError):
            return None
        if show_id is None:
            return None
        scope["path_template"] = MAPS_TEMPLATE

        async def act() -> Answer:
            await office.limits.count_address(scope)
            answer = await answer_map(
                office, viewer, show_id, if_none_match=if_none_match, accept_encoding=accept_encoding
            )
            return answer.parts

        return act


async def _count(office: Office, scope: Scope, caller: Caller) -> None:
    """As the guards of the framework's way count it."""
    await office.limits.count_address(scope)
    await office.limits.count_caller(scope, caller)


def _raising(error: Exception) -> Act:
    async def act() -> Answer:
        raise error

    return act


def _is_map(scope: HTTPScope) -> bool:
    return scope["path"].startswith(MAPS) and not scope["query_string"]


def _bearer(header: bytes) -> str:
    """The token in an Authorization header.

    Raises:
        ValueError: there is none, or it is odd.
    """
    if not header.startswith(b"Bearer "):
        raise ValueError("no Bearer token")
    return header[7:].decode("ascii")


def _headers(scope: HTTPScope) -> tuple[str, str | None] | None:
    """The token and the idempotency key; None where a header is missing or odd."""
    token = key = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            token = value
        elif name == b"idempotency-key":
            key = value
        elif name == b"content-type" and not value.startswith(b"application/json"):
            return None
    if token is None or (key is not None and not _KEY.fullmatch(key)):
        return None
    try:
        return _bearer(token), None if key is None else key.decode()
    except ValueError:
        return None


async def _body(receive: Receive, read: list[Message]) -> bytes | None:
    """The whole body; None where it is too large, too slow, or its sender is gone."""
    body = b""
    while len(body) <= BODY_BYTES_MAX:
        try:
            message = await receive()
        except TooSlowError:
            return None
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


def _failure(request: Request[Any, Any, Any], error: Exception) -> Answer:
    """The problem that the framework would answer with."""
    if isinstance(error, BoxOfficeError):
        response = on_box_office_error(request, error)
    else:
        kind = next((kind for kind in type(error).__mro__ if kind in EXCEPTION_HANDLERS), None)
        handler: Any = on_unexpected if kind is None else EXCEPTION_HANDLERS[kind]
        response = handler(request, error)
    headers = [(name.lower().encode(), str(value).encode()) for name, value in response.headers.items()]
    headers += [(b"content-type", PROBLEM_TYPE.encode()), NOT_KEPT]
    return response.status_code or 500, headers, msgspec.json.encode(response.content)
