"""The basis that a case asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from inversion.case.options import BasisOptions
from inversion.problem.basis import Basis, block_error, expected_information, membership, quadtree
from inversion.problem.problem import Problem
from obsnet.errors import ConfigError, nearest
from obsnet.shares import Shares
from obsnet.typing import Floats

if TYPE_CHECKING:
    from inversion.case.assemble import Assembled

__all__ = ["make_basis"]


def make_basis(options: BasisOptions, made: Assembled, shares: Shares) -> Basis:
    """Divide the cells of each solved sector as a case asks for.

    Parameters
    ----------
    options : BasisOptions
        Kind and count.
    made : Assembled
        The problem in cells.
    shares : Shares
        How cells are split among the regions of the totals, for ``kind = "regions"``.

    Raises
    ------
    ConfigError
        A count for a sector that is not solved, or none for one that is.
    """
    problem, cells = made.problem, made.grid.size
    count = options.count if isinstance(options.count, dict) else dict.fromkeys(made.solved, options.count)
    for name in {*count, *made.solved} if options.kind != "regions" else ():
        if name not in made.solved:
            raise ConfigError(f"[invert.basis] count: {name!r} is not solved{nearest(name, made.solved)}")
        if name not in count:
            raise ConfigError(f"[invert.basis] count has no entry for the solved sector {name!r}")
    restriction, region = {}, {}
    for name in made.solved:
        times = made.bins[name].size
        if options.kind == "regions":
            rows = shares.area(name)
        else:
            weight = _weight(options.kind, problem, name, times, made.grid.cell_area.ravel())
            gain = expected_information(problem, name, times) if options.kind == "adaptive" else None
            label = quadtree(weight.reshape(made.grid.shape), min(count[name], cells), gain).ravel()
            rows = membership(label, made.grid.cell_area.ravel())
        total = np.asarray(rows.sum(axis=1)).ravel()
        rows = sp.csr_array(rows[total > 0.0] / total[total > 0.0, None])
        region[name] = np.asarray(rows.multiply(total[total > 0.0, None]).toarray().argmax(axis=0))
        restriction[name] = sp.csr_array(sp.kron(sp.eye_array(times), rows, format="csr"))
    return Basis(options.kind, restriction, region)


def _weight(kind: str, problem: Problem, name: str, times: int, area: Floats) -> Floats:
    """Return what rectangles shall hold equal parts of: prior uncertainty, and how much of it is seen."""
    assert problem.state is not None
    span = problem.state.span(name)
    spread = np.sqrt(block_error(problem, name).diagonal()).reshape(times, -1)
    if kind == "quadtree":
        return np.asarray(spread.sum(axis=0) * area)
    seen = np.asarray(abs(problem.jacobian[:, span]).sum(axis=0)).reshape(times, -1)
    return np.asarray((spread * seen).sum(axis=0))
