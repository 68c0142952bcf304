"""Where the network's weights come from: a seed, or a file that is safetensors or becomes it."""

from __future__ import annotations

from pathlib import Path

from calculations.software.torch_inference.program.conversion import converted
from calculations.software.torch_inference.program.formats import BadFile, check_safetensors
from calculations.software.torch_inference.program.partitions import CONVERTED, below
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import Work


def weights_of(work: Work, folder: Path) -> str:
    """Return the path of the weights, "" where a seed decides them. Raises Problem."""
    if work.weights == "seeded":
        return ""
    name = work.weights_file
    path = folder / name if work.weights == "file" else below(work.site.data_dir, name)
    if not path.is_file():
        where = "with the run" if work.weights == "file" else "in the folder for data sets"
        raise Problem(
            "bad_weights",
            f"The weights {name!r:.200} are not {where}.",
            "Name a safetensors file (or a .pt file of a state_dict) that is there.",
        )
    if path.suffix.lower() in CONVERTED:
        path = converted([path], work.site.cache_dir, ())[path]
    try:
        check_safetensors(path)
    except (BadFile, OSError) as error:
        raise Problem(
            "bad_weights", f"{path.name} {error}.", "Name a whole safetensors file."
        ) from None
    return str(path)
