"""One document of many: names that clash, paths that are not routed, roles, errors, examples."""

from typing import Any

from boxoffice.services.gateway.domain.examples import example
from boxoffice.services.gateway.usecases.merge_openapi import merged_openapi


def document(path: str, schema: dict[str, Any], **operation: Any) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}
    return {
        "paths": {path: {"get": {"operationId": "Read", "responses": {"200": body}, **operation}}},
        "components": {"schemas": {"Thing": schema}},
    }


NAME = {"type": "object", "properties": {"name": {"type": "string"}}}
PRICE = {"type": "object", "properties": {"price": {"type": "string"}}}


class TestMergedOpenapi:
    def test_keeps_two_things_of_one_name_apart(self) -> None:
        merged = merged_openapi(
            {"identity": document("/api/v1/users/me", NAME), "search": document("/api/v1/search", PRICE)}
        )
        assert set(merged["components"]["schemas"]) == {"Problem", "Thing", "SearchThing"}
        media = merged["paths"]["/api/v1/search"]["get"]["responses"]["200"]["content"]["application/json"]
        assert media["schema"] == {"$ref": "#/components/schemas/SearchThing"}
        ids = [item["get"]["operationId"] for item in merged["paths"].values()]
        assert len(set(ids)) == 2

    def test_shares_what_is_the_same(self) -> None:
        merged = merged_openapi(
            {"identity": document("/api/v1/users/me", NAME), "search": document("/api/v1/search", NAME)}
        )
        assert set(merged["components"]["schemas"]) == {"Problem", "Thing"}

    def test_leaves_out_what_the_gateway_does_not_route_there(self) -> None:
        assert merged_openapi({"search": document("/api/v1/users/me", NAME)})["paths"] == {}
        assert merged_openapi({"search": document("/internal", NAME)})["paths"] == {}

    def test_gives_every_operation_an_error_an_example_and_its_role(self) -> None:
        merged = merged_openapi(
            {"identity": document("/api/v1/users/me", NAME, security=[{"bearer": ["organiser", "administrator"]}])}
        )
        operation = merged["paths"]["/api/v1/users/me"]["get"]
        assert "Needs the role administrator or organiser." in operation["description"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert operation["responses"]["200"]["content"]["application/json"]["example"] == {"name": "Symphony No. 5"}

    def test_leaves_the_given_documents_alone(self) -> None:
        given = {"identity": document("/api/v1/users/me", NAME)}
        assert merged_openapi(given) == merged_openapi(given)


class TestExample:
    def test_stops_at_schemas_that_name_themselves(self) -> None:
        schemas = {"Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}}
        assert example(schemas["Node"], schemas) is not None

    def test_shows_optional_fields_filled_in(self) -> None:
        assert example({"oneOf": [{"type": "null"}, {"type": "integer"}]}, {}) == 7

    def test_goes_by_the_name_only_where_the_type_fits(self) -> None:
        assert example({"type": "integer"}, {}, name="name") == 7
        assert example({"type": "string"}, {}, name="price") == "49.50"
