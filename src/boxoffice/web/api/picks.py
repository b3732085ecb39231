"""What is said about a pick of seats that leaves a seat alone: nothing, a warning beside the answer, or a refusal."""

from typing import Final, Literal
from uuid import UUID

import msgspec

from boxoffice.accounts import Caller, Role
from boxoffice.idempotency import Claim, Outcome
from boxoffice.seating.claims import SeatsWanted
from boxoffice.settings import OrphanRule
from boxoffice.web.office import Office

OrphanCode = Literal["orphan_seat"]
_ORPHAN_SEAT: Final[OrphanCode] = "orphan_seat"


class PickWarning(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something to think about: `orphan_seat` means that the pick leaves these seats alone."""

    code: OrphanCode
    seat_ids: list[UUID]


async def left_alone(office: Office, caller: Caller, wanted: SeatsWanted, key: Claim | None) -> list[UUID]:
    """The seats to warn of.

    Raises:
        OrphanSeatError: such picks are refused; staff, who can talk with the buyer, are warned instead.
    """
    rule: OrphanRule = office.settings.orphan_seats
    if rule == "refuse" and caller.is_at_least(Role.STAFF):
        rule = "warn"
    return [] if rule == "off" else await office.usher.left_alone(wanted, refuse=rule == "refuse", key=key)


def remembering(key: Claim | None, alone: list[UUID]) -> Claim | None:
    """The key, with the warning to remember beside its answer: a repeated request is answered with the same."""
    if key is None or not alone:
        return key
    return msgspec.structs.replace(key, beside=msgspec.json.encode(_warnings(alone)).decode())


def warned(outcome: Outcome, alone: list[UUID]) -> Outcome:
    """The outcome, with a warning beside it where there is one; what was said before is said again as it was."""
    if not alone or outcome.replayed:
        return outcome
    return Outcome(answer=outcome.answer | msgspec.to_builtins(_warnings(alone)), replayed=False)


def _warnings(alone: list[UUID]) -> dict[str, list[PickWarning]]:
    return {"warnings": [PickWarning(code=_ORPHAN_SEAT, seat_ids=alone)]}
