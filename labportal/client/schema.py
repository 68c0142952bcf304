"""The portal's OpenAPI description: fetched once, kept by its tag, and asked for operations by
name. Arguments are checked against it before anything is sent.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labportal.client.errors import ClientError, Invalid
from labportal.client.transport import API, Transport

METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


@dataclass(frozen=True)
class Call:
    """What is sent: the path is filled in, `query` and `body` hold the rest of the arguments."""

    method: str
    path: str
    query: dict[str, Any]
    body: dict[str, Any] | None


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    parameters: Mapping[str, Mapping[str, Any]]
    body: Mapping[str, Any] | None
    media: tuple[str, ...]
    summary: str = ""

    def takes(self) -> list[str]:
        return [*self.parameters, *(self.body or {}).get("properties", {})]

    def call(self, arguments: Mapping[str, Any], schema: Schema) -> Call:
        """Sort the arguments into path, query and body. Raises Invalid naming every wrong one."""
        errors: dict[str, list[str]] = {}
        path, query, body = self.path, {}, {}
        properties = (self.body or {}).get("properties", {})
        open_body = self.body is not None and not properties
        for name, value in arguments.items():
            parameter = self.parameters.get(name)
            shape = parameter["schema"] if parameter else properties.get(name)
            if parameter and isinstance(value, int | float) and not isinstance(value, bool):
                value = str(value) if shape.get("type") == "string" else value
            if shape is None and not open_body:
                errors[name] = [self._unknown(name)]
            elif shape is not None and (problem := schema.problem(shape, value)):
                errors[name] = [problem]
            elif parameter is None:
                body[name] = value
            elif parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
            else:
                query[name] = value
        needed = [n for n, p in self.parameters.items() if p.get("required")]
        needed += (self.body or {}).get("required", []) if self.body else []
        errors.update({n: ["is needed"] for n in needed if n not in arguments})
        if errors:
            raise Invalid(f"{self.name} cannot be called like this.", fields=errors)
        sent = body if self.body is not None else None
        return Call(self.method.upper(), path, query, sent)

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.takes(), 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(self.takes())}"
        return f"is not known{hint}"


class Schema:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.version = str(document.get("info", {}).get("version", ""))
        self.operations = {
            item["operationId"]: self._operation(path, method, item)
            for path, methods in document["paths"].items()
            for method, item in methods.items()
            if method in METHODS
        }

    def operation(self, name: str) -> Operation:
        if name in self.operations:
            return self.operations[name]
        near = difflib.get_close_matches(name, self.operations, 3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise Invalid(
            f"This portal knows no operation {name}.{hint}",
            remedy="It may be of another version than this client.",
        )

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        content = self._resolved(item.get("requestBody", {})).get("content", {})
        body = content[JSON]["schema"] if JSON in content else None
        return Operation(
            item["operationId"],
            method,
            path,
            {p["name"]: p for p in map(self._resolved, item.get("parameters", ()))},
            None if body is None else self._resolved(body),
            tuple(content),
            str(item.get("description") or item.get("summary") or "").strip(),
        )

    def _resolved(self, shape: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a reference within the document; what merely wraps another is that other."""
        for _ in range(10):
            if "$ref" in shape:
                found: Any = self.document
                for part in str(shape["$ref"]).removeprefix("#/").split("/"):
                    found = found[part]
                shape = found
            elif len(shape.get("allOf", ())) == 1:
                shape = {**shape["allOf"][0], **{k: v for k, v in shape.items() if k != "allOf"}}
            else:
                break
        return shape

    def problem(self, shape: Mapping[str, Any], value: Any) -> str:
        """Return in words why `value` does not fit, empty where it may; the portal has the last
        word.
        """
        shape = self._resolved(shape)
        if value is None:
            return ""
        if "oneOf" in shape or "anyOf" in shape:
            inner = [self.problem(s, value) for s in shape.get("oneOf") or shape["anyOf"]]
            return "" if "" in inner else inner[0]
        if "enum" in shape and value not in shape["enum"]:
            return f"must be one of {', '.join(map(str, shape['enum']))}"
        kind = shape.get("type")
        kinds = TYPES.get(kind, ()) if isinstance(kind, str) else ()
        if kinds and (not isinstance(value, kinds) or (kind != "boolean" and value is True)):
            return f"must be of the kind {kind}, not {value!r}"[:200]
        if kind == "array" and "items" in shape:
            found = (self.problem(shape["items"], each) for each in value)
            return next((problem for problem in found if problem), "")
        return ""


def load(transport: Transport) -> Schema:
    """Return the description, from the cache where the portal says that it is still that one."""
    place = _cache() / f"{hashlib.sha256(transport.profile.url.encode()).hexdigest()[:20]}.json"
    kept = _kept(place)
    headers = {"Accept": JSON, **({"If-None-Match": kept["etag"]} if kept else {})}
    response = transport.request("GET", f"{API}schema/", headers=headers, signed=False)
    if response.status_code == 304 and kept:
        return Schema(kept["document"])
    try:
        document = response.json()
        schema = Schema(document)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ClientError(
            f"{transport.profile.url} does not describe the interface of a portal.",
            remedy="Check the address: labportal login --url ADDRESS",
        ) from None
    if etag := response.headers.get("ETag"):
        _keep(place, {"etag": etag, "document": document})
    return schema


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "labportal"


def _kept(place: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        whole = isinstance(found["etag"], str) and re.fullmatch(r'(W/)?"[^"]*"', found["etag"])
        return found if whole and isinstance(found["document"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(place: Path, document: dict[str, Any]) -> None:
    """A cache that cannot be written is no error."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(document), encoding="utf-8")
        new.replace(place)
    except OSError:
        return
