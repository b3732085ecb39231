"""A PostgreSQL of a test's own that looks at passwords: what is done to its roles is done to nobody else's."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit, urlunsplit

from ground import on_database, run_sql

from boxoffice.postgres import embedded

# Whose passwords are looked at: everybody's but the superuser's.
HBA = "local all postgres trust\nlocal all all scram-sha-256\n"


class Cluster:
    """A server without roles; what it is asked for is gone with it."""

    def __init__(self, address: str, folder: Path) -> None:
        self.server = address
        self.log = folder / "postgres" / "log"
        """What the server itself writes."""

    def database(self, name: str = "cinema", owner: str = "postgres") -> str:
        """The address of an empty database, for its owner."""
        run_sql(self.server, f"CREATE DATABASE {name} OWNER {owner}")
        return self.address(name, owner)

    def login(self, name: str, attributes: str = "", *, password: str = "secret") -> str:  # noqa: S107  (no secret)
        run_sql(self.server, f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {attributes}")
        return name

    def address(self, database: str, login: str, password: str = "secret") -> str:  # noqa: S107  (no secret)
        parts = urlsplit(on_database(self.server, database))
        return urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@"))


@contextmanager
def own_cluster() -> Generator[Cluster]:
    with TemporaryDirectory(prefix="boxoffice-roles-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder)) as running:
            (Path(folder) / "postgres" / "pg_hba.conf").write_text(HBA, encoding="utf-8")
            address = running.get_uri("postgres")
            run_sql(address, "SELECT pg_reload_conf()")
            yield Cluster(address, Path(folder))
