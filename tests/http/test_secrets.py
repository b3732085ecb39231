"""A box office that is full of secrets runs, is used, and fails: none of them is told, in no log, metric or problem."""

import asyncio
import hashlib
import hmac
import re
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import make
import msgspec
import pytest
from cluster import Cluster, own_cluster
from ground import on_database
from postbox import Postbox, mails, open_postbox
from running import BOXOFFICE, START_WITHIN_S, Running, environment, started

from boxoffice.app import closing_pool
from boxoffice.postgres.pool import Pool, connect_pool

API = "/api/v1"
JSON = {"Content-Type": "application/json"}
OWNER, WEB, WORKER = "0wner/s3cret", "Web's-s3cret", "W0rker-s3cret"
"""Passwords in the database; two of them are written otherwise in an address."""
PASSWORD, WRONG, SHORT, STAFFS = "elf Tassen Tee", "zwölf Tassen Kaffee", "Tee5", "staff-s-own-passw0rd"
ASHA, BROKEN, CONTACT = "asha.rao@mail.example", "broken.by@mail.example", "writes.to@mail.example"
"""Buyers' addresses."""
SETTINGS = {
    "SECRET_KEY": "s3cret-that-signs-access-tokens",
    "PAYMENT_WEBHOOK_SECRET": make.WEBHOOK_SECRET,
    "TICKET_SIGNING_KEY": "s3cret-that-signs-tickets,s3cret-that-signed-tickets",
    "STRIPE_SECRET_KEY": "sk_test_51S3cretOfStripe",
    "STRIPE_WEBHOOK_SECRETS": "whsec_S3cretHook,whsec_S3cretHookOfBefore",
    "RAZORPAY_KEY_ID": "rzp_test_known",
    "RAZORPAY_KEY_SECRET": "s3cret-of-razorpay",
    "RAZORPAY_WEBHOOK_SECRETS": "s3cret-hook-of-razorpay",
}


class Secrets:
    """Everything that must not be told, by what it is; whatever is answered as an error, and the metrics, are kept."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self.problems: list[str] = []
        for name, value in SETTINGS.items():
            if name != "RAZORPAY_KEY_ID":
                for part in value.split(","):
                    self.keep(name, part)
        for name, value in {"owner": OWNER, "web": WEB, "worker": WORKER, "redis": "Redis-s3cret"}.items():
            self.keep(f"{name}'s password", value)
        for name, value in {"password": PASSWORD, "wrong": WRONG, "short": SHORT, "staff's": STAFFS}.items():
            self.keep(name, value)
        for email in (ASHA, BROKEN, CONTACT):
            self.keep("a buyer's address", email)

    def keep(self, name: str, value: str) -> str:
        assert value
        self._kept[value] = name
        for spelled in (quote(value, safe=""), hashlib.sha256(value.encode()).hexdigest()):
            self._kept.setdefault(spelled, f"{name}, otherwise")
        return value

    async def heard(self, answer: httpx.Response) -> None:
        """Keeps what an answer hands out, and what it says of a mistake."""
        await answer.aread()
        for name in ("x-payment-signature", "stripe-signature", "x-razorpay-signature"):
            if name in answer.request.headers:
                self.keep(name, answer.request.headers[name].rpartition("=")[2])
        for name, value in answer.cookies.items():
            if len(value) > 20:
                self.keep(f"the cookie {name}", value)
        # Not of pages, which show a form again as its own sender filled it in.
        if answer.headers.get("content-type") == "application/problem+json":
            self.problems.append(answer.text)
        elif answer.headers.get("content-type") == "application/json":
            for name, value in re.findall(r'"(accessToken|refreshToken|code)":\s*"([^"]+)"', answer.text):
                self.keep(name, value)

    def told_in(self, text: str) -> set[str]:
        """The names of what is told there, and never what it is."""
        return {name for value, name in self._kept.items() if value in text}


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with own_cluster() as made:
        yield made


class House:
    """A running box office, a client of it, and the way to its database behind its back."""

    def __init__(self, running: Running, client: httpx.AsyncClient, pool: Pool, secrets: Secrets) -> None:
        self.running = running
        self.client = client
        self.pool = pool
        self.secrets = secrets

    async def post(self, path: str, *, status: int, **request: Any) -> Any:
        answer = await self.client.post(f"{API}{path}", **request)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


def settings_of(cluster: Cluster) -> dict[str, str]:
    cluster.login("cinema", "CREATEROLE", password=OWNER)
    cluster.database(owner="cinema")
    return SETTINGS | {
        "DATABASE_URL": cluster.address("cinema", "cinema", OWNER),
        "WEB_DATABASE_URL": cluster.address("cinema", "web", WEB),
        "WORKER_DATABASE_URL": cluster.address("cinema", "worker", WORKER),
        # Nobody is there, which is told.
        "REDIS_URL": "redis://:Redis-s3cret@127.0.0.1:1/0",
    }


@asynccontextmanager
async def house_of(
    cluster: Cluster, variables: dict[str, str], secrets: Secrets, folder: Path
) -> AsyncGenerator[House]:
    with started(folder / "data", "serve", **variables) as running:
        async with (
            httpx.AsyncClient(base_url=running.url, timeout=30, event_hooks={"response": [secrets.heard]}) as client,
            closing_pool(await connect_pool(on_database(cluster.server, "cinema"), size=2)) as pool,
        ):
            yield House(running, client, pool, secrets)


def bearer(grant: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {grant['accessToken']}"}


async def come_and_go(house: House) -> make.Buyer:
    """Register, sign in and out in every way that works and that does not."""
    guest = await house.post("/auth/guest", status=201)
    who = {"email": ASHA, "password": PASSWORD}
    registered = await house.post("/auth/register", status=201, json=who | {"name": "Asha"}, headers=bearer(guest))
    await house.post("/auth/register", status=409, json=who | {"name": "Asha"})
    await house.post("/auth/register", status=400, json=who | {"password": SHORT, "name": "Asha"})
    await house.post("/auth/login", status=401, json=who | {"password": WRONG})
    await house.post("/auth/login", status=400, json=who | {"password": {"in": PASSWORD}})
    await house.post("/auth/login", status=400, content=f'{{"email": "{ASHA}", "password": "{PASSWORD}', headers=JSON)
    used = await house.post("/auth/refresh", status=200, json={"refreshToken": registered["refreshToken"]})
    await house.post("/auth/refresh", status=401, json={"refreshToken": registered["refreshToken"]})
    await house.post("/auth/logout", status=401, headers=bearer(used))
    grant = await house.post("/auth/login", status=200, json=who)
    out = await house.post("/auth/login", status=200, json=who)
    await house.post("/auth/logout", status=204, headers=bearer(out))
    token = grant["accessToken"]
    for path, headers in (
        ("/auth/me", bearer(out)),
        ("/auth/me", {"Authorization": f"Bearer {token}x"}),
        ("/auth/me", {"Authorization": f"Basic {house.secrets.keep('basic', 'YXNoYTplbGYgVGFzc2Vu')}"}),
        # Where they do not belong, as clients will put them all the same.
        (f"/auth/me?access_token={token}", {}),
        (f"/nowhere/{token}", {}),
        (f"/nowhere/{grant['refreshToken']}", {}),
        (f"/bookings/user/{ASHA}", bearer(grant)),
        (f"/bookings/user/{quote(ASHA)}?email={ASHA}&password={quote(PASSWORD)}", bearer(grant)),
    ):
        assert (await house.client.get(API + path, headers=headers)).status_code in {400, 401, 404}
    return make.Buyer(grant["userId"], bearer(grant))


async def come_with_a_browser(house: House) -> None:
    """The same on pages, whose forms have a token, and whose cookies are sessions."""
    cookies: dict[str, str] = {}

    async def ask(method: str, path: str, **request: Any) -> httpx.Response:
        # By hand, since the client sends no Secure cookie over http, as browsers do to loopback addresses.
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = await house.client.request(method, path, headers={"Cookie": sent}, **request)
        cookies.update(answer.cookies.items())
        return answer

    fields = {"email": ASHA, "password": WRONG, "next": "/"}
    assert (await ask("POST", "/sign-in", data=fields)).status_code == 403
    for status, password in ((401, WRONG), (303, PASSWORD)):
        found = re.search(r'name="csrf" value="([^"]+)"', (await ask("GET", "/sign-in")).text)
        assert found is not None
        csrf = house.secrets.keep("a form's token", found[1])
        answer = await ask("POST", "/sign-in", data=fields | {"password": password, "csrf": csrf})
        assert answer.status_code == status
    assert (await ask("GET", "/bookings")).status_code == 200
    assert cookies["__Host-boxoffice"]


async def buy(house: House, buyer: make.Buyer) -> str:
    """Book under a key, pay, get tickets, be let in; with everything that can be forged, forged as well."""
    show = await make.show(house.pool)
    key = {"Idempotency-Key": house.secrets.keep("an idempotency key", "key-of-asha-4711")}
    for status, seat in ((201, show.seats[0]), (201, show.seats[0]), (422, show.seats[1])):
        assert (await make.book(house.client, buyer, show, seat, **key)).status_code == status
    booking_id: str = await house.pool.fetchval("SELECT id::text FROM booking")
    contact = {"email": CONTACT, "locale": "hi"}
    path = f"{API}/bookings/{booking_id}/contact"
    assert (await house.client.put(path, json=contact, headers=buyer.headers)).status_code == 200
    assert (await house.client.put(path, json={"email": f"<{CONTACT}"}, headers=buyer.headers)).status_code == 400
    opened = await make.session(house.client, buyer, booking_id)
    event = make.event(opened, booking_id)
    await make.deliver(house.client, event, secret="wrong")
    await make.deliver(house.client, event, at=1_000_000_000)
    await make.deliver(house.client, b"{" + msgspec.json.encode(event))
    for _ in range(2):
        assert (await make.deliver(house.client, event)).status_code == 200
    await make.deliver(house.client, event | {"eventId": "evt_other", "amount": 1})
    for gateway in ("stripe", "razorpay"):
        await hear_from(house, gateway)
    tickets = (await house.client.get(f"{API}/bookings/{booking_id}/tickets", headers=buyer.headers)).json()["tickets"]
    staff = await house.post("/auth/login", status=200, json={"email": "staff@cinema.example", "password": STAFFS})
    for status, code in ((200, tickets[0]["code"]), (400, tickets[0]["code"][:-4] + "AAAA")):
        await house.post("/tickets/check-in", status=status, json={"code": code}, headers=bearer(staff))
    await house.post(f"/payments/refund/{booking_id}", status=409, headers=buyer.headers)
    return booking_id


async def hear_from(house: House, gateway: str) -> None:
    """A webhook whose signature is good, and whose body is not."""
    body = b'{"id": "evt_1"}'
    if gateway == "stripe":
        stamp = int(time.time())
        sent = hmac.new(b"whsec_S3cretHook", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={stamp},v1={sent}"}
    else:
        headers = {"X-Razorpay-Signature": hmac.new(b"s3cret-hook-of-razorpay", body, hashlib.sha256).hexdigest()}
    answer = await house.client.post(f"{API}/payments/webhook/{gateway}", content=body, headers=headers)
    assert answer.status_code == 400, "the signature was good"


async def break_in_the_middle(house: House, buyer: make.Buyer, booking_id: str) -> None:
    """Errors that nobody foresaw, of which the database repeats the whole row: addresses, hashes of passwords."""
    await house.pool.execute(f"ALTER TABLE account ADD CONSTRAINT odd CHECK (email <> '{BROKEN}') NOT VALID")
    await house.post(
        "/auth/register",
        status=500,
        json={"email": BROKEN, "password": PASSWORD, "name": "Asha"},
        headers=buyer.headers,
    )
    await house.pool.execute("ALTER TABLE account_session ADD CONSTRAINT odd CHECK (account_id IS NULL) NOT VALID")
    await house.post("/auth/login", status=500, json={"email": ASHA, "password": PASSWORD})
    await house.pool.execute("ALTER TABLE booking_contact ADD CONSTRAINT odd CHECK (locale = 'hi') NOT VALID")
    path = f"{API}/bookings/{booking_id}/contact"
    answer = await house.client.put(path, json={"email": ASHA, "locale": "en"}, headers=buyer.headers)
    assert answer.status_code == 500
    for table, column in (("account", "password_hash"), ("account_session", "encode(refresh_hash, 'hex')")):
        for (kept,) in await house.pool.fetch(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"):
            house.secrets.keep(f"{table}'s {column}", kept)


def command(folder: Path, variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, *arguments],
        env=environment(folder / "data", **variables),
        capture_output=True,
        text=True,
        timeout=START_WITHIN_S,
        check=False,
    )


def make_staff(folder: Path, variables: dict[str, str], *, email: str = "staff@cinema.example") -> str:
    """What the command says, which makes an account or fails."""
    said = command(folder, variables, "user", "create", email, "--role", "staff", "--password", STAFFS)
    return said.stdout + said.stderr


@asynccontextmanager
async def gossip() -> AsyncGenerator[str]:
    """The address of a gateway that accepts no key, and repeats all that it was sent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = msgspec.json.encode({"error": {"message": head.decode(), "description": head.decode()}})
        answers = [b"HTTP/1.1 401 No", b"Content-Type: application/json", b"Connection: close"]
        writer.write(b"\r\n".join([*answers, b"Content-Length: %d" % len(body), b"", body]))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def owe(pool: Pool) -> None:
    """Payments that the real gateways must be asked about."""
    for gateway in ("stripe", "razorpay"):
        await pool.execute(
            """WITH owed AS (
                   INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at)
                   SELECT id, gen_random_uuid(), 100, 'INR', now() - interval '1 hour' FROM show RETURNING show_id, id)
               INSERT INTO payment (show_id, booking_id, gateway, session_id, status, amount, currency, expires_at)
               SELECT show_id, id, $1, 'cs_' || $1, 'OPEN', 100, 'INR', now() - interval '1 hour' FROM owed""",
            gateway,
        )


@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_secret_is_told_by_a_house_that_is_used_and_breaks(
    cluster: Cluster, secrets: Secrets, tmp_path: Path, form: str
) -> None:
    postbox = Postbox()
    postbox.answers = [f"550 5.1.1 <{CONTACT}>: no such user"] * 9
    async with open_postbox(postbox) as smtp, gossip() as gateway:
        variables = settings_of(cluster) | {"LOG_FORMAT": form}
        # A mail server that refuses the buyer, and one that is not there and whose password is known.
        variables["SMTP_URL"] = smtp if form == "json" else "smtp://me:Smtp-s3cret@127.0.0.1:1"
        secrets.keep("the mail server's password", "Smtp-s3cret")
        variables |= {"STRIPE_API_BASE": gateway, "RAZORPAY_API_BASE": gateway}
        said = [make_staff(tmp_path, variables)]
        assert "staff@cinema.example is staff" in said[0]
        async with house_of(cluster, variables, secrets, tmp_path) as house:
            buyer = await come_and_go(house)
            await come_with_a_browser(house)
            booking_id = await buy(house, buyer)
            await until_tried_to_write(house.pool)
            await break_in_the_middle(house, buyer, booking_id)
            secrets.problems.append((await house.client.get("/metrics")).text)
            await owe(house.pool)
            said += await break_commands(house.pool, variables, tmp_path)
            said.append(house.running.said())
    log = said[-1]
    secrets.problems.append(cluster.log.read_text(encoding="utf-8"))

    # It was told what is needed: this test looks into the right places.
    for needed in (
        *("/api/v1/auth/register", f"/api/v1/bookings/{booking_id}", "unexpected error", "CheckViolationError"),
        *("Traceback (most recent call last)", "violates check constraint", "redis does not answer", booking_id),
        *("payment event contradicts our books", "evt_other", "letter" if form == "json" else "job failed"),
    ):
        assert needed in log, needed
    # Whoever asks first, the command or the worker that asks every minute.
    assert "does not accept our key" in said[1] + log
    assert "Traceback" in said[2]
    assert 'boxoffice_requests_total{method="POST",route="/api/v1/auth/login",status="500"}' in secrets.problems[-2]
    assert 'violates check constraint "odd"' in secrets.problems[-1]
    assert len(secrets.problems) > 20
    if form == "json":
        lines = [line for line in log.splitlines() if not line.startswith(("The box office is open", "(ready after"))]
        assert all(msgspec.json.decode(line)["level"] for line in lines), "what was looked over is JSON still"
    for text in (*said, *secrets.problems):
        # The lines that tell one, so that a failure says where; what they tell is in them.
        told = [line for line in text.splitlines() if secrets.told_in(line)]
        assert told == [], secrets.told_in(text)


async def until_tried_to_write(pool: Pool) -> None:
    for _ in range(200):
        if await pool.fetchval("SELECT count(*) FROM mail WHERE error IS NOT NULL"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await mails(pool))


async def break_commands(pool: Pool, variables: dict[str, str], folder: Path) -> list[str]:
    """What commands say that cannot do their work."""
    asked = await asyncio.to_thread(command, folder, variables, "reconcile")
    await pool.execute("ALTER TABLE account ADD CONSTRAINT odder CHECK (role <> 'staff') NOT VALID")
    broken = await asyncio.to_thread(make_staff, folder, variables, email="other@cinema.example")
    return [asked.stdout + asked.stderr, broken]


@pytest.mark.parametrize("what", ["serve", "work", "migrate"])
def test_a_wrong_password_is_not_told(cluster: Cluster, secrets: Secrets, tmp_path: Path, what: str) -> None:
    variables = settings_of(cluster)
    variables["DATABASE_URL"] = cluster.address("cinema", "cinema", secrets.keep("a wrong one", "Wr0ng-s3cret"))
    ended = command(tmp_path, variables, what)
    assert ended.returncode == 1
    assert 'password authentication failed for user "cinema"' in ended.stderr
    assert ended.stderr.count("\n") == 1, "one line, and no trace"
    assert secrets.told_in(ended.stdout + ended.stderr) == set()
