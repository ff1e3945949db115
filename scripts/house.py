"""The house from its imports: rooms, files, floors, arrows that run up, circles.

    python scripts/house.py                 # this tree
    python scripts/house.py --against REV   # and another commit beside it

A floor is the longest way down from a room; an arrow up is an import against the layers of pyproject.toml; a circle is
a set of modules each of which needs the others.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

PACKAGES = ("obsnet", "retrieval", "inversion", "stations")


def modules(root: Path) -> dict[str, Path]:
    """Return every module of the packages by name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the packages that one imports anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                full if (full := f"{node.module}.{a.name}") in known else node.module for a in node.names
            }
    return {m for m in found if m in known and m != name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected sets of more than one module (Tarjan 1972, doi:10.1137/0201010)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in graph[v]:
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            cut = stack.index(v)
            if len(stack) - cut > 1:
                found.append(sorted(stack[cut:]))
            del stack[cut:]

    sys.setrecursionlimit(10_000)
    for v in graph:
        if v not in index:
            visit(v)
    return found


def measure(root: Path) -> dict[str, object]:
    """Count what a tree has."""
    known = modules(root)
    graph = {name: imports(name, path, known) for name, path in known.items()}
    doors = defaultdict(list)
    for name, path in known.items():
        if path.name != "__init__.py":
            doors[name.rpartition(".")[0]].append(sum(1 for _ in path.open(encoding="utf-8")))
    sizes = sorted(n for lines in doors.values() for n in lines)
    between = defaultdict(set)
    for name, targets in graph.items():
        for target in targets:
            a, b = (n if known[n].name == "__init__.py" else n.rpartition(".")[0] for n in (name, target))
            if a != b:
                between[a].add(b)
    depth: dict[str, int] = {}

    def floor(room: str, way: tuple[str, ...] = ()) -> int:
        if room not in depth:
            under = [floor(r, (*way, room)) for r in between[room] if r not in way]
            depth[room] = 1 + max(under, default=-1)
        return depth[room]

    rooms = {room: {"files": len(n), "lines": sum(n), "floor": floor(room)} for room, n in doors.items()}
    return {
        "files": len(sizes),
        "lines": sum(sizes),
        "median lines": sizes[len(sizes) // 2],
        "rooms": len(rooms),
        "most files in a room": max(r["files"] for r in rooms.values()),
        "circles": circles(graph),
        "by room": dict(sorted(rooms.items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", help="another commit to show beside this tree")
    parser.add_argument("--json", action="store_true", help="print all of it")
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    trees = {"now": measure(root)}
    if options.against:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(
                ["git", "-C", str(root), "archive", options.against], check=True, capture_output=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            trees = {options.against: measure(Path(folder)), **trees}
    if options.json:
        print(json.dumps(trees, indent=1))
        return
    for name, tree in trees.items():
        print(f"{name}:")
        for key, value in tree.items():
            if key == "circles":
                print(f"  circles: {len(value)}", *(f"\n    {' <-> '.join(c)}" for c in value))
            elif key != "by room":
                print(f"  {key}: {value}")
    print("rooms now (files, lines, floor):")
    for room, row in trees["now"]["by room"].items():
        print(f"  {room:34s} {row['files']:3d} {row['lines']:6d} {row['floor']:3d}")


if __name__ == "__main__":
    main()
