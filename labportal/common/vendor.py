"""The third-party files that browsers get: from node_modules, under static/vendor/, with integrity.

VENDOR is the one list of them. Nothing is ever loaded from another host.
"""

import base64
import hashlib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.storage import FileSystemStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage

#: Prefix under static/vendor/, folder in node_modules, patterns of the files that are taken.
VENDOR = (
    ("tabler", "@tabler/core/dist", ("css/tabler.min.css", "js/tabler.min.js")),
    ("htmx", "htmx.org/dist", ("htmx.min.js",)),
    ("idiomorph", "idiomorph/dist", ("idiomorph.esm.js",)),
    ("uplot", "uplot/dist", ("uPlot.iife.min.js", "uPlot.esm.js", "uPlot.min.css")),
    ("plotly", "plotly.js-basic-dist-min", ("plotly-basic.min.js",)),
    ("3dmol", "3dmol/build", ("3Dmol-min.js",)),
    ("inter", "@fontsource-variable/inter", ("files/*-wght-normal.woff2",)),
    (
        "jetbrains-mono",
        "@fontsource-variable/jetbrains-mono",
        ("files/*-wght-normal.woff2",),
    ),
)


#: What the page of the API needs out of the wheel drf-spectacular-sidecar.
SIDECAR = "drf_spectacular_sidecar"
SIDECAR_FILES = (
    "swagger-ui-dist/favicon-32x32.png",
    "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui-dist/swagger-ui-standalone-preset.js",
    "swagger-ui-dist/swagger-ui.css",
)


class VendorFinder(finders.BaseFinder):
    """Finds the files of VENDOR for collectstatic and, without a manifest, for each request.

    It stands in the place of Django's finder of apps, since what apps bring is mostly never served.
    """

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        modules = settings.BASE_DIR / "node_modules"
        sidecar = Path(apps.get_app_config(SIDECAR).path) / "static" / SIDECAR
        self.folders = [
            (f"vendor/{name}", _folder(modules / folder, f"vendor/{name}"), patterns)
            for name, folder, patterns in VENDOR
        ]
        self.folders.append((SIDECAR, _folder(sidecar, SIDECAR), SIDECAR_FILES))
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> str | list[str]:
        for prefix, storage, patterns in self.folders:
            rest = path.removeprefix(f"{prefix}/")
            if rest == path or not any(fnmatch(rest, pattern) for pattern in patterns):
                continue
            if storage.exists(rest):
                return [storage.path(rest)] if find_all else storage.path(rest)
        return []

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:
        for _, storage, patterns in self.folders:
            root = Path(storage.location)
            for pattern in patterns:
                for file in sorted(root.glob(pattern)):
                    yield file.relative_to(root).as_posix(), storage


def _folder(root: Path, prefix: str) -> FileSystemStorage:
    storage = FileSystemStorage(location=root)
    storage.prefix = prefix
    return storage


class ManifestStorage(CompressedManifestStaticFilesStorage):
    """Names with a hash of the content, compressed beforehand; source maps are not shipped."""

    support_js_module_import_aggregation = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patterns = {
            extension: [rule for rule in rules if "sourceMappingURL" not in rule[0].pattern]
            for extension, rules in self._patterns.items()
        }


@cache
def integrity(name: str) -> str:
    """Return the SRI value of a static file as it is served, or "" where the file is not there."""
    if settings.STATIC_MANIFEST:
        found = Path(staticfiles_storage.path(staticfiles_storage.stored_name(name)))
    else:
        found = Path(finders.find(name) or "/nonexistent")
    if not found.is_file():
        return ""
    digest = hashlib.sha384(found.read_bytes()).digest()
    return f"sha384-{base64.b64encode(digest).decode()}"


def missing() -> list[str]:
    """Name the packages of VENDOR of which a file is not there (npm was not run)."""
    root = settings.BASE_DIR / "node_modules"
    return [
        folder
        for _, folder, patterns in VENDOR
        if any(not any((root / folder).glob(pattern)) for pattern in patterns)
    ]
