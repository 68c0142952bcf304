"""A large output of SIESTA and of pw.x, judged and extracted: megabytes per second, and the memory
at the peak.

The outputs are made of recorded runs: their beginning, one geometry over and over, their end; once
with few atoms, so with many geometries, and once with long tables of atoms. The limit is held
against the processor's time, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stack import ROOT

RECORDED = ROOT / "tests" / "data"
LIMIT_MB_PER_S = 100
LIMIT_MB = 100

READ = """
import json, re, sys, time
from pathlib import Path
from calculations.software.registry import get_software
from calculations.software.results import Exit
plugin, folder = get_software(sys.argv[1]), Path(sys.argv[2])
began, used = time.perf_counter(), time.process_time()
outcome, results = plugin.assess(folder, Exit(0))
# Not ru_maxrss, which begins with what the parent held.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps({
    "seconds": round(time.perf_counter() - began, 2),
    "processor_seconds": round(time.process_time() - used, 2),
    "peak_mb": round(1024 * int(peak.group(1)) / 1e6, 1),
    "outcome": outcome.code,
    "geometries": results.quantity("geometries").value,
    "rows": {d.name: len(d.columns[0].values) for d in results.datasets},
}))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--atoms", type=int, default=2000, help="in the outputs with long tables")


def run(options: argparse.Namespace) -> dict[str, Any]:
    results = []
    for output in (
        siesta_output(3),
        siesta_output(options.atoms),
        espresso_output(2),
        espresso_output(options.atoms),
    ):
        print(f"{output.software}, {output.atoms} atoms", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="bench-parse-") as folder:
            size = write_output(Path(folder) / "output.out", output, options.megabytes * 1_000_000)
            answer = subprocess.run(  # noqa: S603  (this interpreter)
                [sys.executable, "-c", READ, output.software, folder],
                cwd=ROOT,
                check=True,
                stdout=subprocess.PIPE,
            )
        found = json.loads(answer.stdout)
        rate = size / 1e6 / found["processor_seconds"]
        results.append(
            {
                "software": output.software,
                "atoms": output.atoms,
                "megabytes": round(size / 1e6),
                **found,
                "mb_per_s": round(size / 1e6 / found["seconds"]),
                "mb_per_processor_second": round(rate),
                "ok": rate >= LIMIT_MB_PER_S and found["peak_mb"] < LIMIT_MB,
            }
        )
    return {
        "outputs": results,
        "limits": {
            "mb_per_processor_second_at_least": LIMIT_MB_PER_S,
            "peak_mb_below": LIMIT_MB,
        },
    }


@dataclass(frozen=True)
class Output:
    """The parts of an output; `step` makes the text of the n-th geometry."""

    software: str
    atoms: int
    head: bytes
    step: Callable[[int], bytes]
    tail: bytes


def write_output(path: Path, output: Output, size: int) -> int:
    with path.open("wb") as file:
        file.write(output.head)
        for text in _steps(output):
            if file.tell() + len(output.tail) >= size:
                break
            file.write(text)
        file.write(output.tail)
        return file.tell()


def _steps(output: Output) -> Iterator[bytes]:
    number = 1
    while True:
        yield output.step(number)
        number += 1


def siesta_output(atoms: int) -> Output:
    recorded = (RECORDED / "siesta" / "water_relax" / "output.out").read_bytes()
    begin = b"Begin CG opt. move =      "
    head, _, rest = recorded.partition(begin + b"1")
    first, _, _ = rest.partition(begin + b"2")
    tail = recorded[recorded.rindex(begin) :].partition(b"\n")[2]
    places = b"".join(b"%16.8f%16.8f%16.8f   1  %7d  O\n" % (i, 1, 2, i) for i in range(atoms))
    forces = b"".join(b"siesta: %6d%14.6f%12.6f%12.6f\n" % (i + 1, 1, 2, 3) for i in range(atoms))
    first = first.replace(
        b"\noutcell: Unit", b"\noutcoor: Atomic coordinates (Ang):\n" + places + b"\noutcell: Unit"
    )
    rule = b"siesta: Atomic forces (eV/Ang):\n"
    first = first.replace(rule, rule + forces)

    def step(number: int) -> bytes:
        return begin[:-6] + b"%6d" % number + first

    return Output("siesta", atoms, head, step, step(9_999_999) + tail)


def espresso_output(atoms: int) -> Output:
    recorded = (RECORDED / "espresso" / "hydrogen_relax" / "output.out").read_bytes()
    mark = b"     Self-consistent Calculation\n"
    head, first, *_, last = recorded.split(mark)
    force = b"     atom    1 type  1   force =     0.00000000    0.00000000    0.05476990\n"
    place = b"H             0.0000000000        0.0000000000        0.0289829836\n"
    text = mark + first.replace(force, force * (atoms - 1)).replace(place, place * (atoms - 1))
    return Output("espresso", atoms, head, lambda number: text, mark + last)
