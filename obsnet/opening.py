"""One way to open netCDF and HDF5: first where a crash or an endless loop costs nothing.

netCDF-C and HDF5 crash on some damaged files and read others for ever, in the process that opens them. So a file from
outside is looked through in a process that may die of it (`obsnet.work.isolated`), once: what it says of itself, all
texts, and a value of each variable. What is itself such a worker looks at nothing, and nor is a file of ours looked
through whose seal holds. What crashes further on, in values that were not looked at, is not seen beforehand.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.seal import check_file
from obsnet.work.isolated import Limits, tried

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["open_h5py", "open_netcdf4", "open_xarray"]

_MEMORY = 4 << 30
_SECONDS = 20  # of processor time; looking through a file takes milliseconds
_RATE = 10_000_000  # bytes a second beyond, for the many variables of large files
_TEXTS = 100_000  # values of a variable of texts that are looked at

Path_ = str | os.PathLike[str]


def open_netcdf4(path: Path_, memory: bytes | None = None) -> Any:
    """Return an open `netCDF4.Dataset`.

    Parameters
    ----------
    path : path
        File, or its name where its content is given.
    memory : bytes, optional
        Content of a file that was packed.

    Raises
    ------
    FormatError
        The libraries would crash on it, or never end; the text says which.
    """
    import netCDF4

    _check_netcdf(path, memory)
    return netCDF4.Dataset(path, memory=memory)


def open_xarray(path: Path_, **options: Any) -> xr.Dataset:
    """Return `xarray.open_dataset` of a netCDF file, whatever other engines are installed.

    Raises
    ------
    FormatError
        As `open_netcdf4`.
    """
    import xarray as xr

    _check_netcdf(path)
    return xr.open_dataset(path, engine="netcdf4", **options)


def open_h5py(path: Path_) -> Any:
    """Return an open `h5py.File`.

    Raises
    ------
    FormatError
        As `open_netcdf4`.
    """
    import h5py

    _try_file(_look_hdf5, path)
    return h5py.File(path, "r")


def _check_netcdf(path: Path_, memory: bytes | None = None) -> None:
    if memory is None:
        _try_file(_look_netcdf, path)
    else:
        _try(_look_netcdf, path, len(memory), memory)
    _refuse_wild(path, memory)


def _try_file(look: Callable[..., None], path: Path_) -> None:
    with suppress(OSError):  # who opens it next says what is wrong
        about = os.stat(path)
        if not check_file(path):
            _once(look, os.fspath(path), about.st_size, about.st_ino, about.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _once(look: Callable[..., None], path: str, size: int, *_identity: int) -> None:
    _try(look, path, size)


def _try(look: Callable[..., None], path: Path_, size: int, *more: Any) -> None:
    tried(look, str(path), *more, limits=Limits(_MEMORY, _SECONDS + size // _RATE))


def _look_netcdf(path: str, memory: bytes | None = None) -> None:
    """Look through a file; errors are for its reader to find."""
    import netCDF4

    _refuse_wild(path, memory)
    with suppress(Exception), netCDF4.Dataset(path, memory=memory) as file:
        for group in _groups(file):
            for node in (group, *group.variables.values()):
                for name in node.ncattrs():
                    with suppress(Exception):
                        node.getncattr(name)
            for variable in group.variables.values():
                with suppress(Exception):
                    variable.set_auto_maskandscale(False)
                    _look_at(variable, variable.dtype is str)


def _look_hdf5(path: str) -> None:
    """Look through a file; errors are for its reader to find."""
    import h5py

    with suppress(Exception), h5py.File(path, "r") as file:
        for node in _nodes(file):
            for name in node.attrs:
                with suppress(Exception):
                    node.attrs[name]
            if isinstance(node, h5py.Dataset):
                with suppress(Exception):
                    _look_at(node, node.dtype.kind == "O")


def _look_at(variable: Any, texts: bool) -> None:
    if texts and variable.size <= _TEXTS:
        variable[...]
    else:
        variable[(slice(0, 1),) * variable.ndim]


def _groups(group: Any) -> Iterator[Any]:
    yield group
    for inner in group.groups.values():
        yield from _groups(inner)


def _nodes(file: Any) -> list[Any]:
    found = [file]
    with suppress(
        OSError, RuntimeError
    ):  # a group of which the table is damaged; what was found before it counts
        file.visititems(lambda _, node: found.append(node))
    return found


def _refuse_wild(path: Path_, memory: bytes | None = None) -> None:
    """Refuse what netCDF-C takes for an address, and follows, now and then into memory that is not its own."""
    import h5py

    content = path if memory is None else io.BytesIO(memory)
    with suppress(OSError, RuntimeError), h5py.File(content, "r") as file:  # a file of netCDF-3 is none
        for node in _nodes(file):
            if fault := _fault(node):
                raise FormatError(f"{os.fspath(path)}: {fault}")


def _fault(node: Any) -> str:
    """Say what is wrong with a variable or group, in words; empty where nothing is."""
    import h5py

    name = node.name.strip("/")
    half = "is of half precision (float16), which netCDF does not know; convert it"
    if getattr(node, "dtype", None) == np.float16:
        return f"{name} {half}"
    for attribute in node.attrs:
        about = node.attrs.get_id(attribute)
        if attribute == "DIMENSION_LIST":
            listed = h5py.check_vlen_dtype(about.dtype)
            if listed is None or h5py.check_ref_dtype(listed) is None or about.shape != (node.ndim,):
                return f"the dimensions of {name} are lost: its DIMENSION_LIST is none; is the file damaged?"
        elif about.dtype == np.float16:
            return f"{name}:{attribute} {half}"
    return ""
