"""Put an example together in a folder: its own files and the shared ones, nothing more is needed.

The folder is what a container is built from, and what a process is started in.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
NETWORK = REPOSITORY / "calculations/software/torch_inference/networks/redshift.py"

#: Example -> files from elsewhere, by their names in the bundle.
EXAMPLES: dict[str, dict[str, Path]] = {
    "echo": {},
    "gait": {},
    "redshift": {"network.py": NETWORK},
}
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def bundle(name: str, folder: Path) -> Path:
    """Write the example of that name to `folder`; what lies there under the same names is replaced.

    Raises KeyError for a name that no example has.
    """
    others = EXAMPLES[name]
    shutil.copytree(HERE / name, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
    shutil.copytree(HERE / "serving", folder / "serving", ignore=_LEFT_OUT, dirs_exist_ok=True)
    for file, source in others.items():
        shutil.copyfile(source, folder / file)
    return folder


def describe(name: str) -> dict[str, Any]:
    """Return what a version of a model is registered with: model.json, and `example` as text."""
    document = json.loads((HERE / name / "model.json").read_text())
    document["example"] = (HERE / name / "example.json").read_text().strip()
    return dict(document)
