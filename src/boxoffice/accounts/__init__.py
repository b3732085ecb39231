"""Accounts, passwords, tokens, roles: who is calling, and what they may do.

A guest is an account without an e-mail address, so that registering only adds to it: its id,
and with it every hold and booking, stays.
"""

from boxoffice.accounts.accounts import Account, Accounts, Entry, Grant, InvalidCredentialsError
from boxoffice.accounts.attempts import TooManyAttemptsError
from boxoffice.accounts.callers import Caller, InvalidTokenError, Role
from boxoffice.accounts.emails import EmailTakenError
from boxoffice.accounts.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, HashingBusyError

__all__ = [
    "PASSWORD_LENGTH_MAX",
    "PASSWORD_LENGTH_MIN",
    "Account",
    "Accounts",
    "Caller",
    "EmailTakenError",
    "Entry",
    "Grant",
    "HashingBusyError",
    "InvalidCredentialsError",
    "InvalidTokenError",
    "Role",
    "TooManyAttemptsError",
]
