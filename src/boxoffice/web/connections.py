"""How many connections a web process may have, and how many of them may be there without an end.

Live seats keep their connection for as long as somebody looks. Could they have all of them, a crowd that only looks
would leave no room for one that pays, nor for whoever asks whether the service is well.
"""

import resource
from typing import Final

CONNECTIONS_MAX: Final = 8_192
OWN_FILES: Final = 256
"""Files that a process has open beside its clients' connections: the database's, gateways', metrics, libraries."""
LEAST: Final = 128
"""However few files may be open."""
LISTENING: Final = 0.5
"""The share that may listen to live seats."""


def allow_many_files() -> None:
    """Raise the limit of open files as far as this process may, for itself and for those that it starts.

    A usual shell gives a thousand, so that programs of another age keep working; whoever serves asks for more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OWN_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_max() -> int:
    """How many clients a web process may serve at once: each is an open file."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(LEAST, min(CONNECTIONS_MAX, files - OWN_FILES))


def listeners_max() -> int:
    """How many of them may listen to live seats."""
    return int(connections_max() * LISTENING)
