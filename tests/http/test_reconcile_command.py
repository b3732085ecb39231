"""`boxoffice reconcile`: a shop whose money is right, and one where a person must look."""

import subprocess
from pathlib import Path

import make
from running import BOXOFFICE, START_WITHIN_S, environment

from boxoffice.postgres.pool import Pool


def reconcile(dsn: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, "reconcile"],
        env=environment(data_dir, DATABASE_URL=dsn),
        capture_output=True,
        text=True,
        timeout=START_WITHIN_S,
        check=False,
    )


async def test_it_says_where_the_money_is_and_what_waits_for_a_person(dsn: str, pool: Pool, tmp_path: Path) -> None:
    fine = reconcile(dsn, tmp_path)
    assert fine.returncode == 0, fine.stderr
    assert "Waiting for a person: 0" in fine.stdout

    show = await make.show(pool)
    booking = await pool.fetchval(
        """INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at)
           VALUES ($1, gen_random_uuid(), 1000, 'INR', now()) RETURNING id""",
        show.id,
    )
    await pool.execute(
        """INSERT INTO payment (show_id, booking_id, gateway, session_id, status, amount, currency, expires_at,
                                settled_at)
           VALUES ($1, $2, 'fake', 'sess_unheard_of_there_at_all', 'SUCCEEDED', 1000, 'INR', now(), now())""",
        *(show.id, booking),
    )
    wrong = reconcile(dsn, tmp_path)
    assert wrong.returncode == 1, wrong.stderr
    assert f"of show {show.id}: unknown_session" in wrong.stderr
    assert f"The ledger disagrees with the payments of show {show.id}" in wrong.stderr
    assert "Waiting for a person: 2" in wrong.stdout
