"""The main job, done as a scientist does it through the API: water in an electric field, five runs.

Each run starts from the density matrix of the one before; the dipole's slope is the polarizability.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from labportal.demo.api import Portal

FIELDS = (0.00, 0.01, 0.02, 0.03, 0.04)
PATIENCE_SECONDS = 300
ANALYSES_SECONDS = 30
ENDED = frozenset({"valid", "not_valid", "failed", "cancelled", "skipped"})
WATER_IN_A_FIELD: dict[str, Any] = {
    "name": "Water in an electric field",
    "description": "The polarizability of water along its axis, by finite field.",
    "software": "pyscf",
    "parameters": {"functional": "PBE", "basis": "def2-svp"},
    "sweep": {"parameter": "field_z", "values": list(FIELDS), "mode": "chain"},
    "analyses": ["convergence", "dipole", "energy_vs_sweep", "dipole_vs_field", "polarizability"],
    "cluster": "laptop",
    "cores": 1,
    "memory_mib": 1024,
    "walltime_s": 300,
}


def run(portal: Portal, console: Console, check: Callable[[], None], *, public_url: str) -> bool:
    """Submit, wait, show; return whether every run is valid. `check` raises if a part died."""
    made = portal.call("POST", "calculations/", WATER_IN_A_FIELD)
    path = f"calculations/{made['id']}/"
    portal.call("POST", f"{path}submit/")
    calculation = _wait(portal, path, console, check)
    _show(calculation, console)
    console.print(f"\nThe calculation's page: {public_url}{calculation['url']}")
    return calculation["state"] == "valid"


def _wait(portal: Portal, path: str, console: Console, check: Callable[[], None]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = [
            progress.add_task(f"field {value:.2f} a.u.", total=1, note="waiting", start=False)
            for value in FIELDS
        ]
        while True:
            check()
            calculation: dict[str, Any] = portal.call("GET", path)
            for bar, run in zip(bars, calculation["runs"], strict=True):
                _draw(progress, bar, run)
            if _complete(calculation):
                return calculation
            if calculation["state"] in ENDED:
                deadline = min(deadline, time.monotonic() + ANALYSES_SECONDS)
            if time.monotonic() > deadline:
                console.print("[yellow]It takes longer than expected; the page shows the rest.")
                return calculation
            time.sleep(0.4)


def _complete(calculation: dict[str, Any]) -> bool:
    """Whether nothing more is to come: ended, and if valid then with a fit through all points."""
    if calculation["state"] != "valid":
        return calculation["state"] in ENDED
    ended = datetime.fromisoformat(calculation["finished_at"])
    return any(
        analysis["name"] == "polarizability"
        and analysis["run"] is None
        and datetime.fromisoformat(analysis["created_at"]) >= ended
        for analysis in calculation["analysis_results"]
    )


def _draw(progress: Progress, bar: Any, run: dict[str, Any]) -> None:
    task = progress.tasks[bar]
    if run["state"] in ENDED:
        progress.start_task(bar)
        progress.update(bar, completed=1, note=run["state"].replace("_", " "))
        progress.stop_task(bar)
    elif run["state"] == "running":
        if not task.started:
            progress.start_task(bar)
        seen = run["progress"] or {}
        done, of = seen.get("done") or 0, seen.get("of") or 8
        progress.update(bar, completed=min(done / of, 0.95), note=f"SCF iteration {done}")
    else:
        progress.update(bar, note=run["state"].replace("_", " "))


def _show(calculation: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{calculation['number']}  {calculation['name']}", title_justify="left")
    for name, unit in (
        ("Field", "a.u."),
        ("Energy", "Ha"),
        ("Dipole", "Debye"),
        ("SCF iterations", ""),
        ("Started from", ""),
        ("State", ""),
    ):
        numeric = name not in ("State", "Started from")
        heading = f"{name}\n({unit})" if unit else f"{name}\n "
        table.add_column(heading, justify="right" if numeric else "left")
    for run in calculation["runs"]:
        found = _quantities(run)
        table.add_row(
            f"{run['parameters']['field_z']:.2f}",
            _figure(found, "total_energy_hartree", ".6f"),
            _figure(found, "dipole", ".4f"),
            _figure(found, "scf_iterations", ".0f"),
            str(found.get("started_from", {}).get("value", "")),
            _state(run),
        )
    console.print(table)
    found = _quantities(calculation)
    if "polarizability" in found:
        error = _figure(found, "polarizability_error", ".3f")
        console.print(
            f"Polarizability along the field: {_figure(found, 'polarizability', '.3f')} ± {error} "
            f"a.u. = {_figure(found, 'polarizability_volume', '.3f')} Å³ (PBE/def2-SVP)"
        )


def _state(run: dict[str, Any]) -> str:
    words = str(run["state"]).replace("_", " ")
    return words if run["state"] == "valid" or not run["reason"] else f"{words}: {run['reason']}"


def _quantities(holder: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {quantity["name"]: quantity for quantity in holder["quantities"]}


def _figure(found: dict[str, dict[str, Any]], name: str, digits: str) -> str:
    return format(float(found[name]["value"]), digits) if name in found else "\u2013"
