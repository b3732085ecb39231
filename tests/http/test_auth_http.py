"""Identity over HTTP: statuses, bodies, headers."""

import asyncio
from typing import Any

import httpx
import make
import pytest
from litestar import Litestar

from boxoffice.accounts import Accounts, Role, sessions
from boxoffice.accounts.attempts import FAILURES_PER_EMAIL
from boxoffice.postgres.pool import Pool

API = "/api/v1/auth"
ASHA = {"email": "Asha@Example.com", "password": "eleven cups of tea", "name": "Asha Rao"}


def bearer(grant: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {grant['accessToken']}"}


async def posted(client: httpx.AsyncClient, path: str, status: int, **request: Any) -> Any:
    answer = await client.post(f"{API}{path}", **request)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_the_life_of_an_identity(client: httpx.AsyncClient) -> None:
    guest = await posted(client, "/guest", 201)
    assert set(guest) == {"userId", "accessToken", "tokenType", "expiresIn", "refreshToken", "role", "guest"}
    assert (guest["tokenType"], guest["expiresIn"], guest["role"], guest["guest"]) == ("Bearer", 3600, "customer", True)

    account = await posted(client, "/register", 201, json=ASHA, headers=bearer(guest))
    assert (account["userId"], account["guest"]) == (guest["userId"], False)

    session = await posted(client, "/login", 200, json={"email": ASHA["email"], "password": ASHA["password"]})
    me = await client.get(f"{API}/me", headers=bearer(session))
    assert me.json() == {
        "userId": guest["userId"],
        "email": "asha@example.com",
        "name": "Asha Rao",
        "role": "customer",
        "guest": False,
    }

    following = await posted(client, "/refresh", 200, json={"refreshToken": session["refreshToken"]})
    assert following["userId"] == guest["userId"]

    await posted(client, "/logout", 204, headers=bearer(following))
    gone = await client.get(f"{API}/me", headers=bearer(following))
    assert (gone.status_code, gone.json()["code"]) == (401, "invalid_token")
    assert gone.headers["www-authenticate"] == "Bearer"
    assert gone.headers["content-type"].startswith("application/problem+json")


async def test_what_a_guest_booked_stays_with_the_account(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool)
    guest = await make.guest(client)
    booking = await make.booking(client, guest, show, show.seats[0])

    account = await posted(client, "/register", 201, json=ASHA, headers=guest.headers)

    seen = await client.get(f"/api/v1/bookings/{booking['id']}", headers=bearer(account))
    assert (seen.status_code, seen.json()["id"]) == (200, booking["id"])


async def test_nobody_is_not_somebody(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/me"), ("POST", "/logout")):
        answer = await client.request(method, f"{API}{path}")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_identified")
    for header in ("Bearer", "Bearer ", "Basic YTpi", "Bearer x.y.z", "x"):
        answer = await client.get(f"{API}/me", headers={"Authorization": header})
        assert answer.status_code == 401, header


async def test_a_token_that_has_run_out_is_in_nobodys_way_to_a_new_one(client: httpx.AsyncClient) -> None:
    stale = {"Authorization": "Bearer x.y.z"}
    guest = await posted(client, "/guest", 201, headers=stale)
    await posted(client, "/refresh", 200, json={"refreshToken": guest["refreshToken"]}, headers=stale)
    await posted(client, "/register", 201, json=ASHA)
    await posted(client, "/login", 200, json=ASHA, headers=stale)


async def test_an_email_is_registered_once_also_at_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(f"{API}/register", json=ASHA) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"email_taken"}


async def test_wrong_password_and_unknown_address_look_alike(client: httpx.AsyncClient) -> None:
    await posted(client, "/register", 201, json=ASHA)
    wrong = await posted(client, "/login", 401, json=ASHA | {"password": "twelve cups"})
    unknown = await posted(client, "/login", 401, json=ASHA | {"email": "nobody@example.com"})
    assert wrong == unknown
    assert wrong["code"] == "invalid_credentials"


async def test_failed_logins_are_limited_and_told_when_to_come_back(client: httpx.AsyncClient) -> None:
    for _ in range(FAILURES_PER_EMAIL.amount):
        await posted(client, "/login", 401, json={"email": "a@example.com", "password": "guess"})

    answer = await client.post(f"{API}/login", json={"email": "A@example.com", "password": "guess"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_a_used_refresh_token_ends_the_session(client: httpx.AsyncClient) -> None:
    guest = await posted(client, "/guest", 201)
    following = await posted(client, "/refresh", 200, json={"refreshToken": guest["refreshToken"]})
    await posted(client, "/refresh", 401, json={"refreshToken": guest["refreshToken"]})
    await posted(client, "/refresh", 401, json={"refreshToken": following["refreshToken"]})
    assert (await client.get(f"{API}/me", headers=bearer(following))).status_code == 401


async def test_no_token_is_kept_for_replay(client: httpx.AsyncClient, pool: Pool) -> None:
    for _ in range(2):
        await posted(client, "/guest", 201, headers={"Idempotency-Key": "same"})
    await posted(client, "/register", 201, json=ASHA, headers={"Idempotency-Key": "same"})

    assert await pool.fetchval("SELECT count(*) FROM idempotency_key") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"email": 1, "password": "long enough"}',
        b'{"email": "a@example.com"}',
        b'{"email": "a@example.com", "password": "short"}',
        b'{"email": "no address", "password": "long enough"}',
        b'{"email": "a\\u0000@example.com", "password": "long enough"}',
        b'{"email": "a@example.com", "password": "long enough", "name": "a\\u0000b"}',
        b'{"email": "a@example.com", "password": "' + b"x" * 129 + b'"}',
        b'{"email": "a@example.com", "password": "long enough", "name": null}',
        b'{"email": "\\ud800@example.com", "password": "long enough"}',
        b'{"email": "\xff@example.com", "password": "long enough"}',
        b"[" * 5000,
    ],
)
async def test_garbage_is_refused_as_garbage(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(f"{API}/register", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text
    if b"@example" in body or b"long enough" in body:
        login = await client.post(f"{API}/login", content=body, headers={"Content-Type": "application/json"})
        assert login.status_code in {400, 401}


async def test_letters_that_postgresql_folds_otherwise_are_no_server_error(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{API}/register", json=ASHA | {"email": "İSTANBUL@example.com"})
    assert answer.status_code in {201, 400}


async def test_a_role_is_asked_of_the_database(
    client: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "STANDING_SECONDS", 0.0)
    account = await posted(client, "/register", 201, json=ASHA)
    new = {"name": "Regal", "city": "Mumbai", "timezone": "Asia/Kolkata"}
    refused = await client.post("/api/v1/theatres", json=new, headers=bearer(account))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")

    # As the operator's command does it: web itself gives nobody a role.
    operators = Accounts(pool, "another secret")
    await operators.create_user(ASHA["email"], Role.MANAGER, ASHA["password"])
    operators.close()

    allowed = await client.post("/api/v1/theatres", json=new, headers=bearer(account))
    assert allowed.status_code == 201


def test_every_operation_is_documented_with_examples(app: Litestar) -> None:
    paths: dict[str, Any] = app.openapi_schema.to_schema()["paths"]
    ours = [
        (path, method, operation)
        for path, operations in paths.items()
        if path.startswith(("/api/v1/auth", "/api/v1/movies", "/api/v1/theatres", "/api/v1/shows"))
        for method, operation in operations.items()
    ]
    assert len(ours) == 6 + 4 + 8 + 4
    for path, method, operation in ours:
        where = (method, path)
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        (success,) = (answer for status, answer in operation["responses"].items() if status.startswith("2"))
        for content in success.get("content", {}).values():
            assert content["examples"], where
        refusals = [status for status in operation["responses"] if not status.startswith("2")]
        assert refusals, where
