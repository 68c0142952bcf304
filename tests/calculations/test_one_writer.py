"""Only services/advance.py writes a state or a standing: read from the source, to notice a new
writer.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("calculations", "clusters", "mlmodels", "labportal")
WRITER = "calculations/services/advance.py"
# New rows are born in their first state there; nothing that exists is changed.
BIRTHPLACES = {"calculations/services/submission.py", "calculations/services/drafts.py"}
# What else is called a state: of an export, of a long call, and what the client has read.
OTHERS = {
    "calculations/services/export_making.py",
    "labportal/client/portal.py",
    "mlmodels/services/async_calls.py",
    "mlmodels/services/async_running.py",
}
STATES = {"state", "state_since", "standing", "standing_at", "standing_by", "standing_by_id"}


def writes_state(source: str) -> list[int]:
    """Return the lines that assign `.state`, or pass `state=` to update() or a constructor."""
    lines: list[int] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            lines += [
                t.lineno for t in targets if isinstance(t, ast.Attribute) and t.attr in STATES
            ]
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"update", "Run", "Calculation", "update_or_create", "bulk_update"}:
                lines += [node.lineno for k in node.keywords if k.arg in STATES]
    return lines


def test_the_search_finds_a_writer() -> None:
    assert writes_state("run.state = 'valid'") == [1]
    assert writes_state("rows.update(state='valid')") == [1]
    assert writes_state("rows.filter(state='valid')") == []


def test_nobody_else_writes_a_state() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
        and not {"agent", "rehearsal"} & set(path.parts)  # their states are of jobs, not of runs
        and str(path.relative_to(ROOT)) not in {WRITER, *BIRTHPLACES, *OTHERS}
        for line in writes_state(path.read_text())
    }
    assert not found
