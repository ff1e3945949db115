"""Whether this installation is whole: our import names, and who may have taken them."""

from __future__ import annotations

from importlib import util
from importlib.machinery import ModuleSpec
from pathlib import Path

__all__ = ["stolen_names"]

_PACKAGES = ("retrieval", "inversion", "stations")


def _is_ours(spec: ModuleSpec | None) -> bool:
    """Tell whether a package found by name is ours, without importing it."""
    if spec is None or spec.origin is None:
        return False
    try:
        return "__obsnet__ = True" in Path(spec.origin).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def stolen_names() -> list[str]:
    """Return one line for each of our import names that another distribution has taken."""
    faults = []
    for name in _PACKAGES:
        spec = util.find_spec(name)
        if not _is_ours(spec):
            where = (
                "is missing"
                if spec is None
                else f"is another package at {spec.origin or spec.submodule_search_locations}"
            )
            faults.append(
                f"the package {name!r} {where}; install obsnet into an environment of its own "
                f"(python -m venv, then pip install obsnet) without the distribution {name!r}"
            )
    return faults
