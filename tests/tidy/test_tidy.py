"""The rules of the house that no linter knows (style as a test)."""

import ast
import hashlib
import os
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src/boxoffice/web/static"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PYTHON = sorted(path for folder in ("src", "tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "service", "services", "manager", "common", "misc"}
# Spelt in pieces, so that this file passes its own test.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_functions_fit_on_a_screen_and_files_on_a_few(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    too_long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert not too_long
    lines = text.count("\n")
    assert lines <= FILE_LINES_MAX


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_opens_with_its_promise(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_a_file_is_named_for_the_concept_it_holds(path: Path) -> None:
    assert not VAGUE_NAMES & {path.stem, *path.relative_to(ROOT).parent.parts}


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert UNFINISHED.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [path for path in SOURCES if "web" not in path.parts], ids=name)
def test_http_statuses_live_in_web_alone(path: Path) -> None:
    found = sorted(set(_status_words(path)))

    assert not found, f"{found} belong to boxoffice.web; raise a kind of boxoffice.errors"


def _status_words(path: Path) -> Iterator[str]:
    """What a module that answers HTTP would say: its exceptions, constants and status arguments."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word):
                if word == "HTTPException" or re.match(r"HTTP_\d{3}", word):
                    yield word
            case ast.keyword(arg="status" | "status_code", value=ast.Constant(value=int(status))):
                yield f"status {status}"
            case _:
                pass


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_change_of_a_seat_counts_its_revision(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    updates = re.findall(r"UPDATE\s+show_seat\b.*?(?=\"\"\"|$)", text, re.DOTALL)

    assert all(re.search(r"\brevision\s*=\s", update) for update in updates)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_pattern_lets_a_final_line_break_pass(path: Path) -> None:
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    # A sign by itself is money, and one after several lines begins the number of a statement's argument.
    open_ended = [text for text in texts if re.fullmatch(r".*[^\\]\$", text)]
    assert not open_ended, r"Python's `$` matches before a final line break, too: `\Z` does not"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_statement_changes_its_session(path: Path) -> None:
    # Connections go back to the pool as they are (`boxoffice.postgres.pool`): what one left, the next would find.
    changes = (
        r"\s*(SET|RESET|DISCARD|LISTEN|UNLISTEN|DECLARE|PREPARE|CREATE\s+TEMP)\s|.*\b(set_config|pg_advisory_lock)\("
    )
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert not [text for text in texts if re.match(changes, text, re.DOTALL)]


def test_copied_files_are_those_of_the_lock() -> None:
    lock = (ROOT / "assets.lock").read_text(encoding="utf-8")
    named = dict(re.findall(r"^    (\S+) --hash=sha256:([0-9a-f]{64})$", lock, re.MULTILINE))
    folders = {(ROOT / file).parent for file in named}
    assert folders == {ROOT / "tests/browser/axe", STATIC / "swagger", *(STATIC / "vendor").iterdir()}
    there = {file for folder in folders for kind in ("*.js", "*.css") for file in folder.glob(kind)}
    assert {ROOT / file for file in named} == there
    for file, digest in named.items():
        assert hashlib.sha256((ROOT / file).read_bytes()).hexdigest() == digest, file


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.lock")), ids=name)
def test_locks_name_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"https?://|index-url|find-links|trusted-host", text)
    assert "--hash=sha256:" in text


def test_every_dependency_has_its_reason() -> None:
    listed = ROOT / "docs" / "dependencies.md"
    if not listed.exists():
        pytest.skip("docs/dependencies.md is not written yet")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    text = listed.read_text(encoding="utf-8")

    missing = [
        dependency
        for dependency in (re.split(r"[\[<>=!~; ]", line)[0] for line in wanted)
        if not re.search(rf"`{re.escape(dependency)}(\[[a-z0-9,-]+\])?`", text)
    ]

    assert not missing


def test_the_readme_lists_exactly_the_settings() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if not readme.strip():
        pytest.skip("README.md is not written yet")
    documented = set(re.findall(r"^\|\s*`([A-Z][A-Z0-9_]+)(?:=[^`]*)?`", readme, re.MULTILINE))

    assert documented == set(_settings_read())


def _settings_read() -> Iterator[str]:
    """The variables that `settings.from_environment` reads: the first argument of each `read.…("NAME")`."""
    module = ast.parse((ROOT / "src/boxoffice/settings.py").read_text(encoding="utf-8"))
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="read")), args=[ast.Constant(value=str(variable)), *_]):
                yield variable
            case _:
                pass


def test_migrations_follow_each_other_one_by_one() -> None:
    versions = sorted((ROOT / "src/boxoffice/postgres/migrations/versions").glob("[0-9]*.py"))
    said = [re.findall(r'^(?:down_)?revision = (?:"(\d+)"|None)$', path.read_text(), re.MULTILINE) for path in versions]

    numbers = [f"{number:04d}" for number in range(1, len(versions) + 1)]
    assert [path.name[:4] for path in versions] == numbers
    assert said == [list(pair) for pair in zip(numbers, ["", *numbers], strict=False)]


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")), ids=name)
def test_a_decision_says_why_and_what_enforces_it(path: Path) -> None:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    missing = {"Context", "Decision", "Consequences", "Enforced by"} - {heading.strip() for heading in headings}
    assert not missing


def test_no_two_files_of_tests_have_one_name() -> None:
    """Pytest cannot tell them apart, but where a folder is a package: it then runs nothing at all."""
    names = [
        path.name for path in PYTHON if path.name.startswith("test_") and not (path.parent / "__init__.py").exists()
    ]
    assert sorted(names) == sorted(set(names))


def test_every_test_that_the_documents_name_exists() -> None:
    tests = {str(path.relative_to(ROOT / "tests")): path for path in (ROOT / "tests").rglob("test_*.py")}
    missing: list[str] = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        named = re.findall(
            r"\b((?:\w+/)+test_\w+\.py)(?:::(test_\w+))?", page.read_text(encoding="utf-8").replace("tests/", "")
        )
        for file, test in named:
            found = tests.get(file)
            if found is None or (test and f"def {test}(" not in found.read_text(encoding="utf-8")):
                missing.append(f"{name(page)}: {file}::{test}")

    assert not missing


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_a_silenced_rule_is_named_and_no_path_of_a_machine_is_written_down(path: Path) -> None:
    with tokenize.open(path) as file:
        comments = [token.string for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]

    assert not [comment for comment in comments if re.search(r"(noqa|type: ignore|pyright: ignore)\s*$", comment)]
    assert str(ROOT) + os.sep not in path.read_text(encoding="utf-8")
