"""What the processes of a server use while a round runs: CPU seconds, and the most memory each had."""

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import psutil

SAMPLED_EVERY_S: Final = 0.1

Group = Callable[[], list[psutil.Process]]
"""Finds the processes of a group as they are now."""


class Watch:
    """Watches groups of processes while inside; afterwards `cpu_s` and `peak_mb` say what they used."""

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self.cpu_s: dict[str, float] = {}
        self.peak_mb: dict[str, float] = dict.fromkeys(groups, 0.0)
        """The largest process of each group."""
        self._groups = groups
        self._before: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._before = {name: _cpu(found()) for name, found in self._groups.items()}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.cpu_s = {name: _cpu(found()) - self._before[name] for name, found in self._groups.items()}
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        watched = {name: found() for name, found in self._groups.items()}
        while True:
            for name, processes in watched.items():
                for process in processes:
                    self.peak_mb[name] = max(self.peak_mb[name], _memory_mb(process))
            if self._over.wait(SAMPLED_EVERY_S):
                return


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [root, *root.children(recursive=True)]


def _cpu(processes: list[psutil.Process]) -> float:
    """CPU seconds of these, and of what they have seen end (PostgreSQL's first process collects its others)."""
    total = 0.0
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def _memory_mb(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss / 1e6
    except psutil.Error:
        return 0.0
