"""Who a request comes from, and what a role may do."""

from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from boxoffice.errors import UnidentifiedError


class InvalidTokenError(UnidentifiedError):
    """The token is not valid, has expired, or its session is over."""

    code = "invalid_token"


class Role(StrEnum):
    """What an account may do; each role may do what those before it may."""

    CUSTOMER = "customer"
    STAFF = "staff"
    MANAGER = "manager"
    ADMIN = "admin"


_RANKS: Final = {role: rank for rank, role in enumerate(Role)}


class Caller(msgspec.Struct, frozen=True):
    """Who a request comes from."""

    user_id: UUID
    role: Role
    session_id: UUID
    guest: bool

    def is_at_least(self, role: Role) -> bool:
        """Whether the caller may do what ``role`` may."""
        return _RANKS[self.role] >= _RANKS[role]
