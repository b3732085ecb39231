"""Any database comes to one schema: from nothing, again, from two processes at once; or stays as it was."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from ground import on_database, run_sql
from procrastinate.schema import SchemaManager
from running import BOXOFFICE, START_WITHIN_S, environment, free_port, started
from sqlalchemy.exc import DBAPIError

from boxoffice.postgres import schema
from boxoffice.postgres.grants import WEB
from boxoffice.postgres.migrate import migrate
from boxoffice.postgres.schema import look, newest

# All that a database holds, an object a line: what is there, and how it is defined.
OBJECTS = """
SELECT format('table %s column %s %s %s default %s', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN 'not null' END, pg_get_expr(d.adbin, d.adrelid))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('constraint %s on %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT format('function %s %s', p.oid::regprocedure, pg_get_functiondef(p.oid)) FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
UNION ALL
SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT format('enum %s %s', t.oid::regtype, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder))
  FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.oid
UNION ALL
SELECT format('extension %s', extname) FROM pg_extension
ORDER BY 1
"""
AT_ONCE = 2


def objects(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as conn:
        return [line for (line,) in conn.execute(OBJECTS.encode()).fetchall()]


@pytest.fixture
def make_database(server: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases; returns the address of each."""
    names: list[str] = []

    def make() -> str:
        names.append(f"boxoffice_empty_{uuid4().hex}")
        run_sql(server, f'CREATE DATABASE "{names[-1]}" TEMPLATE template0')
        return on_database(server, names[-1])

    yield make
    for name in names:
        run_sql(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty(make_database: Callable[[], str]) -> str:
    """The address of an empty database."""
    return make_database()


def test_the_number_of_the_last_file_is_the_head_that_alembic_knows(empty: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.SCRIPTS))
    assert newest() == ScriptDirectory.from_config(config).get_current_head()
    assert not look(empty).ready
    migrate(empty)
    assert look(empty).ready
    assert not look("postgresql://nobody@127.0.0.1:1/nowhere").ready


def test_an_empty_database_comes_to_the_newest_schema_and_stays_there(empty: str) -> None:
    assert migrate(empty) == newest()
    made = objects(empty)
    assert any(line.startswith("table show_seat column taken_until ") for line in made)

    assert migrate(empty) == newest()
    assert objects(empty) == made


def test_migrating_again_waits_for_nobody_who_reads_or_sells(empty: str) -> None:
    migrate(empty)
    with psycopg.connect(empty) as seller:
        seller.execute("LOCK TABLE show_seat IN ROW EXCLUSIVE MODE")
        run_sql(empty, f"ALTER DATABASE \"{empty.rpartition('/')[2]}\" SET lock_timeout = '1s'")
        assert migrate(empty) == newest()


def test_threads_that_migrate_at_once_all_end_well_with_one_schema(make_database: Callable[[], str]) -> None:
    alone, together = make_database(), make_database()
    start = Barrier(AT_ONCE)

    def go(_: int) -> str:
        start.wait()
        return migrate(together)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert list(threads.map(go, range(AT_ONCE))) == [newest()] * AT_ONCE
    migrate(alone)
    assert objects(together) == objects(alone)


def test_processes_that_migrate_at_once_all_end_well_with_one_schema(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    alone, together = make_database(), make_database()
    processes = [
        subprocess.Popen(  # noqa: S603  (our own program)
            [*BOXOFFICE, "migrate"],
            env=environment(tmp_path, DATABASE_URL=together),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(AT_ONCE)
    ]
    for process in processes:
        said, complained = process.communicate(timeout=60)
        assert process.returncode == 0, complained
        assert newest() in said
    migrate(alone)
    assert objects(together) == objects(alone)


def test_a_migration_that_fails_changes_nothing(empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(empty)
    before = objects(empty)
    scripts = tmp_path / "migrations"
    shutil.copytree(schema.SCRIPTS, scripts)
    for number, statement in enumerate(("CREATE TABLE half_way (id integer)", "SELECT 1 / 0")):
        _add_revision(scripts, f"999{number}", newest() if number == 0 else "9990", statement)
    monkeypatch.setattr(schema, "SCRIPTS", scripts)
    assert newest() == "9991"

    with pytest.raises(DBAPIError, match="division by zero"):
        migrate(empty)
    assert objects(empty) == before

    monkeypatch.undo()
    assert migrate(empty) == newest()


def test_the_first_migration_that_fails_leaves_the_database_empty(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = objects(empty)
    scripts = tmp_path / "migrations"
    shutil.copytree(schema.SCRIPTS, scripts)
    _add_revision(scripts, "9990", newest(), "SELECT 1 / 0")
    monkeypatch.setattr(schema, "SCRIPTS", scripts)

    with pytest.raises(DBAPIError, match="division by zero"):
        migrate(empty)
    assert objects(empty) == before


def test_a_newer_schema_and_its_grants_are_left_alone(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an old machine that restarts does while new ones are let in."""
    scripts = tmp_path / "migrations"
    shutil.copytree(schema.SCRIPTS, scripts)
    _add_revision(scripts, "9990", newest(), "CREATE TABLE of_a_later_release (id integer)")
    monkeypatch.setattr(schema, "SCRIPTS", scripts)
    assert migrate(empty) == "9990"
    monkeypatch.undo()
    run_sql(empty, f"GRANT SELECT ON of_a_later_release TO {WEB}")
    run_sql(empty, f"GRANT DELETE ON mail TO {WEB}")
    run_sql(empty, "COMMENT ON TABLE alembic_version IS 'the mark of a later list'")
    before = objects(empty)

    told: list[str] = []
    assert migrate(empty, told.append) == "9990"
    line = f"the database is at revision 9990, newer than this program's {newest()}: it is left as it is"
    assert told == [line]
    for command in ("migrate", "audit"):
        said = boxoffice(tmp_path, command, DATABASE_URL=empty)
        assert (said.returncode, said.stderr) == (0, f"boxoffice: {line}\n")
    assert "The database is at revision 9990" in boxoffice(tmp_path, "migrate", DATABASE_URL=empty).stdout
    assert objects(empty) == before
    assert look(empty) == ("9990", "the mark of a later list")
    with psycopg.connect(empty) as conn:
        granted = conn.execute(f"SELECT has_table_privilege('{WEB}', 'mail', 'DELETE')".encode()).fetchone()
    assert granted == (True,)

    with started(tmp_path / "data", "serve", DATABASE_URL=empty) as running:
        assert line in running.said()


def test_a_schema_that_is_none_of_ours_is_one_line(empty: str, tmp_path: Path) -> None:
    run_sql(empty, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    run_sql(empty, "INSERT INTO alembic_version VALUES ('4f2c')")
    for command in ("migrate", "serve"):
        said = boxoffice(tmp_path, command, DATABASE_URL=empty, PORT=str(free_port()))
        (line,) = said.stderr.splitlines()
        assert said.returncode == 1
        assert "has another schema: Can't locate revision identified by '4f2c'" in line


def boxoffice(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  (our own program)
        [*BOXOFFICE, *arguments],
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=START_WITHIN_S,
        check=False,
    )


def _add_revision(scripts: Path, revision: str, after: str, statement: str) -> None:
    (scripts / "versions" / f"{revision}_test.py").write_text(
        f"from alembic import op\nrevision = {revision!r}\ndown_revision = {after!r}\n\n\n"
        f"def upgrade():\n    op.execute({statement!r})\n",
        encoding="utf-8",
    )


def _queue_release() -> str:
    """The release of procrastinate whose schema revision 0002 is."""
    (file,) = (schema.SCRIPTS / "versions").glob("0002_*.py")
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PROCRASTINATE_VERSION


def test_the_queue_installed_is_the_one_whose_schema_we_made() -> None:
    recorded, installed = _queue_release(), version("procrastinate")

    assert installed == recorded, (
        f"procrastinate {installed} is installed, revision 0002 made the schema of {recorded}: add a revision that runs"
        f" what procrastinate/sql/migrations has added since {recorded}, keep a copy of {recorded}'s schema.sql beside"
        " 0002 for new databases, and record the new release here"
    )


def test_the_queues_tables_and_functions_are_those_of_its_release(make_database: Callable[[], str]) -> None:
    ours, theirs = make_database(), make_database()
    migrate(ours)
    with psycopg.connect(theirs, autocommit=True) as conn:
        conn.execute(SchemaManager.get_schema().encode())

    wanted = [line for line in objects(theirs) if not line.startswith("extension ")]
    assert len(wanted) > 50
    assert [line for line in objects(ours) if line.split(maxsplit=1)[1].startswith("procrastinate_")] == [
        line for line in wanted if line.split(maxsplit=1)[1].startswith("procrastinate_")
    ]
    assert set(wanted) <= set(objects(ours))
