"""Merge the services' OpenAPI documents into the one that clients read: every path once, every name once.

Each service describes itself from its handlers; here are added what is the same for all: the problem of RFC 9457 as the
answer to everything unexpected, who may call, an example where a service gave none, and what the gateway itself serves.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from boxoffice.services.gateway.domain import examples
from boxoffice.services.gateway.domain.routes import find

VERSION = "1.0"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PROBLEM = "application/problem+json"
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An error (RFC 9457). Go by `code`; further members hold what a client can act on.",
    "required": ["type", "title", "status", "code", "traceId"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "traceId": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
UNEXPECTED: dict[str, Any] = {
    "description": "Anything else that goes wrong is a problem too.",
    "content": {
        PROBLEM: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": "/problems/request.unexpected",
                "title": "Something went wrong on our side",
                "status": 500,
                "code": "request.unexpected",
                "traceId": "0af7651916cd43dd8448eb211c80319c",
            },
        }
    },
}
DESCRIPTION = (
    "Ids are integers for what is public and UUIDs for what belongs to somebody. Instants are RFC 3339 in UTC. Money "
    "is a decimal string with an ISO 4217 code. Every error is `application/problem+json` with a stable `code`. Send "
    "an `Idempotency-Key` (a new UUID) with every POST that creates or pays: the same key gives the same answer again."
)


def merged_openapi(documents: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Merge documents by service name, in this order, into one of OpenAPI 3.1; the given ones stay as they are."""
    merged: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Boxoffice",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in documents],
        "paths": {},
        "components": {
            "schemas": {"Problem": PROBLEM_SCHEMA},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
    taken_ids: set[str] = set()
    for service, document in documents.items():
        renamed = _with_own_names(service, copy.deepcopy(document), merged["components"]["schemas"])
        for path, item in renamed.get("paths", {}).items():
            route = find(path)
            if route is None or route.service != service:
                continue
            for method in METHODS:
                if method in item:
                    _complete(item[method], service, taken_ids)
            merged["paths"].setdefault(path, {}).update(item)
    _illustrate(merged)
    merged["paths"] = dict(sorted(merged["paths"].items()))
    return merged


def _with_own_names(service: str, document: dict[str, Any], taken: dict[str, Any]) -> dict[str, Any]:
    """Take a document's schemas over; one whose name another service uses for something else gets its service's too."""
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    schemas.pop("Problem", None)
    new_names = {
        name: f"{service.capitalize()}{name}" for name in schemas if taken.get(name, schemas[name]) != schemas[name]
    }
    text = json.dumps(document)
    for old, new in new_names.items():
        text = text.replace(f'"#/components/schemas/{old}"', f'"#/components/schemas/{new}"')
    renamed: dict[str, Any] = json.loads(text)
    for name, schema in renamed.get("components", {}).get("schemas", {}).items():
        taken[new_names.get(name, name)] = schema
    return renamed


def _complete(operation: dict[str, Any], service: str, taken_ids: set[str]) -> None:
    name = operation.get("operationId", "")
    if name in taken_ids:
        operation["operationId"] = f"{service}{name}"
    taken_ids.add(operation.get("operationId", ""))
    responses = operation.setdefault("responses", {})
    bad_request = responses.get("400", {})
    if "status_code" in json.dumps(bad_request):  # the framework's own shape, which our handlers of errors never send
        del responses["400"]
    responses.setdefault("default", UNEXPECTED)
    words = (operation.get("description") or "").strip()
    if words:
        operation["summary"] = words.split("\n")[0].rstrip(".")
    operation["description"] = f"{words}\n\n{_who(operation.get('security'))}".strip()


def _who(security: list[dict[str, list[str]]] | None) -> str:
    if not security:
        return "Open to everybody."
    if {} in security:
        return "Open to everybody; with a token the answer may tell more."
    roles = sorted({role for requirement in security for needed in requirement.values() for role in needed})
    return f"Needs the role {' or '.join(roles)}." if roles else "Needs a login."


def _illustrate(document: dict[str, Any]) -> None:
    """Give every body an example, made of its schema where the service gave none."""
    schemas = document["components"]["schemas"]
    for item in document["paths"].values():
        for method in METHODS:
            operation = item.get(method, {})
            answers = [answer for status, answer in operation.get("responses", {}).items() if status.startswith("2")]
            for body in [operation.get("requestBody", {}), *answers]:
                for media in body.get("content", {}).values():
                    if "example" not in media and "examples" not in media and media.get("schema"):
                        media["example"] = examples.example(media["schema"], schemas)
