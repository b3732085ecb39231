"""Templates keep to the pages' content security policy, and to what makes a text translatable."""

import re
from pathlib import Path

import pytest

TEMPLATES = sorted((Path(__file__).parents[2] / "src/boxoffice/web/templates").rglob("*.html"))
STYLES = sorted((Path(__file__).parents[2] / "src/boxoffice/web/static/css").glob("*.css"))
SCRIPTS = sorted((Path(__file__).parents[2] / "src/boxoffice/web/static/js").rglob("*.js"))


DRAWN_BY_US = {"drawing.letters", "drawing.signs", "ticket.qr_svg"}
"""SVG that our own code draws, which escapes what people typed (`tests/http/test_safe_pages.py`)."""


def name(path: Path) -> str:
    return path.name


def bare(path: Path) -> str:
    """The template without its comments."""
    return re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_nothing_is_inline(path: Path) -> None:
    text = bare(path)

    scripts = [
        tag for tag in re.findall(r"<script\b[^>]*>", text) if "src=" not in tag and "application/json" not in tag
    ]
    assert scripts == []
    assert re.findall(r"<style\b|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|javascript:|hx-on|hx-vals=.?js:", text) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_nothing_is_unescaped(path: Path) -> None:
    found = set(re.findall(r"[\w.]+(?=\s*\|\s*safe\b)|autoescape false|Markup\(", bare(path)))

    assert found - DRAWN_BY_US == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_every_form_that_changes_something_has_a_token(path: Path) -> None:
    forms = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", bare(path), re.DOTALL)
    # The fake gateway's page stands for somebody else's: its address is the key.
    assert path.name == "fake_checkout.html" or [form for form in forms if "csrf_field()" not in form] == []


@pytest.mark.parametrize("path", [*TEMPLATES, *STYLES, *SCRIPTS], ids=name)
def test_nothing_comes_from_another_host(path: Path) -> None:
    found = re.findall(
        r"(?:src|href|action)=\"(?:https?:)?//|url\((?!\"#)|@import|from \"http|import\(\"http", bare(path)
    )

    assert found == []
