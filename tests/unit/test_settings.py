"""Each setting: its default, a good value, and bad ones refused with one line that names it."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boxoffice.settings import (
    DEVELOPMENT_SECRET_KEY,
    DEVELOPMENT_WEBHOOK_SECRET,
    SECRET_LENGTH_MIN,
    Settings,
    SettingsError,
    from_environment,
)

NO_NUMBERS = ["nan", "NaN", "inf", "-inf", "-1", "1e400", "eight", "0x10", "1,5", "9" * 5_000]
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "k" * SECRET_LENGTH_MIN,
    "PAYMENT_WEBHOOK_SECRET": "w" * SECRET_LENGTH_MIN,
    "PUBLIC_URL": "https://tickets.example",
}

# Variable: the field of it, its default, values and what they become, and values that are refused.
VARIABLES: dict[str, tuple[str, Any, dict[str, Any], list[str]]] = {
    "DATABASE_URL": (
        "database_url",
        None,
        {"postgresql://db/box": "postgresql://db/box", "postgres://db/box": "postgres://db/box"},
        ["mysql://db/box", "db/box", "http://db"],
    ),
    "REDIS_URL": (
        "redis_url",
        "",
        {"redis://cache:6379/1": "redis://cache:6379/1", "unix:///run/redis.sock": "unix:///run/redis.sock"},
        ["cache:6379", "http://cache", "redis:cache"],
    ),
    "WEB_DATABASE_URL": (
        "web_database_url",
        None,
        {"postgresql://w:p@db/box": "postgresql://w:p@db/box"},
        ["http://db"],
    ),
    "WORKER_DATABASE_URL": (
        "worker_database_url",
        None,
        {"postgres://db/box": "postgres://db/box"},
        ["mysql://db/box"],
    ),
    "BOXOFFICE_DATA_DIR": ("data_dir", Path("data"), {"elsewhere": Path("elsewhere")}, []),
    "HOST": ("host", "127.0.0.1", {"0.0.0.0": "0.0.0.0", "::": "::"}, []),  # noqa: S104  (read, not bound)
    "PORT": ("port", 8001, {"1": 1, "65535": 65_535}, [*NO_NUMBERS, "0", "65536", "80.5"]),
    "WORKERS": ("workers", min(64, os.cpu_count() or 1), {"1": 1, "64": 64}, [*NO_NUMBERS, "0", "65", "1.5"]),
    "PUBLIC_URL": (
        "public_url",
        "",
        {"https://tickets.example/": "https://tickets.example", "http://localhost:1": "http://localhost:1"},
        ["tickets.example", "javascript:alert(1)"],
    ),
    "TRUSTED_PROXIES": (
        "trusted_proxies",
        (),
        {
            "127.0.0.1": ("127.0.0.1",),
            "10.0.0.0/8, 2001:db8::/32,::1": ("10.0.0.0/8", "2001:db8::/32", "::1"),
        },
        ["*", "10.0.0.1/8", "10.0.0.0/33", "proxy.example", "127.0.0.1 10.0.0.1", "127.0.0.1, x\ny"],
    ),
    "ENVIRONMENT": ("environment", "development", {"development": "development"}, ["Production", "staging"]),
    "SECRET_KEY": ("secret_key", DEVELOPMENT_SECRET_KEY, {"mine": "mine"}, []),
    "PAYMENT_WEBHOOK_SECRET": ("payment_webhook_secret", DEVELOPMENT_WEBHOOK_SECRET, {"mine": "mine"}, []),
    "TICKET_SIGNING_KEY": ("ticket_signing_key", (), {"new": ("new",), " new, old,": ("new", "old")}, []),
    "PAYMENT_GATEWAY": ("payment_gateway", "fake", {"fake": "fake"}, ["bank", "FAKE"]),
    "STRIPE_SECRET_KEY": (
        "stripe_secret_key",
        "",
        {"sk_test_1": "sk_test_1", "rk_live_1": "rk_live_1"},
        ["pk_test_1", "secret"],
    ),
    "STRIPE_WEBHOOK_SECRETS": ("stripe_webhook_secrets", (), {"whsec_new, whsec_old": ("whsec_new", "whsec_old")}, []),
    "STRIPE_MODE": ("stripe_mode", "checkout", {"payment_intent": "payment_intent"}, ["intent", "Checkout"]),
    "STRIPE_PAYMENT_PAGE_URL": ("stripe_payment_page_url", "", {"https://pay.example": "https://pay.example"}, ["pay"]),
    "STRIPE_API_BASE": ("stripe_api_base", "", {"http://localhost:8420": "http://localhost:8420"}, ["localhost:8420"]),
    "RAZORPAY_KEY_ID": ("razorpay_key_id", "", {"rzp_test_1": "rzp_test_1"}, ["key"]),
    "RAZORPAY_KEY_SECRET": ("razorpay_key_secret", "", {"s3cret": "s3cret"}, []),
    "RAZORPAY_WEBHOOK_SECRETS": ("razorpay_webhook_secrets", (), {"new,old": ("new", "old")}, []),
    "RAZORPAY_API_BASE": ("razorpay_api_base", "", {"http://localhost:1": "http://localhost:1"}, ["localhost:1"]),
    "BOOKING_EXPIRY_MINUTES": (
        "booking_expiry",
        timedelta(minutes=15),
        {"0.05": timedelta(seconds=3), "1440": timedelta(days=1)},
        [*NO_NUMBERS, "0", "1440.1"],
    ),
    "SEAT_HOLD_MINUTES": (
        "seat_hold",
        timedelta(minutes=5),
        {"0.05": timedelta(seconds=3), "15": timedelta(minutes=15)},
        [*NO_NUMBERS, "0", "15.1"],
    ),
    "CLEANUP_GAP_MINUTES": (
        "cleanup_gap",
        timedelta(minutes=15),
        {"0": timedelta(0), "20": timedelta(minutes=20)},
        [*NO_NUMBERS, "1441"],
    ),
    "ORPHAN_SEATS": ("orphan_seats", "warn", {"refuse": "refuse", "off": "off"}, ["yes", "Warn", "0"]),
    "CUSTOMER_CHANGES_PER_MINUTE": ("customer_changes_per_minute", 600, {"0": 0, "60": 60}, [*NO_NUMBERS, "1.5"]),
    "STAFF_CHANGES_PER_MINUTE": ("staff_changes_per_minute", 6_000, {"0": 0, "9": 9}, [*NO_NUMBERS, "10000001"]),
    "ADDRESS_CHANGES_PER_MINUTE": ("address_changes_per_minute", 12_000, {"0": 0, "9": 9}, [*NO_NUMBERS, "-2"]),
    "ADDRESS_READS_PER_MINUTE": ("address_reads_per_minute", 60_000, {"0": 0, "9": 9}, [*NO_NUMBERS, "1e3"]),
    "SLOW_CLIENT_S": ("slow_client_s", 30.0, {"0.1": 0.1, "3600": 3600.0}, [*NO_NUMBERS, "0", "3601"]),
    "REFUND_FULL_HOURS": (
        "refund_full_before",
        timedelta(hours=24),
        {"2": timedelta(hours=2), "48.5": timedelta(hours=48.5)},
        [*NO_NUMBERS, "8761"],
    ),
    "REFUND_HALF_HOURS": (
        "refund_half_before",
        timedelta(hours=2),
        {"0": timedelta(0), "24": timedelta(hours=24)},
        [*NO_NUMBERS, "8761", "24.5"],
    ),
    "DATABASE_POOL_SIZE": ("database_pool_size", None, {"1": 1, "500": 500}, [*NO_NUMBERS, "0", "501", "2.5"]),
    "FAKE_GATEWAY_DELAY_S": ("fake_gateway_delay_s", 0.0, {"0.5": 0.5, "3600": 3600.0}, [*NO_NUMBERS, "3601"]),
    "FAKE_GATEWAY_FAIL_RATE": ("fake_gateway_fail_rate", 0.0, {"0.5": 0.5, "1": 1.0}, [*NO_NUMBERS, "1.01"]),
    "FAKE_GATEWAY_DUPLICATE_RATE": ("fake_gateway_duplicate_rate", 0.0, {"1": 1.0}, [*NO_NUMBERS, "1.01"]),
    "FAKE_GATEWAY_AUTHORISE_FIRST": (
        "fake_gateway_authorise_first",
        False,
        {"1": True, "0": False},
        ["yes", "true", "2"],
    ),
    "FAKE_GATEWAY_REORDER": ("fake_gateway_reorder", False, {"1": True, "0": False}, ["yes", "true", "2"]),
    "FAKE_GATEWAY_WEBHOOK_URL": (
        "fake_gateway_webhook_url",
        "",
        {"http://localhost:9/hook": "http://localhost:9/hook"},
        ["localhost:9"],
    ),
    "SMTP_URL": (
        "smtp_url",
        "",
        {"smtp://mail": "smtp://mail", "smtps://u:p%40@mail.example:465": "smtps://u:p%40@mail.example:465"},
        ["mail:25", "http://mail", "smtp://", "smtp://mail:99999", "smtp://mail:x", "smtp://[mail"],
    ),
    "MAIL_FROM": (
        "mail_from",
        "",
        {"a@b.example": "a@b.example", "Regal <tickets@regal.example>": "Regal <tickets@regal.example>"},
        ["Regal", "<>", "a@b.example\r\nBcc: c@d.example", "A <a@b.example", "a b@c.example"],
    ),
    "MAIL_DIR": ("mail_dir", None, {"letters": Path("letters")}, []),
    "LOG_FORMAT": ("log_format", "console", {"json": "json", "console": "console"}, ["xml", "JSON"]),
}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        from_environment(environ)
    return str(refused.value)


def test_every_field_has_its_variable_here() -> None:
    assert sorted(field for field, *_ in VARIABLES.values()) == sorted(Settings.__struct_fields__)


@pytest.mark.parametrize("variable", VARIABLES)
def test_what_is_not_set_or_empty_has_its_default(variable: str) -> None:
    field, default, _, _ = VARIABLES[variable]
    if variable == "DATABASE_POOL_SIZE":
        default = from_environment({}).database_pool_size

    assert getattr(from_environment({}), field) == default
    assert getattr(from_environment({variable: ""}), field) == default
    assert getattr(from_environment({variable: "  "}), field) == default


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_good_value_is_taken(variable: str) -> None:
    field, _, good, _ = VARIABLES[variable]

    assert {value: getattr(from_environment({variable: value}), field) for value in good} == good
    assert {value: getattr(from_environment({variable: f" {value} "}), field) for value in good} == good


@pytest.mark.parametrize(
    ("variable", "value"),
    [(variable, value) for variable, (*_, bad) in VARIABLES.items() for value in bad],
    ids=lambda given: given[:30],
)
def test_a_bad_value_is_refused_with_one_line_that_names_it(variable: str, value: str) -> None:
    line = refusal({variable: value})

    assert line.startswith(f"{variable}: ")
    assert "\n" not in line


@given(st.text(min_size=1), st.sampled_from([name for name, (*_, bad) in VARIABLES.items() if bad]))
@example("1", "REFUND_FULL_HOURS")
def test_whatever_is_set_is_taken_or_refused_by_name(value: str, variable: str) -> None:
    try:
        from_environment({variable: value})
    except SettingsError as error:
        assert str(error).startswith(f"{variable}: ")  # noqa: PT017  (taking it is fine too)
        assert len(str(error).splitlines()) == 1  # noqa: PT017  (the same)


@given(st.integers(1, 64))
def test_all_workers_together_leave_room_in_a_database_as_it_comes(workers: int) -> None:
    size = from_environment({"WORKERS": str(workers)}).database_pool_size

    assert 4 <= size <= 16
    assert workers > 16 or workers * size <= 64


def test_half_a_price_is_not_given_back_for_longer_than_all_of_it() -> None:
    assert refusal({"REFUND_FULL_HOURS": "1"}).startswith("REFUND_FULL_HOURS: ")
    assert refusal({"REFUND_FULL_HOURS": "1", "REFUND_HALF_HOURS": "1.5"}).startswith("REFUND_HALF_HOURS: ")


@pytest.mark.parametrize("secret", ["SECRET_KEY", "PAYMENT_WEBHOOK_SECRET"])
@pytest.mark.parametrize(
    "value",
    [None, "", " " * 40, DEVELOPMENT_SECRET_KEY, DEVELOPMENT_WEBHOOK_SECRET, "s" * (SECRET_LENGTH_MIN - 1)],
    ids=["missing", "empty", "blank", "default-key", "default-webhook", "short"],
)
def test_production_refuses_a_secret_that_is_missing_known_or_short(secret: str, value: str | None) -> None:
    environ = {name: text for name, text in PRODUCTION.items() if name != secret}
    if value is not None:
        environ[secret] = value
    line = refusal(environ)

    assert line.startswith(f"{secret}: ")
    assert "\n" not in line
    assert not (value or "").strip() or (value or "") not in line


@pytest.mark.parametrize("value", [None, "", "  "])
def test_production_refuses_to_start_without_the_address_that_buyers_come_back_to(value: str | None) -> None:
    environ = {name: text for name, text in PRODUCTION.items() if name != "PUBLIC_URL"}
    line = refusal(environ if value is None else environ | {"PUBLIC_URL": value})

    assert line.startswith("PUBLIC_URL: ")
    assert "\n" not in line


@pytest.mark.parametrize(("processors", "workers"), [(None, 1), (2, 2), (96, 64)])
def test_a_machine_has_a_worker_a_processor_up_to_the_bound(
    monkeypatch: pytest.MonkeyPatch, processors: int | None, workers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert from_environment({}).workers == workers


def test_production_with_secrets_starts_and_logs_for_machines() -> None:
    settings = from_environment(PRODUCTION)

    assert settings.production
    assert settings.log_format == "json"
    assert not from_environment({}).production


STRIPE = {"PAYMENT_GATEWAY": "stripe", "STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRETS": "whsec_1"}
RAZORPAY = {
    "PAYMENT_GATEWAY": "razorpay",
    "RAZORPAY_KEY_ID": "rzp_test_1",
    "RAZORPAY_KEY_SECRET": "s3cret",
    "RAZORPAY_WEBHOOK_SECRETS": "hook",
}


@pytest.mark.parametrize("whole", [STRIPE, RAZORPAY], ids=["stripe", "razorpay"])
def test_a_gateway_that_payments_go_through_has_all_that_it_needs(whole: dict[str, str]) -> None:
    assert from_environment(whole).payment_gateway == whole["PAYMENT_GATEWAY"]
    for missing in whole:
        if missing != "PAYMENT_GATEWAY":
            assert refusal({**whole, missing: ""}).startswith(f"{missing}: ")
    assert from_environment({**whole, "PAYMENT_GATEWAY": "fake"}).payment_gateway == "fake"


def test_bare_intents_need_a_page_to_be_paid_on() -> None:
    assert refusal({**STRIPE, "STRIPE_MODE": "payment_intent"}).startswith("STRIPE_PAYMENT_PAGE_URL: ")


def test_a_key_that_is_refused_is_not_repeated() -> None:
    assert "hunter2" not in refusal({"STRIPE_SECRET_KEY": "hunter2"})
