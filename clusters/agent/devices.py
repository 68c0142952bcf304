"""The GPUs of this machine: which there are, which somebody else uses, and how a program is told
its own.

Asked of nvidia-smi in worker threads, since that may take a second. Where the settings name indexes
and nothing can be asked (no NVIDIA), the GPUs are given out without a look at their memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

NVIDIA_SMI_S = 10
FIELDS = "index,name,utilization.gpu,memory.used,memory.total"
NONE_VISIBLE = "-1"
VISIBLE = "CUDA_VISIBLE_DEVICES"


class DevicesSilent(Exception):
    """nvidia-smi is there and gives no answer; the message says how it failed."""


class DeviceBusy(Exception):
    """A GPU that was to be given to a run is used by somebody else, or gone."""

    def __init__(self, index: int, used_mib: int | None) -> None:
        self.index, self.used_mib = index, used_mib
        gone = used_mib is None
        super().__init__(f"GPU {index} is not there any more" if gone else in_use(index, used_mib))


@dataclass(frozen=True)
class Gpu:
    """`used_mib` is None where nobody knows, or where a run of ours holds the GPU."""

    index: int
    name: str = ""
    memory_mib: int | None = None
    used_mib: int | None = None


def ask_gpus() -> list[dict[str, Any]]:
    """Return the NVIDIA GPUs with their use now, none where there is no nvidia-smi. Raises
    DevicesSilent.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(  # noqa: S603  (a constant command)
            command, capture_output=True, text=True, timeout=NVIDIA_SMI_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DevicesSilent(f"nvidia-smi does not answer: {error}") from None
    if answer.returncode != 0:
        said = (answer.stdout + answer.stderr).strip().splitlines()
        raise DevicesSilent(f"nvidia-smi fails: {said[-1][:200] if said else answer.returncode}")
    return parse_gpus(answer.stdout)


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Read nvidia-smi's lines; a field such as `[N/A]` becomes None."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 5 or not fields[0].isdigit():
            continue
        use, used, total = (_number(field) for field in fields[2:])
        gpus.append(
            {
                "index": int(fields[0]),
                "name": fields[1],
                "utilisation_percent": use,
                "memory_mib": used,
                "memory_total_mib": total,
            }
        )
    return gpus


def _number(field: str) -> int | None:
    try:
        return int(float(field))
    except ValueError:
        return None


class Devices:
    """The GPUs that runs may be given. The loop's thread alone changes it.

    `setting`: indexes such as "0,1", "auto" (all, or those that the agent itself may see), "none".
    """

    def __init__(
        self, setting: str, *, busy_mib: int, environment: Mapping[str, str] = os.environ
    ) -> None:
        self.busy_mib = busy_mib
        self.problem = ""
        self.cuda = shutil.which("nvidia-smi") is not None
        self._wanted = _indexes(setting, environment)
        self._gpus = {index: Gpu(index) for index in self._wanted or ()}
        # Before the first answer nobody knows what there is, unless there is nobody to ask.
        self.known = self._wanted is not None or not self.cuda

    def update(self, found: Iterable[Mapping[str, Any]], *, ours: Collection[int]) -> None:
        """Take in what `ask_gpus` returned; `ours`: GPUs that runs hold, whose use is theirs."""
        self.problem, self.known = "", True
        if not self.cuda:
            return
        self._gpus = {
            one["index"]: Gpu(
                one["index"],
                one["name"],
                one["memory_total_mib"],
                None if one["index"] in ours else one["memory_mib"],
            )
            for one in found
            if self._wanted is None or one["index"] in self._wanted
        }

    def found_busy(self, error: DeviceBusy) -> None:
        """Note what the look before a start has found."""
        if error.index in self._gpus and error.used_mib is not None:
            self._gpus[error.index] = replace(self._gpus[error.index], used_mib=error.used_mib)

    def silent(self, problem: str) -> None:
        """Note that nobody answers: what was known stays, and nothing is given out meanwhile."""
        self.problem = problem

    def forget_use(self, indexes: Iterable[int]) -> None:
        """What these held was a run's that has ended: unknown until the next look."""
        for index in indexes:
            if index in self._gpus:
                self._gpus[index] = replace(self._gpus[index], used_mib=None)

    @property
    def types(self) -> dict[int, str]:
        return {index: gpu.name for index, gpu in sorted(self._gpus.items())}

    def busy(self) -> dict[int, int]:
        """Return the GPUs that somebody else uses, with the MiB that they hold."""
        return {
            index: gpu.used_mib
            for index, gpu in self._gpus.items()
            if gpu.used_mib is not None and gpu.used_mib > self.busy_mib
        }

    def unusable(self) -> set[int]:
        return set(self._gpus) if self.problem else set(self.busy())

    def capacity(self) -> list[dict[str, Any]]:
        """Return the GPUs as the exchange tells of them; `busy`: by what is no run of ours."""
        busy = self.unusable()
        return [
            {
                "index": gpu.index,
                "name": gpu.name,
                "memory_mib": gpu.memory_mib,
                "free_memory_mib": None
                if gpu.memory_mib is None or gpu.used_mib is None
                else max(gpu.memory_mib - gpu.used_mib, 0),
                "busy": gpu.index in busy,
            }
            for gpu in (self._gpus[index] for index in sorted(self._gpus))
        ]

    def check(self, indexes: Sequence[int]) -> None:
        """Look whether nobody uses these GPUs, right before a start; for worker threads.

        Raises DeviceBusy and DevicesSilent.
        """
        if not indexes or not self.cuda:
            return
        found = {one["index"]: one for one in ask_gpus()}
        for index in indexes:
            if index not in found:
                raise DeviceBusy(index, None)
            used = found[index]["memory_mib"]
            if used is not None and used > self.busy_mib:
                raise DeviceBusy(index, used)

    def environment(self, gpus: Sequence[int]) -> dict[str, str]:
        """Return what makes a program see its GPUs alone; without any, none of this machine's.

        CUDA counts as nvidia-smi does only where it is told to. AMD's runtime hides first, and what
        is left is numbered anew for HIP.
        """
        if not self._gpus:
            return {}
        listed = ",".join(str(index) for index in gpus) or NONE_VISIBLE
        if self.cuda:
            return {VISIBLE: listed, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        anew = ",".join(str(number) for number in range(len(gpus))) or NONE_VISIBLE
        return {VISIBLE: anew, "ROCR_VISIBLE_DEVICES": listed, "HIP_VISIBLE_DEVICES": anew}


def in_use(index: int, used_mib: int | None) -> str:
    return f"GPU {index} is used by another program ({used_mib or 0:,} MiB)"


def _indexes(setting: str, environment: Mapping[str, str]) -> list[int] | None:
    """Return the indexes that a setting names, None for all that there are."""
    if setting == "none":
        return []
    text = environment.get(VISIBLE, "") if setting == "auto" else setting
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdigit() for word in words):
        return None
    return sorted({int(word) for word in words})


def check_setting(setting: str) -> str:
    """Return `setting` where it can be used. Raises ValueError."""
    words = [word.strip() for word in setting.split(",")]
    if setting not in ("auto", "none") and not all(word.isdigit() for word in words):
        raise ValueError(f"[agent] gpus {setting!r:.40}: use auto, none, or indexes such as 0,1")
    return setting
