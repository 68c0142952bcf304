"""Bundles of the examples for tests, and an echo that breaks a rule of the contract on request."""

import shutil
from pathlib import Path

from mlmodels.examples.bundle import bundle

BAD_PROGRAM = Path(__file__).with_name("bad_program.py")
#: What the bad echo reads: the name of the check that has to fail.
BREAKS = "BREAKS"


def bad_echo(folder: Path) -> Path:
    """Write an echo whose `bad_program.py` breaks the rule that the variable BREAKS names."""
    bundle("echo", folder)
    shutil.copyfile(BAD_PROGRAM, folder / BAD_PROGRAM.name)
    return folder
