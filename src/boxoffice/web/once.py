"""The Idempotency-Key header at the door: reading it, and answering with what it brought."""

from typing import Annotated, Any, Final

from litestar import Response
from litestar.params import HeaderParameter

from boxoffice.errors import MalformedError
from boxoffice.idempotency import KEY_LENGTH_MAX, Outcome
from boxoffice.web.fields import PRINTABLE

REPLAYED_HEADER: Final = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        pattern=PRINTABLE,
        description="Same key and payload: the first answer again, with `Idempotent-Replayed: true`.",
    ),
]


def answer(outcome: Outcome, status: int) -> Response[Any]:
    """The response to an operation that may have been done before."""
    headers = {REPLAYED_HEADER: "true"} if outcome.replayed else {}
    return Response(outcome.answer, status_code=status, headers=headers)


def one_key(header: str | None, body: str | None) -> str | None:
    """The key of a request that may carry it in its body too.

    Raises:
        MalformedError: both are there and differ.
    """
    if header is not None and body is not None and header != body:
        raise MalformedError("Idempotency-Key and idempotencyKey differ", errors={"idempotencyKey": "differs"})
    return header if header is not None else body
