"""Sessions and their tokens: what cannot be forged, what is good once, what ends and when."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import jwt
import msgspec
import pytest

from boxoffice.accounts import (
    Accounts,
    Caller,
    Grant,
    InvalidCredentialsError,
    InvalidTokenError,
    Role,
)
from boxoffice.accounts.recent import Recent
from boxoffice.accounts.sessions import STANDING_SECONDS
from boxoffice.accounts.tokens import ACCESS_TOKEN_SECONDS, RefreshTokens, digest, new_random_token
from boxoffice.postgres.pool import Pool

SECRET = "a secret of these tests"
PASSWORD = "correct horse"


@pytest.fixture
def accounts(pool: Pool) -> Iterator[Accounts]:
    made = Accounts(pool, SECRET)
    yield made
    made.close()


@pytest.fixture
async def elsewhere(pool: Pool) -> AsyncIterator[Accounts]:
    """The accounts as another process has them: same database, nothing remembered."""
    made = Accounts(pool, SECRET)
    yield made
    made.close()


class Clock:
    """Time as the code under test sees it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        wall, monotonic = time.time, time.monotonic
        patch.setattr("boxoffice.accounts.tokens.time.time", lambda: wall() + self.ahead)
        patch.setattr("boxoffice.accounts.sessions.time.monotonic", lambda: monotonic() + self.ahead)


async def caller_of(accounts: Accounts, grant: Grant) -> Caller:
    return await accounts.identify(grant.access_token)


async def test_a_refresh_token_is_good_once(accounts: Accounts) -> None:
    first = await accounts.guest()
    second = await accounts.refresh(first.refresh_token)

    assert second.user_id == first.user_id
    assert second.refresh_token != first.refresh_token
    assert (await caller_of(accounts, second)).user_id == first.user_id
    assert (await accounts.refresh(second.refresh_token)).user_id == first.user_id


async def test_a_used_refresh_token_ends_the_session_for_both(accounts: Accounts) -> None:
    first = await accounts.guest()
    second = await accounts.refresh(first.refresh_token)
    await caller_of(accounts, second)

    with pytest.raises(InvalidTokenError):
        await accounts.refresh(first.refresh_token)
    with pytest.raises(InvalidTokenError):
        await accounts.refresh(second.refresh_token)
    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, second)


@pytest.mark.parametrize("generations", [1, 2, 5])
async def test_any_token_used_again_ends_the_session_however_often_it_was_refreshed_since(
    accounts: Accounts, elsewhere: Accounts, generations: int
) -> None:
    """As when a thief refreshes again and again before the owner comes."""
    stolen = latest = await accounts.guest()
    for _ in range(generations):
        latest = await elsewhere.refresh(latest.refresh_token)
    assert (await caller_of(accounts, latest)).user_id == stolen.user_id

    with pytest.raises(InvalidTokenError):
        await accounts.refresh(stolen.refresh_token)
    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, latest)
    with pytest.raises(InvalidTokenError):
        await elsewhere.refresh(latest.refresh_token)


async def test_a_token_that_we_never_gave_out_ends_no_session(accounts: Accounts) -> None:
    grant, other = await accounts.guest(), await accounts.guest()
    session_id = (await caller_of(accounts, grant)).session_id
    genuine = grant.refresh_token
    forged = [
        RefreshTokens("another secret").new(session_id),
        genuine[:30] + other.refresh_token[30:],
        *(genuine[:at] + ("B" if genuine[at] == "A" else "A") + genuine[at + 1 :] for at in range(len(genuine))),
        *(genuine + more for more in ("A", "=", "====", "\n", " ", "é", "\x00")),
        base64.urlsafe_b64encode(session_id.bytes).decode(),
        str(session_id),
        "",
    ]
    for token in forged:
        with pytest.raises(InvalidTokenError):
            await accounts.refresh(token)

    assert (await caller_of(accounts, grant)).session_id == session_id
    assert (await accounts.refresh(genuine)).user_id == grant.user_id


@pytest.mark.parametrize("secret", [SECRET, "the secret that took its place"])
async def test_tokens_of_before_the_secret_changed_or_of_another_form_work_once(pool: Pool, secret: str) -> None:
    before, after = Accounts(pool, SECRET), Accounts(pool, secret)
    grant = await before.guest()
    if secret == SECRET:
        # As releases made them that did not sign them.
        unsigned = new_random_token()
        await pool.execute("UPDATE account_session SET refresh_hash = $1", digest(unsigned))
        grant = msgspec.structs.replace(grant, refresh_token=unsigned)

    second = await after.refresh(grant.refresh_token)
    assert second.user_id == grant.user_id
    third = await after.refresh(second.refresh_token)
    with pytest.raises(InvalidTokenError):
        await after.refresh(second.refresh_token)
    with pytest.raises(InvalidTokenError):
        await caller_of(after, third)
    before.close()
    after.close()


async def test_one_of_before_that_is_used_again_at_once_ends_the_session(accounts: Accounts, pool: Pool) -> None:
    await accounts.guest()
    unsigned = new_random_token()
    await pool.execute("UPDATE account_session SET refresh_hash = $1", digest(unsigned))
    following = await accounts.refresh(unsigned)
    with pytest.raises(InvalidTokenError):
        await accounts.refresh(unsigned)
    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, following)


async def test_of_two_refreshes_at_once_one_wins_at_most(accounts: Accounts) -> None:
    grant = await accounts.guest()

    answers = await asyncio.gather(*(accounts.refresh(grant.refresh_token) for _ in range(8)), return_exceptions=True)

    assert sum(isinstance(answer, Grant) for answer in answers) == 1
    assert sum(isinstance(answer, InvalidTokenError) for answer in answers) == 7


async def test_refresh_tokens_are_not_kept(accounts: Accounts, pool: Pool) -> None:
    grant = await accounts.guest()

    kept = await pool.fetchval("SELECT refresh_hash FROM account_session WHERE account_id = $1", grant.user_id)
    assert len(kept) == 32
    assert grant.refresh_token.encode() not in kept


async def test_signing_out_ends_one_session_at_once(accounts: Accounts) -> None:
    await accounts.register("two@example.com", PASSWORD, "", None)
    phone = await accounts.login("two@example.com", PASSWORD)
    laptop = await accounts.login("two@example.com", PASSWORD)

    await accounts.logout(await caller_of(accounts, phone))

    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, phone)
    with pytest.raises(InvalidTokenError):
        await accounts.refresh(phone.refresh_token)
    assert (await caller_of(accounts, laptop)).user_id == laptop.user_id


async def test_another_process_learns_of_it_in_five_seconds(
    accounts: Accounts, elsewhere: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    grant = await accounts.guest()
    caller = await caller_of(elsewhere, grant)
    await accounts.logout(caller)

    assert await caller_of(elsewhere, grant) == caller
    clock.ahead = STANDING_SECONDS
    with pytest.raises(InvalidTokenError):
        await caller_of(elsewhere, grant)


async def test_a_changed_role_counts_at_once_here_and_in_five_seconds_elsewhere(
    accounts: Accounts, elsewhere: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    grant = await accounts.register("rising@example.com", PASSWORD, "Rani", None)
    assert (await caller_of(accounts, grant)).role is Role.CUSTOMER
    assert (await caller_of(elsewhere, grant)).role is Role.CUSTOMER

    changed = await accounts.create_user("rising@example.com", Role.MANAGER, PASSWORD)

    assert (changed.name, changed.role) == ("Rani", Role.MANAGER)
    assert (await caller_of(accounts, grant)).role is Role.MANAGER
    clock.ahead = STANDING_SECONDS
    assert (await caller_of(elsewhere, grant)).role is Role.MANAGER


async def test_making_the_same_user_again_changes_nothing(accounts: Accounts, pool: Pool) -> None:
    await accounts.create_user("admin@example.com", Role.ADMIN, PASSWORD, "Ada")
    grant = await accounts.login("admin@example.com", PASSWORD)
    before = await pool.fetch("SELECT * FROM account")

    await accounts.create_user("Admin@example.com", Role.ADMIN, PASSWORD, "Ada")

    assert await pool.fetch("SELECT * FROM account") == before
    assert (await caller_of(accounts, grant)).role is Role.ADMIN


async def test_another_password_ends_all_sessions(accounts: Accounts) -> None:
    await accounts.create_user("reset@example.com", Role.STAFF, PASSWORD)
    grant = await accounts.login("reset@example.com", PASSWORD)

    await accounts.create_user("reset@example.com", Role.STAFF, "another horse")

    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, grant)
    with pytest.raises(InvalidCredentialsError):
        await accounts.login("reset@example.com", PASSWORD)
    assert (await accounts.login("reset@example.com", "another horse")).role is Role.STAFF


async def test_a_token_expires_though_it_was_good_a_moment_ago(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    grant = await accounts.guest()
    await caller_of(accounts, grant)

    clock.ahead = ACCESS_TOKEN_SECONDS
    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, grant)


async def test_a_session_that_ran_out_is_over(accounts: Accounts, pool: Pool) -> None:
    grant = await accounts.guest()
    await pool.execute("UPDATE account_session SET expires_at = now()")

    with pytest.raises(InvalidTokenError):
        await caller_of(accounts, grant)
    with pytest.raises(InvalidTokenError):
        await accounts.refresh(grant.refresh_token)


async def test_forged_tokens_are_refused(accounts: Accounts, pool: Pool) -> None:
    grant = await accounts.guest()
    said = jwt.decode(grant.access_token, options={"verify_signature": False})
    other = Accounts(pool, "another secret")
    foreign = await other.guest()
    other.close()

    forged = [
        "",
        "x",
        "a.b.c",
        "é" * 10,
        grant.access_token[:-4] + "AAAA",
        jwt.encode(said, "", algorithm="none"),
        jwt.encode(said, "x" * 64, algorithm="HS256"),
        jwt.encode(said, "x" * 64, algorithm="HS512"),
        foreign.access_token,
        grant.access_token + "." + "A" * 5000,
    ]
    for token in forged:
        with pytest.raises(InvalidTokenError):
            await accounts.identify(token)


async def test_a_token_needs_every_claim_and_the_account_of_its_session(accounts: Accounts) -> None:
    grant, other = await accounts.guest(), await accounts.guest()
    key = accounts._tokens._key  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (only the key's owner can sign these)
    said = jwt.decode(grant.access_token, key, algorithms=["HS256"])

    for claims in (
        {name: said[name] for name in said if name != "exp"},
        {name: said[name] for name in said if name != "sid"},
        said | {"sid": str(uuid4())},
        said | {"sid": "not an id"},
        said | {"sub": str(other.user_id)},
    ):
        with pytest.raises(InvalidTokenError):
            await accounts.identify(jwt.encode(claims, key, algorithm="HS256"))


async def test_knowing_a_caller_asks_the_database_once_in_five_seconds(
    accounts: Accounts, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    grant = await accounts.guest()
    await caller_of(accounts, grant)
    await pool.execute("UPDATE account SET role = 'staff' WHERE id = $1", grant.user_id)

    clock.ahead = STANDING_SECONDS - 1
    assert (await caller_of(accounts, grant)).role is Role.CUSTOMER
    clock.ahead = STANDING_SECONDS
    assert (await caller_of(accounts, grant)).role is Role.STAFF


def test_what_was_not_used_for_longest_is_forgotten_first() -> None:
    recent = Recent[str, int](2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (1, None, 3, 2)


def test_each_role_may_do_what_those_before_it_may() -> None:
    for rank, role in enumerate(Role):
        caller = Caller(user_id=uuid4(), role=role, session_id=uuid4(), guest=False)
        assert [caller.is_at_least(other) for other in Role] == [n <= rank for n in range(len(Role))]
