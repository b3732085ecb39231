"""Who is at the other end of a page: a session in a cookie, and forms that only our own pages can send.

The cookie is worth something on pages alone; `/api/v1` takes Bearer tokens and nothing else. A browser without a
session is nobody until it holds a seat (`become_guest`), and never has to say who it is before.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, State
from litestar.handlers.base import BaseRouteHandler

from boxoffice.accounts import Caller, Entry, InvalidTokenError
from boxoffice.bookings.adoption import adopt
from boxoffice.errors import ForbiddenError
from boxoffice.languages import Language, choose_language
from boxoffice.postgres.pool import transaction
from boxoffice.settings import Settings
from boxoffice.web.office import Office

AnyConnection = ASGIConnection[Any, Any, Any, State]
PageRequest = Request[Any, Any, State]

SESSION: Final = "boxoffice"
ANCHOR: Final = "boxoffice-forms"
"""What the tokens in forms are bound to: a random value of this browser."""
LANGUAGE: Final = "boxoffice-language"
CITY: Final = "boxoffice-city"
HOST_PREFIX: Final = "__Host-"
"""Browsers take a cookie of such a name only if it is Secure and of this host alone."""
COOKIE_SECONDS: Final = 400 * 24 * 60 * 60
"""As long as browsers allow: whether a session still lives is for the server to say."""
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
CITY_LENGTH_MAX: Final = 200

_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LOOPBACK: Final = re.compile(r"(localhost|.*\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_SITES: Final = frozenset({None, "same-origin", "none"})


class ForeignFormError(ForbiddenError):
    """This form was not sent by a page of ours, or has grown too old."""

    code = "form_not_ours"


class Browser:
    """What one request tells of its browser, and the cookies that the answer is to set."""

    def __init__(self, connection: AnyConnection) -> None:
        office: Office = connection.app.state.office
        self._office = office
        self._secure = is_secure(office.settings, connection.headers.get("host", ""))
        self._sent = connection.cookies
        self._anchor: str | None = None
        self._address = office.limits.address_of(connection.scope)
        self.caller: Caller | None = None
        self.cookies: dict[str, Cookie] = {}
        """To be set by the answer, by name."""
        self.language: Language = choose_language(self._kept(LANGUAGE), connection.headers.get("accept-language", ""))

    async def identify(self) -> None:
        """Find out whose browser it is. One whose session is over is nobody's, and forgets it."""
        token = self._kept(SESSION)
        if token is None:
            return
        try:
            self.caller = await self._office.accounts.identify_browser(token)
        except InvalidTokenError:
            self._forget(SESSION)

    async def become_guest(self) -> Caller:
        """The caller; who was nobody is a guest from now on.

        Raises:
            TooManyAttemptsError: the network address has made too many accounts.
        """
        if self.caller is None:
            entry = await self._office.accounts.guest_in_browser(address=self._address)
            self._keep(SESSION, entry.token)
            self.caller = entry.caller
        return self.caller

    async def sign_in(self, email: str, password: str, *, bring: bool = False) -> Caller:
        """Be the account with this e-mail address and password; ``bring`` what one has as a guest along.

        Raises:
            MalformedError, InvalidCredentialsError, TooManyAttemptsError, HashingBusyError: as `Accounts.login`.
        """
        entry = await self._office.accounts.login_in_browser(email, password, address=self._address)
        if bring and self.caller is not None and self.caller.guest:
            async with transaction(self._office.pool) as conn:
                shows = await adopt(conn, self.caller.user_id, entry.caller.user_id)
            self._office.hot_maps.changed(*shows)
        return await self._enter(entry)

    async def register(self, email: str, password: str, name: str) -> Caller:
        """Be a new account; a guest becomes it, with all that they hold and have bought.

        Raises:
            MalformedError, EmailTakenError, TooManyAttemptsError, HashingBusyError: as `Accounts.register`.
        """
        accounts = self._office.accounts
        return await self._enter(
            await accounts.register_in_browser(email, password, name, self.caller, address=self._address)
        )

    async def sign_out(self) -> None:
        """Be nobody; the session is over."""
        if self.caller is not None:
            await self._office.accounts.logout(self.caller)
        self.caller = None
        self._forget(SESSION)
        self._forget(ANCHOR)

    async def _enter(self, entry: Entry) -> Caller:
        # A new token at each sign-in, and an end to what was before: nobody who knew the old ones gets in with them.
        if self.caller is not None:
            await self._office.accounts.logout(self.caller)
        self._keep(SESSION, entry.token)
        self._anchor = secrets.token_urlsafe(32)
        self._keep(ANCHOR, self._anchor)
        self.caller = entry.caller
        return entry.caller

    @property
    def city(self) -> str | None:
        """Where the visitor goes to the cinema, as they chose it."""
        kept = self._kept(CITY)
        try:
            city = None if kept is None else bytes.fromhex(kept).decode()
        except ValueError:
            return None
        return city if city and len(city) <= CITY_LENGTH_MAX and city.isprintable() else None

    @city.setter
    def city(self, city: str) -> None:
        # A cookie holds no letters beyond ASCII.
        self._keep(CITY, city.encode().hex())

    def speak(self, language: Language) -> None:
        """Remember the language."""
        self.language = language
        self._keep(LANGUAGE, language.code)

    def csrf_token(self) -> str:
        """A token for the forms of one page: another each time, so that compression tells nothing of it."""
        nonce = secrets.token_urlsafe(12)
        return f"{nonce}.{self._mac(nonce, self._own_anchor())}"

    def refuse_foreign(self, token: str | None) -> None:
        """Refuse a form whose token was not made for this browser.

        Raises:
            ForeignFormError: that is so, or there is none.
        """
        anchor = self._kept(ANCHOR)
        nonce, _, mac = (token or "").partition(".")
        if anchor is None or not hmac.compare_digest(self._mac(nonce, anchor).encode(), mac.encode()):
            raise ForeignFormError("go back, reload the page and send the form again")

    def _own_anchor(self) -> str:
        if self._anchor is None:
            kept = self._kept(ANCHOR)
            self._anchor = kept if kept and _RANDOM.fullmatch(kept) else secrets.token_urlsafe(32)
            if self._anchor != kept:
                self._keep(ANCHOR, self._anchor)
        return self._anchor

    def _mac(self, nonce: str, anchor: str) -> str:
        key = _forms_key(self._office.settings.secret_key)
        digest = hmac.new(key, f"{nonce}.{anchor}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _name(self, name: str) -> str:
        return HOST_PREFIX + name if self._secure else name

    def _kept(self, name: str) -> str | None:
        return self._sent.get(self._name(name))

    def _keep(self, name: str, value: str, seconds: int = COOKIE_SECONDS) -> None:
        name = self._name(name)
        self.cookies[name] = Cookie(
            key=name, value=value, path="/", max_age=seconds, httponly=True, secure=self._secure, samesite="lax"
        )

    def _forget(self, name: str) -> None:
        if self._kept(name) is not None:
            self._keep(name, "", 0)


def browser_of(connection: AnyConnection) -> Browser:
    """The browser of a request: the same object for as long as it is answered."""
    found = connection.state.get("browser")
    if found is None:
        found = connection.state.browser = Browser(connection)
    return cast("Browser", found)


async def know_browser(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Guard of all pages: finds out who comes, and takes a form only from a page of ours.

    Raises:
        ForeignFormError: a form came without a token of this browser, or from another site.
        RateLimitedError: there were too many before it.
    """
    office: Office = connection.app.state.office
    await office.limits.count_address(connection.scope)
    browser = browser_of(connection)
    if connection.scope.get("method") not in _SAFE_METHODS:
        # Browsers say where a form is from, and pages cannot make them lie; the token is for those that do not.
        if connection.headers.get("sec-fetch-site") not in _OUR_SITES:
            raise ForeignFormError("it was sent from another site")
        browser.refuse_foreign(await _token_in(cast("PageRequest", connection)))
    await browser.identify()
    connection.state.caller = browser.caller
    if browser.caller is not None:
        await office.limits.count_caller(connection.scope, browser.caller)


async def become_guest(request: PageRequest) -> Caller:
    """The caller of a page; a visitor who was nobody is a guest from now on, and the answer's cookie says so.

    Two requests of one new visitor at once would make two guests: a module sends its first one alone.

    Raises:
        TooManyAttemptsError: the network address has made too many accounts.
    """
    request.state.caller = await browser_of(request).become_guest()
    return request.state.caller


def is_secure(settings: Settings, host: str) -> bool:
    """Whether cookies may be Secure: always in production; else by https, or on a loopback address.

    Browsers trust a loopback address as they trust https. Any other address under plain http, which development alone
    allows, gets cookies without the prefix that it could not set.
    """
    if settings.production or urlsplit(settings.base_url).scheme == "https":
        return True
    return _LOOPBACK.fullmatch(host) is not None


async def _token_in(request: PageRequest) -> str | None:
    header = request.headers.get(CSRF_HEADER)
    if header is not None:
        return header
    kind, _ = request.content_type
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return None
    token: object = (await request.form()).get(CSRF_FIELD)
    return token if isinstance(token, str) else None


@lru_cache(maxsize=4)
def _forms_key(secret_key: str) -> bytes:
    """Derived, so that a token of one use is worth nothing in another."""
    return hashlib.sha256(b"boxoffice forms\0" + secret_key.encode()).digest()
