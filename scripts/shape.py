"""Prints the house's shape: lengths of files and functions, share of annotations and docstrings. Never fails."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE_LIMIT, FUNCTION_LIMIT = 400, 60  # lines
GENERATED = ("proto/gen", "migrations/versions")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class Shape:
    """What was counted in one part of the house."""

    files: list[tuple[int, str]] = field(default_factory=list)
    functions: list[tuple[int, str]] = field(default_factory=list)
    slots: int = 0  # parameters and returns that can be annotated
    annotated: int = 0
    public: int = 0  # modules, classes and functions without a leading underscore
    documented: int = 0

    def add(self, other: Shape) -> None:
        """Count another part in."""
        self.files += other.files
        self.functions += other.functions
        self.slots += other.slots
        self.annotated += other.annotated
        self.public += other.public
        self.documented += other.documented


def shape_of(path: Path) -> Shape:
    """The shape of one file."""
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT))
    tree = ast.parse(text)
    shape = Shape(files=[(len(text.splitlines()), name)], public=1, documented=int(_documented(tree)))
    for node, is_public in _definitions(tree, True):
        if is_public:
            shape.public += 1
            shape.documented += _documented(node)
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            shape.functions.append((lines, f"{name}:{node.lineno} {node.name}"))
            told = _annotations(node)
            shape.slots += len(told)
            shape.annotated += sum(told)
    return shape


def _definitions(parent: ast.AST, is_public: bool) -> Iterator[tuple[Function | ast.ClassDef, bool]]:
    """Classes and functions, and whether a user meets them: inside a function nobody does."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            met = is_public and not node.name.startswith("_")
            yield node, met
            yield from _definitions(node, met and isinstance(node, ast.ClassDef))
        else:
            yield from _definitions(node, is_public)


def _annotations(node: Function) -> list[bool]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    extra = [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
    named = [a for a in (*arguments, *extra) if a.arg not in {"self", "cls"}]
    return [*(a.annotation is not None for a in named), node.returns is not None]


def _documented(node: ast.Module | ast.ClassDef | Function) -> bool:
    return bool(ast.get_docstring(node)) or (isinstance(node, ast.Module) and not node.body)


def parts() -> Iterator[tuple[str, list[Path]]]:
    """Name and files of each library, room, client and of what stands around them."""
    sources = [
        *sorted(ROOT.glob("libs/*/src")),
        *sorted(ROOT.glob("services/*/src")),
        *sorted(ROOT.glob("clients/*/src")),
    ]
    for folder in (*sources, ROOT / "scripts", ROOT / "tests", ROOT / "benchmarks"):
        files = [p for p in sorted(folder.rglob("*.py")) if not any(part in str(p) for part in GENERATED)]
        if files:
            name = folder.parent if folder.name == "src" else folder
            yield str(name.relative_to(ROOT)), files


def row(name: str, shape: Shape) -> str:
    """One line of the table."""
    files, functions = [n for n, _ in shape.files], [n for n, _ in shape.functions] or [0]
    return (
        f"{name:22}{len(files):6}{sum(files):8}{statistics.median(files):8.0f}{max(files):6}"
        f"{len(functions):8}{statistics.median(functions):8.0f}{max(functions):6}"
        f"{shape.annotated / max(1, shape.slots):10.0%}{shape.documented / max(1, shape.public):10.0%}"
    )


def main() -> None:
    """Print the table and what is too long."""
    print(
        f"{'':22}{'files':>6}{'lines':>8}{'median':>8}{'max':>6}{'funcs':>8}{'median':>8}{'max':>6}{'annot.':>10}{'docs':>10}"
    )
    product = Shape()
    for name, files in parts():
        shape = Shape()
        for path in files:
            shape.add(shape_of(path))
        print(row(name, shape))
        if name.startswith(("libs", "services", "clients")):
            product.add(shape)
    print(row("product", product))
    for title, limit, found in (
        ("files", FILE_LIMIT, product.files),
        ("functions", FUNCTION_LIMIT, product.functions),
    ):
        long = sorted((entry for entry in found if entry[0] > limit), reverse=True)
        print(f"{title} over {limit} lines: {len(long)}")
        for lines, name in long:
            print(f"  {lines:5} {name}")


if __name__ == "__main__":
    main()
