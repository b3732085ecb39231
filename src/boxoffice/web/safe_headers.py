"""Headers that let browsers make nothing of an answer but what it is: of the API, its documentation, files, metrics.

Pages have their own (`boxoffice.web.pages.page`), to which only the one of https is added here. Seat maps at hand
(`boxoffice.web.shown`) do without: they are JSON that tells nothing of anybody, and all of their time is some
microseconds.
"""

import hashlib
import re
from base64 import b64encode
from functools import cache
from typing import Any, Final

from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware.base import ASGIMiddleware
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from boxoffice.settings import Settings
from boxoffice.web.ready import Header

HTTPS_SECONDS: Final = 365 * 24 * 60 * 60
"""For so long, browsers that came by https come by nothing else."""
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""An answer that is no page loads nothing and runs nothing, should somebody have it shown as one."""
POLICY: Final = "policy"
"""What a handler puts into the request's state, if its page needs a policy of its own."""
_API: Final = re.compile(r"/(api|metrics)(/|\Z)")
_INLINE: Final = re.compile(rb"<script type='text/javascript'>(.*?)</script>", re.DOTALL)


@cache
def of_everything(*, https: bool) -> tuple[Header, ...]:
    """What each answer has, a page's too."""
    strict = ((b"strict-transport-security", f"max-age={HTTPS_SECONDS}".encode()),) if https else ()
    return ((b"x-content-type-options", b"nosniff"), *strict)


@cache
def of_the_api(*, https: bool) -> tuple[Header, ...]:
    """What each answer of the API has, beside how long it may be kept."""
    return (
        *of_everything(https=https),
        (b"content-security-policy", API_POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
    )


NOT_KEPT: Final[Header] = (b"cache-control", b"no-store")
"""Of each answer of the API that does not say otherwise: most have a token or somebody's bookings in them."""


def is_https(settings: Settings) -> bool:
    """Whether people reach the service by https."""
    return settings.base_url.startswith("https:")


class SafeHeadersMiddleware(ASGIMiddleware):
    """Adds them, where the handler has not said otherwise."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap one request."""
        https = is_https(scope["litestar_app"].state.office.settings)
        api = _API.match(scope["path"]) is not None

        async def finished(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableScopeHeaders.from_message(message)
                if api and (policy := scope["state"].get(POLICY)):
                    headers.setdefault("Content-Security-Policy", policy)
                for name, value in (*of_the_api(https=https), NOT_KEPT) if api else of_everything(https=https):
                    headers.setdefault(name.decode(), value.decode())
            await send(message)

        await next_app(scope, receive, finished)


class SwaggerPage(SwaggerRenderPlugin):
    """Swagger UI, with a policy that knows the one script which stands in the page."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page; its policy goes into the request's state."""
        page = super().render(request, openapi_schema)
        own = " ".join(f"'sha256-{b64encode(hashlib.sha256(one).digest()).decode()}'" for one in _INLINE.findall(page))
        request.scope["state"][POLICY] = "; ".join(
            (
                "default-src 'none'",
                f"script-src 'self' {own}",
                # Swagger UI sets styles on its elements.
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data:",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )
        return page
