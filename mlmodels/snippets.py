"""A call as people write it in a shell and in Python. Pure; whatever the body holds, it is quoted.

A token is never part of it: it stands in the variable TOKEN.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

LONGEST = 2_000  # characters of a body that stands in the snippet itself
JSON = "application/json"
SUFFIXES = {
    JSON: "json",
    "text/csv": "csv",
    "image/png": "png",
    "image/jpeg": "jpg",
    "application/x-npy": "npy",
}


@dataclass(frozen=True, slots=True)
class Snippet:
    name: str
    label: str
    text: str


def snippets(url: str, content_type: str, body: str) -> list[Snippet]:
    """Of a long body, and of one that is no text (""), a file stands for it."""
    file = "" if body and len(body) <= LONGEST else f"input.{suffix_of(content_type)}"
    return [
        Snippet("curl", "curl", _curl(url, content_type, body, file)),
        Snippet("python", "Python", _python(url, content_type, body, file)),
    ]


def suffix_of(content_type: str) -> str:
    return SUFFIXES.get(content_type, "bin")


def _curl(url: str, content_type: str, body: str, file: str) -> str:
    data = f"@{file}" if file else body
    # A body that begins with @ would be taken for a file's name.
    option = "--data-binary" if file else "--data-raw"
    return " \\\n  ".join(
        [
            f"curl {shlex.quote(url)}",
            '-H "Authorization: Bearer $TOKEN"',
            f"-H {shlex.quote(f'Content-Type: {content_type}')}",
            f"{option} {shlex.quote(data)}",
        ]
    )


def _python(url: str, content_type: str, body: str, file: str) -> str:
    document = None if file or content_type != JSON else _document(body)
    if file:
        data = f'data=open("{file}", "rb")'
    elif document is not None:
        data = f"json={document}"
    else:
        data = f"data={body!r}.encode()"
    lines = ['"Authorization": f"Bearer {os.environ[\'TOKEN\']}",']
    if document is None:
        lines.append(f'"Content-Type": "{content_type}",')
    headers = "".join(f"        {line}\n" for line in lines)
    return (
        "import os\n\n"
        "import requests\n\n"
        "answer = requests.post(\n"
        f'    "{url}",\n'
        f"    headers={{\n{headers}    }},\n"
        f"    {data},\n"
        "    timeout=60,\n"
        ")\n"
        "answer.raise_for_status()\n"
        f"print(answer.{'json()' if content_type == JSON else 'content'})\n"
    )


def _document(body: str) -> str | None:
    """The document as Python writes it, None where that would be another one."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    words = repr(found)
    return None if "inf" in words or "nan" in words else words
