"""What the readers of level-1 files share: variables by name with their unit, of some soundings only."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from obsnet.errors import FormatError, MissingVariableError, UnitError, nearest
from obsnet.reading import refuse_claim
from obsnet.typing import Floats

__all__ = ["MISSING", "Level1", "stated_unit"]

MISSING = -9e5  # -999999 and -999999.0 stand for no value


class Level1:
    """An open HDF5 file whose variables are asked for by name.

    Parameters
    ----------
    file : h5py.File
        Open.
    path : path
        For error texts.
    """

    def __init__(self, file: Any, path: str | os.PathLike[str]) -> None:
        self.file, self.path = file, os.fspath(path)

    def has(self, name: str) -> bool:
        """Tell whether there is a variable."""
        return name in self.file and hasattr(self.file[name], "shape")

    def _found(self, name: str) -> Any:
        if not self.has(name):
            group = name.rpartition("/")[0]
            there = [f"{group}/{n}" for n in self.file[group]] if group in self.file else list(self.file)
            raise MissingVariableError(f"{self.path}: no variable {name!r}{nearest(name, there)}")
        return self.file[name]

    def variable(self, name: str, shape: Sequence[int | None] = ()) -> Any:
        """Return a variable that is not read yet.

        Parameters
        ----------
        name : str
            With its group.
        shape : sequence of int or None
            What its shape must be; None for any length.

        Raises
        ------
        MissingVariableError
            There is none.
        FormatError
            Another shape, or no numbers.
        """
        found = self._found(name)
        if shape and (
            len(found.shape) != len(shape)
            or any(w not in (None, n) for w, n in zip(shape, found.shape, strict=True))
        ):
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise FormatError(f"{self.path}: {name} has shape {found.shape}, {wanted} is wanted")
        if found.dtype.kind not in "fiu":
            raise FormatError(f"{self.path}: {name} is of type {found.dtype}; numbers are wanted")
        return found

    def numbers(self, name: str, where: Any = (), shape: Sequence[int | None] = ()) -> Floats:
        """Return (part of) a variable as float64, NaN where it has no value."""
        variable = self.variable(name, shape)
        refuse_claim(self.path, name, math.prod(variable.shape) * variable.dtype.itemsize)
        values = np.asarray(variable[where], dtype=np.float64)
        return np.where(values > MISSING, values, np.nan)

    def texts(self, name: str, where: Any = ()) -> list[str]:
        """Return (part of) a variable of texts in one row.

        Raises
        ------
        MissingVariableError
            There is none.
        """
        variable = self._found(name)
        refuse_claim(self.path, name, math.prod(variable.shape) * variable.dtype.itemsize)
        values = np.asarray(variable[where]).ravel().tolist()
        return [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in values]

    def identities(self, name: str) -> np.ndarray:
        """Return the soundings' names, all different, in the shape of the file.

        Raises
        ------
        FormatError
            No sounding, or two of one name.
        """
        variable = self.variable(name)
        refuse_claim(self.path, name, math.prod(variable.shape) * variable.dtype.itemsize)
        found = np.asarray(variable).astype(np.int64)
        real = found[found > 0]
        if not real.size or len(np.unique(real)) != real.size:
            raise FormatError(
                f"{self.path}: {name} has {real.size} soundings, they must have different names"
            )
        return found

    def unit(self, name: str, known: dict[str, str]) -> str:
        """Return the unit that a variable states, in our spelling.

        Parameters
        ----------
        name : str
            Variable.
        known : dict of str to str
            Ours by theirs, blanks apart.

        Raises
        ------
        UnitError
            It states none, or another.
        """
        text = stated_unit(self.variable(name))
        for theirs, ours in known.items():
            if "".join(theirs.split()) == "".join(text.split()):
                return ours
        raise UnitError(
            f"{self.path}: {name} is in {text or 'no stated unit'}; {' or '.join(known)} is known. Convert the file "
            "or correct its attribute Units"
        )


def stated_unit(variable: Any) -> str:
    """Return the attribute that states a variable's unit, empty without one."""
    for key in ("Units", "units", "Unit"):
        if key in variable.attrs:
            value = np.asarray(variable.attrs[key]).ravel()
            text = value[0] if value.size else ""
            return text.decode("latin-1") if isinstance(text, bytes) else str(text)
    return ""
