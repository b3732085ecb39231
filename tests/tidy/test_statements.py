"""Every SQL constant of the code is a statement that the migrated schema accepts."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, cast

import asyncpg
import pytest

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


STATEMENTS = dict(_statements())


def test_there_are_statements() -> None:
    assert len(STATEMENTS) > 5


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_a_statement_fits_the_schema(pool: Pool, name: str) -> None:
    async with connection(pool) as conn:
        try:
            prepared = await cast("Any", conn).prepare(STATEMENTS[name])
        except asyncpg.PostgresError as error:
            pytest.fail(f"{name}: {error}")

    columns: list[str] = [attribute.name for attribute in prepared.get_attributes()]
    assert len(columns) == len(set(columns)), "two columns of one name make no row"
