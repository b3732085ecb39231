"""Seat maps that are at hand: shown in one step, with nothing to wait for and nothing that could fail.

On an opening night nearly all requests are these, and most of the answers say that nothing has changed. Whatever
needs more than memory (a map to be read, a token to be checked, a body to be compressed) is left to
`boxoffice.web.hot`.
"""

import time
from functools import lru_cache
from typing import Final
from uuid import UUID

from litestar.types import HTTPResponseBodyEvent, HTTPScope, Send

from boxoffice.seating.hot_map import HotMap
from boxoffice.web.observe import ShownMaps, is_sane, new_request_id
from boxoffice.web.office import Office
from boxoffice.web.ready import Header, takes_gzip

MAPS: Final = "/api/v1/seats/shows/"
MAPS_TEMPLATE: Final = "/api/v1/seats/shows/{show_id}"
_BEARER: Final = b"Bearer "
_CACHING: Final[list[Header]] = [(b"cache-control", b"no-cache"), (b"vary", b"Authorization, Accept-Encoding")]
_JSON: Final[list[Header]] = [*_CACHING, (b"content-type", b"application/json")]
_GZIP: Final[list[Header]] = [*_JSON, (b"content-encoding", b"gzip")]
_NOTHING: Final[HTTPResponseBodyEvent] = {"type": "http.response.body", "body": b"", "more_body": False}


async def show_at_hand(office: Office, shown: ShownMaps, scope: HTTPScope, send: Send) -> bool:
    """Answer a request for a seat map if nothing has to be waited for; False, and nothing was sent, if it has."""
    began = time.perf_counter()
    hot = office.hot_maps.at_hand(show_id) if (show_id := show_in(scope["path"])) else None
    if hot is None:
        return False
    if_none_match = accept_encoding = request_id = b""
    viewer: UUID | None = None
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            if_none_match = value
        elif name == b"accept-encoding":
            accept_encoding = value
        elif name == b"authorization":
            caller = office.accounts.known(value[7:].decode("latin-1")) if value.startswith(_BEARER) else None
            if caller is None:
                return False
            viewer = caller.user_id
        elif name == b"x-request-id" and is_sane(value):
            request_id = value
    status, headers, body = map_of(hot, viewer, if_none_match, accept_encoding.decode("latin-1"))
    if body is None:
        return False
    # Counted and not told: these would be nearly all of the log.
    shown.count(status, time.perf_counter() - began)
    headers.append((b"x-request-id", request_id or new_request_id().encode()))
    if body:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False} if body else _NOTHING)
    return True


def map_of(
    hot: HotMap, viewer: UUID | None, if_none_match: bytes, accept_encoding: str
) -> tuple[int, list[Header], bytes | None]:
    """Status, headers and body of a map as the viewer sees it; without a body (None) where it is to be packed yet."""
    # The map differs by viewer, so its tag does too. A weak one: compression changes the bytes, not the map.
    tag = b'W/"%d-%b"' % (hot.version, viewer.hex.encode() if viewer else b"anyone")
    if if_none_match and (if_none_match == tag or _matches(if_none_match, tag)):
        return 304, [(b"etag", tag), *_CACHING], b""
    if takes_gzip(accept_encoding):
        return 200, [(b"etag", tag), *_GZIP], hot.packed(viewer)
    return 200, [(b"etag", tag), *_JSON], hot.body(viewer)


@lru_cache(maxsize=1024)
def show_in(path: str) -> UUID | None:
    """The show that the path of a map names; None where that is no id."""
    try:
        return UUID(path[len(MAPS) :])
    except ValueError:
        return None


def _matches(if_none_match: bytes, tag: bytes) -> bool:
    """Weak comparison (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    opaque = tag.removeprefix(b"W/")
    return any(one.strip().removeprefix(b"W/") == opaque for one in if_none_match.split(b","))
