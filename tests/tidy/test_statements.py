"""Every SQL constant of the code is a statement that the migrated schema accepts."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, cast

import asyncpg

import boxoffice
from boxoffice.postgres.pool import Pool, connection

STARTS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.DOTALL)
CONSTANT = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*$")


def _statements() -> Iterator[tuple[str, str]]:
    for module in pkgutil.walk_packages(boxoffice.__path__, "boxoffice."):
        # Alembic loads its scripts itself, and only while it runs them.
        if module.name.startswith("boxoffice.postgres.migrations"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, str) and CONSTANT.match(name) and STARTS.match(value):
                yield f"{module.name}.{name}", value


async def test_every_statement_fits_the_schema(pool: Pool) -> None:
    statements = dict(_statements())
    refused: dict[str, str] = {}
    async with connection(pool) as conn:
        for name, statement in statements.items():
            try:
                prepared = await cast("Any", conn).prepare(statement)
            except asyncpg.PostgresError as error:
                refused[name] = str(error)
                continue
            columns = [str(attribute.name) for attribute in prepared.get_attributes()]
            if len(columns) != len(set(columns)):
                refused[name] = f"two columns of one name make no row: {columns}"

    assert len(statements) > 50
    assert {name: why for name, why in refused.items() if not _is_part(name, statements)} == {}


def _is_part(name: str, statements: dict[str, str]) -> bool:
    """Whether a constant only begins or ends other statements of its module, which were prepared as a whole."""
    module = name.rpartition(".")[0]
    return any(
        statements[name].strip() in whole
        for other, whole in statements.items()
        if other != name and other.rpartition(".")[0] == module
    )
