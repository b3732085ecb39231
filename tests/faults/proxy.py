"""The line between the box office and its database: it can be cut, at once or between a commit and its answer."""

import asyncio
import random
import socket
import struct
from contextlib import ExitStack, suppress

CHUNK_BYTES = 65_536


class _Line:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.swallow = False
        """Cut it when the database answers next: what was asked is done, and nobody hears of it."""

    def cut(self) -> None:
        """Reset both ends, as a router does that has forgotten the connection."""
        for writer in (self.client, self.server):
            end: socket.socket | None = writer.get_extra_info("socket")
            if end is not None:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Listens on ``port`` and passes everything on to ``database_port``."""

    def __init__(self, database_port: int, rng: random.Random) -> None:
        self._database_port = database_port
        self._rng = rng
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.cuts = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for line in list(self._lines):
            line.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_some(self, share: float) -> None:
        """Of the connections that are open now: some at once, and some as soon as the database answers."""
        for line in list(self._lines):
            if self._rng.random() < share:
                self.cuts += 1
                if self._rng.random() < 0.5:
                    line.cut()
                else:
                    line.swallow = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Of its own, so that closing the proxy does not reach into asyncio's.
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with ExitStack() as unless_carried:
            # Also where the run ends meanwhile: what was accepted is to be closed.
            unless_carried.callback(writer.transport.abort)
            try:
                from_database, to_database = await asyncio.open_connection("127.0.0.1", self._database_port)
            except OSError:
                return
            unless_carried.pop_all()
        line = _Line(writer, to_database)
        self._lines.add(line)
        ways = [
            asyncio.create_task(self._pass_on(line, reader, to_database, answers=False)),
            asyncio.create_task(self._pass_on(line, from_database, writer, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            line.cut()
            for way in ways:
                way.cancel()
            self._lines.discard(line)

    async def _pass_on(
        self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if answers and line.swallow:
                    return
                writer.write(data)
                await writer.drain()
