"""The document that a filled form stands for, and what is wrong with it, field by field. Pure.

What was given is texts by the fields' names (lists for several), and files by theirs as bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlmodels.inputs import arrays
from mlmodels.inputs.arrays import number_of
from mlmodels.inputs.checking import complaints
from mlmodels.inputs.fields import FILES, Field, Group, Kind
from mlmodels.inputs.filling import EXAMPLE, NOTHING, value_at
from mlmodels.inputs.pointers import last_key, nearest

Texts = Mapping[str, Sequence[str]]
Files = Mapping[str, bytes]
PICTURES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"SIMP": "image/fits",
}


@dataclass(slots=True)
class Entered:
    """`errors` by pointer; "" is the form as a whole. The document is whole only without errors."""

    document: Any
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        return json.dumps(self.document, separators=(",", ":"))


def entered(
    group: Group, schema: Any, texts: Texts, files: Files, *, example: Any = NOTHING
) -> Entered:
    """Read the form and hold the document against the schema. `example` is the document whose
    files a person may leave in place.
    """
    reader = _Reader(texts, files, example)
    errors = reader.errors
    if [one.pointer for one in group.fields()] == [""]:
        document = reader.value(group.fields()[0])
        document = None if document is NOTHING else document
    else:
        document = reader.object(group)
    found = Entered(document, errors)
    known = {one.pointer for one in group.fields()}
    for pointer, words in complaints(schema, document):
        place = nearest(pointer, known)
        inner = any(one.startswith(f"{place}/") for one in errors)
        if place not in errors and not inner and (place or not errors):
            errors[place] = words
    return found


@dataclass(slots=True)
class _Reader:
    texts: Texts
    files: Files
    example: Any
    errors: dict[str, str] = field(default_factory=dict)

    def object(self, group: Group) -> dict[str, Any]:
        found = {}
        for part in group.parts:
            key = last_key(part.pointer)
            if isinstance(part, Group):
                if part.required or self._is_given(part):
                    found[key] = self.object(part)
                continue
            value = self.value(part)
            if value is not NOTHING:
                found[key] = value
        return found

    def _is_given(self, group: Group) -> bool:
        return any(
            any(word.strip() for word in self.texts.get(one.name, ()))
            or one.file_name in self.files
            for one in group.fields()
        )

    def value(self, one: Field) -> Any:
        try:
            return self._value(one)
        except ValueError as error:
            self.errors[one.pointer] = str(error)
            return NOTHING

    def _value(self, one: Field) -> Any:
        given = list(self.texts.get(one.name, ()))
        if one.takes_file and one.file_name in self.files:
            return _of_file(one, self.files[one.file_name])
        if one.kind is Kind.CHOICES:
            chosen = [_chosen(one, word) for word in given if word]
            return chosen if chosen or one.required else NOTHING
        word = given[-1] if given else ""
        if one.kind in FILES and word == EXAMPLE:
            return value_at(self.example, one.pointer)
        if not word.strip() or one.kind in FILES:
            return _empty(one)
        return READERS[one.kind](one, word)


def _empty(one: Field) -> Any:
    if not one.required:
        return NOTHING
    if one.nullable:
        return None
    if one.kind in (Kind.TEXT, Kind.LONG_TEXT) and one.pointer:
        return ""  # the schema says whether it may be empty
    if one.kind in (Kind.NUMBERS, Kind.TABLE, Kind.RECORDS, Kind.LINES):
        return []
    raise ValueError("Choose a file." if one.kind in FILES else "This is needed.")


def _chosen(one: Field, word: str) -> Any:
    if not word.isdecimal() or len(word) > 4 or int(word) >= len(one.choices):
        raise ValueError("Choose one of the list.")
    return one.choices[int(word)][0]


def _text(one: Field, word: str) -> str:
    return word.replace("\r\n", "\n")


def _lines(one: Field, word: str) -> list[str]:
    plain = word.strip()
    if plain.startswith('["'):
        found = arrays.json_of(plain)
        if all(isinstance(line, str) for line in found):
            return found
    return [line.strip() for line in plain.splitlines() if line.strip()]


READERS: dict[Kind, Callable[[Field, str], Any]] = {
    Kind.NUMBER: lambda one, word: number_of(word),
    Kind.INTEGER: lambda one, word: number_of(word, whole=True),
    Kind.TEXT: _text,
    Kind.LONG_TEXT: _text,
    Kind.CSV: _text,
    Kind.SWITCH: lambda one, word: arrays.truth(word),
    Kind.CHOICE: _chosen,
    Kind.NUMBERS: lambda one, word: arrays.numbers_of(word, whole=one.whole),
    Kind.TABLE: lambda one, word: arrays.table_of(word, whole=one.whole),
    Kind.RECORDS: lambda one, word: arrays.records_of(word, one.columns),
    Kind.LINES: _lines,
    Kind.ARRAY: lambda one, word: arrays.json_of(word),
    Kind.JSON: lambda one, word: arrays.json_of(word),
}


def _of_file(one: Field, data: bytes) -> Any:
    if one.kind in FILES:
        return _encoded(one, data)
    if data.startswith(arrays.NPY) and one.kind in (
        Kind.NUMBERS,
        Kind.TABLE,
        Kind.ARRAY,
        Kind.JSON,
    ):
        return arrays.npy_of(data)
    try:
        word = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("The file is no text in UTF-8.") from None
    if not word.strip():
        raise ValueError("The file is empty.")
    return READERS[one.kind](one, word)


def _encoded(one: Field, data: bytes) -> str:
    if not data:
        raise ValueError("The file is empty.")
    media = picture_type(data) or one.media
    if one.kind is Kind.IMAGE and not picture_type(data):
        raise ValueError("The file is no picture that is known: PNG, JPEG, GIF, WebP or TIFF.")
    if one.kind is Kind.IMAGE and one.media not in ("image/*", media):
        raise ValueError(f"The model takes {one.media}; the file is {media}.")
    text = base64.b64encode(data).decode()
    return f"data:{media};base64,{text}" if one.encoded == "data-url" else text


def picture_type(data: bytes) -> str:
    """The media type that the first bytes tell, "" for what is no picture."""
    if data[:4] == b"RIFF" and data[8:12] != b"WEBP":
        return ""
    return next((media for start, media in PICTURES.items() if data.startswith(start)), "")
