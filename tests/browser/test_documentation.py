"""Swagger UI works under its policy, in a real browser."""

from browser.visits import Visit


async def test_swagger_ui_shows_the_operations_and_calls_them(desktop: Visit) -> None:
    page = await desktop.goto("/api/docs")
    operation = page.locator("#operations-operation-health")
    await operation.click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await operation.locator(".live-responses-table").get_by_text('"status": "ok"').first.wait_for()

    desktop.refuse_complaints()
