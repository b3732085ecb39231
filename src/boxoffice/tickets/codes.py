"""The code on a ticket: short, signed, and checked by anyone who has the public key, with no network.

A code is 103 bytes, written in Base32 (RFC 4648, no padding), 165 characters; whole numbers are
big-endian (docs/decisions/0015):

    offset  bytes  what
         0      1  version: 1
         1      4  which key signed: the first bytes of the SHA-256 of the public key
         5     16  show id
        21     16  booking id
        37      2  seat: its position in the show's seat map
        39     64  Ed25519 signature (RFC 8032) of the 39 bytes before it

It says that a seat was sold. Whether it has been refunded or used since, only the box office knows.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from boxoffice.errors import MalformedError

CODE_VERSION: Final = 1
CODE_LENGTH: Final = 165
"""Characters. In the alphanumeric mode of QR, with error correction M, that is a symbol of 45 by 45."""
SEAT_POSITION_MAX: Final = 2**16 - 1
KEY_ID_BYTES: Final = 4
_SAID: Final = struct.Struct(f">B{KEY_ID_BYTES}s16s16sH")
_SIGNATURE_BYTES: Final = 64
_SEED_BYTES: Final = 32
_KEY_PURPOSE: Final = b"boxoffice ticket codes"


class BadTicketCodeError(MalformedError):
    """This is no ticket of ours."""

    code = "bad_ticket_code"


class TicketedSeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a code says was sold: a seat of a show, by its position, to a booking."""

    show_id: UUID
    booking_id: UUID
    position: int


class TicketKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key of ours as a JSON Web Key (RFC 8037)."""

    kid: str
    """The key's id in the codes that it signed, as hexadecimal digits."""
    x: str
    """The 32 bytes of the key, in Base64url without padding."""
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "EdDSA"
    use: str = "sig"


def key_id(public_key: Ed25519PublicKey) -> bytes:
    """What names the key in a code."""
    return hashlib.sha256(public_key.public_bytes_raw()).digest()[:KEY_ID_BYTES]


def verify(public_keys: Mapping[bytes, Ed25519PublicKey], code: str) -> TicketedSeat:
    """What a code says, if one of ``public_keys`` (by `key_id`) signed it. Pure: no clock, no database.

    Raises:
        BadTicketCodeError: it is forged, damaged, signed by another key, or no code at all.
    """
    written = code.strip().upper()
    # The length first, so that nobody has us read a novel.
    if len(written) != CODE_LENGTH:
        raise BadTicketCodeError(f"a ticket's code has {CODE_LENGTH} characters")
    try:
        whole = base64.b32decode(written + "=" * (-len(written) % 8))
    except (binascii.Error, ValueError) as error:
        raise BadTicketCodeError("a ticket's code is written in Base32") from error
    # The last character carries a spare bit: only one of its two spellings is ours.
    if _write(whole) != written:
        raise BadTicketCodeError("the code is damaged")
    said, signature = whole[:-_SIGNATURE_BYTES], whole[-_SIGNATURE_BYTES:]
    version, signed_by, show_id, booking_id, position = _SAID.unpack(said)
    if version != CODE_VERSION:
        raise BadTicketCodeError(f"version {version} of ticket codes is not known here")
    public_key = public_keys.get(signed_by)
    if public_key is None:
        raise BadTicketCodeError("no key of ours signed this code")
    try:
        public_key.verify(signature, said)
    except InvalidSignature as error:
        raise BadTicketCodeError("the code is forged or damaged") from error
    return TicketedSeat(show_id=UUID(bytes=show_id), booking_id=UUID(bytes=booking_id), position=position)


class TicketKeys:
    """The keys derived from ``secrets``: the first signs; codes of the others are still good."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._signs_with = _derive(secrets[0])
        public_keys = [_derive(secret).public_key() for secret in secrets]
        self._public_keys = {key_id(one): one for one in public_keys}
        self._signer_id = key_id(public_keys[0])

    def sign(self, seat: TicketedSeat) -> str:
        """The code of a seat; the same for the same seat and key, always."""
        said = _SAID.pack(CODE_VERSION, self._signer_id, seat.show_id.bytes, seat.booking_id.bytes, seat.position)
        return _write(said + self._signs_with.sign(said))

    def verify(self, code: str) -> TicketedSeat:
        """As `verify`, with these keys."""
        return verify(self._public_keys, code)

    def published(self) -> list[TicketKey]:
        """The public keys, for those who check codes by themselves."""
        return [
            TicketKey(kid=name.hex(), x=base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode())
            for name, key in self._public_keys.items()
        ]


def _derive(secret: str) -> Ed25519PrivateKey:
    """The key that belongs to a secret of any length: nothing else derived from that secret tells it."""
    seed = HKDF(algorithm=SHA256(), length=_SEED_BYTES, salt=None, info=_KEY_PURPOSE).derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _write(whole: bytes) -> str:
    return base64.b32encode(whole).rstrip(b"=").decode()
