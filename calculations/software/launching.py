"""How a site starts a program in parallel: its `launcher` setting, such as "mpirun -n {tasks}".

Standard library only, Python 3.9.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from calculations.software.base import Resources


def launcher(site: Mapping[str, str], resources: Resources) -> list[str]:
    """Return the launcher's words, empty where there is none. {tasks}, {nodes} and {cores} stand
    for what the run asks for.
    """
    asked = {
        "{tasks}": resources.tasks or resources.cores,
        "{nodes}": resources.nodes,
        "{cores}": resources.cores,
    }
    text = site.get("launcher", "")
    for name, value in asked.items():
        text = text.replace(name, str(value))
    return shlex.split(text)
