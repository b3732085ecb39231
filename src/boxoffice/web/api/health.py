"""Whether the service lives, whether it can work, and its metrics."""

import os
from typing import Final

import msgspec
import structlog
from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from boxoffice.errors import UnavailableError
from boxoffice.postgres.pool import connection
from boxoffice.postgres.schema import newest, reaches
from boxoffice.web.documentation import NEEDS_NOTHING
from boxoffice.web.errors import problems
from boxoffice.web.examples import answers
from boxoffice.web.identity import IGNORES_IDENTITY
from boxoffice.web.limits import UNLIMITED
from boxoffice.web.office import Office

log = structlog.get_logger(__name__)
_NEWEST: Final = newest()


class NotReadyError(UnavailableError):
    """The service cannot work yet."""

    code = "not_ready"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the service."""

    status: str


@get(
    "/health",
    operation_id="health",
    summary="Alive",
    tags=["operation"],
    opt={IGNORES_IDENTITY: True, UNLIMITED: True, NEEDS_NOTHING: True},
    responses={200: answers(Health, Health(status="ok"), "It lives.")},
    sync_to_thread=False,
)
def health() -> Health:
    """The process answers."""
    return Health(status="ok")


# The schema's revision.
_REVISION = """
SELECT version_num FROM alembic_version
"""


@get(
    "/health/ready",
    operation_id="ready",
    summary="Able to work",
    tags=["operation"],
    opt={IGNORES_IDENTITY: True, UNLIMITED: True, NEEDS_NOTHING: True},
    responses={200: answers(Health, Health(status="ready"), "It can work.")} | problems(NotReadyError),
)
async def ready(office: NamedDependency[Office]) -> Health:
    """The database answers and has the schema that this code needs, or a newer one, which this code can live with."""
    try:
        async with connection(office.pool) as conn:
            revision = await conn.fetchval(_REVISION)
    except Exception as error:
        log.warning("not ready", error=repr(error))
        raise NotReadyError("the database does not answer, or has no schema yet") from error
    if not reaches(revision, _NEWEST):
        raise NotReadyError(f"the database has schema {revision}; this code needs {_NEWEST}")
    return Health(status="ready")


@get("/metrics", include_in_schema=False, opt={IGNORES_IDENTITY: True}, sync_to_thread=False)
def metrics() -> Response[bytes]:
    """All metrics in Prometheus' text format; of all web processes where they share a folder for it."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


ROUTES = [health, ready]
