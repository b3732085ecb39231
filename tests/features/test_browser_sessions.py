"""A browser's session: its own kind of token, which lives as long as the browser comes, and ends when it is told to."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from boxoffice.accounts import Accounts, InvalidTokenError
from boxoffice.accounts.sessions import SESSION_DAYS, STANDING_SECONDS
from boxoffice.postgres.pool import Pool

PASSWORD = "eleven cups of tea"


@pytest.fixture
def accounts(pool: Pool) -> Iterator[Accounts]:
    made = Accounts(pool, "the secret of a test")
    yield made
    made.close()


@pytest.fixture
def elsewhere(pool: Pool) -> Iterator[Accounts]:
    """Another process on the same database."""
    made = Accounts(pool, "the secret of a test")
    yield made
    made.close()


async def days_left(pool: Pool, session_id: UUID) -> float:
    left: timedelta = await pool.fetchval("SELECT expires_at - now() FROM account_session WHERE id = $1", session_id)
    return left / timedelta(days=1)


async def test_a_guest_is_known_by_the_token_and_only_its_digest_is_kept(accounts: Accounts, pool: Pool) -> None:
    entry = await accounts.guest_in_browser()

    assert await accounts.identify_browser(entry.token) == entry.caller
    assert entry.caller.guest
    kept: Any = await pool.fetchrow("SELECT * FROM account_session WHERE id = $1", entry.caller.session_id)
    assert kept["refresh_hash"] is None
    assert entry.token.encode() not in kept["browser_hash"]
    assert len(entry.token) == 43


async def test_neither_kind_of_token_is_worth_anything_in_the_others_place(accounts: Accounts) -> None:
    browser, client = await accounts.guest_in_browser(), await accounts.guest()

    with pytest.raises(InvalidTokenError):
        await accounts.refresh(browser.token)
    with pytest.raises(InvalidTokenError):
        await accounts.identify(browser.token)
    for token in (client.refresh_token, client.access_token):
        with pytest.raises(InvalidTokenError):
            await accounts.identify_browser(token)
    assert await accounts.identify_browser(browser.token) == browser.caller
    assert (await accounts.refresh(client.refresh_token)).user_id == client.user_id


async def test_a_session_that_ended_is_over_here_at_once_and_elsewhere_soon(
    accounts: Accounts, elsewhere: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await accounts.guest_in_browser()
    assert await elsewhere.identify_browser(entry.token) == entry.caller

    await accounts.logout(entry.caller)

    with pytest.raises(InvalidTokenError):
        await accounts.identify_browser(entry.token)
    clock = time.monotonic() + STANDING_SECONDS
    monkeypatch.setattr("boxoffice.accounts.sessions.time.monotonic", lambda: clock)
    with pytest.raises(InvalidTokenError):
        await elsewhere.identify_browser(entry.token)


async def test_a_guest_who_registers_keeps_the_id_under_a_new_token(accounts: Accounts) -> None:
    guest = await accounts.guest_in_browser()

    entry = await accounts.register_in_browser("asha@example.com", PASSWORD, "Asha", guest.caller)

    assert entry.caller.user_id == guest.caller.user_id
    assert entry.token != guest.token
    assert not entry.caller.guest
    assert (await accounts.login_in_browser("asha@example.com", PASSWORD)).caller.user_id == guest.caller.user_id


async def test_a_session_lasts_as_long_as_its_browser_comes(accounts: Accounts, pool: Pool) -> None:
    entry = await accounts.guest_in_browser()
    session = entry.caller.session_id

    await pool.execute("UPDATE account_session SET expires_at = now() + interval '2 days' WHERE id = $1", session)
    await accounts.identify_browser(entry.token)
    assert await days_left(pool, session) == pytest.approx(SESSION_DAYS, abs=0.01)

    await pool.execute("UPDATE account_session SET expires_at = now() - interval '1 second' WHERE id = $1", session)
    fresh = Accounts(pool, "the secret of a test")
    with pytest.raises(InvalidTokenError):
        await fresh.identify_browser(entry.token)
    assert await days_left(pool, session) < 0
    fresh.close()
