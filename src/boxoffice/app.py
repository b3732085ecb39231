"""The composition root: settings → pool → gateways → web, jobs. The one place that knows them all."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Final

import httpx
import structlog

from boxoffice import logs, settings
from boxoffice.accounts import Accounts
from boxoffice.audit import operator
from boxoffice.bookings.reconciliation import Report, reconcile_now
from boxoffice.jobs import JobContext, Jobs
from boxoffice.mail.folder import FolderMailer
from boxoffice.mail.mailer import Mailer
from boxoffice.mail.smtp import SmtpMailer
from boxoffice.payments.fake import FakeBehaviour, FakeGateway
from boxoffice.payments.gateway import Gateway
from boxoffice.payments.razorpay import RazorpayGateway
from boxoffice.postgres.pool import Pool, connect_pool
from boxoffice.postgres.pulse import Pulse
from boxoffice.seating.claims import Claims
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.live import LiveSeats
from boxoffice.seating.usher import Usher
from boxoffice.settings import Settings
from boxoffice.tallies import Tallies
from boxoffice.tickets.codes import TicketKeys
from boxoffice.tickets.letters import default_sender
from boxoffice.tickets.post import Post
from boxoffice.web.bodies import Patience
from boxoffice.web.connections import listeners_max
from boxoffice.web.hot import HotWeb
from boxoffice.web.limits import Limits
from boxoffice.web.office import Office
from boxoffice.web.router import create_web

CLAIM_CONNECTIONS: Final = 2
"""One batch runs at a time; the other connection is there when that one's broke."""
MAP_CONNECTIONS: Final = 2
"""Of those that a process may have: thousands wait for what is read on them."""

log = structlog.get_logger(__name__)


def create() -> HotWeb:
    """The web application of one process, by the environment: what the server imports.

    Raises:
        SettingsError: a setting has a bad value, or ``WEB_DATABASE_URL`` is not set (the command that
            starts the processes sets it, also to the embedded database's address).
    """
    chosen = settings.from_environment()
    logs.configure(chosen.log_format, chosen.secrets)
    return HotWeb(create_web(lambda: open_office(chosen)))


async def work(chosen: Settings, dsn: str) -> None:
    """Run jobs until told to stop."""
    if chosen.production and chosen.payment_gateway == "fake":
        log.warning("PAYMENT_GATEWAY is fake: in production nobody can pay")
    async with _parts(chosen, dsn) as (pool, http):
        fake = fake_gateway(chosen, pool, http)
        context = JobContext(
            pool=pool,
            gateways={fake.name: fake, **real_gateways(chosen, http)},
            expire_gateway_sessions=fake.expire_lapsed,
            deliver_webhook=fake.deliver,
            longest_delivery_wait=fake.longest_wait,
            send_mail=post_of(chosen, pool).send,
        )
        await Jobs(dsn, context).work()


async def reconcile(chosen: Settings, dsn: str, since: datetime) -> Report:
    """Ask the gateways about every payment that is not over, or was over after ``since``; where the money is."""
    logs.configure(chosen.log_format, chosen.secrets)
    async with _parts(chosen, dsn) as (pool, http):
        fake = fake_gateway(chosen, pool, http)
        return await reconcile_now(pool, {fake.name: fake, **real_gateways(chosen, http)}, since, operator())


@asynccontextmanager
async def open_office(chosen: Settings) -> AsyncGenerator[Office]:
    """The parts of a web process, closed at the end."""
    if chosen.web_database_url is None:
        raise settings.SettingsError("WEB_DATABASE_URL: not set; start with `boxoffice serve`")
    dsn = chosen.web_database_url
    async with (
        Pulse(dsn) as pulse,
        _parts(chosen, dsn, pulse, apart=MAP_CONNECTIONS) as (pool, http),
        closing_pool(await connect_pool(dsn, size=CLAIM_CONNECTIONS, plan_once=True, pulse=pulse)) as claims_pool,
        closing_pool(await connect_pool(dsn, size=MAP_CONNECTIONS, plan_once=True, pulse=pulse)) as maps_pool,
    ):
        fake = fake_gateway(chosen, pool, http)
        office = assemble(chosen, pool, fake, claims_pool, real_gateways(chosen, http), maps_pool)
        try:
            yield office
        finally:
            await office.live_seats.close()
            await office.usher.close()
            await office.hot_maps.close()
            office.accounts.close()
            await office.limits.close()


def assemble(
    chosen: Settings,
    pool: Pool,
    fake: FakeGateway,
    claims_pool: Pool,
    real: Mapping[str, Gateway] = MappingProxyType({}),
    maps_pool: Pool | None = None,
) -> Office:
    """An office of these parts.

    ``claims_pool`` is for claims alone, so that no reader keeps a buyer waiting; ``maps_pool`` (else ``pool``) for seat
    maps, of which one read serves thousands.
    """
    hot_maps = HotMaps(maps_pool or pool)
    tallies = Tallies(chosen.redis_url)
    return Office(
        settings=chosen,
        pool=pool,
        accounts=Accounts(pool, chosen.secret_key, tallies),
        claims=Claims(claims_pool, on_leased=hot_maps.leased),
        hot_maps=hot_maps,
        live_seats=LiveSeats(hot_maps, listeners_max=listeners_max()),
        ticket_keys=TicketKeys(chosen.ticket_secrets),
        usher=Usher(pool, hot_maps),
        limits=Limits(chosen, tallies),
        patience=Patience(chosen.slow_client_s),
        gateways={fake.name: fake, **real},
        simulated=None if chosen.production else fake,
    )


def fake_gateway(chosen: Settings, pool: Pool, http: httpx.AsyncClient) -> FakeGateway:
    """The built-in gateway, behaving as the settings say."""
    return FakeGateway(
        pool,
        http,
        webhook_secret=chosen.payment_webhook_secret,
        webhook_url=chosen.webhook_url,
        public_base_url=chosen.base_url,
        behaviour=FakeBehaviour(
            delay_s=chosen.fake_gateway_delay_s,
            fail_rate=chosen.fake_gateway_fail_rate,
            duplicate_rate=chosen.fake_gateway_duplicate_rate,
            reorder=chosen.fake_gateway_reorder,
            authorise_first=chosen.fake_gateway_authorise_first,
        ),
    )


def post_of(chosen: Settings, pool: Pool) -> Post:
    """What sends letters: through a mail server; else into a folder, which in production must be asked for."""
    mailer: Mailer | None = None
    if chosen.smtp_url:
        mailer = SmtpMailer(chosen.smtp_url)
    elif chosen.mail_dir is not None or not chosen.production:
        mailer = FolderMailer(chosen.mail_dir or chosen.data_dir / "mail")
    else:
        log.warning("SMTP_URL is not set: no e-mail is sent")
    return Post(
        pool=pool,
        mailer=mailer,
        keys=TicketKeys(chosen.ticket_secrets),
        base_url=chosen.base_url,
        sender=chosen.mail_from or default_sender(chosen.base_url),
    )


def real_gateways(chosen: Settings, http: httpx.AsyncClient) -> dict[str, Gateway]:
    """Those that have a key, by name: also one that no new payments go through still gives back what it took."""
    made: dict[str, Gateway] = {}
    if chosen.stripe_secret_key:
        # Stripe's SDK takes a second and 25 MB: houses that do not use it start without it.
        from boxoffice.payments.stripe import StripeGateway  # noqa: PLC0415

        made["stripe"] = StripeGateway(
            http,
            secret_key=chosen.stripe_secret_key,
            webhook_secrets=chosen.stripe_webhook_secrets,
            mode=chosen.stripe_mode,
            payment_page_url=chosen.stripe_payment_page_url,
            api_base=chosen.stripe_api_base,
        )
    if chosen.razorpay_key_id:
        made["razorpay"] = RazorpayGateway(
            http,
            key_id=chosen.razorpay_key_id,
            key_secret=chosen.razorpay_key_secret,
            webhook_secrets=chosen.razorpay_webhook_secrets,
            api_base=chosen.razorpay_api_base,
        )
    return made


@asynccontextmanager
async def _parts(
    chosen: Settings, dsn: str, pulse: Pulse | None = None, *, apart: int = 0
) -> AsyncGenerator[tuple[Pool, httpx.AsyncClient]]:
    size = max(1, chosen.database_pool_size - apart)
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        closing_pool(await connect_pool(dsn, size=size, plan_once=True, pulse=pulse)) as pool,
    ):
        yield pool, http


@asynccontextmanager
async def closing_pool(pool: Pool) -> AsyncGenerator[Pool]:
    """The pool, closed at the end."""
    try:
        yield pool
    finally:
        await pool.close()
