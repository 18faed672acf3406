"""The house rules that a machine can hold: direction of imports, file length, light start, no leftovers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "mien"
FILES = sorted(SOURCE.rglob("*.py"))

ROOMS = {
    "errors": set(),
    "checked": {"errors"},
    "plugins": {"errors"},
    "files": {"errors"},
    "memory": {"errors"},
    "lock": {"errors"},
    "processes": set(),
    "media": {"errors"},
    "faces": {"errors", "media"},
    "pages": {"errors"},
    "nn": {"errors"},
    "models": {"errors", "nn", "faces.recipe"},
    "data": {"errors", "media", "pages", "faces", "models.specification", "nn.device"},
    "pretext": {"errors", "nn", "models", "data", "media"},
    "tasks": {"errors", "nn", "models"},
    "checkpoints": {"errors", "nn", "models", "tasks", "pretext"},
    "evaluation": {"errors", "nn.device", "media", "data", "models", "tasks", "checkpoints", "pages"},
    "training": {
        "errors",
        "nn",
        "media",
        "faces",
        "data",
        "models",
        "pretext",
        "tasks",
        "checkpoints",
        "evaluation",
        "pages",
        "recipes",
    },
    "diagnosis": {
        "errors",
        "nn",
        "media",
        "faces",
        "data",
        "models",
        "pretext",
        "tasks",
        "checkpoints",
        "evaluation",
        "training",
    },
    "inference": {
        "errors",
        "nn.device",
        "media",
        "faces",
        "data.inputs",
        "data.pool",
        "models",
        "tasks",
        "checkpoints",
        "extraction",
        "pages",
    },
    "explanation": {
        "errors",
        "media",
        "faces",
        "nn",
        "models",
        "tasks",
        "checkpoints",
        "extraction",
        "inference",
    },
    "extraction": {"errors", "media", "faces", "data", "models", "checkpoints", "nn"},
    "recipes": set(),
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("mien.") for name in names if name.startswith("mien.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room in {"cli", "__init__", "demo"}:
        return
    allowed = ROOMS[room] | {room, "checked", "files", "memory", "lock", "plugins", "processes"}
    for name in imported(path):
        if name in {"__version__"}:
            continue
        ok = any(name == rule or name.startswith(f"{rule}.") or rule.startswith(f"{name}.") for rule in allowed)
        assert ok, f"{path.relative_to(SOURCE)} imports mien.{name}; {room} may see {sorted(allowed)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_is_over_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_functions_fit_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= 60, f"{path.relative_to(SOURCE)}: {node.name} has {lines} lines; find its seams"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(SOURCE)} does not say what it holds"
    assert not undocumented(tree), path.relative_to(SOURCE)


def undocumented(holder: ast.Module | ast.ClassDef, prefix: str = "") -> list[str]:
    """Public classes, functions and methods of a module that have no docstring; an overriding method has its own.

    Overloads have none: the function that they are forms of says what it does.
    """
    names = []
    for node in holder.body:
        if isinstance(node, ast.FunctionDef) and "overload" in map(ast.unparse, node.decorator_list):
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            names += [] if ast.get_docstring(node) else [prefix + node.name]
            names += undocumented(node, f"{prefix}{node.name}.") if isinstance(node, ast.ClassDef) else []
    return names


def test_nobody_imports_the_command_line() -> None:
    for path in FILES:
        if path.relative_to(SOURCE).parts[0] != "cli":
            assert not any(name == "cli" or name.startswith("cli.") for name in imported(path)), path


@pytest.mark.parametrize(
    "code", ["import mien", "import sys; sys.argv = ['mien', '--help']; import mien.cli; mien.cli.main()"]
)
def test_start_is_light(code: str) -> None:
    program = f"""
import atexit, sys
atexit.register(lambda: print('heavy:', sorted({{'torch', 'lightning', 'pandas', 'matplotlib'}} & set(sys.modules))))
{code}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "heavy: []" in done.stdout, done.stdout[-500:] + done.stderr[-2000:]
