"""The bare server: Granian as the product starts it, with an application that sends a constant.

``GET /body/N`` is answered with N bytes, ``GET /empty`` with 304 and none. Run as
``python -m benchmarks.bare PORT WORKERS``.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from granian.constants import Interfaces, Loops
from granian.server import Server

from boxoffice.processes import BACKLOG
from boxoffice.web.connections import connections_max

Message = MutableMapping[str, Any]

_constants: dict[str, tuple[Message, Message]] = {
    "/empty": (
        {"type": "http.response.start", "status": 304, "headers": [(b"etag", b'W/"1-anyone"')]},
        {"type": "http.response.body", "body": b""},
    )
}


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],  # noqa: ARG001  (ASGI's signature)
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer with the constant that the path names."""
    if scope["type"] != "http":
        return
    path: str = scope["path"]
    answer = _constants.get(path)
    if answer is None:
        answer = _constants[path] = _constant(int(path.rpartition("/")[2]))
    await send(answer[0])
    await send(answer[1])


def _constant(size: int) -> tuple[Message, Message]:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]
    return (
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b"x" * size},
    )


def main() -> None:
    """Serve until a signal."""
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    Server(
        "benchmarks.bare:app",
        interface=Interfaces.ASGI,
        address="127.0.0.1",
        port=port,
        workers=workers,
        loop=Loops.uvloop,
        websockets=False,
        backlog=BACKLOG,
        backpressure=connections_max(),
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
