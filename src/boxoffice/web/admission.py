"""Who is let in when more come than can be served: one is served soon, or refused at once, before any work is done.

A server that takes everybody in serves nobody in time. So each process counts who is inside. As long as those can be
served within moments, all may come. Past that, first those who only look are refused, then those who want seats, and
last those who are about to pay: they have seats, and what they wait for ends their stay. Never refused are seat maps
at hand, which cost no more than a refusal, and health.

A crowd that comes at once and is done with is no overload: each kind may exceed its bound by an allowance, which is
there again when the crowd is gone.
"""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from html import escape
from typing import Final
from urllib.parse import quote

import msgspec
import structlog
from litestar.types import HTTPScope, Scope, Send
from prometheus_client import Counter

from boxoffice.languages import LANGUAGES, texts_in
from boxoffice.seating.group_commit import OverloadedError
from boxoffice.web.errors import PROBLEM_TYPE, members
from boxoffice.web.lanes import Bound, Kind, Lane, Stay
from boxoffice.web.observe import new_request_id
from boxoffice.web.pages.failures import BY_STATUS, N_
from boxoffice.web.pages.page import is_page, local_path
from boxoffice.web.ready import Header, send_whole

WINDOW_S: Final = 0.25
"""Over so long it is counted how many were served, which says how long those inside will take."""
TELL_EVERY_S: Final = 1.0
"""How often the log and the metrics are told of refusals."""
RETRY_AFTER_S: Final = (1, 2, 3, 4, 5)
"""In turn, so that those who are refused at one moment do not all come back at another."""

REFUSED: Final = Counter("boxoffice_refused_total", "Requests refused because there were too many", ["kind"])
log = structlog.get_logger(__name__)


WORK: Final = {
    Kind.LOOKING: Bound(least=128, wait_s=0.3, allowance=512),
    Kind.CHOOSING: Bound(least=304, wait_s=0.5, allowance=768),
    Kind.HOLDING: Bound(least=304, wait_s=0.5),
    Kind.BOOKING: Bound(least=400, wait_s=0.7),
    Kind.FINISHING: Bound(least=1_024, wait_s=1.5),
}
"""The lane of all who are not in `CLAIMS`: they wait for the same connections to the database."""
CLAIMS: Final = {
    Kind.LOOKING: Bound(least=640, wait_s=0.5),
    Kind.HOLDING: Bound(least=1_280, wait_s=1.0, allowance=768),
    Kind.BOOKING: Bound(least=1_280, wait_s=1.0, allowance=768),
}
"""The lane of holds and bookings: they share statements (`boxoffice.seating.group_commit`), so there may be more."""
COMING_MAX: Final = 200
"""Claims count in the other lane as well, where those that succeed come next; but no more of them than this, since a
crowd at one seat will mostly not."""


class Admission:
    """Lets requests in, or says that they are to be refused."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._work = Lane(WORK)
        self._claims = Lane(CLAIMS)
        self._refused: dict[Kind, int] = {}
        self._times = 0

    def let_in(self, kind: Kind) -> Stay | None:
        """The stay of a request of this kind; None: it is to be refused."""
        work, claims = self._work, self._claims
        coming = min(claims.inside, COMING_MAX)
        if not (work.is_short(kind, coming) and claims.is_short(kind)):
            self._look_at_the_clock()
            if not (work.has_room(kind, coming) and claims.has_room(kind)):
                return None
        return Stay(claims if kind in _CLAIMING else work, kind)

    async def refuse(self, kind: Kind, scope: HTTPScope, send: Send) -> None:
        """Answer 503 with what is ready for it; only within an event loop."""
        if not self._refused:
            asyncio.get_running_loop().call_later(TELL_EVERY_S, self._tell)
        self._refused[kind] = self._refused.get(kind, 0) + 1
        self._times += 1
        retry_after = b"%d" % RETRY_AFTER_S[self._times % len(RETRY_AFTER_S)]
        own = [(b"retry-after", retry_after), (b"x-request-id", new_request_id().encode())]
        headers, body = _PROBLEM
        if _wants_page(scope):
            headers, body = _HTML, _page(_way_on(scope))
            if scope["method"] == "GET":
                # A header and no part of the page, which is the same for all whatever their turn.
                own.append((b"refresh", retry_after))
        await send_whole(send, 503, [*headers, *own], body)

    def _look_at_the_clock(self) -> None:
        now = self._clock()
        if (passed := now - self._since) >= WINDOW_S:
            self._since = now
            for lane in (self._work, self._claims):
                lane.roll(passed)

    def _tell(self) -> None:
        """Once for many: to write a line for each of them would be work, too."""
        log.warning("refused", **{kind.value: many for kind, many in self._refused.items()}, inside=self._work.inside)
        for kind, many in self._refused.items():
            REFUSED.labels(kind.value).inc(many)
        self._refused.clear()


_NEVER: Final = frozenset({"/api/v1/health", "/api/v1/health/ready", "/metrics"})
_CLAIMING: Final = frozenset({Kind.HOLDING, Kind.BOOKING})
_POSTS: Final = {"/api/v1/bookings": Kind.BOOKING, "/api/v1/bookings/hold-seats": Kind.HOLDING}
_MAPS: Final = ("/api/v1/seats/shows/", "/shows/")
_OF_PAGES: Final = {"hold": Kind.HOLDING, "best": Kind.HOLDING, "book": Kind.BOOKING, "release": Kind.FINISHING}
"""What the forms of a show's page are for, by the end of their address."""
_FINISHING: Final = (
    "/api/v1/bookings/",
    "/api/v1/payments/",
    "/api/v1/tickets/check-in",
    "/bookings/",
    "/payments/",
    # Whoever has got the page gets what belongs to it, and whoever has a session keeps it.
    "/static/",
    "/api/v1/auth/refresh",
    "/api/v1/auth/logout",
)
_AT_THE_DOOR: Final = frozenset({"/bookings", "/sign-in", "/api/v1/auth/login"})
"""Where somebody begins whose show does: their bookings, and signing in to see them. How many passwords are looked at
at once is bounded elsewhere (`boxoffice.accounts.passwords`)."""


def kind_of(scope: Scope) -> Kind:
    """What a request is after, by its address."""
    path = scope["path"]
    kind = _POSTS.get(path) if scope.get("method") == "POST" else None
    if kind is not None:
        return kind
    if path.startswith(_FINISHING) or path in _AT_THE_DOOR:
        return Kind.FINISHING
    if path.startswith(_MAPS):
        form = path.rpartition("/")[2] if scope.get("method") == "POST" else ""
        return _OF_PAGES.get(form, Kind.CHOOSING)
    return Kind.NEVER if path in _NEVER else Kind.LOOKING


_PROBLEM: Final[tuple[list[Header], bytes]] = (
    [(b"content-type", PROBLEM_TYPE.encode())],
    msgspec.json.encode(members(503, OverloadedError.code, OverloadedError.title(), "try again shortly")),
)
_WAY: Final = b"{way}"
_FORMS_ALONE: Final = frozenset({"/guest", "/sign-out", "/language", "/city"})
"""Forms whose address shows nothing to whoever looks there, and that many pages have."""
_STYLE: Final = (
    ":root{color-scheme:light dark}body{max-width:34rem;margin:2rem auto;padding:0 1rem;font:1.125rem/1.5 system-ui}"
    "a{display:inline-block;padding:.75rem 0}"
)
_HTML: Final[list[Header]] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'sha256-%b'" % b64encode(sha256(_STYLE.encode()).digest()),
    ),
    (b"x-content-type-options", b"nosniff"),
]


class _Way(msgspec.Struct, frozen=True):
    """Where the link of the page leads; ``name`` is a msgid."""

    name: str
    to: str = ""
    """Nowhere but to the same address."""


def _way_on(scope: HTTPScope) -> _Way:
    """To the same page again; from a form that was sent, which no link can send, to a page that has it."""
    path = scope["path"]
    if scope["method"] == "GET":
        return _Way(N_("Try again"))
    if path in _FORMS_ALONE:
        return _Way(N_("Go back"), "/")
    return _Way(N_("Go back"), local_path(quote(path.rpartition("/")[0] if path.startswith("/shows/") else path)))


def _page(way: _Way) -> bytes:
    return _page_to(way.name).replace(_WAY, escape(way.to).encode())


@cache
def _page_to(name: str) -> bytes:
    """For people, in all languages, since to find out which is theirs is work; with a link, called ``name``."""
    story = BY_STATUS[503]
    told = "".join(
        f'<section lang="{language.code}"><h1>{escape(texts.gettext(story.title))}</h1>'
        f"<p>{escape(texts.gettext(story.advice))}</p>"
        f'<p><a href="{_WAY.decode()}">{escape(texts.gettext(name))}</a></p></section>'
        for language in LANGUAGES.values()
        for texts in (texts_in(language),)
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(story.title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{told}</main></body></html>"
    )
    return page.encode()


def _wants_page(scope: HTTPScope) -> bool:
    accepts = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accepts and is_page(scope["path"])
