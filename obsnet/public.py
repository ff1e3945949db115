"""What a package shows at its door: names from its rooms, loaded when they are asked for.

``import inversion``, and with it every command, must stay light; ``inversion.solve`` brings the solvers. Module
paths that documents once named go on working as aliases of where those modules stand now.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["keep_paths", "lazy"]


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that shows names of its modules.

    Parameters
    ----------
    package : str
        Its name.
    homes : mapping of str to str
        Public name to the module that defines it.

    Examples
    --------
    >>> __getattr__, __dir__ = lazy("shop", {"sqrt": "math"})
    >>> __getattr__("sqrt")(9.0)
    3.0
    """

    def getattribute(name: str) -> Any:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return getattribute, lambda: sorted({*homes, *vars(sys.modules[package])})


class _Alias(Loader):
    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        del spec
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = import_module(self.target)


class _Former(MetaPathFinder):
    def __init__(self) -> None:
        self.now: dict[str, str] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(name, _Alias(self.now[name])) if name in self.now else None


_FORMER = _Former()


def keep_paths(former: Mapping[str, str]) -> None:
    """Let modules be imported by a former path.

    Parameters
    ----------
    former : mapping of str to str
        Former path to the module that stands for it now; both names give the very same module.
    """
    _FORMER.now |= former
    if _FORMER not in sys.meta_path:
        sys.meta_path.append(_FORMER)
