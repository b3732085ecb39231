"""What the pages are without a network: a page that says so, and what makes them an app on a phone's home screen.

The worker keeps that one page, its stylesheet and nothing else: a seat that was free, or somebody's bookings, are never
shown from a cache.
"""

from pathlib import Path
from typing import Any, Final

from litestar import Response, get

from boxoffice.web.pages.browser import PageRequest
from boxoffice.web.pages.page import WEB, asset, render, texts_of

_WORKER: Final = Path(WEB, "static", "js", "worker.js").read_text(encoding="utf-8")
OFFLINE_PATH: Final = "/offline"


@get(OFFLINE_PATH, sync_to_thread=False)
def show_offline(request: PageRequest) -> Response[str]:
    """What the worker shows when nothing else can be had; it tells nothing of the visitor."""
    return render(request, "offline.html", personal=False)


@get("/service-worker.js", sync_to_thread=False)
def give_worker() -> Response[str]:
    """The worker, at the top so that it stands before every page; it changes with what it keeps."""
    keeps = f"const STYLE = {asset('css/base.css')!r};\nconst PAGE = {OFFLINE_PATH!r};\n"
    return Response(keeps + _WORKER, media_type="text/javascript", headers={"Cache-Control": "public, no-cache"})


@get("/manifest.webmanifest", sync_to_thread=False)
def give_manifest(request: PageRequest) -> Response[dict[str, Any]]:
    """Name, icon and colours for a home screen."""
    return Response(
        {
            "name": "Box office",
            "short_name": "Box office",
            "description": texts_of(request).gettext("Films, times and the best seats that are left."),
            "start_url": "/",
            "display": "minimal-ui",
            "background_color": "#1a1022",
            "theme_color": "#1a1022",
            "icons": [{"src": asset("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
        },
        media_type="application/manifest+json",
    )


ROUTES: Final = [show_offline, give_worker, give_manifest]
