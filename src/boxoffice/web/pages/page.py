"""How a page is made: a template in the visitor's language, and headers that let nothing foreign in.

A handler returns `render(request, "film.html", film=film)`, or `go(to)` after a form. `PageMiddleware` gives all that
people are answered what pages need: a strict content security policy (no inline script or style, nothing of another
host), no caching by anybody who might show it to others, and the cookies that the browser is to keep.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import MediaType, ScopeType
from litestar.middleware.base import ASGIMiddleware
from litestar.response import Redirect
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from markupsafe import Markup

from boxoffice.formats import Formats, formats_in
from boxoffice.languages import LANGUAGES, Language, texts_in
from boxoffice.origins import origin_of
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import CSRF_FIELD, PageRequest, browser_of
from boxoffice.web.pages.own_name import own_name_of

WEB: Final = Path(__file__).parents[1]
PERSONAL: Final = "private, no-store"
"""What is only for this visitor's eyes: not even their own browser keeps it."""
FOR_ALL: Final = "private, no-cache"
"""What everybody may see; the page around it still has a token of this browser, so nobody shares it."""
HEADERS: Final = {
    "Cache-Control": PERSONAL,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Of every page, unless its handler says otherwise."""
_NOT_PAGES: Final = re.compile(r"/(api|metrics|static)(/|\Z)")
_LOCAL: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
NEXT_LENGTH_MAX: Final = 1000


def render(
    request: PageRequest,
    template: str,
    *,
    status: int = 200,
    personal: bool = True,
    images: Iterable[str | None] = (),
    **context: object,
) -> Response[str]:
    """A page from a template, which finds ``context`` and what every page has (`_common`).

    Args:
        request: what is answered.
        template: its path below `templates`.
        status: the HTTP status.
        personal: whether it tells anything of this visitor; what does not may be kept by their browser, to be asked for
            again.
        images: addresses of images on the page; those of other hosts may be loaded then.
        **context: for the template.
    """
    language = browser_of(request).language
    text = _templates(language).get_template(template).render(_common(request) | context)
    headers = {"Cache-Control": PERSONAL if personal else FOR_ALL, "Content-Language": language.code}
    origins = sorted({origin for image in images if image and (origin := origin_of(image))})
    if origins:
        headers["Content-Security-Policy"] = policy(request.app.state.office, images=tuple(origins))
    return Response(text, media_type=MediaType.HTML, status_code=status, headers=headers)


def go(to: str) -> Redirect:
    """After a form: on to another page, by GET. ``to`` is ours or a gateway's, never a visitor's (`local_path`)."""
    return Redirect(to, status_code=303)


def local_path(wanted: str | None, default: str = "/") -> str:
    """``wanted`` if it is a path on this site, as ``?next=`` may say; else ``default``.

    No scheme, no host, no `//`, no backslash, nothing that browsers would drop: only what surely stays here.
    """
    if wanted is not None and len(wanted) <= NEXT_LENGTH_MAX and _LOCAL.fullmatch(wanted):
        return wanted
    return default


def texts_of(request: PageRequest) -> NullTranslations:
    """The texts in the visitor's language: ``texts_of(request).gettext("English")``."""
    return texts_in(browser_of(request).language)


def formats_of(request: PageRequest) -> Formats:
    """The filters of the templates, for code."""
    return formats_in(browser_of(request).language)


def is_page(path: str) -> bool:
    """Whether people come to this address, rather than programs."""
    return _NOT_PAGES.match(path) is None


def wants_page(request: PageRequest) -> bool:
    """Whether the answer is to be read by a person: browsers say that they take HTML."""
    return is_page(request.url.path) and "text/html" in request.headers.get("accept", "")


def policy(office: Office, *, images: tuple[str, ...] = ()) -> str:
    """The content security policy of pages; ``images`` are origins that images may come from."""
    # Browsers hold a form's redirects against form-action, too: paying leads to a gateway's own page, and ours may be
    # known by another name than the one in use.
    ours = origin_of(office.settings.base_url)
    targets = {ours, *(origin for gateway in office.gateways.values() for origin in gateway.page_origins)}
    return _policy(tuple(sorted(target for target in targets if target)), images)


@cache
def _policy(targets: tuple[str, ...], images: tuple[str, ...]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            " ".join(("img-src 'self'", *images)),
            "connect-src 'self'",
            "manifest-src 'self'",
            " ".join(("form-action 'self'", *targets)),
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class PageMiddleware(ASGIMiddleware):
    """Gives every page its headers and cookies, whatever answered: a handler, a refusal, or nobody."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap one request."""
        if not is_page(scope["path"]):
            await next_app(scope, receive, send)
            return
        if (elsewhere := _own_name(scope)) is not None:
            await send({"type": "http.response.start", "status": 307, "headers": [(b"location", elsewhere)]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return

        async def finished(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                _finish(scope, MutableScopeHeaders.from_message(message))
            await send(message)

        await next_app(scope, receive, finished)


def _own_name(scope: Scope) -> bytes | None:
    """Where else to look at this page, if it was asked for by a name that payments do not come back to."""
    if scope.get("method") not in {"GET", "HEAD"}:
        return None
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    base_url = scope["litestar_app"].state.office.settings.base_url
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    found = own_name_of(base_url, host.decode("latin-1"), target.decode("latin-1"))
    return found.encode("latin-1") if found else None


def _finish(scope: Scope, headers: MutableScopeHeaders) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", policy(scope["litestar_app"].state.office))
    if "public" in headers["Cache-Control"]:
        # Caches that many share keep it: it does not depend on the browser, and says nothing to it alone.
        return
    headers.add("Vary", "Cookie, Accept-Language")
    browser = scope["state"].get("browser")
    if browser is not None:
        for cookie in browser.cookies.values():
            headers.add("Set-Cookie", cookie.to_header(header=""))


def _common(request: PageRequest) -> dict[str, Any]:
    """What every template finds."""
    browser = browser_of(request)
    token = browser.csrf_token()
    url = request.url
    return {
        "language": browser.language,
        "languages": list(LANGUAGES.values()),
        "visitor": browser.caller,
        "city": browser.city,
        "here": local_path(f"{url.path}?{url.query}" if url.query else url.path),
        "csrf_token": token,
        "csrf_field": lambda: Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token),
        "now": datetime.now(UTC),
    }


@cache
def _templates(language: Language) -> Environment:
    """The templates, for readers of one language: each has its own texts and filters."""
    made = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    texts = texts_in(language)
    # "New style": placeholders are filled in by Jinja, so that what is put into them is escaped.
    made.install_gettext_translations(texts, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  (the extension's)
    made.filters.update(formats_in(language).filters())
    made.globals["asset"] = asset
    return made


@cache
def asset(path: str) -> str:
    """The address of a file below `static`; it changes with the file, so that browsers may keep it for good."""
    content = (WEB / "static" / path).read_bytes()
    return f"/static/{path}?v={hashlib.sha256(content).hexdigest()[:12]}"
