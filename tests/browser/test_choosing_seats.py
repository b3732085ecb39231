"""Seats are chosen as people can: with a finger, a mouse, a keyboard alone, by ear, and without JavaScript."""

import re

import httpx
import pytest
from playwright.async_api import expect

from browser.box_office import BoxOffice
from browser.conftest import Visitors
from browser.halls import come_near, enter, expect_seat, press, seat, stand_still, taken_by_somebody, tap
from browser.visits import Visit, live_regions

BOOKING = re.compile(r"/bookings/[0-9a-f-]{36}$")


async def test_by_touch(phone: Visit, box_office: BoxOffice) -> None:
    show = await box_office.show()
    page = await enter(phone, show)
    await phone.look("show")
    # Row H, in the middle: seats 10 and 11.
    one, two = show.seats[149], show.seats[150]

    await come_near(page, one)
    await expect_seat(page, one, "free")
    await tap(page, one)
    await expect_seat(page, one, "mine")
    await tap(page, two)
    await expect_seat(page, two, "mine")
    bar = page.locator("#bar")
    await expect(bar).to_contain_text("H10, H11")
    await expect(bar).to_contain_text("₹900")
    await expect(bar).to_contain_text(re.compile(r"[45]:\d\d left"))
    await phone.look("show-chosen")

    await tap(page, two)
    await expect_seat(page, two, "free")
    await expect(bar).to_contain_text("₹450")

    await page.get_by_role("button", name="Continue").tap()
    await page.wait_for_url(BOOKING)


async def test_with_a_mouse(desktop: Visit, box_office: BoxOffice, api: httpx.AsyncClient) -> None:
    show = await box_office.show()
    await taken_by_somebody(api, show, *show.seats[40:44])
    page = await enter(desktop, show)

    await press(page, show.seats[45])
    await press(page, show.seats[46])
    await expect(page.locator("#bar")).to_contain_text("C6, C7")
    await desktop.look("show-chosen")
    await press(page, show.seats[41])
    await expect(page.locator("#line")).to_contain_text("Someone else is just choosing C2.")

    await page.reload()
    for mine in show.seats[45:47]:
        await expect_seat(page, mine, "mine")
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url(BOOKING)


@pytest.mark.parametrize("device", ["phone", "desktop"])
async def test_the_best_two_together_in_one_tap(visitors: Visitors, box_office: BoxOffice, device: str) -> None:
    show = await box_office.show()
    visit = await visitors(device)
    page = await enter(visit, show)

    await page.get_by_role("button", name="Best 2 together").click()

    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(2)
    names = (await page.locator("[data-names]").inner_text()).split(", ")
    assert names[0][0] == names[1][0]
    assert int(names[1][1:]) - int(names[0][1:]) == 1
    # What the stream says of our own seats is no news.
    await expect(page.locator("#whisper")).to_have_text(f"{', '.join(names)} held for you")
    await visit.look("show-best")


@pytest.mark.parametrize("device", ["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_show_of_the_demo_by_day_and_by_night(
    visitors: Visitors, box_office: BoxOffice, device: str, scheme: str
) -> None:
    visit = await visitors(device, color_scheme=scheme)
    page = await visit.goto(f"/shows/{await box_office.any_show_of_the_demo()}")
    await expect(page.locator("#booth.alive")).to_be_visible()
    await expect(page.locator(".hall-stage")).to_have_attribute("aria-busy", "false")
    await visit.look(f"show-demo-{scheme}")

    # Nothing is wider than the narrowest phone, and nothing needs scrolling sideways.
    await page.set_viewport_size({"width": 360, "height": 700})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_by_keyboard_alone(desktop: Visit, box_office: BoxOffice) -> None:
    show = await box_office.show()
    page = await enter(desktop, show)
    keys = page.keyboard
    focused = page.locator(":focus")

    for _ in range(12):
        await keys.press("Tab")
        if await page.evaluate("document.activeElement.getAttribute('role') === 'gridcell'"):
            break
    await expect(focused).to_have_attribute("aria-label", "Row A seat 1, Regular, ₹250, free")
    await expect(page.locator(".hall-ring")).to_be_visible()

    for key, name in [
        ("ArrowRight", "A seat 2"),
        ("ArrowDown", "B seat 2"),
        ("End", "B seat 20"),
        ("ArrowRight", "B seat 20"),
        ("Home", "B seat 1"),
        ("ArrowUp", "A seat 1"),
        ("ArrowUp", "A seat 1"),
        ("ArrowDown", "B seat 1"),
    ]:
        await keys.press(key)
        await expect(focused).to_have_attribute("aria-label", f"Row {name}, Regular, ₹250, free")
    for _ in range(5):
        await keys.press("ArrowDown")
    await expect(focused).to_have_attribute("aria-label", "Row G seat 1, Regular, ₹250, free, wheelchair place")

    await keys.press("ArrowDown")
    await keys.press("Enter")
    await expect(focused).to_have_attribute("aria-label", "Row H seat 1, Premium, ₹450, yours")
    await expect(focused).to_have_attribute("aria-selected", "true")
    await expect(page.locator("#whisper")).to_have_text("H1 held for you")
    await keys.press("Space")
    await expect(focused).to_have_attribute("aria-selected", "false")
    await expect(page.locator("#whisper")).to_have_text("H1 given back")
    await keys.press("Enter")
    await expect(focused).to_have_attribute("aria-selected", "true")

    # Nearer and nearer: the seat that has the focus stays in sight.
    for _ in range(6):
        await keys.press("+")
    await expect(focused).to_be_in_viewport()
    await desktop.look("show-keyboard")
    await keys.press("0")
    await keys.press("Escape")
    await expect(focused).to_have_text("Continue")
    await keys.press("Enter")
    await page.wait_for_url(BOOKING)


async def test_without_javascript(visitors: Visitors, box_office: BoxOffice) -> None:
    show = await box_office.show()
    visit = await visitors("phone", java_script_enabled=False)
    # A browser that runs no script does not fetch the modules that the page offers it.
    visit.allow(r"/static/js/.*: csp")
    await visit.goto(f"/shows/{show.id}")
    page = visit.page
    await page.wait_for_url("**/shows/*?view=list")
    await page.screenshot(path=visit.screenshot("show-list"))

    await page.get_by_label("H10").check()
    await page.get_by_label("H11").check()
    await page.get_by_role("button", name="Hold these seats").click()
    await expect(page.get_by_text("H10, H11 are held for you until")).to_be_visible()
    await expect(page.get_by_label("H10")).to_be_checked()

    await page.get_by_label("H11").uncheck()
    await page.get_by_role("button", name="Continue to payment").click()
    await page.wait_for_url(BOOKING)


async def test_the_list_is_there_for_everybody(desktop: Visit, box_office: BoxOffice, api: httpx.AsyncClient) -> None:
    show = await box_office.show()
    await taken_by_somebody(api, show, show.seats[0])
    desktop.allow("status of 400")
    page = await enter(desktop, show)
    await page.get_by_role("link", name="Choose from a list").click()

    await expect(page.get_by_label("A2", exact=True)).to_be_visible()
    await expect(page.get_by_label("A1", exact=True)).to_have_count(0)
    await desktop.look("show-list")
    await page.get_by_role("button", name="Continue to payment").click()
    await expect(page.get_by_role("alert")).to_contain_text("Please choose at least one seat.")


async def test_what_is_said_is_heard(desktop: Visit, box_office: BoxOffice, api: httpx.AsyncClient) -> None:
    show = await box_office.show()
    await taken_by_somebody(api, show, *show.seats[:2])
    page = await enter(desktop, show)
    # Regions that come with their text, or were hidden before, are not read out.
    before = await live_regions(page)
    assert set(before.values()) == {""}

    for number in (1, 2):
        said = f"Someone else is just choosing A{number}."
        await press(page, show.seats[number - 1])
        await expect(page.locator("#line")).to_contain_text(said)
        heard = await live_regions(page)
        assert (heard.keys(), said in heard.values()) == (before.keys(), True)


async def test_a_page_that_grew_old_says_so_and_comes_anew(desktop: Visit, box_office: BoxOffice) -> None:
    show = await box_office.show()
    page = await enter(desktop, show)
    other = await desktop.new_page()
    await other.goto(f"{desktop.url}/register")
    await other.get_by_label("Your name").fill("Asha")
    await other.get_by_label("E-mail").fill(f"asha-{show.id}@example.com")
    await other.get_by_label("Password").fill("eleven cups of tea")
    await other.locator("main").get_by_role("button", name="Make an account").click()
    await expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    desktop.allow("status of 403")

    await page.bring_to_front()
    await press(page, show.seats[0])
    await expect(page.locator("#line")).to_contain_text("This page has grown old")
    await expect_seat(page, show.seats[0], "free")
    await page.get_by_role("button", name="Reload the page").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(page.locator(".hall-stage")).to_have_attribute("aria-busy", "false")
    await press(page, show.seats[0])
    await expect_seat(page, show.seats[0], "mine")


async def test_ten_seats_are_the_most(desktop: Visit, box_office: BoxOffice) -> None:
    show = await box_office.show()
    page = await enter(desktop, show)
    await page.locator("#count").select_option("10")
    await page.get_by_role("button", name="Best 10 together").click()
    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(10)
    await page.get_by_role("button", name="Whole hall").click()
    await stand_still(page)

    await press(page, show.seats[0])

    await expect(page.locator("#line")).to_contain_text("You can hold 10 seats at most.")
    await expect_seat(page, show.seats[0], "free")


async def test_a_touch_beside_a_seat_means_it_and_a_drag_means_none(phone: Visit, box_office: BoxOffice) -> None:
    show = await box_office.show()
    page = await enter(phone, show)
    await come_near(page, show.seats[149])
    box = await seat(page, show.seats[149]).bounding_box()
    assert box is not None
    # In the gap between two seats.
    await page.touchscreen.tap(box["x"] + 1, box["y"] - 1)
    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(1)

    touch = await page.context.new_cdp_session(page)
    await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 200, "y": 400}]})
    for step in range(10):
        point = {"x": 200 - 8 * step, "y": 400 + 5 * step}
        await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    moved = await seat(page, show.seats[149]).bounding_box()
    assert moved is not None
    assert moved["x"] < box["x"] - 30
    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(1)
