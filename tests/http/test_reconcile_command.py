"""`boxoffice reconcile`: a shop whose money is right, and one where a person must look."""

import subprocess
from pathlib import Path

import make
from running import BOXOFFICE, START_WITHIN_S, environment

from boxoffice.postgres.pool import Pool


def reconcile(dsn: str, data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, "reconcile", *arguments],
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
    payment = await pool.fetchval(
        """INSERT INTO payment (show_id, booking_id, gateway, session_id, status, amount, currency, expires_at,
                                settled_at)
           VALUES ($1, $2, 'fake', 'sess_unheard_of_there_at_all', 'SUCCEEDED', 1000, 'INR', now(), now())
           RETURNING id""",
        *(show.id, booking),
    )
    wrong = reconcile(dsn, tmp_path)
    assert wrong.returncode == 1, wrong.stderr
    assert f"of show {show.id}: unknown_session" in wrong.stderr
    assert f"The ledger disagrees with the payments of show {show.id}" in wrong.stderr
    assert "Waiting for a person: 2" in wrong.stdout

    name = f"difference:{payment}:unknown_session"
    assert f"{name} since " in wrong.stderr
    for refused in (("--resolve", name), ("--resolve", name, "--note", " "), ("--note", "whatever")):
        said = reconcile(dsn, tmp_path, *refused)
        assert (said.returncode, said.stderr) == (2, "boxoffice: reconcile: --resolve and --note go together\n")
    unknown = reconcile(dsn, tmp_path, "--resolve", "refund:[none]", "--note", "paid by hand")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "nothing named refund:[none] waits for a person" in unknown.stderr

    settled = reconcile(dsn, tmp_path, "--resolve", name, "--note", "paid by hand")
    assert (settled.returncode, settled.stdout) == (0, f"{name} waits for nobody any more\n"), settled.stderr
    again = reconcile(dsn, tmp_path, "--resolve", name, "--note", "paid by hand")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert f"{name} was resolved before" in again.stderr
    (entry,) = await pool.fetch("SELECT * FROM audit_entry")
    assert (entry["action"], entry["subject_id"]) == ("matter.resolve", payment)
    assert entry["details"]["note"] == "paid by hand"
    assert "@" in entry["address"]
    # The ledger still disagrees: that is nobody's to resolve.
    assert "Waiting for a person: 1" in reconcile(dsn, tmp_path).stdout
