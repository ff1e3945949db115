"""High-precision station records: every network's files to one defensible record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stations.readers import read as read
    from stations.readers import read_all as read_all

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name
__all__ = ["read", "read_all"]


def __getattr__(name: str) -> Any:
    # Lazy: `import stations`, and with it every command, must not import xarray.
    if name in __all__:
        from stations import readers

        return getattr(readers, name)
    raise AttributeError(f"module 'stations' has no attribute {name!r}")
