"""What a version may be: everything that is wrong with it is said at once, by field.

Names of images, folders, commands and variables come from people and end in command lines and
files; what is odd about them is refused here, before any node sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from clusters.agent.runtimes.base import RuntimeFailed
from clusters.agent.runtimes.images import check_image
from labportal.common.errors import InvalidInput
from mlmodels.models import ModelVersion

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+*-]+(?:; ?[a-z]+=[A-Za-z0-9_.-]+)?")
GPU_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
SET_BY_NODES = frozenset({"PORT", "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE"})
MOST_VARIABLES, MOST_VALUE, MOST_WORDS, MOST_WORD = 100, 32_768, 100, 4096
MOST_SCHEMA, MOST_EXAMPLE, MOST_TYPES = 262_144, 6 * 2**20, 20
JSON = "application/json"

Errors = dict[str, str]


def check(version: ModelVersion) -> None:
    """Raises InvalidInput by field; fills in what follows from the rest."""
    errors: Errors = {}
    if isinstance(version.example, dict | list):
        version.example = json.dumps(version.example, indent=1)
    if version.example and not version.accepts:
        version.accepts = [JSON]
    _check_what_runs(version, errors)
    _check_variables("environment", version.environment, errors)
    if version.gpu_type and not GPU_TYPE.fullmatch(version.gpu_type):
        errors["gpu_type"] = "is not the name of a GPU, such as a100"
    _check_types(version, errors)
    for name in ("input_schema", "output_schema"):
        _check_schema(name, getattr(version, name), errors)
    if not errors.keys() & {"accepts", "input_schema"}:
        _check_example(version, errors)
    _check_fields(version, errors)
    if errors:
        raise InvalidInput(errors=errors)


def check_secrets(secrets: Mapping[str, str], environment: Any) -> None:
    errors: Errors = {}
    _check_variables("secrets", secrets, errors)
    plain = environment if isinstance(environment, Mapping) else {}
    empty = [name for name, value in secrets.items() if value == ""]
    twice = sorted(secrets.keys() & plain.keys())
    if empty and not errors:
        errors["secrets"] = f"{empty[0]} has no value, and the version before has none for it"
    elif twice and not errors:
        errors["secrets"] = f"{twice[0]} stands among the plain variables too: keep one of them"
    if errors:
        raise InvalidInput(errors=errors)


def _check_fields(version: ModelVersion, errors: Errors) -> None:
    excluded = {"model", "created_by", "approved_by", "number", *errors}
    try:
        version.full_clean(exclude=excluded, validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        for name, texts in error.message_dict.items():
            errors.setdefault(name, " ".join(texts))


def _check_what_runs(version: ModelVersion, errors: Errors) -> None:
    command = version.command
    if (
        not isinstance(command, list)
        or len(command) > MOST_WORDS
        or not all(isinstance(w, str) and 0 < len(w) <= MOST_WORD and _plain(w) for w in command)
    ):
        errors["command"] = (
            f"must be a list of at most {MOST_WORDS} words without control characters, such as "
            '["python", "serve.py"]; no shell reads it'
        )
    if version.runtime == ModelVersion.Runtime.PROCESS:
        _check_process(version, errors)
    elif version.runtime == ModelVersion.Runtime.CONTAINER:
        if version.folder:
            errors["folder"] = "belongs to the process runtime: a container brings its files along"
        if not version.image:
            errors["image"] = "is needed: the image that is started with the argument serve"
        elif problem := _problem_of_image(version.image):
            errors["image"] = problem


def _problem_of_image(name: str) -> str:
    """What nodes would say of it."""
    try:
        check_image(name)
    except RuntimeFailed as error:
        return str(error)
    return ""


def _check_process(version: ModelVersion, errors: Errors) -> None:
    if version.image:
        errors["image"] = "belongs to the container runtime: a process is started from a folder"
    parts = version.folder.split("/")
    if not version.folder:
        errors["folder"] = "is needed: the folder on the node that holds the model's server"
    elif parts[0] or ".." in parts or not _plain(version.folder):
        errors["folder"] = "must be a whole path without .., such as /srv/models/redshift"
    if not version.command and "command" not in errors:
        errors["command"] = 'is needed: what is started in the folder, such as ["python", "serve"]'


def _plain(text: str) -> bool:
    return text.isprintable()


def _check_variables(field: str, variables: Any, errors: Errors) -> None:
    if not isinstance(variables, Mapping):
        errors[field] = "must be an object of names and texts"
        return
    if len(variables) > MOST_VARIABLES:
        errors[field] = f"holds more than {MOST_VARIABLES} variables"
    for name, value in variables.items():
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            errors[field] = f"{name!r:.60} is not the name of a variable"
        elif name in SET_BY_NODES:
            errors[field] = f"{name} is set by the node that serves the model"
        elif not isinstance(value, str) or "\0" in value or len(value) > MOST_VALUE:
            errors[field] = f"{name} must be a text of at most {MOST_VALUE // 1024} KiB"


def _check_types(version: ModelVersion, errors: Errors) -> None:
    types = version.accepts
    if not isinstance(types, list) or len(types) > MOST_TYPES:
        errors["accepts"] = f"must be a list of at most {MOST_TYPES} content types"
        return
    version.accepts = [str(one).strip().lower() for one in types]
    odd = [one for one in version.accepts if not CONTENT_TYPE.fullmatch(one)]
    if odd:
        errors["accepts"] = f"{odd[0]!r:.60} is not a content type, such as application/json"


def _check_schema(field: str, schema: Any, errors: Errors) -> None:
    if not schema:
        return
    from jsonschema import Draft202012Validator, SchemaError

    if not isinstance(schema, Mapping):
        errors[field] = "must be a JSON schema, an object"
    elif len(json.dumps(schema)) > MOST_SCHEMA:
        errors[field] = f"is longer than {MOST_SCHEMA // 1024} KiB"
    elif elsewhere := _references_elsewhere(schema):
        errors[field] = f"refers to {elsewhere!r:.80}: only references within it are followed"
    else:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            where = "/".join(str(part) for part in error.absolute_path)
            errors[field] = f"is no JSON schema: {where or 'it'}: {error.message:.200}"


def _references_elsewhere(schema: Any) -> str:
    if isinstance(schema, Mapping):
        for name in ("$ref", "$dynamicRef"):
            if isinstance(schema.get(name), str) and not schema[name].startswith("#"):
                return schema[name]
        parts: Any = schema.values()
    else:
        parts = schema if isinstance(schema, list) else ()
    return next((found for part in parts if (found := _references_elsewhere(part))), "")


def _check_example(version: ModelVersion, errors: Errors) -> None:
    if not version.example:
        return
    if len(version.example) > MOST_EXAMPLE or "\0" in version.example:
        errors["example"] = f"must be text of at most {MOST_EXAMPLE // 2**20} MiB"
        return
    if version.accepts[0].partition(";")[0] != JSON:
        return
    try:
        document = json.loads(version.example)
    except (ValueError, RecursionError) as error:
        errors["example"] = f"is not JSON, which the model takes: {error}"
        return
    if version.input_schema:
        from jsonschema import Draft202012Validator

        wrong = next(Draft202012Validator(version.input_schema).iter_errors(document), None)
        if wrong is not None:
            where = "/".join(str(part) for part in wrong.absolute_path)
            errors["example"] = f"breaks the input schema: {where or 'it'}: {wrong.message:.200}"
