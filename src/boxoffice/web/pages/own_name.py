"""One name for this machine: who comes to `localhost` is led to the name that payments come back to.

A browser's cookies belong to one name. Without this, somebody who began at `http://localhost:8001` would come back
from the payment page to `http://127.0.0.1:8001` as a stranger to their own booking.
"""

import re
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = re.compile(r"(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])")


def own_name_of(base_url: str, host: str, target: str) -> str | None:
    """Where to lead a visitor who came to ``target`` (a path with its query) at ``host``; None: they are right.

    Only between names of the loopback, on the same port: any other name may be right in ways that we cannot know.
    """
    ours = urlsplit(base_url)
    name, _, port = host.rpartition(":") if re.search(r":\d+\Z", host) else (host, "", "80")
    if name.lower() == ours.hostname or str(ours.port or 80) != port or ours.scheme != "http":
        return None
    loopback = LOOPBACK.fullmatch(name.lower()) and LOOPBACK.fullmatch(ours.hostname or "")
    return f"{base_url}{target}" if loopback else None
