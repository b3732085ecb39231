"""The whole HTTP surface in one place: routes, guards, documentation, limits."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from litestar import Litestar, Request, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

from boxoffice.accounts import Caller
from boxoffice.web.api import (
    audit,
    auth,
    best_seats,
    bookings,
    contact,
    health,
    holds,
    movies,
    payments,
    refunds,
    seats,
    shows,
    theatres,
    tickets,
    webhooks,
)
from boxoffice.web.documentation import Documentation
from boxoffice.web.errors import EXCEPTION_HANDLERS
from boxoffice.web.identity import identify
from boxoffice.web.methods import MethodsMiddleware
from boxoffice.web.observe import ObserveMiddleware
from boxoffice.web.office import Office
from boxoffice.web.pages import bookings as my_bookings
from boxoffice.web.pages import (
    checkout,
    fake_checkout,
    film,
    home,
    offline,
    posters,
    preferences,
    problems,
    show,
    sign_in,
)
from boxoffice.web.pages import tickets as take_along
from boxoffice.web.pages.browser import know_browser
from boxoffice.web.pages.failures import for_browsers
from boxoffice.web.pages.page import PageMiddleware
from boxoffice.web.safe_headers import SafeHeadersMiddleware
from boxoffice.web.static_files import static_files

BODY_BYTES_MAX: Final = 64 * 1024
COMPRESS_FROM_BYTES: Final = 600
"""Smaller bodies fit in one packet anyway."""
_HERE: Final = Path(__file__).parent


API_ROUTES: Final = [
    *health.ROUTES,
    *auth.ROUTES,
    *movies.ROUTES,
    *theatres.ROUTES,
    *shows.ROUTES,
    *seats.ROUTES,
    *best_seats.ROUTES,
    *holds.ROUTES,
    *bookings.ROUTES,
    *payments.ROUTES,
    *refunds.ROUTES,
    *webhooks.ROUTES,
    *tickets.ROUTES,
    *contact.ROUTES,
    *fake_checkout.ROUTES,
    *audit.ROUTES,
]
PAGE_ROUTES: Final = [
    *home.ROUTES,
    *film.ROUTES,
    *posters.ROUTES,
    *sign_in.ROUTES,
    *preferences.ROUTES,
    *offline.ROUTES,
    *show.ROUTES,
    *checkout.ROUTES,
    *my_bookings.ROUTES,
    *take_along.ROUTES,
]


def create_web(open_office: Callable[[], AbstractAsyncContextManager[Office]]) -> Litestar:
    """The ASGI application; ``open_office`` makes the parts at start-up and closes them at shutdown."""

    def lifespan(app: Litestar) -> AbstractAsyncContextManager[None]:
        return _Opened(app, open_office)

    app = Litestar(
        route_handlers=[
            # Who calls is told by a Bearer token here and by a cookie there, and never by the other's.
            Router(path="/api/v1", route_handlers=API_ROUTES, guards=[identify]),
            Router(path="/", route_handlers=PAGE_ROUTES, guards=[know_browser], include_in_schema=False),
            health.metrics,
            *problems.ROUTES,
            static_files("/static", _HERE / "static"),
        ],
        lifespan=[lifespan],
        dependencies={
            "office": Provide(_office, sync_to_thread=False),
            "caller": Provide(_caller, sync_to_thread=False),
            "visitor": Provide(_visitor, sync_to_thread=False),
        },
        exception_handlers=for_browsers(EXCEPTION_HANDLERS),  # pyright: ignore[reportArgumentType]  (each takes its own kind)
        compression_config=CompressionConfig(
            backend="gzip",
            gzip_compress_level=5,
            minimum_size=COMPRESS_FROM_BYTES,
            exclude=[r"/seats/shows/[^/]+(/events)?\Z"],
        ),
        request_max_body_size=BODY_BYTES_MAX,
        template_config=TemplateConfig(directory=_HERE / "templates", engine=JinjaTemplateEngine),
        openapi_config=Documentation(API_ROUTES),
        logging_config=None,
        debug=False,
    )
    # Around routing and not inside a route, so that what no route takes is observed and safe, too.
    routed = MethodsMiddleware(app.routes)(app.asgi_handler)
    app.asgi_handler = ObserveMiddleware()(SafeHeadersMiddleware()(PageMiddleware()(routed)))
    return app


class _Opened(AbstractAsyncContextManager[None]):
    """The office, in the application's state for as long as the application runs."""

    def __init__(self, app: Litestar, open_office: Callable[[], AbstractAsyncContextManager[Office]]) -> None:
        self._app = app
        self._office = open_office()

    async def __aenter__(self) -> None:
        self._app.state.office = await self._office.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._office.__aexit__(*error)  # pyright: ignore[reportArgumentType]  (passed on as they came)


def _office(state: State) -> Office:
    return state.office


# Each of these asks for the office, though it needs none: dependencies that hang on each other are made one after the
# other, which is quick, while those that do not are made at once in a group of tasks, which costs more than all else.
def _caller(request: Request[object, object, State], office: NamedDependency[Office]) -> Caller:  # noqa: ARG001
    return request.state.caller


def _visitor(request: Request[object, object, State], office: NamedDependency[Office]) -> Caller | None:  # noqa: ARG001
    return request.state.caller
