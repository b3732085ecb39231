"""A log that takes no more lines costs the lines, and nobody's seat."""

import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import make
import pytest
from running import started_with_log

from boxoffice.postgres import embedded
from boxoffice.postgres.pool import connect_pool

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no file without room")
@pytest.mark.parametrize("form", ["json", "console"])
async def test_seats_are_sold_while_no_line_can_be_written(form: str) -> None:
    settings = {"LOG_FORMAT": form, "PAYMENT_WEBHOOK_SECRET": make.WEBHOOK_SECRET}
    with (
        TemporaryDirectory(prefix="boxoffice-test-", ignore_cleanup_errors=True) as folder,
        started_with_log(FULL, Path(folder) / "data", "serve", **settings) as running,
    ):
        with embedded.server(running.data_dir) as server:
            pool = await connect_pool(server.get_uri(embedded.DATABASE), size=2)
            try:
                show = await make.show(pool)
            finally:
                await pool.close()
        async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
            assert (await client.get("/api/v1/health")).status_code == 200
            guest = await make.guest(client)
            booking = await make.paid_booking(client, guest, show, show.seats[0])
            read = await client.get(f"/api/v1/bookings/{booking['id']}", headers=guest.headers)
            assert read.json()["status"] == "CONFIRMED"
            # What is refused is told as a warning, by another way.
            assert (await client.get("/api/v1/no/such/address")).status_code == 404
            lost = [
                float(line.split()[-1])
                for line in (await client.get("/metrics")).text.splitlines()
                if line.startswith("boxoffice_log_lines_lost_total")
            ]
        assert sum(lost) > 5
        running.stop(signal.SIGTERM)
