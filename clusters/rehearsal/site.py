"""A throw-away site with a scripted scheduler: made, broken, looked at and removed by its owner.

    site = Site(folder, kind="slurm"); site.fault("forget", programs=["squeue"], times=1)

`site.programs` belongs in front of PATH. Jobs are real processes; `close` ends them all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusters.rehearsal import faults, programs
from clusters.rehearsal.running import advance, alive, end_session, want
from clusters.rehearsal.state import ACTIVE, DEFAULTS, Job, State, write_json

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """#!{python} -IS
import sys
sys.path.insert(0, {root!r})
from clusters.rehearsal.programs import main
sys.exit(main({folder!r}, {name!r}, sys.argv[1:]))
"""


class Site:
    """`kind` is slurm, pbs (PBS Pro, OpenPBS) or torque; `settings` change `state.DEFAULTS`."""

    def __init__(self, folder: Path, kind: str = "slurm", **settings: Any) -> None:
        unknown = settings.keys() - DEFAULTS.keys()
        if unknown or kind not in ("slurm", "pbs", "torque"):
            raise ValueError(f"a fake site knows no {', '.join(unknown) or kind}")
        self.folder, self.kind = folder, kind
        self.programs = folder / "bin"
        for name in ("bin", "scripts", "home"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        write_json(str(folder / "site.json"), {**settings, "kind": kind})
        self._state = State(str(folder))
        self._state.create()
        for name in programs.SLURM if kind == "slurm" else programs.PBS:
            path = self.programs / name
            path.write_text(
                PROGRAM.format(python=sys.executable, root=str(ROOT), folder=str(folder), name=name)
            )
            path.chmod(0o755)

    @property
    def path(self) -> str:
        """PATH with this site's programs before all others."""
        return f"{self.programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def configure(self, **settings: Any) -> None:
        """Change settings of a site in use."""
        self._state.settings.update(settings)
        write_json(str(self.folder / "site.json"), self._state.settings)

    # Faults

    def fault(self, kind: str, **details: Any) -> None:
        """Let something go wrong from now on; `faults.KINDS` lists what can.

        `programs`: names of the programs that it hits; `times`: how many calls or jobs; `chance`:
        of each; and what the kind itself needs: seconds, share, after_s, text, code.
        """
        faults.add(str(self.folder), kind, **details)

    def heal(self) -> None:
        faults.clear(str(self.folder))
        advance(self._state)

    @property
    def faults(self) -> list[dict[str, Any]]:
        return faults.known(str(self.folder))

    # Jobs

    def jobs(self, name: str = "") -> list[Job]:
        """All jobs that were ever submitted, lost ones too; those of a name where one is given."""
        advance(self._state)
        found = self._state.jobs(hidden=True)
        return [job for job in found if not name or job.request["name"] == name]

    def end(self, job: Job, how: str) -> None:
        """End one job as `faults.OF_JOBS` tells; it may wait or run."""
        from clusters.rehearsal.running import ENDINGS

        want(self._state, job, ENDINGS[how])

    def calls(self, program: str = "") -> list[str]:
        """One line for each call so far: time, program, exit code, arguments."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "calls.log").read_text(errors="replace").splitlines()
            return [line for line in lines if not program or line.split()[1] == program]
        return []

    def until(self, condition: Callable[[list[Job]], Any], seconds: float = 60.0) -> Any:
        """Return what `condition` says of all jobs once that is true. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            jobs = self.jobs()
            found = condition(jobs)
            if found:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"jobs: {[(job.number, job.state) for job in jobs]}")
            time.sleep(0.02)

    def close(self) -> None:
        """End all that runs. The folder is its owner's to remove."""
        with contextlib.suppress(OSError):
            faults.add(str(self.folder), "stall")
        for job in self._state.jobs("state IN ('RUNNING', 'PENDING')", hidden=True):
            if job.state == ACTIVE[0]:
                self._state.update(job, state="CANCELLED", ended=time.time())
                continue
            with contextlib.suppress(ProcessLookupError, ValueError, IndexError):
                if alive(job.runner):
                    os.kill(int(job.runner.split()[0]), signal.SIGKILL)
            end_session(job)
