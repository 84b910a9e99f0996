"""The OpenAPI document says what the server takes and gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilothouse.flows.loader import load_flow
from pilothouse.flows.serving.openapi import describe

from ..building import Project, python, tool, write

TYPES = {"string", "integer", "number", "boolean", "array", "object"}
METHODS = {"get", "post"}
CLASSES = {"integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "string": str}


def check(document: dict[str, Any]) -> None:
    """Hold a document against the OpenAPI 3.0 specification, as far as it is used here."""
    assert document["openapi"].startswith("3.0.")
    assert {"title", "version"} <= document["info"].keys()
    assert all(key in {"title", "version", "description"} or key.startswith("x-") for key in document["info"])
    operations: set[str] = set()
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert item.keys() <= METHODS
        for operation in item.values():
            assert operation["responses"], path
            if "operationId" in operation:
                assert operation["operationId"] not in operations
                operations.add(operation["operationId"])
            for parameter in operation.get("parameters", []):
                assert parameter["in"] in {"query", "header"}
                schema(parameter["schema"], document)
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for code, response in operation["responses"].items():
                assert len(code) == 3
                assert response["description"]
                bodies.append(response)
            for body in bodies:
                for media in body.get("content", {}).values():
                    schema(media["schema"], document)
    for requirement in document.get("security", []):
        assert requirement.keys() <= document["components"]["securitySchemes"].keys()


def schema(found: dict[str, Any], document: dict[str, Any]) -> None:
    if "$ref" in found:
        target: Any = document
        for part in found["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema(target, document)
        return
    kind = found.get("type")
    assert kind is None or kind in TYPES
    assert kind != "array" or "items" in found
    if "default" in found and kind is not None:
        assert isinstance(found["default"], CLASSES[kind])
    properties = found.get("properties", {})
    assert set(found.get("required", [])) <= properties.keys()
    assert found.get("required") != []
    for item in [*properties.values(), *found.get("anyOf", []), *([found["items"]] if "items" in found else [])]:
        schema(item, document)


def test_a_flow_with_inputs_of_all_types(project: Project) -> None:
    inputs: dict[str, Any] = {
        kind: {"type": kind} for kind in ("int", "double", "bool", "string", "list", "object", "image")
    }
    inputs["limit"] = {"type": "int", "default": 0, "description": "at most", "enum": [0, 1]}
    inputs["question"] = {"type": "string", "is_chat_input": True}
    inputs["chat_history"] = {"type": "list", "is_chat_history": True}
    path = project.flow([python("work")], inputs=inputs, files={"work.py": tool("work", "", "return 1")},
                        outputs={"answer": {"type": "string", "reference": "${work.output}", "is_chat_output": True},
                                 "kept": {"type": "int", "reference": "${work.output}"}}, description="Says things")  # fmt: skip
    document = describe(load_flow(path), hidden=frozenset({"kept"}), streams=True, has_key=True)
    check(document)
    operation = document["paths"]["/score"]["post"]
    given = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(given["required"]) == {"int", "double", "bool", "string", "list", "object", "image", "question"}
    assert given["properties"]["limit"] == {"type": "integer", "default": 0, "description": "at most", "enum": [0, 1]}
    content = operation["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "text/event-stream"}
    assert content["application/json"]["schema"]["properties"].keys() == {"answer"}
    info = document["info"]
    assert (info["x-flow-type"], info["x-chat-input"], info["x-chat-history"], info["x-chat-output"]) == (
        "chat", "question", "chat_history", "answer",
    )  # fmt: skip
    assert document["security"] == [{"bearerAuth": []}]


def test_a_flow_without_inputs_and_one_of_python_alone(project: Project, tmp_path: Path) -> None:
    path = project.flow(
        [python("work")], files={"work.py": tool("work", "", "return 1")}, outputs={"a": "${work.output}"}
    )
    document = describe(load_flow(path), hidden=frozenset(), streams=False, has_key=False)
    check(document)
    assert "security" not in document
    assert document["paths"]["/score"]["post"]["requestBody"]["required"] is False
    source = "def run(text: str, count: int = 3, other=None) -> str:\n    return text\n"
    flex = write(
        tmp_path / "flex", {"flow.flex.yaml": "entry: main:run\nsample: {inputs: {text: a}}\n", "main.py": source}
    )
    document = describe(load_flow(flex), hidden=frozenset(), streams=True, has_key=False)
    check(document)
    body = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    assert (body["schema"]["required"], body["example"]) == (["text"], {"text": "a"})
