"""The documentation is sound and complete: the document, its examples of answers, its pages."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from documented import examples_of, nowhere, operations, read_document, request_examples
from litestar import Response as LitestarResponse
from litestar.routes import HTTPRoute

from boxoffice.web.errors import PROBLEM_TYPE, every_problem
from boxoffice.web.router import create_web

METHODS = {"get", "post", "patch", "delete", "put"}
NOT_DOCUMENTED = {"/api/v1/payments/fake-checkout/{session_id}"}
"""A page for people."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read_document()


def parts(of: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a document, outside examples."""
    if isinstance(of, list):
        for one in cast("list[Any]", of):
            yield from parts(one)
    elif isinstance(of, dict):
        yield of
        for name, one in cast("dict[str, Any]", of).items():
            if name not in {"example", "examples", "value"}:
                yield from parts(one)


def test_the_document_is_sound(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "Box office"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert document["info"]["version"] == project["project"]["version"]
    names = [operation.name for operation in operations(document)]
    assert len(set(names)) == len(names)
    for part in parts(document):
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/components/schemas/") in document["components"]["schemas"], part
        if "pattern" in part:
            assert "\\A" not in part["pattern"]
            assert "\\Z" not in part["pattern"]
            re.compile(part["pattern"])
    tags = {tag["name"] for tag in document["tags"]}
    schemes = set(document["components"]["securitySchemes"])
    for operation in operations(document):
        said = operation.said
        assert operation.method in METHODS
        assert set(said["tags"]) <= tags
        assert len(said["tags"]) == 1
        assert {name for requirement in said["security"] for name in requirement} <= schemes
        assert set(re.findall(r"{(\w+)}", operation.path)) == set(operation.parameters("path"))
        assert all(one["required"] for one in operation.parameters("path").values())
        assert operation.method != "get" or "requestBody" not in said
        for answer in said["responses"].values():
            assert answer["description"]
            for content in answer.get("content", {}).values():
                assert all(set(example) <= {"summary", "value"} for example in content.get("examples", {}).values())


def test_every_route_of_the_api_is_in_it(document: dict[str, Any]) -> None:
    app = create_web(nowhere)
    routes = [route for route in app.routes if isinstance(route, HTTPRoute) and route.path.startswith("/api/v1")]
    assert routes
    served = {
        (re.sub(r"_(\w)", lambda found: found[1].upper(), route.path_format), method.lower())
        for route in routes
        for method in route.methods - {"OPTIONS"}
        if route.path_format not in NOT_DOCUMENTED
    }
    assert served == {(operation.path, operation.method) for operation in operations(document)}


def test_every_operation_is_told_in_full(document: dict[str, Any]) -> None:
    for operation in operations(document):
        said = operation.said
        assert said["summary"], operation.name
        assert said["description"], operation.name
        assert not said["summary"].endswith("."), operation.name
        for parameter in said.get("parameters", []):
            assert parameter.get("description"), (operation.name, parameter["name"])
            assert parameter["in"] == "header" or re.fullmatch(r"[a-z][A-Za-z]*", parameter["name"])
        for content in said.get("requestBody", {}).get("content", {}).values():
            assert request_examples(operation), operation.name
            assert {"$ref", "oneOf", "allOf"} & set(content["schema"]), operation.name


def test_every_answer_is_told_in_full(document: dict[str, Any]) -> None:
    for operation in operations(document):
        answers = operation.said["responses"]
        assert any(status[0] == "2" for status in answers), operation.name
        for status, answer in answers.items():
            where = (operation.name, status)
            assert "X-Request-Id" in answer["headers"], where
            if status in {"204", "304"}:
                assert "content" not in answer, where
                continue
            (media_type,) = answer["content"]
            assert answer["content"][media_type]["examples"], where
            assert (media_type == PROBLEM_TYPE) == (status >= "400"), where
            if status == "401":
                assert "WWW-Authenticate" in answer["headers"], where
            if status in {"429", "503"}:
                assert "Retry-After" in answer["headers"], where
            if status[0] == "2" and "Idempotency-Key" in operation.parameters("header"):
                assert "Idempotent-Replayed" in answer["headers"], where
        if "requestBody" in operation.said:
            assert {"400", "413"} <= set(answers), operation.name
    seat_map = document["paths"]["/api/v1/seats/shows/{showId}"]["get"]["responses"]
    assert "ETag" in seat_map["200"]["headers"]
    assert "ETag" in seat_map["304"]["headers"]
    events = document["paths"]["/api/v1/seats/shows/{showId}/events"]["get"]["responses"]["200"]
    assert list(events["content"]) == ["text/event-stream"]


def test_problems_are_described_with_their_further_members(document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["required"]) == {"type", "title", "status", "detail", "code"}
    assert {"errors", "showSeatIds"} <= set(problem["properties"])
    known = {kind.code: kind for kind in every_problem()}
    for operation in operations(document):
        for status, answer in operation.said["responses"].items():
            for code, example in answer.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {}).items():
                told = example["value"]
                assert told["code"] == code
                assert told["status"] == int(status) == known[code].status
                assert told["type"] == f"/api/docs/problems#{code}"
                assert f"`{code}`" in answer["description"]


def test_what_can_be_sent_again_under_a_key_is_told(document: dict[str, Any]) -> None:
    """The document's own words name the exceptions."""
    without = {
        operation.path.removeprefix("/api/v1")
        for operation in operations(document)
        if operation.method == "post" and "Idempotency-Key" not in operation.parameters("header")
    }
    assert {path for path in without if not path.startswith("/auth/")} == {
        "/payments/webhook",
        "/payments/webhook/{gateway}",
        "/payments/simulate/{sessionId}",
    }
    for exception in ("`/auth`", "webhooks", "fake\ngateway"):
        assert exception in document["info"]["description"]


def test_who_may_call_is_told(document: dict[str, Any]) -> None:
    by_name = {operation.name: operation.said for operation in operations(document)}
    for name in ("health", "ready", "beGuest", "login", "refresh", "webhook", "gatewayWebhook", "simulatePayment"):
        assert by_name[name]["security"] == [], name
        assert "not_identified" not in str(by_name[name]["responses"]), name
    for name in ("register", "listShows", "seatMap", "availableSeats", "seatEvents"):
        assert by_name[name]["security"] == [{}, {"bearer": []}], name
        assert "invalid_token" in examples_of(by_name[name], "401"), name
    for name in ("holdSeats", "book", "booking", "initiatePayment", "refundBooking", "addShow", "me", "logout"):
        assert by_name[name]["security"] == [{"bearer": []}], name
        assert {"invalid_token", "not_identified"} <= set(examples_of(by_name[name], "401")), name


def test_examples_of_answers_are_of_the_declared_type(document: dict[str, Any]) -> None:
    checked = 0
    for operation in operations(document):
        returned = operation.handler.parsed_fn_signature.return_type
        kind = returned.annotation
        if returned.is_subclass_of(LitestarResponse):
            if not returned.inner_types:
                continue
            kind = returned.inner_types[0].annotation
        for status, answer in operation.said["responses"].items():
            for example in answer.get("content", {}).get("application/json", {}).get("examples", {}).values():
                assert status[0] == "2"
                again = msgspec.to_builtins(msgspec.convert(example["value"], kind))
                assert again == example["value"], operation.name
                checked += 1
    assert checked > 30


async def test_the_pages_of_the_documentation_are_our_own(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    for path in ("/api/docs", "/api/docs/"):
        page = await client.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        loaded = re.findall(r'(?:<script[^>]*src|<link[^>]*href)="([^"]+)"', page.text)
        ours = [address for address in loaded if not address.startswith("data:")]
        assert len(ours) == 3
        for address in ours:
            assert address.startswith("/static/swagger/")
            asset = await client.get(address)
            assert asset.status_code == 200
            assert asset.headers["content-type"].startswith(("text/javascript", "text/css"))
    answer = await client.get("/api/docs/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == msgspec.json.decode(msgspec.json.encode(document))


async def test_every_code_has_its_place_on_the_page_of_problems(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    page = await client.get("/api/docs/problems")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    told = {
        code
        for operation in operations(document)
        for answer in operation.said["responses"].values()
        for code in answer.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {})
    }
    kinds = {kind.code: kind for kind in every_problem()}
    assert told | {"method_not_allowed", "internal_error"} <= set(kinds)
    for code, kind in kinds.items():
        assert page.text.count(f'id="{code}"') == 1
        assert kind.title in page.text.replace("&#39;", "'")
        assert f"<h2>{kind.status}</h2>" in page.text
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert (await client.get(address)).status_code == 200
