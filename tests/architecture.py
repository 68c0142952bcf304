"""Who may import whom, as data, and the reader of imports that holds files against it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHARED = (
    "labportal.common",
    "labportal.accounts",
    "labportal.audit",
    "labportal.realtime",
    "labportal.notifications",
)
OURS = ("labportal", "calculations", "clusters", "mlmodels")

#: Room -> what it may import beside itself. The longest name that fits is a module's room.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "labportal": (*SHARED, "labportal.embedded", "calculations", "clusters", "mlmodels"),
    "labportal.env": (),
    "labportal.settings": ("labportal.env", "labportal.common.logs"),
    "labportal.embedded": (),
    "labportal.client": (),
    "labportal.common": (),
    "labportal.accounts": ("labportal.common",),
    "labportal.audit": ("labportal.common", "labportal.accounts"),
    "labportal.realtime": ("labportal.common", "labportal.accounts"),
    "labportal.notifications": SHARED,
    "calculations": (*SHARED, "calculations.software"),
    "calculations.software": (),
    "clusters": (
        *SHARED,
        "clusters.agent",
        "clusters.node",
        "calculations.models",
        "calculations.policy",
        "calculations.selectors",
        "calculations.services",
        "calculations.signals",
        "calculations.software",
        "calculations.states",
    ),
    "clusters.agent": ("calculations.software",),
    "clusters.node": ("clusters.agent", "calculations.software"),
    "mlmodels": (*SHARED, "clusters"),
}
#: Rooms that work on a bare Python, as the agent file does.
STANDARD_LIBRARY_ALONE = ("calculations.software", "clusters.agent")
#: What a room may use beyond the standard library, where that is bounded.
LIBRARIES = {"clusters.node": ("celery", "kombu")}

TOP = ("views", "api", "consumers", "tasks", "admin", "management", "urls", "forms")
MIDDLE = ("services", "selectors", "policy")
BOTTOM = ("models", "states")
APPS = (*SHARED, "calculations", "clusters", "mlmodels")


@dataclass(frozen=True, slots=True)
class Import:
    module: str
    line: int
    on_load: bool  # at module level, rather than inside a function or for a checker of types


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, root: Path) -> Iterator[Import]:
    """Read every import of a file, wherever it stands; `from a import b` counts as a.b."""
    package = module_name(file, root).split(".")
    if file.name != "__init__.py":
        package.pop()

    def walk(node: ast.AST, on_load: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(name.name, child.lineno, on_load) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                start = ".".join([*base, *([child.module] if child.module else [])])
                for name in child.names:
                    yield Import(f"{start}.{name.name}", child.lineno, on_load)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, on_load and not inside and not _for_types(child))

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), True)


def _for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
    )


def lies_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if lies_in(module, room)), key=len)


def complaints(file: Path, root: Path) -> list[str]:
    """Say which imports of a file break a rule, one sentence each."""
    module = module_name(file, root)
    found = []
    for used in imports(file, root):
        reason = _wrong_room(module, used) or _not_standard(module, used) or _upwards(module, used)
        if reason:
            found.append(f"{file.relative_to(root)}:{used.line} imports {used.module}: {reason}")
    return found


def _wrong_room(module: str, used: Import) -> str:
    if used.module.split(".")[0] not in OURS:
        return ""
    room = room_of(module)
    allowed = MAY_IMPORT[room]
    if room_of(used.module) == room or any(lies_in(used.module, other) for other in allowed):
        return ""
    return f"{room} may not use {room_of(used.module)}"


def _not_standard(module: str, used: Import) -> str:
    room = next((room for room in STANDARD_LIBRARY_ALONE if lies_in(module, room)), None)
    library = used.module.split(".")[0]
    if library in OURS or library in sys.stdlib_module_names:
        return ""
    bounded = next((other for other in LIBRARIES if lies_in(module, other)), None)
    if bounded is not None and library not in LIBRARIES[bounded]:
        return f"{bounded} has {' and '.join(LIBRARIES[bounded])} alone"
    if room is None:
        return ""
    if library == "django" or used.on_load:
        return f"{room} has the standard library alone"
    return ""


def _upwards(module: str, used: Import) -> str:
    """Inside an app: views, api, tasks, ... -> services, selectors, policy -> models, states."""
    app = next((app for app in APPS if lies_in(module, app)), None)
    if app is None or not lies_in(used.module, app):
        return ""
    mine, theirs = _floor(module, app), _floor(used.module, app)
    if mine is not None and theirs is not None and theirs > mine:
        return "imports run from views and tasks to services to models, never upwards"
    return ""


def _floor(module: str, app: str) -> int | None:
    part = module.removeprefix(app).strip(".").split(".")[0]
    for height, names in enumerate((BOTTOM, MIDDLE, TOP)):
        if part in names:
            return height
    return None


def sources(root: Path) -> list[Path]:
    return sorted(file for room in OURS for file in (root / room).rglob("*.py"))


def docstring_lines(file: Path) -> int | None:
    """Count the lines with text of a module's docstring; None for a file without code."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if not tree.body:
        return None
    text = ast.get_docstring(tree) or ""
    return sum(1 for line in text.splitlines() if line.strip())
