"""A fault that was not brought about, or was not measured, fails its run: a check that cannot fail is none."""

import shutil

import breakages
import pytest
from breakages import AT_LEAST, BOUNDS, Fault, clock_jumps, must_be_possible, out_of_bounds
from database import CannotBreakError
from scene import folder_with_disk


@pytest.mark.parametrize("fault", BOUNDS)
def test_what_was_not_measured_is_out_of_bounds(fault: Fault) -> None:
    wrong = out_of_bounds({}, [fault])
    assert len(wrong) == len(BOUNDS[fault]) + len(AT_LEAST.get(fault, {})) > 0


def test_what_is_within_its_bounds_is_let_pass() -> None:
    for fault, most in BOUNDS.items():
        assert out_of_bounds({**most, **AT_LEAST.get(fault, {})}, [fault]) == []


def test_a_clock_that_cannot_be_put_is_said_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakages, "FAKETIME", None)
    with pytest.raises(CannotBreakError, match="libfaketime is not installed"):
        must_be_possible([clock_jumps])


@pytest.mark.parametrize("mount", ["/bin/false", "/nowhere/mount"])
def test_a_disk_that_cannot_be_mounted_is_said_before_the_run(monkeypatch: pytest.MonkeyPatch, mount: str) -> None:
    def which(_: str) -> str:
        return mount

    monkeypatch.setattr(shutil, "which", which)
    with pytest.raises(CannotBreakError, match="cannot be mounted"):
        folder_with_disk(1)
