"""A Redis of a test's own: the real server, on a socket in its folder, killed and started again as the test likes."""

import shutil
import subprocess
import time
from pathlib import Path

import redis

START_WITHIN_S = 20.0


class RedisServer:
    """Keeps everything in memory; ``url`` stays the same from one start to the next."""

    def __init__(self, folder: Path) -> None:
        # The name of a socket may have 107 bytes at most.
        self._socket = folder / "r.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "no redis-server: install it (Debian's package is named redis-server)"
        self._process = subprocess.Popen(  # noqa: S603  (the system's own)
            [program, "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"],
            cwd=self._socket.parent,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_WITHIN_S
        while not self.answers():
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def answers(self) -> bool:
        client = redis.Redis.from_url(self.url)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    def send(self, signal: int) -> None:
        assert self._process is not None
        self._process.send_signal(signal)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
