"""What the operator's commands do is written down, and `boxoffice audit` shows it."""

import subprocess
from pathlib import Path

import make
from running import BOXOFFICE, START_WITHIN_S, environment

from boxoffice.postgres.pool import Pool


def boxoffice(dsn: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, *arguments],
        env=environment(folder, DATABASE_URL=dsn, COLUMNS="400"),
        capture_output=True,
        text=True,
        timeout=START_WITHIN_S,
        check=False,
    )


async def test_making_a_user_is_written_down_without_the_password(dsn: str, pool: Pool, tmp_path: Path) -> None:
    create = ("user", "create", "boss@cinema.example", "--role", "admin", "--password", "a long secret")
    assert boxoffice(dsn, tmp_path, *create).returncode == 0
    refused = boxoffice(dsn, tmp_path, "user", "create", "nobody", "--role", "admin", "--password", "a long secret")
    assert refused.returncode == 2

    (entry,) = await pool.fetch("SELECT * FROM audit_entry")
    boss = await pool.fetchval("SELECT id FROM account WHERE email = 'boss@cinema.example'")
    assert (entry["actor_id"], entry["actor_role"], entry["action"]) == (None, "operator", "user.put")
    assert (entry["subject_kind"], entry["subject_id"]) == ("account", boss)
    assert entry["details"] == {"email": "boss@cinema.example", "role": "admin"}
    assert "@" in entry["address"]

    shown = boxoffice(dsn, tmp_path, "audit", "--subject", str(boss))
    assert shown.returncode == 0, shown.stderr
    head, line = shown.stdout.splitlines()
    assert head.split() == ["When", "(UTC)", "Who", "Role", "What", "To", "what", "Details", "From"]
    for word in ("operator", "user.put", f"account {boss}", '"role": "admin"', entry["address"]):
        assert word in line
    assert len(boxoffice(dsn, tmp_path, "audit", "--action", "show.add").stdout.splitlines()) == 1
    assert len(boxoffice(dsn, tmp_path, "audit", "--to", "2020-01-01").stdout.splitlines()) == 1

    wrong = boxoffice(dsn, tmp_path, "audit", "--action", "nonsense")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--action: one of movie.add, " in wrong.stderr


async def test_what_reconcile_mends_is_written_down_and_what_it_leaves_is_not(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    show = await make.show(pool)
    booking = await pool.fetchval(
        """INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at, status, ended_at)
           VALUES ($1, gen_random_uuid(), 1000, 'INR', now(), 'EXPIRED', now()) RETURNING id""",
        show.id,
    )
    payment = await pool.fetchval(
        """INSERT INTO payment (show_id, booking_id, gateway, status, amount, currency, expires_at, created_at)
           VALUES ($1, $2, 'fake', 'OPENING', 1000, 'INR', now(), now() - interval '1 hour') RETURNING id""",
        *(show.id, booking),
    )
    for _ in range(2):
        said = boxoffice(dsn, tmp_path, "reconcile")
        assert said.returncode == 0, said.stderr
    assert await pool.fetchval("SELECT status FROM payment") == "FAILED"

    (entry,) = await pool.fetch("SELECT * FROM audit_entry")
    assert (entry["actor_role"], entry["action"], entry["subject_id"]) == ("operator", "payment.mend", payment)
    assert entry["details"] == {"showId": str(show.id), "bookingId": str(booking), "event": "given up"}
