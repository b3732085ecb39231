"""Checks the code of a ticket offline, the way a scanner would: with the public keys and nothing else.

    python examples/verify_ticket.py KEYS CODE

KEYS is the address of a box office, or a file with what its GET /api/v1/tickets/keys answered before
the network was lost. CODE is what the QR symbol says. Needs httpx and cryptography, and nothing of
the box office's own code. The exit code is 0 for a genuine ticket.
"""

import base64
import binascii
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VERSION: Final = 1
BYTES: Final = 103
SIGNED: Final = 39


class NoTicketError(Exception):
    """The code is not genuine; the text says why."""


def main() -> int:
    """Check one code, and say what it is good for."""
    if len(sys.argv) != 3:  # noqa: PLR2004  (this program and its two arguments)
        print(__doc__, file=sys.stderr)
        return 2
    try:
        show, booking, seat = check(public_keys(sys.argv[1]), sys.argv[2])
    except NoTicketError as error:
        print(f"No ticket: {error}", file=sys.stderr)
        return 1
    print(f"Genuine.\n  show     {show}\n  booking  {booking}\n  seat     number {seat} of the show's seat map, from 0")
    print("Whether it was refunded or used, only the box office knows: POST /api/v1/tickets/check-in")
    return 0


def public_keys(source: str) -> dict[bytes, Ed25519PublicKey]:
    """The published keys, by the id that codes name them with."""
    if source.startswith(("http://", "https://")):
        answer = httpx.get(f"{source.rstrip('/')}/api/v1/tickets/keys", timeout=15).raise_for_status()
        key_set: dict[str, Any] = answer.json()
    else:
        key_set = json.loads(Path(source).read_text(encoding="utf-8"))
    keys: dict[bytes, Ed25519PublicKey] = {}
    for jwk in key_set["keys"]:
        raw = base64.urlsafe_b64decode(jwk["x"] + "=" * (-len(jwk["x"]) % 4))
        keys[hashlib.sha256(raw).digest()[:4]] = Ed25519PublicKey.from_public_bytes(raw)
    return keys


def check(keys: dict[bytes, Ed25519PublicKey], code: str) -> tuple[UUID, UUID, int]:
    """Show, booking and seat that a genuine code names.

    Raises:
        NoTicketError: it is not genuine.
    """
    written = "".join(code.split()).upper()
    try:
        whole = base64.b32decode(written + "=" * (-len(written) % 8))
    except (binascii.Error, ValueError):
        raise NoTicketError("not Base32") from None
    if len(whole) != BYTES or base64.b32encode(whole).decode().rstrip("=") != written:
        raise NoTicketError("damaged")
    if whole[0] != VERSION:
        raise NoTicketError(f"version {whole[0]} is not known")
    key = keys.get(whole[1:5])
    if key is None:
        raise NoTicketError("signed by an unknown key; fetch the keys again")
    try:
        key.verify(whole[SIGNED:], whole[:SIGNED])
    except InvalidSignature:
        raise NoTicketError("the signature is not right") from None
    return UUID(bytes=whole[5:21]), UUID(bytes=whole[21:37]), int.from_bytes(whole[37:39], "big")


if __name__ == "__main__":
    sys.exit(main())
