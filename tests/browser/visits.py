"""A person with a browser: what they see is kept as a screenshot, checked by axe, and must log no error."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, expect

SCREENSHOTS: Final = Path(__file__).parents[2] / "build" / "screenshots"
Device = Literal["phone", "desktop"]
DEVICES: Final[dict[Device, dict[str, Any]]] = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}
WAIT_MS: Final = 15_000
"""How long an expectation may take on a machine that is busy with other tests; most take some milliseconds."""

_VIOLATIONS: Final = """
axe.run({resultTypes: ["violations"]}).then((results) => results.violations.map((rule) =>
  `${rule.id} (${rule.impact}): ${rule.help}: ` +
  rule.nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(" | ")))
"""

expect.set_options(timeout=WAIT_MS)


class Visit:
    """One person's browser: a context with cookies of its own, and its page."""

    def __init__(self, context: BrowserContext, device: Device, url: str) -> None:
        self.context = context
        self.device: Device = device
        self.url = url
        self.page: Page
        self._allowed: list[str] = []
        self._complaints: list[str] = []

    async def goto(self, path: str) -> Page:
        """Open a page of the box office."""
        await self.page.goto(self.url + path)
        return self.page

    def allow(self, pattern: str) -> None:
        """Take a complaint of the browser that the test brings about itself, such as of a refusal (409)."""
        self._allowed.append(pattern)

    async def look(self, name: str, *, full: bool = False) -> None:
        """Keep a screenshot of the page as ``name``, and hold the page against axe's rules."""
        try:
            await self.page.screenshot(path=self.screenshot(name), full_page=full)
        except Error as error:
            # Chromium gives up where a picture of a tall page takes it too long, on a machine that is busy.
            if "Unable to capture screenshot" not in error.message:
                raise
            await self.page.screenshot(path=self.screenshot(name), full_page=full)
        found = await violations(self.page)
        assert not found, f"{name}: " + "\n".join(found)

    def screenshot(self, name: str) -> Path:
        """Where a screenshot of that name belongs: for pages that axe, which is a script, cannot look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        return SCREENSHOTS / f"{name}-{self.device}.png"

    async def new_page(self) -> Page:
        """Another tab."""
        page = await self.context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._complaints.append(f"uncaught: {error}"))
        page.on("requestfailed", self._on_failed)
        return page

    def refuse_complaints(self) -> None:
        """Fail if the browser has complained about anything that was not allowed."""
        left = [said for said in self._complaints if not any(re.search(pattern, said) for pattern in self._allowed)]
        assert not left, "the browser complains: " + "\n".join(left)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_failed(self, request: Request) -> None:
        # Leaving a page aborts what it was loading: that is no fault of the page.
        if request.failure not in {"net::ERR_ABORTED", None}:
            self._complaints.append(f"failed: {request.url}: {request.failure}")


@asynccontextmanager
async def visiting(browser: Browser, device: Device, url: str, **options: Any) -> AsyncGenerator[Visit]:
    """A person who comes with a browser of their own; complaints of the browser fail the test at the end."""
    wanted: dict[str, Any] = {"locale": "en-IN", **DEVICES[device], **options}
    context = await browser.new_context(**wanted)
    try:
        visit = Visit(context, device, url)
        visit.page = await visit.new_page()
        yield visit
        visit.refuse_complaints()
    finally:
        await context.close()


async def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is: WCAG 2.2 A and AA, and best practices."""
    # Through the debugger, as the page's own content security policy lets no foreign script in.
    session = await page.context.new_cdp_session(page)
    await session.send("Runtime.evaluate", {"expression": _axe()})
    wanted = {"expression": _VIOLATIONS, "awaitPromise": True, "returnByValue": True}
    result = cast("dict[str, Any]", await session.send("Runtime.evaluate", wanted))["result"]
    await session.detach()
    assert "value" in result, result
    return result["value"]


async def live_regions(page: Page) -> dict[int, str]:
    """What screen readers are told by itself, by region: those that are in the accessibility tree, with their texts."""
    session = await page.context.new_cdp_session(page)
    tree = cast("dict[str, Any]", await session.send("Accessibility.getFullAXTree"))
    found: dict[int, str] = {}
    for node in tree["nodes"]:
        if node["ignored"] or node.get("role", {}).get("value") not in {"status", "alert", "log"}:
            continue
        element: int = node["backendDOMNodeId"]
        resolved = cast("dict[str, Any]", await session.send("DOM.resolveNode", {"backendNodeId": element}))
        asked = {
            "objectId": resolved["object"]["objectId"],
            "functionDeclaration": "function () { return this.textContent; }",
            "returnByValue": True,
        }
        answer = cast("dict[str, Any]", await session.send("Runtime.callFunctionOn", asked))
        found[element] = " ".join(answer["result"]["value"].split())
    await session.detach()
    return found


@cache
def _axe() -> str:
    return (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
