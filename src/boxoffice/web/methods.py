"""What OPTIONS says of an address: every method that it takes, as the 405 of any other says (RFC 9110, 10.2.1)."""

from collections.abc import Iterable

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware.base import ASGIMiddleware
from litestar.routes import BaseRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class MethodsMiddleware(ASGIMiddleware):
    """Names all methods in the framework's answer to OPTIONS.

    The framework answers with the methods that an address had when its first handler was added, and knows better only
    when all are.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._allowed = {route.path_format: ", ".join(sorted(route.methods)) for route in routes}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap one request."""
        if scope.get("method") != "OPTIONS":
            await next_app(scope, receive, send)
            return

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                # A refusal for another reason has none, and need not.
                if "allow" in headers:
                    headers["Allow"] = self._allowed[scope["path_template"]]
            await send(message)

        await next_app(scope, receive, named)
