"""The network address that a request comes from, through the proxies that we trust and no others.

A proxy appends the address of who came to it to ``X-Forwarded-For``. Read from its right end, what stands beyond the
first address that is no trusted proxy's may be anybody's invention, and is not looked at. ``Forwarded`` (RFC 7239) is
not read at all: a proxy that writes the one header passes the other on as it came, so that whoever reads both believes
the client.

Granian can do this (`granian.utils.proxies`), but does it for each request and takes whatever text stands there. Here
it is done where it is asked for, which seat maps at hand do not.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from litestar.types import Scope

LOOPBACK: Final = "loopback"
"""What comes from this machine itself, whichever of its loopback addresses it has."""
UNKNOWN: Final = "unknown"


class Proxies:
    """The proxies in front of us, as addresses or networks (``10.0.0.0/8``)."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted = tuple(ip_network(one) for one in trusted)

    def client_of(self, scope: Scope) -> str:
        """Whose request that is, as limits count them: an IPv4 address, the /64 of an IPv6 address, or `LOOPBACK`."""
        client = scope["client"]
        peer = client[0] if client else ""
        if not self._trusted or not self._trusts(address := _read(peer)):
            return _counted_as(peer)
        # A header that comes several times is one list (RFC 9110, section 5.2).
        passed_on = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        for entry in reversed(passed_on.split(",") if passed_on else []):
            found = _read(entry)
            # Something that is no address is no proxy's word: who told it is the last that we know of.
            if found is None:
                break
            address = found
            if not self._trusts(found):
                break
        return _counted_as(str(address))

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


@lru_cache(maxsize=4096)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also with a port as some proxies write it; None where it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both kinds tells IPv4 addresses as IPv6 ones.
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


@lru_cache(maxsize=4096)
def _counted_as(text: str) -> str:
    address = _read(text)
    if address is None:
        return UNKNOWN
    if address.is_loopback:
        return LOOPBACK
    if isinstance(address, IPv6Address):
        # One customer of a provider has at least 2^64 addresses.
        return str(IPv6Network((address, 64), strict=False))
    return str(address)
