"""Every text of the pages is in the catalogue of each language, and translated with the same placeholders."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir  # pyright: ignore[reportUnknownVariableType]
from babel.messages.pofile import read_po

from boxoffice.languages import CATALOGUES, DOMAIN, ENGLISH, LANGUAGES, Language, texts_in

ROOT = Path(__file__).parents[2]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
# As babel.cfg has it for `make texts`.
METHODS = [("boxoffice/**.py", "python"), ("boxoffice/web/templates/**.html", "jinja2")]
OPTIONS = {"boxoffice/web/templates/**.html": {"trimmed": "true", "silent": "false"}}
OTHERS = [language for language in LANGUAGES.values() if language != ENGLISH]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")

Forms = tuple[str, ...]
"""A text, and its plural where it has one."""


def forms(text: object) -> Forms:
    return tuple(str(form) for form in text) if isinstance(text, (tuple, list)) else (str(text),)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  (Babel's own)


def texts_of_the_pages() -> set[Forms]:
    found = extract_from_dir(str(ROOT / "src"), METHODS, OPTIONS, keywords=KEYWORDS)
    return {forms(text) for _, _, text, _, _ in found}


def catalogue(language: Language) -> dict[Forms, Forms]:
    """Its translations; of a fuzzy one, none."""
    with (CATALOGUES / language.code / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        read = read_po(file, locale=language.code)
    return {forms(entry.id): () if entry.fuzzy else forms(entry.string) for entry in read if entry.id}


def code(language: Language) -> str:
    return language.code


@pytest.mark.parametrize("language", OTHERS, ids=code)
def test_the_catalogue_has_exactly_the_texts_of_the_pages(language: Language) -> None:
    wanted, kept = texts_of_the_pages(), set(catalogue(language))

    assert len(wanted) > 200
    assert (wanted - kept, kept - wanted) == (set(), set()), "run `make texts`, and translate what is new"


@pytest.mark.parametrize("language", OTHERS, ids=code)
def test_every_text_is_translated(language: Language) -> None:
    assert [text for text, said in catalogue(language).items() if not said or not all(said)] == []


@pytest.mark.parametrize("language", OTHERS, ids=code)
def test_a_translation_has_the_placeholders_of_its_text(language: Language) -> None:
    def placeholders(texts: Forms) -> set[str]:
        return {part for text in texts for part in PLACEHOLDER.findall(text)}

    assert [text for text, said in catalogue(language).items() if placeholders(text) != placeholders(said)] == []


def test_a_text_is_found_in_its_language() -> None:
    hindi = texts_in(LANGUAGES["hi"])

    assert hindi.gettext("Tomorrow") == "कल"
    assert hindi.ngettext("%(num)s seat left", "%(num)s seats left", 2) == "%(num)s सीटें बची हैं"
    assert texts_in(ENGLISH).gettext("Tomorrow") == "Tomorrow"
