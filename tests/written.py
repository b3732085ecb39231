"""Every SQL statement that is written in the code, found as constants of its modules."""

import importlib
import pkgutil
import re
import types
from collections.abc import Iterator, Mapping

import boxoffice

STARTS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.DOTALL)
CONSTANT = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*$")


def modules() -> Iterator[types.ModuleType]:
    """All of the code's."""
    for module in pkgutil.walk_packages(boxoffice.__path__, "boxoffice."):
        # Alembic loads its scripts itself, and only while it runs them.
        if not module.name.startswith("boxoffice.postgres.migrations"):
            yield importlib.import_module(module.name)


def statements() -> Iterator[tuple[str, str]]:
    """The full name of each constant, and its statement; those for psycopg have other placeholders."""
    for module in modules():
        for name, value in vars(module).items():
            if (
                isinstance(value, str)
                and CONSTANT.match(name)
                and STARTS.match(value)
                and not PLACEHOLDER.search(value)
            ):
                yield f"{module.__name__}.{name}", value


PLACEHOLDER = re.compile(r"%\(\w+\)s|:web\b")


def is_part(name: str, written: Mapping[str, str]) -> bool:
    """Whether a constant only begins or ends other statements of its module, which are statements as a whole."""
    module = name.rpartition(".")[0]
    return any(
        written[name].strip() in whole
        for other, whole in written.items()
        if other != name and other.rpartition(".")[0] == module
    )
