"""No page lets anything foreign in: headers, forms, addresses, cookies and what people typed."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import make
import msgspec
import pytest
from litestar import Litestar
from visitor import HTML, Visitor, addresses

from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import CSRF_HEADER, Browser, is_secure
from boxoffice.web.pages.page import local_path

NASTY = "<script>alert('film')</script>\"'><img src=x onerror=alert(1)>&{{ 7*7 }}"
NOT_OURS = [
    None,
    "",
    "//evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https://evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "evil.example",
    "/films\r\nSet-Cookie: a=b",
    "/" + "a" * 2000,
]


class _Tags(HTMLParser):
    """Collects what no page of ours has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        inline = tag == "script" and "src" not in has and has.get("type") != "application/json"
        if inline or tag == "b" or has.get("src") == "x" or any(name.startswith("on") for name in has):
            self.found.append(self.get_starttag_text() or tag)


def foreign_markup(page: str) -> list[str]:
    """Markup that can only have come from what people typed."""
    tags = _Tags()
    tags.feed(page)
    return tags.found


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    return Visitor(client, office)


def test_there_are_pages_to_walk() -> None:
    assert len(addresses("GET")) >= 10
    assert {"/sign-in", "/register", "/guest", "/sign-out", "/language", "/city"} <= set(addresses("POST"))


@pytest.mark.parametrize("path", [*addresses("GET"), "/no/such/page"])
async def test_every_page_has_a_strict_policy_and_is_kept_by_nobody_else(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=HTML)

    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ") if " " in part)
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    if answer.headers["content-type"].startswith("text/html"):
        assert policy["script-src"] == "'self'"
        assert policy["form-action"] == "'self' http://box-office.test"
        assert policy["base-uri"] == "'none'"
        assert answer.headers["cache-control"] in {"private, no-store", "private, no-cache"}
        assert "Cookie" in ", ".join(answer.headers.get_list("vary"))


@pytest.mark.parametrize("path", addresses("POST"))
async def test_a_form_is_taken_only_with_a_token_of_this_browser(
    client: httpx.AsyncClient, office: Office, path: str
) -> None:
    ours, theirs = Visitor(client, office), Visitor(client, office)
    await (await theirs.become_guest()).get("/")
    stolen = re.search(r'<meta name="csrf" content="([^"]+)">', theirs.page.text)
    assert stolen is not None
    await (await ours.become_guest()).get("/")

    for token in ("", "x", "x.y", stolen[1], stolen[1] + "x", stolen[1].swapcase()):
        answer = await ours.post(path, {"csrf": token})
        assert answer.status_code == 403, (token, answer.text)
        assert "This form has grown old" in ours.text
    assert (await client.post(path)).json()["code"] == "form_not_ours"
    assert (await client.post(path, headers={CSRF_HEADER: stolen[1]})).json()["code"] == "form_not_ours"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_of_another_site_is_refused_whatever_it_holds(
    client: httpx.AsyncClient, visitor: Visitor, site: str
) -> None:
    await visitor.get("/")
    token = re.search(r'<meta name="csrf" content="([^"]+)">', visitor.page.text)
    cookies = "; ".join(part.partition(";")[0] for part in visitor.page.headers.get_list("set-cookie"))
    assert token is not None
    headers = {"Cookie": cookies, CSRF_HEADER: token[1]}

    refused = await client.post("/guest", headers=headers | {"Sec-Fetch-Site": site})
    taken = await client.post("/guest", headers=headers | {"Sec-Fetch-Site": "same-origin"}, data={})

    assert (refused.status_code, taken.status_code) == (403, 303)


@pytest.mark.parametrize("wanted", NOT_OURS)
def test_only_a_path_on_this_site_is_gone_on_to(wanted: str | None) -> None:
    assert local_path(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/", "/films/1?city=Pune#shows", "/bookings?view=past", "/?q=%E0%A4%B9"])
def test_a_path_on_this_site_is(wanted: str) -> None:
    assert local_path(wanted) == wanted


@pytest.mark.parametrize("wanted", [text for text in NOT_OURS if text])
async def test_no_form_leads_to_another_site(visitor: Visitor, wanted: str) -> None:
    await visitor.get("/")
    for path, fields in (("/language", {"language": "hi"}), ("/city", {"city": "Pune"}), ("/guest", {})):
        answer = await visitor.post(path, {"next": wanted} | fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_what_people_typed_is_text_and_nothing_else(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool)
    await pool.execute(
        "UPDATE movie SET title = $1, synopsis = $1, language = $1, rating = $1, genres = ARRAY[$1]", NASTY
    )
    await pool.execute("UPDATE theatre SET name = $1, city = $1", NASTY)
    await pool.execute("UPDATE screen SET name = $1", NASTY)
    await pool.execute("UPDATE screen_seat SET row_label = '<b>' || row_label")
    await pool.execute("UPDATE show_seat SET row_label = '<b>' || row_label")
    await pool.execute("UPDATE show SET language = $1, format = $1", NASTY)
    pages = ["/", f"/films/{show.movie_id}", f"/shows/{show.id}", f"/shows/{show.id}?view=list"]
    pages += [
        f"/posters/{show.movie_id}.svg",
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/sign-in?next=%22%3E%3Cscript%3E",
    ]

    for page in pages:
        answer = await client.get(page, headers=HTML)
        assert answer.status_code == 200, page
        assert foreign_markup(answer.text) == [], page
        assert "&lt;script&gt;" in answer.text or "next=" in page, page
        assert "{{" in answer.text or "?q=" in page or "next=" in page, "a template within a text was run"


async def test_what_a_visitor_typed_comes_back_as_text(visitor: Visitor) -> None:
    await visitor.get("/register")
    await visitor.post("/register", {"email": NASTY, "name": NASTY, "password": "x", "next": "/"})

    assert visitor.page.status_code == 400
    assert foreign_markup(visitor.page.text) == []
    assert "&lt;script&gt;alert" in visitor.page.text


async def test_posters_of_other_hosts_are_let_in_by_name(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool)
    await pool.execute("UPDATE movie SET poster_url = 'https://posters.example/sholay.jpg'")

    home, film = [await client.get(path, headers=HTML) for path in ("/", f"/films/{show.movie_id}")]

    for page in (home, film):
        assert "img-src 'self' https://posters.example;" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "address",
    [
        "https://bücher.example/p.jpg",
        "https://सिनेमा.भारत/p.jpg",
        "https://[x/p.jpg",
        "https://x;sandbox/p.jpg",
        "https://x,y/p.jpg",
        "https://x/p.jpg;sandbox",
        "https://*/p.jpg",
        "https://user@x/p.jpg",
        "//x/p.jpg",
    ],
)
async def test_a_posters_address_says_nothing_else_to_browsers(
    client: httpx.AsyncClient, pool: Pool, address: str
) -> None:
    show = await make.show(pool)
    policy = (await client.get("/", headers=HTML)).headers["content-security-policy"]
    # From before such addresses were refused.
    await pool.execute("UPDATE movie SET poster_url = $1", address)

    for path in ("/", f"/films/{show.movie_id}"):
        page = await client.get(path, headers=HTML)
        assert page.status_code == 200, page.text
        said = page.headers["content-security-policy"].replace("img-src 'self' https://x;", "img-src 'self';")
        assert said == policy


class Elsewhere:
    """A gateway that has pages of its own."""

    name = "elsewhere"
    page_origins = ("https://pay.example",)


async def test_forms_may_lead_to_the_pages_of_the_gateways(client: httpx.AsyncClient, office: Office) -> None:
    gateway: Any = Elsewhere()
    office.gateways["elsewhere"] = gateway

    policy = (await client.get("/", headers=HTML)).headers["content-security-policy"]

    assert "form-action 'self' http://box-office.test https://pay.example;" in policy


@pytest.mark.parametrize(
    ("public_url", "environment", "host", "secure"),
    [
        ("https://tickets.example.com", "development", "10.0.0.7:8001", True),
        ("", "production", "tickets.example.com", True),
        ("", "development", "127.0.0.1:8001", True),
        ("", "development", "localhost:8001", True),
        ("", "development", "[::1]:8001", True),
        ("", "development", "192.168.1.20:8001", False),
        ("", "development", "127.0.0.1.evil.example", False),
        ("http://box-office.test", "development", "box-office.test", False),
    ],
)
def test_cookies_are_secure_wherever_browsers_let_them(
    public_url: str, environment: Any, host: str, *, secure: bool
) -> None:
    assert is_secure(Settings(public_url=public_url, environment=environment), host) is secure


async def test_cookies_are_for_this_host_alone_and_out_of_reach_of_scripts(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers=HTML | {"Host": "127.0.0.1:8001"})

    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-boxoffice-forms=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"path=/", "secure", "httponly", "samesite=lax"} <= attributes
    assert not [part for part in attributes if part.startswith("domain")]


async def test_what_caches_share_brings_no_cookie(
    visitor: Visitor, client: httpx.AsyncClient, office: Office, pool: Pool
) -> None:
    show = await make.show(pool)
    poster = f"/posters/{show.movie_id}.svg"
    version = (await client.get(poster)).headers["etag"].strip('"')
    entry = await office.accounts.guest_in_browser()
    await office.accounts.logout(entry.caller)
    visitor.with_session(entry.token)

    for path in (poster, f"{poster}?v={version}", "/service-worker.js"):
        answer = await visitor.get(path)
        assert answer.status_code == 200
        assert "public" in answer.headers["cache-control"]
        assert "set-cookie" not in answer.headers
    # A page of the browser's own has it forget the session that is over.
    (gone,) = [one for one in (await visitor.get("/")).headers.get_list("set-cookie") if one.startswith("boxoffice=")]
    assert "Max-Age=0" in gone


async def test_a_cookie_is_worth_nothing_to_the_api_and_a_bearer_token_nothing_to_pages(
    client: httpx.AsyncClient, visitor: Visitor, office: Office, pool: Pool
) -> None:
    entry = await office.accounts.guest_in_browser()
    cookie = {"Cookie": f"boxoffice={entry.token}"}
    assert (await client.get("/api/v1/auth/me", headers=cookie)).status_code == 401

    guest = await make.guest(client)
    account = await make.member(client, pool, "customer")
    for headers in (guest.headers, account.headers, {"Authorization": "Bearer rubbish"}):
        page = await client.get("/", headers=HTML | headers)
        assert page.status_code == 200
        assert "/sign-out" not in page.text


async def test_two_tokens_of_one_page_differ_and_both_are_good(app: Litestar, office: Office) -> None:
    class Connection:
        headers: dict[str, str] = {}  # noqa: RUF012  (a stand-in)
        scope: dict[str, Any] = {"client": None, "headers": []}  # noqa: RUF012  (the same)

        def __init__(self, cookies: dict[str, str]) -> None:
            self.app = app
            self.cookies = cookies

    first: Any = Connection({})
    browser = Browser(first)
    tokens = {browser.csrf_token(), browser.csrf_token()}
    assert len(tokens) == 2
    again: Any = Connection({name: str(cookie.value) for name, cookie in browser.cookies.items()})
    for token in tokens:
        Browser(again).refuse_foreign(token)


async def test_a_browser_gets_a_page_and_a_program_gets_a_problem(client: httpx.AsyncClient) -> None:
    page = await client.get("/no/such/page", headers=HTML)
    problem = await client.get("/no/such/page", headers={"Accept": "application/json"})
    api = await client.get("/api/v1/no/such/thing", headers=HTML)

    assert (page.status_code, problem.status_code, api.status_code) == (404, 404, 404)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "This page is not on the programme" in page.text
    assert problem.headers["content-type"] == api.headers["content-type"] == "application/problem+json"


async def test_a_defect_is_a_page_without_details(
    client: httpx.AsyncClient, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("boxoffice.web.pages.home.choose_place", fail)

    page = await client.get("/", headers=HTML | {"Accept-Language": "hi"})

    assert page.status_code == 500
    assert "प्रोजेक्टर अटक गया है" in page.text
    assert "secret of the house" not in page.text
    assert page.headers["cache-control"] == "private, no-store"
    assert msgspec.json.decode((await client.get("/")).content)["code"] == "internal_error"
