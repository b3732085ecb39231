"""Static files: where they are, how long browsers keep them, and that no other address below them is anything.

They are kept for good where their address changes with them, else until the browser asks again.
"""

import errno
from os import PathLike
from pathlib import Path
from typing import Any, Final

from litestar import Router
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders, State
from litestar.enums import ScopeType
from litestar.file_system import BaseLocalFileSystem
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware.base import ASGIMiddleware
from litestar.static_files import create_static_files_router  # pyright: ignore[reportUnknownVariableType]
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.types.file_types import FileInfo

from boxoffice.web.office import Office

FOR_GOOD: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
"""Modules import each other by addresses that stay: without this, browsers would guess how long to keep them."""
_FOUND: Final = 200
_NO_FILES: Final = frozenset({errno.ENOTDIR, errno.ENAMETOOLONG})
"""What the system says of paths that no file can have."""


def static_files(path: str, folder: Path) -> Router:
    """The files of a folder; asking for them is counted as any other reading is."""
    return create_static_files_router(
        path=path,
        directories=[folder],
        file_system=_Files(),
        include_in_schema=False,
        guards=[_count],
        middleware=[StaticCacheMiddleware()],
    )


class StaticCacheMiddleware(ASGIMiddleware):
    """Says in each answer how long to keep it; `boxoffice.web.pages.page.asset` makes the addresses that change."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap one request."""
        versioned = scope["query_string"].startswith(b"v=")

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                good = versioned and message["status"] == _FOUND
                MutableScopeHeaders.from_message(message)["Cache-Control"] = FOR_GOOD if good else ASK_AGAIN
            await send(message)

        await next_app(scope, receive, kept)


class _Files(BaseLocalFileSystem):
    """Files alone: no folder is one, nor is what no file could be named, of which the framework would make a 500."""

    async def info(self, path: Path | PathLike[Any] | str, **kwargs: Any) -> FileInfo:
        """What the system knows of a file."""
        try:
            found = await super().info(path, **kwargs)
        except ValueError as error:  # A NUL, or half a character.
            raise FileNotFoundError from error
        except OSError as error:
            if error.errno in _NO_FILES:
                raise FileNotFoundError from error
            raise
        if found["type"] != "file":
            # Here, and not where the answer would tell where on this machine the folder is.
            raise FileNotFoundError
        return found


async def _count(connection: ASGIConnection[Any, Any, Any, State], _: BaseRouteHandler) -> None:
    office: Office = connection.app.state.office
    await office.limits.count_address(connection.scope)
