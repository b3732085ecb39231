"""The OpenAPI document: what each handler declares, completed with what holds for all of them.

Whoever adds an operation documents what is its own. That a body may be too large, a token bad,
the database away, and which headers come with an answer, follows from the handler and is added here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from importlib.metadata import version
from typing import Any, Final, cast

import msgspec
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, Example, OpenAPI, SecurityScheme, Tag

from boxoffice.accounts import InvalidTokenError
from boxoffice.errors import (
    BoxOfficeError,
    MalformedError,
    TooLargeError,
    TooSlowError,
    UnavailableError,
    UnidentifiedError,
)
from boxoffice.web.errors import PROBLEM_TYPE, problems, status_of
from boxoffice.web.examples import example as told
from boxoffice.web.identity import IGNORES_IDENTITY
from boxoffice.web.limits import UNLIMITED, RateLimitedError
from boxoffice.web.once import REPLAYED_HEADER
from boxoffice.web.safe_headers import SwaggerPage

RAW_BODY: Final = "documented_raw_body"
"""The ``opt`` of a handler that reads the raw body: an example of what it takes there."""
NEEDS_NOTHING: Final = "needs_nothing"
"""The ``opt`` of a handler that answers whatever the state of the database."""

DESCRIPTION: Final = """\
A cinema's box office: browse films and shows, see a live seat map, hold seats, book, pay, be refunded.

**One seat, one holder; paid means seated or refunded; nothing is lost.**

Get an identity from `POST /api/v1/auth/guest` and send it as `Authorization: Bearer …`. Money is in minor
units (paise) beside its currency, times are UTC, errors are RFC 9457 problem details with a stable `code`:
[all of them](/api/docs/problems). A POST that changes something takes an `Idempotency-Key`, and can be sent again with
it; those under `/auth` take none, as tokens are not kept to be told twice, nor do webhooks and the playing of the fake
gateway, which do no harm when they come again.
"""

TAGS: Final = [
    Tag(name="identity", description="Who is calling."),
    Tag(name="catalogue", description="Films, theatres with their screens, and shows."),
    Tag(name="seats", description="The seat map of a show, as it is now and as it changes."),
    Tag(name="bookings", description="Holding, booking, cancelling."),
    Tag(name="payments", description="Paying and being refunded."),
    Tag(name="tickets", description="Tickets, and checking them in at the door."),
    Tag(name="operation", description="For those who run the service."),
]

PATH_PARAMETERS: Final[Mapping[str, str]] = {
    "bookingId": "The booking.",
    "gateway": "The gateway's name; the built-in one is `fake`.",
    "movieId": "The film.",
    "screenId": "The screen.",
    "sessionId": "As `POST /payments/initiate` gave it.",
    "showId": "The show.",
    "theatreId": "The theatre.",
    "userId": "Yours, or anybody's for staff.",
}

_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "integer", "minimum": 1}
_HEADERS_BY_STATUS: Final[Mapping[str, Mapping[str, Any]]] = {
    "401": {"WWW-Authenticate": {"description": "`Bearer`", "schema": _TEXT}},
    "429": {"Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS}},
    "503": {"Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS}},
}
_REQUEST_ID: Final = {
    "description": "The id of this request in our logs: yours where you sent a sane one.",
    "schema": _TEXT,
}
_REPLAYED: Final = {
    "description": "`true` on the first answer told again; otherwise absent.",
    "schema": {"type": "string", "enum": ["true"]},
}


class Documentation(OpenAPIConfig):
    """The configuration of the document; ``handlers`` are those that it documents."""

    def __init__(self, handlers: Iterable[HTTPRouteHandler]) -> None:
        super().__init__(
            title="Box office",
            version=version("boxoffice"),
            description=DESCRIPTION,
            path="/api/docs",
            tags=TAGS,
            use_handler_docstrings=True,
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            render_plugins=[
                SwaggerPage(
                    js_url="/static/swagger/swagger-ui-bundle.js",
                    css_url="/static/swagger/swagger-ui.css",
                    standalone_preset_js_url="/static/swagger/swagger-ui-standalone-preset.js",
                    favicon='<link rel="icon" href="data:,">',  # the default one is a stranger's
                )
            ],
        )
        self._handlers = {str(handler.operation_id): handler for handler in handlers if handler.operation_id}

    def to_openapi_schema(self) -> OpenAPI:
        """The document without its paths, as Litestar begins it."""
        begun = super().to_openapi_schema()
        made = _Document(**{field.name: getattr(begun, field.name) for field in fields(begun)})
        made.handlers = self._handlers
        return made


class _Document(OpenAPI):
    handlers: Mapping[str, HTTPRouteHandler]

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        document["paths"] = {_camel(path): item for path, item in document["paths"].items()}
        for item in document["paths"].values():
            for operation in item.values():
                _complete(operation, self.handlers[operation["operationId"]], document["components"]["schemas"])
        _to_ecmascript(document)
        return document


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    _describe_request(operation, handler, schemas)
    responses: dict[str, Any] = operation["responses"]
    for status, spec in (handler.responses or {}).items():
        for content in responses[str(status)].get("content", {}).values():
            content["examples"] = _examples(spec.examples)
    for error in _common_errors(operation, handler):
        _add_problem(responses, error)
    operation["security"] = _security(handler)
    operation["responses"] = dict(sorted(responses.items()))
    own = {
        header.name: {"description": header.description, "schema": _TEXT} for header in handler.response_headers or ()
    }
    for status, answer in responses.items():
        # What is not modified comes with the headers that its success would have.
        headers = {**(own if status < "400" else {}), **_HEADERS_BY_STATUS.get(status, {})}
        if status.startswith("2") and any(one["name"] == "Idempotency-Key" for one in _parameters(operation)):
            headers[REPLAYED_HEADER] = _REPLAYED
        answer["headers"] = headers | {"X-Request-Id": _REQUEST_ID}


def _describe_request(operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    for parameter in _parameters(operation):
        if parameter["in"] == "path":
            parameter["name"] = _camel(parameter["name"])
            parameter["description"] = PATH_PARAMETERS[parameter["name"]]
    if (example := handler.opt.get(RAW_BODY)) is not None:
        _, components = msgspec.json.schema_components([type(example)], ref_template="#/components/schemas/{name}")
        schemas.update(components)
        name = type(example).__name__
        content = {"schema": {"$ref": f"#/components/schemas/{name}"}, "examples": _examples([told(example)])}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
        return
    data = handler.parsed_fn_signature.parameters.get("data")
    if data is not None:
        body = operation["requestBody"]
        body["required"] = not data.has_default
        for content in body["content"].values():
            content["schema"].pop("examples", None)
            content["examples"] = _examples(getattr(data.kwarg_definition, "examples", None))


def _examples(declared: list[Example] | None) -> dict[str, Any]:
    """As declared: Litestar leaves out what is null in them, and writes their names where OpenAPI has no place."""
    return {
        one.id or "example": {"value": one.value} | ({"summary": one.summary} if one.summary else {})
        for one in declared or []
    }


def _common_errors(operation: dict[str, Any], handler: HTTPRouteHandler) -> Iterator[type[BoxOfficeError]]:
    if operation.get("parameters") or "requestBody" in operation:
        yield MalformedError
    if "requestBody" in operation:
        yield TooLargeError
        yield TooSlowError
    if not handler.opt.get(IGNORES_IDENTITY):
        yield InvalidTokenError
        if handler.guards:
            yield UnidentifiedError
    if not handler.opt.get(UNLIMITED):
        yield RateLimitedError
    if not handler.opt.get(NEEDS_NOTHING):
        yield UnavailableError


def _security(handler: HTTPRouteHandler) -> list[dict[str, list[str]]]:
    if handler.opt.get(IGNORES_IDENTITY):
        return []
    # Open to all, but who has a token may send it.
    return [{"bearer": []}] if handler.guards else [{}, {"bearer": []}]


def _add_problem(responses: dict[str, Any], error: type[BoxOfficeError]) -> None:
    status = status_of(error)
    fresh: dict[str, Any] = {
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}}
    }
    # Litestar's own shape of a 400 is none that we answer with.
    known = responses.get(str(status), fresh)
    answer: dict[str, Any] = known if PROBLEM_TYPE in known["content"] else fresh
    responses[str(status)] = answer
    examples: dict[str, Any] = answer["content"][PROBLEM_TYPE]["examples"]
    for code, example in _examples(problems(error)[status].examples).items():
        examples.setdefault(code, example)
    answer["description"] = "; ".join(f"`{code}`: {example['summary']}" for code, example in examples.items())


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return operation.get("parameters", [])


def _camel(name: str) -> str:
    """Snake case as the API writes names; in a path, the parameters."""
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def _to_ecmascript(part: Any) -> None:
    """JSON Schema's patterns are ECMAScript's: it has no words for the very ends but `^` and `$`."""
    if isinstance(part, list):
        for one in cast("list[Any]", part):
            _to_ecmascript(one)
    elif isinstance(part, dict):
        known = cast("dict[str, Any]", part)
        if isinstance(pattern := known.get("pattern"), str):
            known["pattern"] = pattern.replace("\\A", "^").replace("\\Z", "$")
        for one in known.values():
            _to_ecmascript(one)
