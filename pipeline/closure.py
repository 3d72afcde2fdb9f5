"""Which files of the project are run by running one of them: what it imports, however indirectly."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pipeline.files import UserError

ROOT = Path(__file__).resolve().parents[1]

# Code that cannot change a result.
EXEMPT = {
    "pipeline/methods/__init__.py": "finds a method's file by its name; the file itself counts",
    "pipeline/tracking": "sends on what the stages write",
}


def code_of(file: Path) -> list[str]:
    """What is run by running a file, without what is exempt and files that hold a docstring alone."""
    names = {str(found.relative_to(ROOT)) for found in loaded_files([file]) if not _only_a_docstring(found)}
    return sorted(name for name in names if not name.startswith(tuple(EXEMPT)))


def loaded_files(files: Iterable[Path], in_functions: bool = True) -> set[Path]:
    """All files of this project that these import, however indirectly, with the packages on the way; and themselves."""
    seen, todo = set(), list(files)
    while todo:
        if (file := todo.pop()) not in seen:
            seen.add(file)
            for name in imported_names(file, in_functions):
                parts = name.split(".")
                todo += [f for i in range(len(parts)) if (f := module_file(".".join(parts[: i + 1])))]
    return seen


@cache
def imported_names(file: Path, in_functions: bool = True) -> frozenset[str]:
    """Dotted names that a file imports: anywhere, or only where importing the file itself loads them."""
    tree, names = _parsed(file), set()
    for node in ast.walk(tree) if in_functions else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise UserError(
                    f"{file}, line {node.lineno}: write imports in full, the graph follows no relative ones"
                )
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


@cache
def module_file(dotted: str) -> Path | None:
    """The file of a module of this project; None for other modules and for names inside a module."""
    if dotted.partition(".")[0] not in ("pipeline", "stages"):
        return None
    base = ROOT / dotted.replace(".", "/")
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@cache
def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text())
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.msg}; mend it, Python cannot read it") from error


def _only_a_docstring(file: Path) -> bool:
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in _parsed(file).body)
