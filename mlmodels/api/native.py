"""The calls of models in the description of the REST interface, which Django does not serve itself:
they are native ASGI (mlmodels/proxy). Named in the settings of drf-spectacular.
"""

from __future__ import annotations

from typing import Any

_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
_SIGNED = [{"token": []}, {"session": []}]
_ANYTHING = {"schema": {"type": "string", "format": "binary"}}
_HEADERS = {
    "Accept": "passed to the model",
    "X-Amzn-SageMaker-Custom-Attributes": "passed to the model; at most 1024 characters",
    "X-Amzn-SageMaker-Inference-Id": "passed to the model, kept with the prediction",
    "X-Labportal-Subject": "keeps the answer beside a thing: structure:12",
}
_REFUSALS = {
    "401": "nobody is signed in",
    "403": "the role, or the CSRF token of a session",
    "404": "no such model or version",
    "408": "the body did not arrive in time",
    "413": "the body is larger than the model takes",
    "415": "the version does not take this content type",
    "429": "too many calls a minute or at once; Retry-After",
    "502": "the model broke off",
    "503": "no replica is ready, with the reason; Retry-After",
    "504": "the model did not answer in time",
}


def describe(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the native routes to the document."""
    paths, models = result["paths"], "/api/v1/models/{name}"
    paths[f"{models}/invocations"] = {"post": _call("model_invoke", [_NAME])}
    versioned = f"{models}/versions/{{number}}/invocations"
    paths[versioned] = {"post": _call("model_version_invoke", [_NAME, _NUMBER])}
    paths[f"{models}/ping"] = {"get": _ping()}
    return result


def _call(operation: str, where: list[dict[str, Any]]) -> dict[str, Any]:
    headers = [
        {"name": name, "in": "header", "description": words, "schema": {"type": "string"}}
        for name, words in _HEADERS.items()
    ]
    return {
        "operationId": operation,
        "tags": ["models"],
        "summary": "Call a model: its body goes there, its answer comes back, as they are",
        "parameters": [*where, *headers],
        "requestBody": {"content": {"application/octet-stream": _ANYTHING}},
        "security": _SIGNED,
        "responses": {
            "200": {"description": "as it answers", "content": {"*/*": _ANYTHING}},
            **{status: {"description": words} for status, words in _REFUSALS.items()},
        },
    }


def _ping() -> dict[str, Any]:
    return {
        "operationId": "model_ping",
        "tags": ["models"],
        "summary": "Whether a call would be answered now",
        "parameters": [_NAME],
        "security": _SIGNED,
        "responses": {
            "200": {"description": "a replica is ready"},
            **{status: {"description": _REFUSALS[status]} for status in ("401", "404", "503")},
        },
    }
