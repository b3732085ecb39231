"""What is never told: by its name, its look, or for being one of this installation's own; and what is told still."""

import json
import subprocess
import sys
import traceback
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.pq import DiagnosticField

from boxoffice.accounts.tokens import AccessTokens, RefreshTokens, new_random_token
from boxoffice.secrecy import (
    KNOWN_LENGTH_MIN,
    WITHHELD,
    Mask,
    without_details,
    without_named,
    without_password,
    without_tokens,
)
from boxoffice.settings import SECRETS, Settings, SettingsError, from_environment
from boxoffice.tickets.codes import TicketedSeat, TicketKeys

ROW = "(asha@example.com, $argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA)"


def test_an_installations_own_secrets_are_hidden_however_they_are_spelled() -> None:
    secret = 'päss/"wörd\\ 1'
    mask = Mask([secret])
    for spelled in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        "p%C3%A4ss%2F%22w%C3%B6rd%5C%201",
    ):
        told = mask(f"before {spelled} after")
        assert "1" not in told
        assert told.startswith("before")
        assert told.endswith("after")
        assert WITHHELD in told


def test_the_longer_of_two_secrets_is_hidden_as_a_whole() -> None:
    told = Mask(["secret-key", "secret-key-of-before"])("now secret-key, then secret-key-of-before")
    assert told == f"now {WITHHELD}, then {WITHHELD}"


def test_what_is_too_short_to_be_told_from_words_is_left() -> None:
    assert Mask(["box" * 2, ""])("the boxboxoffice") == "the boxboxoffice"
    assert WITHHELD in Mask(["x" * KNOWN_LENGTH_MIN])("x" * KNOWN_LENGTH_MIN)


TOKEN = AccessTokens("a-secret-key-of-sixteen").sign(uuid4(), uuid4())
TO_REFRESH = RefreshTokens("a-secret-key-of-sixteen").new(uuid4())
LOOKS: list[tuple[str, str]] = [
    ("refused by postgresql://owner:pa55word@db.example/box", "pa55word"),
    ("Key (email)=(asha@example.com) exists", "asha"),
    ("<asha.rao+tickets@mail.example.co.in>: no such user", "asha.rao"),
    ("/bookings/user/asha%40example.com", "asha"),
    (f"Authorization: Bearer {TOKEN}", TOKEN.split(".")[2]),
    (f"no route for /x/{TOKEN}", TOKEN.split(".")[1]),
    ("{'authorization': 'Basic cnpwX2tleTpzZWNyZXQ='}", "cnpwX2"),
    (f"Failing row contains {ROW}", "aGFzaA"),
    ("ALTER ROLE web PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a2V5:c2VydmVy'", "c2FsdA"),
    ("Invalid API Key provided: sk_live_51Habcdef", "51Habcdef"),
    ("whsec_0123abcdEF+/=", "0123abcd"),
    ("pi_3abc_secret_9xyz", "9xyz"),
    ("t=1700000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd", "5257a869"),
    ("redis://cache:6379/0?password=pa55word", "pa55word"),
]


# Named by their numbers: some are of this moment, and each process of a test run collects them for itself.
@pytest.mark.parametrize(("said", "secret"), LOOKS, ids=map(str, range(len(LOOKS))))
@pytest.mark.parametrize("form", ["console", "json"])
def test_what_looks_like_a_secret_is_hidden(said: str, secret: str, form: str) -> None:
    mask = Mask(form=form)
    assert secret in said
    assert secret not in mask(said)
    line = mask(json.dumps({"error": f'"{said}"', "path": "/api/v1/shows"}))
    assert secret not in line
    assert json.loads(line)["path"] == "/api/v1/shows", "a line of JSON stays one"


def test_random_tokens_of_ours_are_hidden_wherever_they_stand() -> None:
    to_refresh = RefreshTokens("a-secret")
    for make in (new_random_token, lambda: to_refresh.new(uuid4())) * 50:
        token = make()
        assert token not in Mask()(f"Cookie: __Host-boxoffice={token}; city=Mumbai")


def test_an_address_that_was_asked_for_may_hold_what_it_should_not() -> None:
    for secret in (new_random_token(), TO_REFRESH, TOKEN, "asha@example.com", "asha%40example.com"):
        assert without_tokens(f"/api/v1/bookings/{secret}/cancel") == f"/api/v1/bookings/{WITHHELD}/cancel"
    usual = f"/api/v1/bookings/{uuid4()}/cancel"
    assert without_tokens(usual) == usual


def test_the_codes_of_tickets_are_hidden_since_they_let_in_whoever_shows_them() -> None:
    code = TicketKeys(["a-secret"]).sign(TicketedSeat(show_id=uuid4(), booking_id=uuid4(), position=7))
    assert Mask()(f"unexpected code {code!r}") == f"unexpected code '{WITHHELD}'"


@given(
    st.lists(
        st.sampled_from(
            [said for said, _ in LOOKS] + ["\n", "\\", '"', "'", "\x00", "é", "\ud7ff", "DETAIL:", "r", " "]
        )
        | st.text(max_size=3)
        | st.from_regex(r"([a-z]{41,43}|[a-z]{68})@?", fullmatch=True),
        max_size=8,
    ).map("".join),
    st.booleans(),
)
def test_a_line_of_json_stays_one_whatever_it_says(said: str, ascii_only: bool) -> None:  # noqa: FBT001  (drawn)
    told = json.loads(Mask(["secret\nof\\ours"], form="json")(json.dumps({"said": said}, ensure_ascii=ascii_only)))
    assert set(told) == {"said"}


def test_secrets_are_hidden_at_the_beginning_of_a_line_of_a_trace() -> None:
    for secret in (
        new_random_token(),
        TO_REFRESH,
        TOKEN,
        "asha@example.com",
        "rk_live_51Habcdef",
        "pi_3abc_secret_9xyz",
    ):
        line = Mask(form="json")(json.dumps({"trace": f"first line\n{secret}\nlast line"}))
        assert json.loads(line) == {"trace": f"first line\n{WITHHELD}\nlast line"}


@pytest.mark.parametrize(
    "said",
    [
        '{"path": "/api/v1/bookings/0198c1b2-1111-7222-8333-444455556666", "id": "f122927e72634b280000000000000001"}',
        'File "/srv/boxoffice/web/errors.py", line 217, in on_unexpected',
        "GET https://api.stripe.com/v1/refunds answered 502",
        "payment session sess_0198c1b2 is unknown; pay_5tG7hJ9kL1; evt_9bX2kQ7mT4",
        'connection to server at "127.0.0.1", port 5432 failed: password authentication failed for user "boxoffice"',
    ],
)
def test_what_is_needed_to_find_a_fault_is_left(said: str) -> None:
    assert Mask(["a-secret-key-of-sixteen"])(said) == said


def test_a_row_is_not_repeated_after_an_error() -> None:
    line = json.dumps({"error": f"UniqueViolation('duplicate key\\nDETAIL:  Key \"x\" {ROW}')", "job": 4})
    told = json.loads(Mask(form="json")(line))
    assert told["job"] == 4
    assert "duplicate key" in told["error"]
    assert "Key" not in told["error"]
    assert "Rao" not in Mask()("duplicate key\nDETAIL:  Key (name)=(Asha\nRao)")


def asyncpg_error() -> Exception:
    error = asyncpg.UniqueViolationError("duplicate key value")
    error.detail = f"Key {ROW} already exists."  # pyright: ignore[reportAttributeAccessIssue]  (as the driver does)
    return error


class _Diagnosed(psycopg.errors.UniqueViolation):
    """As libpq tells it: message and detail apart, and both in the text."""

    class _Result:
        def error_field(self, field: DiagnosticField) -> bytes | None:
            return {DiagnosticField.MESSAGE_PRIMARY: b"duplicate key value"}.get(field)

    @property
    def diag(self) -> psycopg.errors.Diagnostic:
        return psycopg.errors.Diagnostic(self._Result(), "utf-8")  # pyright: ignore[reportArgumentType]  (all that it asks for)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg_error(),
        _Diagnosed(f"duplicate key value\nDETAIL:  Key {ROW} already exists."),
        asyncpg.DataError(f"invalid input for query argument $1: '{ROW}' (expected an integer, got 'str')"),
    ],
    ids=["asyncpg", "psycopg", "argument"],
)
@pytest.mark.parametrize("behind", ["alone", "cause", "context", "group"])
def test_the_drivers_errors_lose_the_rows_values_wherever_they_stand(error: Exception, behind: str) -> None:
    assert "asha" in str(error) or behind != "alone"
    outer: Exception = error
    if behind == "cause":
        outer = RuntimeError("outer")
        outer.__cause__ = error
    elif behind == "context":
        outer = RuntimeError("outer")
        outer.__context__ = error
    elif behind == "group":
        outer = ExceptionGroup("several", [ValueError("other"), error])
    without_details(outer)
    told = "".join(traceback.format_exception(outer))
    assert "asha" not in told
    assert "argon2" not in told
    assert "duplicate key value" in told or "invalid input for query argument $1" in told


def test_an_error_of_ours_keeps_its_detail() -> None:
    from boxoffice.errors import ConflictError  # noqa: PLC0415  (beside its only use)

    error = ConflictError("these seats are taken", seats=["A1"])
    without_details(error)
    assert (error.detail, str(error)) == ("these seats are taken", "these seats are taken")


def test_what_is_secret_by_its_name_is_dropped_at_any_depth() -> None:
    said = {"event": "job failed", "args": {"token": "t0p", "inner": {"password": "s3cret", "booking_id": "b1"}}}
    told = repr(without_named(said))
    assert "t0p" not in told
    assert "s3cret" not in told
    assert "b1" in told
    assert said["args"] == {"token": "t0p", "inner": {"password": "s3cret", "booking_id": "b1"}}, (
        "the caller's is its own"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p%40ss@db:5432/box", "postgresql://u:***@db:5432/box"),
        ("postgresql://u:p@s/s@db/box", "postgresql://u:***@db/box"),
        ("postgresql://db/box?password=pass&host=/run", "postgresql://db/box?password=***&host=/run"),
        ("redis://:pass@cache/0", "redis://:***@cache/0"),
        ("postgresql:///box?host=/run", "postgresql:///box?host=/run"),
        ("smtp://mail", "smtp://mail"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


ENVIRONMENT = {
    "DATABASE_URL": "postgresql://owner:Own%2Fer-Pass-1@db/box",
    "WEB_DATABASE_URL": "postgresql://web@db/box?password=Web-Pass-1",
    "WORKER_DATABASE_URL": "postgresql://worker:Worker-Pass-1@db/box",
    "REDIS_URL": "redis://:Redis-Pass-1@cache/0",
    "SMTP_URL": "smtp://me:Smtp-Pass-1@mail",
    "SECRET_KEY": "Secret-Key-0123456789",
    "PAYMENT_WEBHOOK_SECRET": "Webhook-Secret-0123456789",
    "TICKET_SIGNING_KEY": "Ticket-Key-new-0123,Ticket-Key-old-0123",
    "STRIPE_SECRET_KEY": "sk_test_Stripe0123",
    "STRIPE_WEBHOOK_SECRETS": "whsec_new0123,whsec_old0123",
    "RAZORPAY_KEY_ID": "rzp_test_known",
    "RAZORPAY_KEY_SECRET": "Razorpay-Secret-0123",
    "RAZORPAY_WEBHOOK_SECRETS": "Razorpay-Hook-0123",
}
OWN = {
    *("Own%2Fer-Pass-1", "Own/er-Pass-1", "Web-Pass-1", "Worker-Pass-1", "Redis-Pass-1", "Smtp-Pass-1"),
    *("Secret-Key-0123456789", "Webhook-Secret-0123456789", "Ticket-Key-new-0123", "Ticket-Key-old-0123"),
    *("sk_test_Stripe0123", "whsec_new0123", "whsec_old0123", "Razorpay-Secret-0123", "Razorpay-Hook-0123"),
}


def test_settings_know_their_secrets_and_do_not_show_them() -> None:
    settings = from_environment(ENVIRONMENT)
    assert settings.secrets == OWN
    for shown in (repr(settings), str(settings), f"{settings}", f"{[settings]}"):
        assert not [secret for secret in OWN if secret in shown]
        assert "rzp_test_known" in shown
        assert "postgresql://owner:***@db/box" in shown
    assert "secret_key=''" in repr(Settings(secret_key="")), "whether there is one is no secret"


def test_no_setting_whose_name_says_so_is_forgotten() -> None:
    named = {name for name in Settings.__struct_fields__ if any(word in name for word in ("secret", "key", "password"))}
    assert named - SECRETS == {"razorpay_key_id"}
    assert named >= SECRETS


@pytest.mark.parametrize("name", ["DATABASE_URL", "WEB_DATABASE_URL", "WORKER_DATABASE_URL", "REDIS_URL"])
@pytest.mark.parametrize("password", ["s3cret/pass", "s3cret?pass", "s3cret#pass", "s3cret[pass", "123/p@ss", "1#p@ss"])
def test_a_password_that_ends_its_address_is_refused_before_a_library_tells_it(name: str, password: str) -> None:
    scheme = "redis" if name == "REDIS_URL" else "postgresql"
    with pytest.raises(SettingsError) as refusal:
        from_environment({name: f"{scheme}://me:{password}@127.0.0.1:5432/cinema"})
    told = str(refusal.value)
    assert told.startswith(f"{name}: an address like {scheme}://user:password@host:port/name, please")
    assert "%2F" in told
    assert password[:3] not in told


LOGGING = """
import logging, sys, structlog
from boxoffice import logs
logs.configure(sys.argv[1], ["own-secret-of-ours"])
log = structlog.get_logger("test")
def fail():
    password = "local-variable"
    raise ValueError("own-secret-of-ours refused for asha@example.com")
try:
    fail()
except ValueError as error:
    log.error("ours", exc_info=error, password="by-its-name", path="/ours")
    log.info("request", path="/ours", status=404)
    logging.getLogger("library").exception("theirs %s", "own-secret-of-ours")
    logging.getLogger("stripe").info("repeats what it was answered")
    logging.getLogger("_granian").error("server %s", "own-secret-of-ours")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_all_that_is_logged_is_looked_over(form: str) -> None:
    ended = subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, "-c", LOGGING, form], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
    told = ended.stderr
    for secret in ("own-secret-of-ours", "asha", "local-variable\n", "local-variable'", "by-its-name", "repeats"):
        assert secret not in told
    for needed in ("ours", "/ours", "theirs", "server", "ValueError", "in fail", "404"):
        assert needed in told
    if form == "json":
        assert [json.loads(line)["level"] for line in told.splitlines()] == ["error", "info", "error", "error"]
