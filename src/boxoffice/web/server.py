"""The HTTP server: Granian, in which a web worker that dies is replaced for as long as the server runs.

Left to itself, Granian ends the whole server when a worker dies within some five seconds of replacing another, as one
does whose database is away or whose machine is short of memory; and it may overlook a worker that dies while it
replaces another. Decision 29 says more.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from granian.server.mp import MPServer

LIVED_WELL_S: Final = 5.0
"""A worker that lived for so long is replaced at once when it dies."""
PAUSE_S: Final = 1.0
"""Before any other is."""


class Server(MPServer):
    """Granian with processes as workers, each of which always has a successor once it has been `opened`.

    Before that, a worker that ends means that none can work, and the server ends.

    Args:
        tell: is told, in a line, of each worker that ended.
        options: Granian's own.
    """

    interrupt_children: list[int]

    def __init__(self, *, tell: Callable[[str], None], **options: Any) -> None:
        super().__init__(**options, respawn_failed_workers=True)
        self._tell = tell
        self.opened = threading.Event()

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        """What Granian calls between the start of the workers and their end."""
        self.watch_over(spawn_target, target_loader)

    def watch_over(self, spawn_target: Any, target_loader: Any) -> None:
        """Replace who dies, until the server is to end.

        ``interrupt_children`` has the place of each worker that ended unasked, and is written before
        ``main_loop_interrupt`` is set, from a thread for each worker.
        """
        due: dict[int, float] = {}
        """When the worker of a place is to be replaced, on the monotonic clock."""
        while True:
            self.main_loop_interrupt.wait(max(0.0, min(due.values()) - time.monotonic()) if due else None)
            # First of all: who dies from here on wakes us again.
            self.main_loop_interrupt.clear()
            if self.interrupt_signal:
                return
            if self.interrupt_children and not self.opened.is_set():
                return
            while self.interrupt_children:
                place = self.interrupt_children.pop()
                due[place] = self._due(place)
            for place in [place for place, at in due.items() if at <= time.monotonic()]:
                if self._replace(place, spawn_target, target_loader):
                    del due[place]
                else:
                    due[place] = time.monotonic() + PAUSE_S

    def _due(self, place: int) -> float:
        """When this dead worker's successor starts; its death is told."""
        dead = self.wrks[place]
        now = time.monotonic()
        pause_s = 0.0 if now - dead.birth >= LIVED_WELL_S else PAUSE_S
        when = f"in {pause_s:g} s" if pause_s else "now"
        self._tell(f"a web worker ended (code {dead.inner.exitcode}); another starts {when}")
        return now + pause_s

    def _replace(self, place: int, spawn_target: Any, target_loader: Any) -> bool:
        """Start a successor; False where the machine has no room for a process or a thread."""
        worker = self._spawn_worker(idx=place, target=spawn_target, callback_loader=target_loader)
        try:
            worker.start()
        except (OSError, RuntimeError) as error:
            self._tell(f"a web worker cannot be started: {error}")
            if worker.inner.pid is not None:
                # It runs, but there was no room for the thread that would notice its end.
                worker.kill()
                worker.join()
            return False
        self.wrks[place] = worker
        return True

    def signal_handler_reload(self, *_: Any) -> None:
        """End as any program does when its terminal is gone (SIGHUP).

        Granian would replace every worker. Ours are forks of one process with one set of settings: none would be new.
        """
        self.signal_handler_interrupt()
