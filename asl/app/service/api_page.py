"""Render the OpenAPI description as a page that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asl.report.page import render

PAGE_FOLDER = "app/service/page"
DOCS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_METHODS = ("get", "post", "delete")


def api_page(description: Mapping[str, Any]) -> str:
    """Render the page.

    Args:
        description: OpenAPI description of the service.
    """
    return render(
        "api.html",
        folder=PAGE_FOLDER,
        title=description["info"]["title"],
        version=description["info"]["version"],
        about=description["info"]["description"],
        secured=bool(description.get("components", {}).get("securitySchemes")),
        operations=list(_operations(description)),
        schemas=list(_schemas(description)),
    )


def _operations(description: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in description["paths"].items():
        for method in (name for name in _METHODS if name in methods):
            operation = methods[method]
            bodies = operation.get("requestBody", {}).get("content", {})
            yield {
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "about": operation.get("description", ""),
                "secured": bool(operation.get("security")),
                "parameters": [_parameter(item) for item in operation.get("parameters", ())],
                "bodies": [_body(kind, body["schema"]) for kind, body in bodies.items()],
                "answers": [
                    _answer(code, answer) for code, answer in operation["responses"].items()
                ],
            }


def _parameter(item: Mapping[str, Any]) -> dict[str, Any]:
    schema = item["schema"]
    return {
        "name": item["name"],
        "place": "path" if item["in"] == "path" else "query",
        "type": _type(schema),
        "default": schema.get("default"),
        "about": item.get("description") or schema.get("description", ""),
    }


def _body(kind: str, schema: Mapping[str, Any]) -> dict[str, str]:
    if "properties" not in schema:
        return {"kind": kind, "about": "the image itself"}
    fields = (f"{name}: {_form_field(field)}" for name, field in schema["properties"].items())
    return {"kind": kind, "about": ", ".join(fields)}


def _form_field(schema: Mapping[str, Any]) -> str:
    """Describe the files of a field.

    >>> _form_field({"type": "array", "minItems": 1, "maxItems": 9, "items": {}})
    '1 to 9 files'
    """
    if "maxItems" in schema:
        return f"{schema['minItems']} to {schema['maxItems']} files"
    return "one file"


def _answer(code: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    schemas = [body.get("schema", {}) for body in answer.get("content", {}).values()]
    kind = _type(schemas[0]) if schemas else ""
    return {"code": code, "about": answer.get("description", ""), "type": kind}


def _schemas(description: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, schema in description.get("components", {}).get("schemas", {}).items():
        yield {
            "name": name,
            "about": schema.get("description", ""),
            "fields": [
                {"name": field, "type": _type(value), "about": value.get("description", "")}
                for field, value in schema.get("properties", {}).items()
            ],
        }


def _type(schema: Mapping[str, Any]) -> str:
    """Describe the type of a value in words.

    >>> _type({"type": "array", "items": {"$ref": "#/components/schemas/Reference"}})
    'list of Reference'
    >>> _type({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]})
    'number 0 to 1 or null'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_type(item) for item in schema["anyOf"])
    kind = str(schema.get("type", ""))
    if kind == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        return f"{kind} {low:g} to {high:g}" if high is not None else f"{kind} from {low:g}"
    return kind
