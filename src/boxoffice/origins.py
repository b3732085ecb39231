"""Origins: what a page's policy can name of another site, and nothing that could be taken for more policy."""

import re
from typing import Final

import idna

# As the policy's grammar has hosts (CSP 3, host-source): in ASCII, without a user, no IPv6.
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?(?=[/?#]|\Z)")
_HOST: Final = re.compile(r"(?P<scheme>https?://)(?P<host>[^/?#:@\\]+)(?P<rest>.*)", re.DOTALL)


def origin_of(address: str) -> str | None:
    """The origin of an http(s) address; None for a path on this site, and where a policy cannot name it."""
    found = _ORIGIN.match(address)
    return found and found[0]


def with_ascii_host(address: str) -> str:
    """An http(s) address with its host as browsers ask for it: bücher.example is xn--bcher-kva.example.

    Raises:
        ValueError: there is no such host.
    """
    found = _HOST.fullmatch(address)
    if found is None or found["host"].isascii():
        return address
    return found["scheme"] + idna.encode(found["host"], uts46=True).decode() + found["rest"]
