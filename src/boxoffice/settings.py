"""The settings, read once from the environment: a bad value stops the start with a clear line."""

import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from boxoffice.secrecy import without_password

Environment = Literal["development", "production"]
GatewayName = Literal["fake", "stripe", "razorpay"]
StripeMode = Literal["checkout", "payment_intent"]
OrphanRule = Literal["warn", "refuse", "off"]
"""What becomes of a pick that leaves a seat alone (`boxoffice.seating.orphans`)."""

SECRET_LENGTH_MIN: Final = 16
"""Characters; a production secret shorter than this is refused."""
DEVELOPMENT_SECRET_KEY: Final = "development-only-secret-key-0123456789"  # noqa: S105  (refused in production)
DEVELOPMENT_WEBHOOK_SECRET: Final = "development-only-webhook-secret"  # noqa: S105  (refused in production)
LIMIT_MAX: Final = 10_000_000
WORKERS_MAX: Final = 64
HOLD_MINUTES_MAX: Final = 15.0
"""A hold is renewed up to this long from when it was first taken (spec, section 5)."""

SECRETS: Final = frozenset(
    {
        *("secret_key", "payment_webhook_secret", "ticket_signing_key", "stripe_secret_key", "stripe_webhook_secrets"),
        *("razorpay_key_secret", "razorpay_webhook_secrets"),
    }
)
"""Those that are secret as a whole; others are addresses, of which the password is."""

_HOSTS: Final = re.compile(r"(?:\[[^\[\]]*\]|[^:,@\[\]]*)(?::\d{0,5})?(?:,(?:\[[^\[\]]*\]|[^:,@\[\]]*)(?::\d{0,5})?)*")
"""One or several, each with its port."""
_SENDER: Final = re.compile(r'([^<>"@\x00-\x1f\x7f]+ <[^<>\s@]+@[A-Za-z0-9.-]+>|[^<>\s@]+@[A-Za-z0-9.-]+)', re.ASCII)

Number = TypeVar("Number", int, float)
Choice = TypeVar("Choice", bound=str)


class SettingsError(Exception):
    """A setting has a bad value; the text names it and says what would be right."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs between one installation and another.

    README.md documents each in one table; `tests/tidy` holds the table against `from_environment`,
    and `tests/unit/test_settings.py` each variable against what it takes.
    """

    database_url: str | None = None
    web_database_url: str | None = None
    worker_database_url: str | None = None
    redis_url: str = ""
    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = 8001
    workers: int = 1
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    environment: Environment = "development"
    secret_key: str = DEVELOPMENT_SECRET_KEY
    payment_webhook_secret: str = DEVELOPMENT_WEBHOOK_SECRET
    ticket_signing_key: tuple[str, ...] = ()
    payment_gateway: GatewayName = "fake"
    stripe_secret_key: str = ""
    stripe_webhook_secrets: tuple[str, ...] = ()
    stripe_mode: StripeMode = "checkout"
    stripe_payment_page_url: str = ""
    stripe_api_base: str = ""
    razorpay_key_id: str = ""
    razorpay_key_secret: str = ""
    razorpay_webhook_secrets: tuple[str, ...] = ()
    razorpay_api_base: str = ""
    booking_expiry: timedelta = timedelta(minutes=15)
    seat_hold: timedelta = timedelta(minutes=5)
    cleanup_gap: timedelta = timedelta(minutes=15)
    orphan_seats: OrphanRule = "warn"
    customer_changes_per_minute: int = 600
    staff_changes_per_minute: int = 6_000
    address_changes_per_minute: int = 12_000
    address_reads_per_minute: int = 60_000
    slow_client_s: float = 30.0
    refund_full_before: timedelta = timedelta(hours=24)
    refund_half_before: timedelta = timedelta(hours=2)
    database_pool_size: int = 16
    fake_gateway_delay_s: float = 0.0
    fake_gateway_fail_rate: float = 0.0
    fake_gateway_duplicate_rate: float = 0.0
    fake_gateway_reorder: bool = False
    fake_gateway_authorise_first: bool = False
    fake_gateway_webhook_url: str = ""
    smtp_url: str = ""
    mail_from: str = ""
    mail_dir: Path | None = None
    log_format: Literal["console", "json"] = "console"

    def __repr__(self) -> str:
        """All of them, but for secrets and passwords."""
        return f"Settings({', '.join(f'{name}={self._shown(name)}' for name in self.__struct_fields__)})"

    def _shown(self, name: str) -> str:
        value: object = getattr(self, name)
        if name in SECRETS:
            return "'***'" if value else repr(value)
        return repr(without_password(value) if isinstance(value, str) else value)

    @property
    def secrets(self) -> frozenset[str]:
        """What must never be told: each secret, and the passwords within addresses in either spelling."""
        found: set[str] = set()
        for name in self.__struct_fields__:
            value: object = getattr(self, name)
            if name in SECRETS:
                found.update((value,) if isinstance(value, str) else getattr(self, name))
            elif isinstance(value, str) and "://" in value:
                found.update(_passwords(value))
        return frozenset(found - {""})

    @property
    def production(self) -> bool:
        """Whether real people and real money are at stake."""
        return self.environment == "production"

    @property
    def ticket_secrets(self) -> tuple[str, ...]:
        """What the keys of tickets are derived from: the first signs, all of them verify."""
        return self.ticket_signing_key or (self.secret_key,)

    @property
    def base_url(self) -> str:
        """Where people reach this service, without a closing slash."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    @property
    def webhook_url(self) -> str:
        """Where the fake gateway delivers its events."""
        return self.fake_gateway_webhook_url or f"http://127.0.0.1:{self.port}/api/v1/payments/webhook"


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a value is not what its variable takes, or in production a secret is
            missing, a known default, or too short, or ``PUBLIC_URL`` is not set.
    """
    read = _Reader(environ)
    environment: Environment = read.choice("ENVIRONMENT", get_args(Environment), "development")
    workers = read.whole("WORKERS", min(WORKERS_MAX, os.cpu_count() or 1), 1, WORKERS_MAX)
    settings = Settings(
        database_url=read.database_url("DATABASE_URL"),
        web_database_url=read.database_url("WEB_DATABASE_URL"),
        worker_database_url=read.database_url("WORKER_DATABASE_URL"),
        redis_url=read.redis_url("REDIS_URL"),
        data_dir=Path(read.text("BOXOFFICE_DATA_DIR", "data")),
        host=read.text("HOST", "127.0.0.1"),
        port=read.whole("PORT", 8001, 1, 65_535),
        workers=workers,
        public_url=read.url("PUBLIC_URL"),
        trusted_proxies=read.networks("TRUSTED_PROXIES"),
        environment=environment,
        secret_key=read.text("SECRET_KEY", DEVELOPMENT_SECRET_KEY),
        payment_webhook_secret=read.text("PAYMENT_WEBHOOK_SECRET", DEVELOPMENT_WEBHOOK_SECRET),
        ticket_signing_key=read.list("TICKET_SIGNING_KEY"),
        payment_gateway=read.choice("PAYMENT_GATEWAY", get_args(GatewayName), "fake"),
        stripe_secret_key=read.key("STRIPE_SECRET_KEY", ("sk_", "rk_")),
        stripe_webhook_secrets=read.list("STRIPE_WEBHOOK_SECRETS"),
        stripe_mode=read.choice("STRIPE_MODE", get_args(StripeMode), "checkout"),
        stripe_payment_page_url=read.url("STRIPE_PAYMENT_PAGE_URL"),
        stripe_api_base=read.url("STRIPE_API_BASE"),
        razorpay_key_id=read.key("RAZORPAY_KEY_ID", ("rzp_",)),
        razorpay_key_secret=read.text("RAZORPAY_KEY_SECRET", ""),
        razorpay_webhook_secrets=read.list("RAZORPAY_WEBHOOK_SECRETS"),
        razorpay_api_base=read.url("RAZORPAY_API_BASE"),
        booking_expiry=read.minutes("BOOKING_EXPIRY_MINUTES", 15, 24 * 60),
        seat_hold=read.minutes("SEAT_HOLD_MINUTES", 5, HOLD_MINUTES_MAX),
        cleanup_gap=read.minutes("CLEANUP_GAP_MINUTES", 15, 24 * 60, low=0),
        orphan_seats=read.choice("ORPHAN_SEATS", get_args(OrphanRule), "warn"),
        customer_changes_per_minute=read.whole("CUSTOMER_CHANGES_PER_MINUTE", 600, 0, LIMIT_MAX),
        staff_changes_per_minute=read.whole("STAFF_CHANGES_PER_MINUTE", 6_000, 0, LIMIT_MAX),
        address_changes_per_minute=read.whole("ADDRESS_CHANGES_PER_MINUTE", 12_000, 0, LIMIT_MAX),
        address_reads_per_minute=read.whole("ADDRESS_READS_PER_MINUTE", 60_000, 0, LIMIT_MAX),
        slow_client_s=read.number("SLOW_CLIENT_S", 30, 0.1, 3600),
        refund_full_before=read.hours("REFUND_FULL_HOURS", 24),
        refund_half_before=read.hours("REFUND_HALF_HOURS", 2),
        database_pool_size=read.whole("DATABASE_POOL_SIZE", _pool_size_of(workers), 1, 500),
        fake_gateway_delay_s=read.number("FAKE_GATEWAY_DELAY_S", 0, 0, 3600),
        fake_gateway_fail_rate=read.number("FAKE_GATEWAY_FAIL_RATE", 0, 0, 1),
        fake_gateway_duplicate_rate=read.number("FAKE_GATEWAY_DUPLICATE_RATE", 0, 0, 1),
        fake_gateway_reorder=read.choice("FAKE_GATEWAY_REORDER", ("0", "1"), "0") == "1",
        fake_gateway_authorise_first=read.choice("FAKE_GATEWAY_AUTHORISE_FIRST", ("0", "1"), "0") == "1",
        fake_gateway_webhook_url=read.url("FAKE_GATEWAY_WEBHOOK_URL"),
        smtp_url=read.smtp_url("SMTP_URL"),
        mail_from=read.sender("MAIL_FROM"),
        mail_dir=read.folder("MAIL_DIR"),
        log_format=read.choice("LOG_FORMAT", ("console", "json"), "json" if environment == "production" else "console"),
    )
    if settings.refund_half_before > settings.refund_full_before:
        if read.text("REFUND_HALF_HOURS", ""):
            raise SettingsError("REFUND_HALF_HOURS: no more than REFUND_FULL_HOURS, please")
        raise SettingsError("REFUND_FULL_HOURS: no less than REFUND_HALF_HOURS, please, which is 2 where it is not set")
    _refuse_half_a_gateway(settings)
    if settings.production:
        _refuse_half_a_production(settings)
    return settings


def _pool_size_of(workers: int) -> int:
    """All processes together stay well below the 100 connections that PostgreSQL takes by default."""
    return max(4, min(16, 64 // workers))


def _refuse_half_a_gateway(settings: Settings) -> None:
    """A gateway that payments go through has all that it needs; what is missing is named."""
    intents = settings.stripe_mode == "payment_intent"
    needed: dict[str, dict[str, object]] = {
        "fake": {},
        "stripe": {
            "STRIPE_SECRET_KEY": settings.stripe_secret_key,
            "STRIPE_WEBHOOK_SECRETS": settings.stripe_webhook_secrets,
            "STRIPE_PAYMENT_PAGE_URL": settings.stripe_payment_page_url or not intents,
        },
        "razorpay": {
            "RAZORPAY_KEY_ID": settings.razorpay_key_id,
            "RAZORPAY_KEY_SECRET": settings.razorpay_key_secret,
            "RAZORPAY_WEBHOOK_SECRETS": settings.razorpay_webhook_secrets,
        },
    }
    for name, value in needed[settings.payment_gateway].items():
        if not value:
            raise SettingsError(f"{name}: must be set, with PAYMENT_GATEWAY={settings.payment_gateway}")


def _refuse_half_a_production(settings: Settings) -> None:
    """Where real people pay, nothing that they rest on is a default."""
    _refuse_weak_secret("SECRET_KEY", settings.secret_key)
    _refuse_weak_secret("PAYMENT_WEBHOOK_SECRET", settings.payment_webhook_secret)
    for secret in settings.ticket_signing_key:
        _refuse_weak_secret("TICKET_SIGNING_KEY", secret)
    if not settings.public_url:
        # Gateways send buyers back to it and letters link to it: neither would reach us by this machine's own.
        raise SettingsError("PUBLIC_URL: must be set in production, to where people reach the service")


def _readable(url: str) -> bool:
    """Whether no password can be taken for another part of an address: what would end it is written in percent."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    who, _, where = parts.netloc.rpartition("@")
    return "@" not in who + parts.path + parts.fragment and _HOSTS.fullmatch(where) is not None


def _passwords(url: str) -> set[str]:
    """The password of an address, in either place and either spelling."""
    parts = urlsplit(url)
    asked = {value for name, value in parse_qsl(parts.query) if name in {"password", "sslpassword"}}
    return asked | {parts.password or "", unquote(parts.password or "")}


def _refuse_weak_secret(name: str, value: str) -> None:
    # Both defaults are known to everybody, whichever variable they are put into.
    if value in {DEVELOPMENT_SECRET_KEY, DEVELOPMENT_WEBHOOK_SECRET}:
        raise SettingsError(f"{name}: must be set in production, and not to the default")
    if len(value) < SECRET_LENGTH_MIN:
        raise SettingsError(f"{name}: at least {SECRET_LENGTH_MIN} characters in production, please")


class _Reader:
    """Reads variables; an empty one counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def list(self, name: str) -> tuple[str, ...]:
        return tuple(one.strip() for one in self.text(name, "").split(",") if one.strip())

    def key(self, name: str, prefixes: tuple[str, ...]) -> str:
        value = self.text(name, "")
        # The value itself is not repeated: it is a secret, whatever is wrong with it.
        if value and not value.startswith(prefixes):
            raise SettingsError(f"{name}: a key that begins with {' or '.join(prefixes)}, please")
        return value

    def choice(self, name: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
        text = self.text(name, default)
        for choice in choices:
            if choice == text:
                return choice
        raise SettingsError(f"{name}: one of {', '.join(choices)}, please; not {text!r}")

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        return self._within(name, int, default, low, high)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return self._within(name, float, default, low, high)

    def minutes(self, name: str, default: float, high: float, *, low: float = 0.01) -> timedelta:
        return timedelta(minutes=self._within(name, float, default, low, high))

    def hours(self, name: str, default: float) -> timedelta:
        return timedelta(hours=self._within(name, float, default, 0, 24 * 365))

    def url(self, name: str) -> str:
        value = self.text(name, "")
        if value and not value.startswith(("http://", "https://")):
            raise SettingsError(f"{name}: an address that begins with http:// or https://, please")
        return value.rstrip("/")

    def smtp_url(self, name: str) -> str:
        value = self.text(name, "")
        try:
            parts = urlsplit(value)
            good = parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if value and not good:
            raise SettingsError(f"{name}: an address like smtp://user:password@host:587 or smtps://…, please")
        return value

    def sender(self, name: str) -> str:
        value = self.text(name, "")
        if value and not _SENDER.fullmatch(value):
            raise SettingsError(f"{name}: like Box office <tickets@cinema.example>, please")
        return value

    def folder(self, name: str) -> Path | None:
        value = self.text(name, "")
        return Path(value) if value else None

    def database_url(self, name: str) -> str | None:
        value = self.text(name, "")
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise SettingsError(f"{name}: an address that begins with postgresql://, please")
        self._refuse_unreadable(name, value)
        return value or None

    def redis_url(self, name: str) -> str:
        value = self.text(name, "")
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError(f"{name}: an address that begins with redis://, rediss:// or unix://, please")
        self._refuse_unreadable(name, value)
        return value

    def _refuse_unreadable(self, name: str, value: str) -> None:
        # A library would later complain of what it takes for a host or a port, and is a part of the password.
        if value and not _readable(value):
            raise SettingsError(
                f"{name}: an address like {value.partition('://')[0]}://user:password@host:port/name, please;"
                " in a password, @ is written as %40, / as %2F, ? as %3F, # as %23, : as %3A"
            )

    def networks(self, name: str) -> tuple[str, ...]:
        found = self.list(name)
        for one in found:
            try:
                ipaddress.ip_network(one)
            except ValueError as error:
                # The reason repeats the value as it is, line breaks and all.
                why = str(error).splitlines()[0][:200]
                raise SettingsError(f"{name}: addresses or networks like 10.0.0.0/8, please; {why}") from None
        return found

    def _within(self, name: str, kind: type[Number], default: Number, low: Number, high: Number) -> Number:
        text = self.text(name, str(default))
        try:
            value = kind(text)
        except ValueError:
            value = None
        # The comparison is written so that it refuses NaN too.
        if value is None or not low <= value <= high:
            raise SettingsError(f"{name}: a number from {low:g} to {high:g}, please; not {text!r}")
        return value
