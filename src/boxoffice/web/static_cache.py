"""How long browsers keep a static file: for good where its address changes with it, else until they ask again."""

from typing import Final

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware.base import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

FOR_GOOD: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
"""Modules import each other by addresses that stay: without this, browsers would guess how long to keep them."""
_FOUND: Final = 200


class StaticCacheMiddleware(ASGIMiddleware):
    """Says so in each answer; `boxoffice.web.pages.page.asset` makes the addresses that change."""

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
