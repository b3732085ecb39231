"""The line between a box office and its database, which can fall silent: nothing passes, and nothing ends."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlsplit

PIECE_BYTES: Final = 65_536


class Line:
    """Carries everything to a server and back.

    While it is frozen, whatever is put in waits, as with a server that is stopped. When it is cut, whatever is on it or
    comes is lost, and so is every connection that it carried, though neither end is told: as with a network.
    """

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._folder: str | None = parse_qs(parts.query).get("host", [None])[0]
        self._host, self._port = parts.hostname or "", parts.port or 5432
        self._user, self._database = parts.username or "postgres", parts.path
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.dsn = ""

    def freeze(self) -> None:
        """Nothing passes until `thaw`, and then all that waited does."""
        self._passing.clear()

    def thaw(self) -> None:
        self._passing.set()

    def cut(self) -> None:
        """What is carried now is never carried on; who connects waits until it is mended."""
        self._passing.clear()
        self._passing = asyncio.Event()

    def mend(self) -> None:
        self._passing.set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.dsn = f"postgresql://{self._user}@127.0.0.1:{port}{self._database}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer, self._passing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        ends = [writer]
        try:
            await passing.wait()
            from_server, to_server = await self._connect()
            ends.append(to_server)
            ways = [
                asyncio.create_task(self._pass_on(reader, to_server, passing)),
                asyncio.create_task(self._pass_on(from_server, writer, passing)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
        finally:
            for end in ends:
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._folder is not None:
            return await asyncio.open_unix_connection(f"{self._folder}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                await passing.wait()
                writer.write(data)
                await writer.drain()
        # The end is not told of while the line is silent, either.
        await passing.wait()


@asynccontextmanager
async def line_to(dsn: str) -> AsyncGenerator[Line]:
    """An open line to the server of ``dsn``."""
    line = Line(dsn)
    await line.open()
    try:
        yield line
    finally:
        await line.close()
