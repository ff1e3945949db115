"""The state vector as labelled blocks: fluxes by component, boundary sides, instrument offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, SolverError, nearest
from obsnet.typing import Floats

__all__ = ["BlockKind", "State", "StateBlock"]

BlockKind = Literal["flux", "boundary", "offset", "other"]


@dataclass(frozen=True, eq=False)
class StateBlock:
    """One component of the state, an array of its own.

    Parameters
    ----------
    name : str
        ``"fossil"``, ``"biosphere"``, ``"boundary"``, …; unique in a state.
    kind : {"flux", "boundary", "offset", "other"}
        What its numbers are: surface fluxes, mole fractions at a side, mole fractions of an instrument.
    dims : tuple of str
        Names of its axes, slowest first: ``("time", "cell")``, ``("side", "period")``, ``("platform",)``.
    coords : mapping
        Labels along each axis.
    unit : str
        Unit of the state's numbers.
    """

    name: str
    kind: BlockKind
    dims: tuple[str, ...]
    coords: Mapping[str, npt.NDArray[Any]] = field(repr=False)
    unit: str

    def __post_init__(self) -> None:
        missing = [d for d in self.dims if d not in self.coords]
        if missing or set(self.coords) - set(self.dims):
            raise SolverError(
                f"state block {self.name!r}: dims {self.dims} and labels {tuple(self.coords)} differ"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(len(self.coords[d]) for d in self.dims)

    @property
    def size(self) -> int:
        """Elements of the block."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class State:
    """Blocks in the order in which they lie in the state vector.

    Parameters
    ----------
    blocks : sequence of StateBlock
        At least one, names unique.
    """

    blocks: tuple[StateBlock, ...]

    def __init__(self, blocks: Sequence[StateBlock]) -> None:
        object.__setattr__(self, "blocks", tuple(blocks))
        names = self.names
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice or not names:
            raise SolverError(f"a state needs blocks of different names; {twice or 'none'} given")

    @property
    def names(self) -> list[str]:
        """Names of the blocks."""
        return [b.name for b in self.blocks]

    @property
    def size(self) -> int:
        """Elements of the state vector."""
        return sum(b.size for b in self.blocks)

    def block(self, name: str) -> StateBlock:
        """Return a block by name.

        Raises
        ------
        ConfigError
            There is none of that name.
        """
        for block in self.blocks:
            if block.name == name:
                return block
        raise ConfigError(f"the state has no block {name!r}{nearest(name, self.names)}")

    def span(self, name: str) -> slice:
        """Return where a block lies in the state vector."""
        self.block(name)
        start = 0
        for block in self.blocks:
            if block.name == name:
                break
            start += block.size
        return slice(start, start + block.size)

    def fits(self, parts: Sequence[Any]) -> bool:
        """Tell whether a sequence has one part of the right size for each block."""
        return [p.size for p in parts] == [b.size for b in self.blocks]

    def unstack(self, vector: npt.ArrayLike) -> dict[str, Floats]:
        """Return the blocks of a state vector, each in its own shape.

        Parameters
        ----------
        vector : array_like, shape (size,)
            In the state's order.
        """
        flat = np.asarray(vector, dtype=np.float64)
        if flat.shape != (self.size,):
            raise SolverError(f"a state vector has shape ({self.size},), found {flat.shape}")
        return {b.name: flat[self.span(b.name)].reshape(b.shape) for b in self.blocks}

    def stack(self, parts: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return the state vector of its blocks; every block must be given in its shape."""
        arrays = []
        for block in self.blocks:
            if block.name not in parts:
                raise SolverError(
                    f"state block {block.name!r} is missing; given: {', '.join(map(str, parts))}"
                )
            array = np.asarray(parts[block.name], dtype=np.float64)
            if array.shape != block.shape:
                raise SolverError(f"state block {block.name!r} has shape {block.shape}, found {array.shape}")
            arrays.append(array.ravel())
        return np.concatenate(arrays)

    def embed(self, name: str, weights: Any) -> Any:
        """Widen rows that weight one block into rows that weight the whole state.

        Parameters
        ----------
        name : str
            The block.
        weights : ndarray or sparse, shape (rows, block size)
            Weights of the block's elements.

        Returns
        -------
        scipy.sparse.csr_array, shape (rows, size)
        """
        import scipy.sparse as sp

        rows = sp.csr_array(weights)
        span = self.span(name)
        if rows.shape[1] != span.stop - span.start:
            raise SolverError(
                f"weights for state block {name!r} have {rows.shape[1]} columns where "
                f"{span.stop - span.start} are needed"
            )
        return sp.csr_array(
            (rows.data, rows.indices + span.start, rows.indptr), shape=(rows.shape[0], self.size)
        )
