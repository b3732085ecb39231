"""Guests, accounts and passwords: one mailbox is one account, and nobody guesses its password."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from pwdlib import PasswordHash

from boxoffice.accounts import (
    Accounts,
    Caller,
    EmailTakenError,
    Grant,
    HashingBusyError,
    InvalidCredentialsError,
    Role,
    TooManyAttemptsError,
)
from boxoffice.accounts import passwords as hashing
from boxoffice.accounts.attempts import CREATIONS_PER_ADDRESS, FAILURES_PER_ADDRESS, FAILURES_PER_EMAIL
from boxoffice.accounts.passwords import NOBODYS_HASH, Passwords
from boxoffice.accounts.tokens import ACCESS_TOKEN_SECONDS
from boxoffice.errors import MalformedError
from boxoffice.postgres.pool import Pool

SECRET = "a secret of these tests"
PASSWORD = "correct horse"


@pytest.fixture
def accounts(pool: Pool) -> Iterator[Accounts]:
    made = Accounts(pool, SECRET)
    yield made
    made.close()


async def caller_of(accounts: Accounts, grant: Grant) -> Caller:
    return await accounts.identify(grant.access_token)


async def test_a_guest_is_somebody(accounts: Accounts) -> None:
    grant = await accounts.guest()

    caller = await caller_of(accounts, grant)
    assert (caller.user_id, caller.role, caller.guest) == (grant.user_id, Role.CUSTOMER, True)
    assert grant.expires_in == ACCESS_TOKEN_SECONDS
    me = await accounts.me(caller)
    assert (me.user_id, me.email, me.guest) == (grant.user_id, None, True)


async def test_a_guest_who_registers_keeps_id_and_session(accounts: Accounts) -> None:
    grant = await accounts.guest()
    guest = await caller_of(accounts, grant)

    registered = await accounts.register(" Asha@Example.COM ", PASSWORD, "Asha", guest)

    assert registered.user_id == grant.user_id
    still = await caller_of(accounts, grant)
    assert not still.guest
    me = await accounts.me(still)
    assert (me.email, me.name, me.guest) == ("asha@example.com", "Asha", False)
    assert (await accounts.login("ASHA@example.com", PASSWORD)).user_id == grant.user_id


async def test_only_a_guest_is_turned_into_an_account(accounts: Accounts) -> None:
    first = await accounts.register("first@example.com", PASSWORD, "", None)
    second = await accounts.register("second@example.com", PASSWORD, "", await caller_of(accounts, first))

    assert second.user_id != first.user_id
    assert (await accounts.me(await caller_of(accounts, first))).email == "first@example.com"


async def test_one_email_is_one_account_however_many_ask_at_once(accounts: Accounts, pool: Pool) -> None:
    guests = [await caller_of(accounts, await accounts.guest()) for _ in range(4)]

    answers = await asyncio.gather(
        *(accounts.register("race@example.com", PASSWORD, "", guest) for guest in [*guests, None, None]),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Grant) for answer in answers) == 1
    assert sum(isinstance(answer, EmailTakenError) for answer in answers) == 5
    assert await pool.fetchval("SELECT count(*) FROM account WHERE email = 'race@example.com'") == 1


async def test_the_database_refuses_what_the_code_might_let_through(pool: Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO account (email, password_hash) VALUES ('Upper@example.com', 'x')")


async def test_what_is_no_email_address_is_refused(accounts: Accounts) -> None:
    for email in ("", "a", "a@b", "@example.com", "a@@example.com", "a b@example.com", "a\x00@example.com", "x" * 260):
        with pytest.raises(MalformedError) as refusal:
            await accounts.register(email, PASSWORD, "", None)
        assert "email" in refusal.value.extra["errors"], email
        with pytest.raises(MalformedError):
            await accounts.login(email, PASSWORD)


async def test_a_password_of_no_length_or_too_much_is_refused(accounts: Accounts) -> None:
    for password in ("", "7 chars", "x" * 129):
        with pytest.raises(MalformedError) as refusal:
            await accounts.register("a@example.com", password, "", None)
        assert "password" in refusal.value.extra["errors"], password


async def test_a_password_is_kept_as_argon2id_alone(accounts: Accounts, pool: Pool) -> None:
    grant = await accounts.register("kept@example.com", PASSWORD, "", None)

    kept = await pool.fetchval("SELECT password_hash FROM account WHERE id = $1", grant.user_id)
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


def test_an_unknown_address_costs_what_a_wrong_password_costs() -> None:
    new = PasswordHash.recommended().hash(PASSWORD)

    # $argon2id$v=…$m=…,t=…,p=…$salt$hash
    assert NOBODYS_HASH.split("$")[:4] == new.split("$")[:4]
    assert len(NOBODYS_HASH) == len(new)


async def test_unknown_address_and_wrong_password_are_answered_alike(accounts: Accounts) -> None:
    await accounts.register("known@example.com", PASSWORD, "", None)

    with pytest.raises(InvalidCredentialsError) as wrong:
        await accounts.login("known@example.com", "wrong horse")
    with pytest.raises(InvalidCredentialsError) as unknown:
        await accounts.login("unknown@example.com", PASSWORD)
    assert wrong.value.detail == unknown.value.detail


async def test_failures_are_limited_by_email_also_when_all_come_at_once(accounts: Accounts) -> None:
    await accounts.register("target@example.com", PASSWORD, "", None)

    answers = await asyncio.gather(
        *(accounts.login("target@example.com", f"guess {n}", address=f"10.0.0.{n}") for n in range(20)),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, TooManyAttemptsError)]
    tried = [answer for answer in answers if isinstance(answer, InvalidCredentialsError)]
    assert len(refused) + len(tried) == 20
    # One that was verified at the same moment as the last may slip in.
    assert FAILURES_PER_EMAIL.amount <= len(tried) <= FAILURES_PER_EMAIL.amount + 1
    assert all(0 < answer.retry_after_s <= 60 for answer in refused)
    with pytest.raises(TooManyAttemptsError):
        await accounts.login("Target@Example.com", PASSWORD)
    assert (await accounts.register("bystander@example.com", PASSWORD, "", None)).user_id
    assert (await accounts.login("bystander@example.com", PASSWORD)).user_id


async def test_failures_are_limited_by_network_address(accounts: Accounts) -> None:
    for n in range(FAILURES_PER_ADDRESS.amount):
        await accounts._attempts.count_failure(f"{n}@example.com", "10.0.0.9")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (30 real failures take 5 s)

    with pytest.raises(TooManyAttemptsError):
        await accounts.login("fresh@example.com", PASSWORD, address="10.0.0.9")
    with pytest.raises(InvalidCredentialsError):
        await accounts.login("fresh@example.com", PASSWORD, address="10.0.0.10")


async def test_signing_in_rightly_is_not_counted(accounts: Accounts) -> None:
    await accounts.register("often@example.com", PASSWORD, "", None)
    for _ in range(FAILURES_PER_EMAIL.amount + 2):
        await accounts.login("often@example.com", PASSWORD)


async def test_new_accounts_are_limited_by_network_address(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CREATIONS_PER_ADDRESS, "amount", 3)
    for _ in range(3):
        await accounts.guest(address="10.0.0.1")

    with pytest.raises(TooManyAttemptsError):
        await accounts.guest(address="10.0.0.1")
    assert (await accounts.guest(address="10.0.0.2")).guest


async def test_hashing_never_queues_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "HASHING_QUEUE_MAX", 1)
    passwords = Passwords()
    try:
        async with passwords.turn(), passwords.turn():
            waiting = asyncio.create_task(passwords.hash(PASSWORD))
            await asyncio.sleep(0)
            with pytest.raises(HashingBusyError):
                await passwords.hash(PASSWORD)
        assert (await waiting).startswith("$argon2id$")
    finally:
        passwords.close()


async def test_the_event_loop_goes_on_while_passwords_are_hashed(accounts: Accounts) -> None:
    hashing_now = asyncio.create_task(accounts.register("slow@example.com", PASSWORD, "", None))
    steps = 0
    while not hashing_now.done():
        await asyncio.sleep(0.005)
        steps += 1

    assert steps > 5
