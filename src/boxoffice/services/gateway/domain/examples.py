"""Make an example of a JSON Schema: plausible by the field's name, else by its type; always the same one."""

from collections.abc import Mapping
from typing import Any

DEEPEST = 6
"""Schemas may refer to themselves."""
REF = "#/components/schemas/"

BY_NAME: Mapping[str, Any] = {
    "accessToken": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln",
    "refreshToken": "F0vkX7KXzkTYYVpqDcb4gNCp0WwMlsgUjFrorVyU6bI",
    "token": "F0vkX7KXzkTYYVpqDcb4gNCp0WwMlsgUjFrorVyU6bI",
    "password": "correct horse battery staple",
    "email": "ada@example.org",
    "phone": "+852 2734 9009",
    "name": "Symphony No. 5",
    "description": "An evening with Gustav Mahler.",
    "location": "Lincoln Center, New York",
    "currency": "USD",
    "price": "49.50",
    "total": "99.00",
    "refunded": "0.00",
    "timeZone": "America/New_York",
    "section": "Stalls",
    "row": "C",
    "number": "14",
    "preferredLanguage": "en",
    "roles": ["customer"],
    "slug": "demo-concerts",
    "provider": "PAYPAL",
    "returnUrl": "https://tickets.example.org/bookings/return",
    "cancelUrl": "https://tickets.example.org/bookings/cancelled",
    "latitude": 40.7725,
    "longitude": -73.9835,
    "pageNumber": 0,
    "pageSize": 20,
    "totalElement": 1,
    "totalPages": 1,
    "isLast": True,
    "tokenType": "Bearer",
    "expiresInSeconds": 600,
    "composer": "Mahler, Gustav",
    "title": "Symphony No. 5 in C-sharp minor",
}
BY_FORMAT: Mapping[str, str] = {
    "uuid": "8a8f2c0e-6d0c-4f6e-9b1d-2f6f3a7f1c55",
    "date-time": "2027-03-14T19:30:00Z",
    "date": "2027-03-14",
    "time": "19:30:00",
    "uri": "https://tickets.example.org",
    "email": "ada@example.org",
    "decimal": "49.50",
    "binary": "",
}
BY_TYPE: Mapping[str, Any] = {"string": "text", "integer": 7, "number": 1.5, "boolean": True, "null": None}


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, name: str = "", depth: int = 0) -> Any:
    """Make one example; ``schemas`` are those that references name."""
    if depth > DEEPEST:
        return None
    if "$ref" in schema:
        return example(schemas.get(schema["$ref"].removeprefix(REF), {}), schemas, name=name, depth=depth + 1)
    given = _given(schema)
    if given is not None:
        return given
    for choice in ("oneOf", "anyOf", "allOf"):
        if schema.get(choice):
            return _chosen(schema[choice], schemas, name, depth)
    return _by_type(schema, schemas, name, depth)


def _given(schema: Mapping[str, Any]) -> Any:
    """Take what the schema itself says, if anything."""
    for word in ("example", "const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    return next(iter(schema.get("examples") or schema.get("enum") or ()), None)


def _chosen(options: list[dict[str, Any]], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    """Take the first option that says something, so that optional fields are shown filled in."""
    telling = [option for option in options if option.get("type") != "null"]
    return example((telling or options)[0], schemas, name=name, depth=depth + 1)


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    if kind == "object" or "properties" in schema:
        return {
            field: example(part, schemas, name=field, depth=depth + 1)
            for field, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        if name in BY_NAME and isinstance(BY_NAME[name], list):
            return BY_NAME[name]
        return [example(schema.get("items", {}), schemas, depth=depth + 1)] if schema.get("items") else []
    plausible = BY_NAME.get(name)
    if plausible is not None and _is(plausible, kind):
        return plausible
    return BY_FORMAT.get(schema.get("format", ""), BY_TYPE.get(str(kind)))


def _is(value: object, kind: object) -> bool:
    """Whether a value is of a JSON type."""
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return kind == "number" and isinstance(value, int | float)
