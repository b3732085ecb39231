"""E-mail addresses: one mailbox is one account, however its address is written."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import asyncpg

from boxoffice.errors import ConflictError, MalformedError
from boxoffice.postgres.pool import constraint_of

EMAIL_LENGTH_MAX: Final = 254
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f.]+")


class EmailTakenError(ConflictError):
    """An account with this e-mail address exists."""

    code = "email_taken"


def folded(email: str) -> str:
    """The address as it is kept.

    Raises:
        MalformedError: that is no e-mail address.
    """
    kept = email.strip().lower()
    if len(kept) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(kept):
        raise _bad_email()
    return kept


def _bad_email() -> MalformedError:
    return MalformedError("that is no e-mail address", errors={"email": "must be an e-mail address"})


@contextmanager
def email_problems() -> Generator[None]:
    """Tell the constraints on addresses by what they mean."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if constraint_of(error) != "account_email_unique":
            raise
        raise EmailTakenError from error
    except asyncpg.CheckViolationError as error:
        # A letter that PostgreSQL folds otherwise than Python.
        if constraint_of(error) != "account_email_folded":
            raise
        raise _bad_email() from error
