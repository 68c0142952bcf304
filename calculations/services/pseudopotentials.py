"""The lab's library of pseudopotentials: families of files, and which of them a calculation takes.

The same content is stored once. Files that calculations took stay as long as one names them.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import BinaryIO

from django.db import transaction

from calculations.models import InputFile, Pseudopotential
from calculations.services.pseudo_families import FOLDER
from calculations.software.pseudopotential import (
    HEAD,
    Head,
    PseudopotentialError,
    format_of,
    read_head,
)
from calculations.states import TERMINAL
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can, require
from labportal.audit.services import record
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from labportal.common.storage import storage

MAX_FILE = 20 * 2**20
MAX_FILES = 200
MAX_TOTAL = 200 * 2**20
MAX_ZIP = 64 * 2**20
MAX_RATIO = 200  # of a zip's entry: what it promises against what it takes


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it: new rows, replaced ones, and what was there already or was left out."""

    rows: list[Pseudopotential]
    replaced: list[str]
    notes: list[str]


def add(family: str, uploads: Sequence[tuple[str, BinaryIO]], *, actor: User) -> Added:
    """Add files, or a zip of them, to a family: all or none.

    Raises InvalidInput naming each file at fault, NotAllowed where one would be replaced by
    somebody who may not.
    """
    require(actor, Can.CREATE_CALCULATION)
    family = " ".join(family.split())
    if not 0 < len(family) <= 80 or not family.isprintable():
        raise InvalidInput(errors={"family": "needs a name of at most 80 characters"})
    notes: list[str] = []
    files = _unpacked(uploads, notes)
    if not files:
        raise InvalidInput(errors={"files": "choose at least one psf, psml or UPF file, or a zip"})
    heads: dict[str, Head] = {}
    errors = []
    for name, data in files.items():
        try:
            heads[name] = read_head(name, data[:HEAD])
        except PseudopotentialError as error:
            errors.append(f"{name} {error}")
    errors += _doubled(heads)
    if errors:
        raise InvalidInput(errors={"files": "; ".join(errors[:10])})
    return _store(family, files, heads, notes, actor)


def _unpacked(uploads: Sequence[tuple[str, BinaryIO]], notes: list[str]) -> dict[str, bytes]:
    """Return the files by their plain names; folders in a zip are left out of the names."""
    found: dict[str, bytes] = {}
    for name, stream in uploads:
        if name.lower().endswith(".zip"):
            entries = _entries(name, stream, notes)
        else:
            entries = [(_plain(name), stream.read(MAX_FILE + 1))]
        for plain, data in entries:
            if len(data) > MAX_FILE:
                limit = MAX_FILE // 2**20
                raise InvalidInput(errors={"files": f"{plain} is larger than {limit} MiB"})
            if plain in found:
                raise InvalidInput(errors={"files": f"{plain} comes twice; leave one out"})
            found[plain] = data
    if len(found) > MAX_FILES or sum(map(len, found.values())) > MAX_TOTAL:
        raise InvalidInput(errors={"files": f"at most {MAX_FILES} files at once"})
    return found


def _plain(name: str) -> str:
    plain = PurePosixPath(name.replace("\\", "/")).name
    good = 0 < len(plain) <= 120 and plain.isprintable() and not plain.startswith((".", "-"))
    if not good or not all(c.isalnum() or c in "._-+" for c in plain) or not plain.isascii():
        raise InvalidInput(errors={"files": f"{name!r:.80} is not a plain file name; rename it"})
    return plain


def _entries(name: str, stream: BinaryIO, notes: list[str]) -> list[tuple[str, bytes]]:
    """Read a zip in memory: nothing of it is ever written under the names that it holds."""
    found = []
    content = stream.read(MAX_ZIP + 1)
    if len(content) > MAX_ZIP:
        raise InvalidInput(errors={"files": f"{name[:80]} is larger than {MAX_ZIP // 2**20} MiB"})
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            infos = [info for info in packed.infolist() if not info.is_dir()]
            if len(infos) > 4 * MAX_FILES:
                raise InvalidInput(errors={"files": f"{name} holds {len(infos)} files, too many"})
            total = 0
            for info in infos:
                base = PurePosixPath(info.filename.replace("\\", "/")).name
                if base.startswith(".") or not _is_wanted(base):
                    notes.append(f"{base[:80]} is no pseudopotential and is left out")
                    continue
                total += info.file_size
                if info.file_size > MAX_FILE or total > MAX_TOTAL:
                    raise InvalidInput(errors={"files": f"{base[:80]} in {name} is too large"})
                if info.file_size > MAX_RATIO * max(1, info.compress_size):
                    raise InvalidInput(errors={"files": f"{base[:80]} in {name} is no honest zip"})
                with packed.open(info) as entry:
                    found.append((_plain(base), entry.read(MAX_FILE + 1)))
    # RuntimeError: encrypted, or packed in a way that zipfile does not know.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError):
        raise InvalidInput(errors={"files": f"{name[:80]} is no zip that can be read"}) from None
    return found


def _is_wanted(name: str) -> bool:
    try:
        format_of(name)
    except PseudopotentialError:
        return False
    return True


def _doubled(heads: Mapping[str, Head]) -> list[str]:
    seen: dict[tuple[str, str], str] = {}
    errors = []
    for name, head in heads.items():
        other = seen.setdefault((head.format, head.element), name)
        if other != name:
            errors.append(f"{name} and {other} are both of {head.element}; a family has one")
    return errors


@transaction.atomic
def _store(
    family: str,
    files: Mapping[str, bytes],
    heads: Mapping[str, Head],
    notes: list[str],
    actor: User,
) -> Added:
    present = {
        (row.format, row.element): row
        for row in Pseudopotential.objects.select_for_update().filter(family=family)
    }
    rows, replaced = [], []
    for name, data in files.items():
        head = heads[name]
        size, sha256, key = _keep(name, data)
        old = present.get((head.format, head.element))
        if old is not None and old.sha256 == sha256:
            notes.append(f"{name} is there already")
            continue
        if old is not None:
            if not can(actor, Can.MANAGE_PSEUDOPOTENTIALS):
                raise NotAllowed(
                    f"{family} has another file for {head.element} already; only moderators "
                    "replace it. Choose another name for the family."
                )
            replaced.append(old.name)
            forget([old.key])
            old.delete()
        rows.append(
            Pseudopotential(
                name=name,
                size=size,
                sha256=sha256,
                key=key,
                family=family,
                format=head.format,
                element=head.element,
                functional=head.functional,
                valence=head.valence,
                relativistic=head.relativistic,
                source=head.source.replace("\0", ""),
                added_by=actor,
            )
        )
    Pseudopotential.objects.bulk_create(rows)
    if replaced:
        record(actor, "pseudopotential.replace", target=family, detail={"files": replaced})
    return Added(rows, replaced, notes)


def _keep(name: str, data: bytes) -> tuple[int, str, str]:
    """Store under the content's own digest, so that the same content is there once."""
    from hashlib import sha256

    digest = sha256(data).hexdigest()
    key = f"{FOLDER}/{digest[:2]}/{digest}-{name}"
    held = Pseudopotential.objects.filter(sha256=digest).values_list("key", flat=True).first()
    if held is None:
        storage().save(key, BytesIO(data))
    return len(data), digest, held or key


@transaction.atomic
def rename(family: str, name: str, *, actor: User) -> None:
    """Give a family another name; what calculations took stays as it is."""
    require(actor, Can.MANAGE_PSEUDOPOTENTIALS)
    name = " ".join(name.split())
    if not 0 < len(name) <= 80 or not name.isprintable():
        raise InvalidInput(errors={"name": "needs at most 80 characters"})
    if name != family and Pseudopotential.objects.filter(family=name).exists():
        raise InvalidInput(errors={"name": f"{name} is there already; choose another name"})
    Pseudopotential.objects.filter(family=family).update(family=name)
    record(actor, "pseudopotential.rename", target=family, detail={"name": name})


@transaction.atomic
def delete(file: Pseudopotential, *, actor: User) -> None:
    """Take a file out of the library. Raises WrongMoment while a calculation still needs it."""
    require(actor, Can.MANAGE_PSEUDOPOTENTIALS)
    using = InputFile.objects.filter(key=file.key).exclude(calculation__state__in=TERMINAL)
    first = using.select_related("calculation").first()
    if first is not None:
        raise WrongMoment(
            f"{file.name} is used by {first.calculation.number}, which has not ended; "
            "wait for it, or give that calculation another family."
        )
    key = file.key
    file.delete()
    forget([key])
    record(actor, "pseudopotential.delete", target=str(file), detail={"sha256": file.sha256})


def forget(keys: Iterable[str]) -> None:
    """Delete stored files that neither the library nor a calculation names, on commit."""
    wanted = list(keys)

    def remove() -> None:
        used = set(InputFile.objects.filter(key__in=wanted).values_list("key", flat=True))
        used |= set(Pseudopotential.objects.filter(key__in=wanted).values_list("key", flat=True))
        for key in wanted:
            if key not in used:
                storage().delete(key)

    transaction.on_commit(remove)


def check_upload(name: str, key: str) -> None:
    """Raises InvalidInput where a supplied file is a pseudopotential of another element.

    A file whose head cannot be read is the scientist's own affair: other programs have other files.
    """
    if not _is_wanted(name):
        return
    with storage().open(key) as stream:
        data = stream.read(HEAD)
    try:
        read_head(name, data)
    except PseudopotentialError as error:
        if "another element" in str(error):
            raise InvalidInput(errors={"files": f"{name} {error}"}) from None
