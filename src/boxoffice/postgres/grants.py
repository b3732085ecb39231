"""What web and jobs may do in the database: the whole list, table by table; what is not here they may not do.

The owner of the tables (who migrates) may do everything; these two roles have what their statements need. A table that
comes to the schema without a line here fails a test, and so does a statement that the role of its process may not run
(`tests/tidy/test_grants.py`). Books that are only added to (the ledger, gateways' events, the audit log) are only added
to by these roles as well, and neither may make anybody an administrator.
"""

import hashlib
from typing import Final

WEB: Final = "boxoffice_web"
WORKER: Final = "boxoffice_worker"
"""Roles are of a whole cluster and named the same for all box offices in it; grants are each database's own."""

# table: (what web may do, what jobs may do); empty: nothing at all
GRANTS: Final[dict[str, tuple[str, str]]] = {
    # Nobody's role is written by web: an account begins as a customer's, and `boxoffice user create` says otherwise.
    "account": (
        "SELECT, INSERT (email, name, password_hash), UPDATE (email, name, password_hash)",
        "SELECT (id, email)",
    ),
    "account_session": ("SELECT, INSERT, UPDATE", ""),
    "alembic_version": ("SELECT", "SELECT"),
    "audit_entry": ("SELECT, INSERT", "INSERT"),
    "booking": ("SELECT, INSERT, UPDATE", "SELECT, UPDATE"),
    "booking_contact": ("SELECT, INSERT, UPDATE", "SELECT"),
    # Jobs fold the lines of bookings that are long over into the booking.
    "booking_seat": ("SELECT, INSERT", "SELECT, DELETE"),
    "fake_delivery": ("SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE"),
    "fake_refund": ("SELECT, INSERT", "SELECT, INSERT"),
    "fake_session": ("SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE"),
    "idempotency_key": ("SELECT, INSERT, UPDATE", "SELECT, DELETE"),
    "ledger_disagreement": ("", "SELECT, INSERT, DELETE"),
    # Whether a refund is in it is asked before an event settles one; what it amounts to is no business of the web's.
    "ledger_entry": ("INSERT, SELECT (show_id, subject_id, kind)", "SELECT, INSERT"),
    "mail": ("SELECT, INSERT", "SELECT, INSERT, UPDATE"),
    "movie": ("SELECT, INSERT, UPDATE", "SELECT"),
    "payment": ("SELECT, INSERT, UPDATE", "SELECT, UPDATE"),
    "payment_event": ("SELECT, INSERT", "SELECT, INSERT"),
    # The queue: web puts jobs in, the worker has the rest. procrastinate's functions run as who calls them.
    "procrastinate_events": ("INSERT", "SELECT, INSERT, UPDATE, DELETE"),
    "procrastinate_jobs": ("INSERT, SELECT (id)", "SELECT, INSERT, UPDATE, DELETE"),
    "procrastinate_periodic_defers": ("", "SELECT, INSERT, UPDATE, DELETE"),
    "procrastinate_workers": ("", "SELECT, INSERT, UPDATE, DELETE"),
    "reconciliation_issue": ("", "SELECT, INSERT, UPDATE"),
    # That a refund or an event waits for nobody any more is a person's to say, in a command of the owner's.
    "refund": (
        "SELECT, INSERT, UPDATE (status, settled_at, gateway_ref)",
        "SELECT, INSERT, UPDATE (status, settled_at, gateway_ref, asked_at)",
    ),
    "refund_seat": ("SELECT, INSERT", "SELECT"),
    "screen": ("SELECT, INSERT, UPDATE", "SELECT"),
    # A screen without shows may get other seats.
    "screen_seat": ("SELECT, INSERT, DELETE", ""),
    "show": ("SELECT, INSERT, UPDATE", "SELECT"),
    "show_buyer": ("SELECT, INSERT, UPDATE", ""),
    "show_seat": ("SELECT, INSERT, UPDATE", "SELECT, UPDATE"),
    "stray_event": ("INSERT", "SELECT, INSERT"),
    "theatre": ("SELECT, INSERT, UPDATE", "SELECT"),
    "ticket_admission": ("SELECT, INSERT", "SELECT"),
    "unpaid_mail": ("", "SELECT, INSERT, UPDATE, DELETE"),
}

# Sequences behind columns that say `nextval`; those of identity columns need no leave.
SEQUENCES: Final[dict[str, tuple[str, str]]] = {
    "procrastinate_events_id_seq": ("USAGE", "USAGE"),
    "procrastinate_jobs_id_seq": ("USAGE", "USAGE"),
    "procrastinate_periodic_defers_id_seq": ("", "USAGE"),
}


def script() -> str:
    """The statements that bring a database to this list, whatever was granted before."""
    tables = [(table, *granted) for table, granted in GRANTS.items()]
    sequences = [(f"SEQUENCE {sequence}", *granted) for sequence, granted in SEQUENCES.items()]
    lines = [
        f"DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {WEB}, {WORKER}', current_schema()); END $$;",
    ]
    for what, web, worker in [*tables, *sequences]:
        lines.append(f"REVOKE ALL ON {what} FROM {WEB}, {WORKER};")
        lines += [f"GRANT {may} ON {what} TO {role};" for role, may in ((WEB, web), (WORKER, worker)) if may]
    return "\n".join(lines)


def fingerprint() -> str:
    """Which list this is: kept with the database, so that a start need not grant again what is granted."""
    return hashlib.sha256(script().encode()).hexdigest()[:16]
