"""Answers that are bytes already: they pass the framework's encoders by."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

Header = tuple[bytes, bytes]
T = TypeVar("T")


class Ready(Response[T]):
    """An answer of ready bytes, which are a ``T`` in JSON: for the documentation a response, else ASGI alone."""

    def __init__(self, status: int, headers: Sequence[Header], body: bytes = b"") -> None:  # pyright: ignore[reportMissingSuperCall]  (what the framework would set is not used)
        self.parts = (status, list(headers), body)
        """Status, headers without the length, body."""

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # pyright: ignore[reportIncompatibleMethodOverride]  (all that the framework does with it is to call it)
        """Itself."""
        return self._send

    async def _send(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        status, headers, body = self.parts
        await send_whole(send, status, headers, body)


async def send_whole(send: Send, status: int, headers: Sequence[Header], body: bytes) -> None:
    """Send an answer in one piece; one without a body (304) tells no length."""
    length = [(b"content-length", b"%d" % len(body))] if body else []
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` (RFC 9110, section 12.5.3) names gzip and does not refuse it."""
    for offer in accept_encoding.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False
