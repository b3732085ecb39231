"""The browser: the system's own Chromium, so that nothing is downloaded but what the system's packages bring."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
MISSING: Final = (
    "The tests of the pages need Chromium, and there is none: `make browser` installs Debian's, CHROMIUM=/path/to/it "
    "names another, and BROWSER_TESTS=skip leaves these tests out."
)
QUIET: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Containers give /dev/shm little room.
    "--disable-dev-shm-usage",
)


def wanted() -> bool:
    """Whether these tests are to run: only whoever says so leaves them out."""
    return os.environ.get("BROWSER_TESTS", "") != "skip"


def path() -> str | None:
    """Where Chromium is; None if there is none."""
    named = os.environ.get("CHROMIUM", "")
    if named:
        return shutil.which(named)
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@asynccontextmanager
async def launched(executable: str) -> AsyncGenerator[Browser]:
    """A browser of our own, closed at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable,
            args=list(QUIET),
            # Chromium's sandbox does not run as root, which containers often are.
            chromium_sandbox=os.geteuid() != 0,
        )
        try:
            yield browser
        finally:
            await browser.close()
