"""The types of what clients send: each bounded, none with a NUL, which PostgreSQL's text cannot hold."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar.params import Parameter
from msgspec import Meta

# `\Z`, since `$` would let a final line break pass. The documentation has them as ECMAScript writes them.
NO_NUL: Final = r"\A[^\x00]*\Z"
NO_CONTROL: Final = r"\A[^\x00-\x1f\x7f]*\Z"
PRINTABLE: Final = r"\A[\x20-\x7e]+\Z"
SEATS_A_REQUEST_MAX: Final = 10
PAGE_LIMIT_MAX: Final = 100
PAGE_LIMIT_DEFAULT: Final = 20

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]
Text = Annotated[str, Meta(max_length=5000, pattern=NO_NUL)]
SeatIds = Annotated[list[UUID], Meta(min_length=1, max_length=SEATS_A_REQUEST_MAX)]
Limit = Annotated[int, Parameter(ge=1, le=PAGE_LIMIT_MAX, description="Rows a page.")]
Cursor = Annotated[
    str | None,
    Parameter(max_length=2000, required=False, description="`nextCursor` of the page before."),
]


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client sends. Members that we do not know are ignored, so that clients may be newer than we."""
