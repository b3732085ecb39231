"""Connections are bounded by the files that may be open, and those without an end by half of them."""

import resource

import pytest

from boxoffice.web.connections import (
    CONNECTIONS_MAX,
    LEAST,
    OWN_FILES,
    allow_many_files,
    connections_max,
    listeners_max,
)

ALL = CONNECTIONS_MAX + OWN_FILES
NO_LIMIT = resource.RLIM_INFINITY


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """The limit of open files, which this process does not really change."""
    kept = {"files": (1024, 1024)}

    def get(_: int) -> tuple[int, int]:
        return kept["files"]

    def put(_: int, files: tuple[int, int]) -> None:
        assert files[1] == kept["files"][1], "only who administers the machine may change that"
        kept["files"] = files

    monkeypatch.setattr(resource, "getrlimit", get)
    monkeypatch.setattr(resource, "setrlimit", put)
    return kept


@pytest.mark.parametrize(
    ("before", "soft", "connections"),
    [
        ((1024, 1_048_576), ALL, CONNECTIONS_MAX),
        ((1024, NO_LIMIT), ALL, CONNECTIONS_MAX),
        ((1024, 4096), 4096, 4096 - OWN_FILES),
        ((1024, 1024), 1024, 1024 - OWN_FILES),
        ((65_536, 1_048_576), 65_536, CONNECTIONS_MAX),
        ((NO_LIMIT, NO_LIMIT), NO_LIMIT, CONNECTIONS_MAX),
        ((64, 64), 64, LEAST),
    ],
)
def test_as_many_as_files_may_be_open_and_half_of_them_may_stay(
    limit: dict[str, tuple[int, int]], before: tuple[int, int], soft: int, connections: int
) -> None:
    limit["files"] = before
    allow_many_files()
    assert limit["files"] == (soft, before[1])
    assert connections_max() == connections
    assert 0 < listeners_max() <= connections // 2
