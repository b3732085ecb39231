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
        """Take Granian's place in watching over the workers; ends when the server is to end.

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
            if self.reload_signal:
                self._reload(spawn_target, target_loader)
            if self.interrupt_children and not self.opened.is_set():
                return
            while self.interrupt_children:
                place = self.interrupt_children.pop()
                # Not those who were asked to go meanwhile, and have their successors.
                if not self.wrks[place].is_alive():
                    due[place] = self._due(place)
            for place in [place for place, at in due.items() if at <= time.monotonic()]:
                del due[place]
                self.wrks[place] = self._spawn_worker(idx=place, target=spawn_target, callback_loader=target_loader)
                self.wrks[place].start()

    def _due(self, place: int) -> float:
        """When this dead worker's successor starts; its death is told."""
        dead = self.wrks[place]
        now = time.monotonic()
        pause_s = 0.0 if now - dead.birth >= LIVED_WELL_S else PAUSE_S
        when = f"in {pause_s:g} s" if pause_s else "now"
        self._tell(f"a web worker ended (code {dead.inner.exitcode}); another starts {when}")
        return now + pause_s
