"""Every error of the package has a code of its own, a title for people, and one status that is the client's or busy."""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator

import pytest

import boxoffice
from boxoffice.errors import BoxOfficeError, ThrottledError, UnavailableError
from boxoffice.web.errors import STATUSES, problems, status_of

TOLD = {400, 401, 403, 404, 408, 409, 413, 422, 429, 503}


def _errors() -> list[type[BoxOfficeError]]:
    for module in pkgutil.walk_packages(boxoffice.__path__, "boxoffice."):
        # Alembic loads its scripts itself, and only while it runs them.
        if not module.name.startswith("boxoffice.postgres.migrations"):
            importlib.import_module(module.name)
    return sorted(set(_below(BoxOfficeError)), key=lambda error: (error.__module__, error.__name__))


def _below(error: type[BoxOfficeError]) -> Iterator[type[BoxOfficeError]]:
    for kind in error.__subclasses__():
        # Tests may have errors of their own.
        if kind.__module__.startswith("boxoffice."):
            yield kind
            yield from _below(kind)


ERRORS = _errors()
ONE = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


@ONE
def test_an_error_is_told_with_a_status_that_is_no_defect_of_ours(error: type[BoxOfficeError]) -> None:
    assert status_of(error) in TOLD
    kinds = [kind for kind in STATUSES if issubclass(error, kind)]
    assert len(kinds) == 1, "an error is of one kind"


@ONE
def test_an_error_has_a_code_of_its_own(error: type[BoxOfficeError]) -> None:
    assert "code" in vars(error), "a code that is inherited says too little"
    assert error.code == error.code.lower()
    assert error.code.isascii()
    assert error.code.isidentifier()


def test_a_code_means_one_thing_and_one_thing_has_one_code() -> None:
    # Two layers may both miss a show: to the client that is one error, told in the same words.
    told = {(error.code, error.__name__, error.title(), status_of(error)) for error in ERRORS}

    for member in range(2):
        counted = Counter(meaning[member] for meaning in told)
        assert [word for word, times in counted.items() if times > 1] == []


@ONE
def test_an_error_has_a_title_and_says_it_where_no_detail_is_given(error: type[BoxOfficeError]) -> None:
    assert error.__doc__, "the first line of the docstring is the title"
    assert "__doc__" in vars(error)
    title = error.title()
    assert title == title.strip()
    assert title[0].isupper()
    assert not title.endswith(".")
    made = error(retry_after_s=1) if issubclass(error, ThrottledError) else error()
    assert made.detail == title
    assert error.__name__.endswith("Error")


@ONE
def test_what_may_be_tried_again_says_when(error: type[BoxOfficeError]) -> None:
    assert (status_of(error) in {429, 503}) == issubclass(error, ThrottledError | UnavailableError)


@ONE
def test_an_error_documents_itself_under_its_status(error: type[BoxOfficeError]) -> None:
    (documented,) = problems(error).items()

    status, answer = documented
    assert status == status_of(error)
    assert f"`{error.code}`: {error.title()}" in str(answer.description)


def test_the_statuses_are_those_of_the_contract() -> None:
    assert set(STATUSES.values()) == TOLD
    assert status_of(BoxOfficeError) == 500
