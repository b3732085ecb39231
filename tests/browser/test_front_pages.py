"""From the front page on: what is on, a film, signing in, the other language, and no network, in a real browser."""

import re

import pytest
from playwright.async_api import expect

from boxoffice.postgres.pool import Pool
from boxoffice.web.pages.poster_scenes import WIDTH
from browser.conftest import Visitors
from browser.visits import Device, Visit, live_regions

WEIGHT_MAX = 150_000
"""Bytes over the wire for the front page, with styles, modules and the posters that are in sight."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["phone", "desktop"])
async def test_the_front_pages_are_seen_and_judged(visitors: Visitors, device: Device, scheme: str) -> None:
    visit = await visitors(device, color_scheme=scheme)
    page = await visit.goto("/")
    await expect(page.locator(".bill").first).to_be_visible()
    await visit.look(f"home-{scheme}")
    await page.locator(".bill h2 a").first.click()
    await expect(page.locator(".film-poster")).to_be_visible()
    await visit.look(f"film-{scheme}")
    for name in ("sign-in", "register", "offline"):
        await visit.goto(f"/{name}")
        await visit.look(f"{name}-{scheme}")
    visit.allow("404")
    await visit.goto("/no/such/page")
    await expect(page.get_by_role("heading", level=1)).to_have_text("This page is not on the programme")
    await visit.look(f"failure-{scheme}")


async def test_nothing_is_wider_than_the_smallest_phone(visitors: Visitors) -> None:
    visit = await visitors("phone", viewport={"width": 360, "height": 740}, locale="hi-IN")
    page = await visit.goto("/")
    film = await page.locator(".bill h2 a").first.get_attribute("href")
    for path in ("/", str(film), "/sign-in", "/register", "/bookings"):
        await visit.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


async def test_the_front_page_is_light(phone: Visit) -> None:
    session = await phone.context.new_cdp_session(phone.page)
    await session.send("Network.enable")
    sizes: list[float] = []

    def weigh(event: dict[str, float]) -> None:
        sizes.append(event["encodedDataLength"])

    session.on("Network.loadingFinished", weigh)
    await phone.goto("/")
    await phone.page.wait_for_load_state("networkidle")

    assert 10_000 < sum(sizes) < WEIGHT_MAX


async def test_titles_are_searched_as_one_types(phone: Visit) -> None:
    page = await phone.goto("/")
    title = await page.locator(".bill h2").last.inner_text()
    before = await live_regions(page)
    assert list(before.values()) == [""]

    await page.get_by_role("searchbox").press_sequentially(title, delay=5)

    await expect(page.locator(".bill h2").first).to_have_text(title)
    await expect(page.get_by_role("status")).to_contain_text(title)
    await expect(page).to_have_url(re.compile(r"\?q="))
    # In the region that was there before: one that comes with its text is not read out.
    heard = await live_regions(page)
    assert (heard.keys(), title in "".join(heard.values())) == (before.keys(), True)

    await page.get_by_role("searchbox").fill("")
    await expect(page.locator(".days")).to_be_visible()
    await expect(page.get_by_role("status")).to_have_text("")


async def test_titles_stay_on_their_posters(desktop: Visit, pages_pool: Pool) -> None:
    too_wide: list[str] = []
    for film in await pages_pool.fetch("SELECT id, title FROM movie WHERE poster_url IS NULL AND title <> 'Sholay'"):
        page = await desktop.goto(f"/posters/{film['id']}.svg")
        box = await page.evaluate("(({ x, width }) => [x, x + width])(document.querySelector('text').getBBox())")
        if not 0 <= box[0] < box[1] <= WIDTH:
            too_wide.append(film["title"])
    assert too_wide == []


async def test_the_language_and_the_city_are_switched_and_kept(phone: Visit) -> None:
    page = await phone.goto("/")
    await page.get_by_role("button", name="हिन्दी").click()
    await expect(page.locator("html")).to_have_attribute("lang", "hi")
    await phone.look("home-hindi")

    await page.locator(".cities summary").click()
    other = page.locator(".cities button:not([aria-current])").first
    city = await other.inner_text()
    await other.click()

    await expect(page.get_by_role("heading", level=1)).to_contain_text(city)
    await phone.goto("/")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(f"{city} में")


@pytest.mark.parametrize("with_scripts", [True, False])
async def test_somebody_registers_signs_out_and_in_again(visitors: Visitors, *, with_scripts: bool) -> None:
    visit = await visitors("phone", java_script_enabled=with_scripts)
    email = f"asha-{with_scripts}@example.com".lower()
    page = await visit.goto("/register?next=/bookings")
    await page.get_by_label("Your name").fill("Asha")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("eleven cups of tea")
    await page.locator("main").get_by_role("button", name="Make an account").click()
    await expect(page).to_have_url(re.compile(r"/bookings$"))
    await page.get_by_role("button", name="Sign out").click()

    visit.allow("401")
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("not the one")
    await page.locator("main").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("do not match")
    await expect(page.get_by_label("E-mail")).to_have_value(email)
    await page.get_by_label("Password").fill("eleven cups of tea")
    await page.locator("main").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()

    cookies = {str(cookie.get("name")): cookie for cookie in await visit.context.cookies()}
    session = cookies["__Host-boxoffice"]
    assert (session.get("httpOnly"), session.get("secure"), session.get("sameSite")) == (True, True, "Lax")


async def test_without_a_network_a_page_says_so(phone: Visit) -> None:
    page = await phone.goto("/")
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")

    await phone.context.set_offline(offline=True)
    phone.allow("ERR_INTERNET_DISCONNECTED|Failed to load resource|failed:")
    await phone.goto("/sign-in")
    await expect(page.get_by_role("heading", level=1)).to_have_text("No connection")
    await phone.context.set_offline(offline=False)
    await page.get_by_role("link", name="Try again").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
