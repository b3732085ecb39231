"""What each problem means: the page that the ``type`` of every problem points at."""

from typing import Final

from litestar import get
from litestar.enums import MediaType
from litestar.response import Template

from boxoffice.web.errors import every_problem
from boxoffice.web.identity import IGNORES_IDENTITY

WHAT_TO_DO: Final = {
    400: "The request itself is wrong and was not acted on. Correct it; sent again as it is, it is refused again.",
    401: "Get an identity (POST /api/v1/auth/guest, or sign in) and send its token, then ask again.",
    403: "You are known, and this is not yours to do. Another identity may be allowed.",
    404: "There is no such thing, or it is someone else's: ids are not confirmed to strangers.",
    405: "See the documentation for the methods of this address.",
    408: "Send the whole request at once; over a bad line, send it again.",
    409: "The request is sound, but things stand otherwise at present. Read the present state, then decide.",
    413: "Send less: a body has at most 64 KiB, a screen's layout 4 MiB.",
    415: "Send the media type that the documentation names.",
    422: "Make a new Idempotency-Key for each new request; send the old one only with the request it was made for.",
    429: "Wait as many seconds as Retry-After says.",
    500: "Our fault. It was logged under the request's X-Request-Id. An Idempotency-Key makes it safe to try again.",
    503: "Wait as many seconds as Retry-After says, then send the same again, with the same Idempotency-Key.",
}
"""By status: what a client does about it."""


@get("/api/docs/problems", include_in_schema=False, opt={IGNORES_IDENTITY: True}, sync_to_thread=False)
def show_problems() -> Template:
    """Every problem with an anchor of its code."""
    return Template(
        "problems.html",
        context={"problems": every_problem(), "what_to_do": WHAT_TO_DO},
        media_type=MediaType.HTML,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
        },
    )


ROUTES: Final = [show_problems]
