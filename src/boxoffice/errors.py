"""What can go wrong, as the client is told it.

Each error has a stable ``code``; concrete ones stand beside what raises them. Which
HTTP status a kind has is decided in `boxoffice.web.errors` and nowhere else.
"""

from typing import Any, ClassVar


class BoxOfficeError(Exception):
    """Something asked of the box office cannot be done.

    The class docstring's first line is the problem's title; the instance's text is its
    detail, written for the person who called. ``extra`` holds the further members that a
    client needs to act (in camelCase, ready for JSON).
    """

    code: ClassVar[str] = "error"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        self.detail = detail or self.title()
        self.extra = extra
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """The same for every occurrence of this error."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].removesuffix(".")


class MalformedError(BoxOfficeError):
    """The request is malformed."""

    code = "malformed"


class UnidentifiedError(BoxOfficeError):
    """The caller is not identified."""

    code = "not_identified"


class ForbiddenError(BoxOfficeError):
    """The caller may not do this."""

    code = "forbidden"


class UnknownError(BoxOfficeError):
    """There is no such thing."""

    code = "not_found"


class ConflictError(BoxOfficeError):
    """The request conflicts with the present state."""

    code = "conflict"


class TooLargeError(BoxOfficeError):
    """The request is too large."""

    code = "too_large"


class TooSlowError(BoxOfficeError):
    """The request took too long to arrive."""

    code = "too_slow"


class KeyReusedError(BoxOfficeError):
    """The idempotency key was used with another payload."""

    code = "idempotency_key_reused"


class ThrottledError(BoxOfficeError):
    """Too many attempts; try again later."""

    code = "too_many_requests"

    def __init__(self, detail: str = "", *, retry_after_s: int, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after_s = retry_after_s


class UnavailableError(BoxOfficeError):
    """The service cannot answer now; try again later."""

    code = "unavailable"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after_s = retry_after_s
