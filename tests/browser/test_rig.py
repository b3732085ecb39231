"""The rig can be relied on: it sees a page as a person does, and what is wrong with one it tells."""

import re

import pytest
from playwright.async_api import expect

from browser.box_office import BoxOffice
from browser.conftest import Visitors
from browser.visits import Visit, violations


async def test_a_page_is_seen_photographed_and_judged(phone: Visit, desktop: Visit) -> None:
    for visit in (phone, desktop):
        page = await visit.goto("/api/docs/problems")
        await expect(page).to_have_title(re.compile("Problems"))
        await visit.look("problems")


async def test_what_axe_finds_is_told(desktop: Visit) -> None:
    page = await desktop.goto("/api/docs/problems")
    await page.evaluate("document.querySelector('html').removeAttribute('lang')")

    found = await violations(page)

    assert any(finding.startswith("html-has-lang") for finding in found)


@pytest.mark.parametrize(
    "wrong", ["console.error('oh no')", "setTimeout(() => { throw new Error('oh no'); })", "fetch('/nothing/here')"]
)
async def test_what_the_browser_complains_about_is_told(desktop: Visit, wrong: str) -> None:
    page = await desktop.goto("/api/docs/problems")
    # The page's policy allows no fetch, so that the third is a complaint whatever the address.
    await page.evaluate(f"() => {{ {wrong}; }}")
    await page.wait_for_timeout(200)

    with pytest.raises(AssertionError, match="the browser complains"):
        desktop.refuse_complaints()
    desktop.allow(".*")


async def test_shows_are_made_to_measure(box_office: BoxOffice, visitors: Visitors) -> None:
    show = await box_office.show()
    visit = await visitors("phone", java_script_enabled=False)

    answer = await visit.page.request.get(f"{visit.url}/api/v1/seats/shows/{show.id}")

    assert (await answer.json())["summary"]["total"] == len(show.seats) == 300
