"""A solved problem kept in a file: going on after a kill costs a read, and only for the very same problem."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.case import VERSION
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.problem.reduction import ReducedSystem
from inversion.solvers.cg import CGSystem, Preconditioner
from inversion.solvers.dual import DualSystem
from inversion.solvers.primal import PrimalSystem
from obsnet.atomic import atomic_path
from obsnet.errors import FormatError
from obsnet.reading import reading
from obsnet.seal import check_file, seal_file
from obsnet.typing import Floats

__all__ = ["fingerprint", "kept_arrays", "load_posterior", "save_posterior"]

_LARGEST = 4e9  # bytes; a larger factor is quicker computed than read


def fingerprint(problem: Problem) -> str:
    """Return a hash of everything that the answer depends on.

    Parameters
    ----------
    problem : Problem
        The prior error enters by its diagonal and its products with four fixed vectors, not by its matrix.
    """
    digest = hashlib.sha256()
    arrays: list[Any] = [problem.observations, problem.prior, problem.background]
    for _, block in problem.row_blocks():
        arrays += (
            [block.data, block.indices, block.indptr] if sp.issparse(block) else [np.ascontiguousarray(block)]
        )
    rng = np.random.default_rng(0)
    for error in (problem.observation_error, problem.prior_error):
        arrays += [error.diagonal(), error.matmul(rng.standard_normal((error.size, 4)))]
    for array in arrays:
        digest.update(str((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save_posterior(posterior: Posterior, path: Path) -> bool:
    """Keep a posterior that `dual`, `primal` or `cg` has just made; returns False where that would not pay."""
    system = posterior.system
    if isinstance(system, DualSystem):
        arrays = {"factor": system.factor}
    elif isinstance(system, CGSystem):
        known = system.preconditioner
        settings = np.array([system.tolerance, system.limit, system.steps, system.seed])
        arrays = {
            "first": system.first,
            "vectors": known.vectors,
            "values": known.values,
            "settings": settings,
        }
    elif isinstance(system, PrimalSystem) and system.factor is not None:
        arrays = {"factor": system.factor}
    else:
        return False
    if sum(a.nbytes for a in arrays.values()) > _LARGEST:
        return False
    about = {
        "version": VERSION,
        "fingerprint": fingerprint(posterior.problem),
        "method": posterior.method,
        "stopping": {k: v for k, v in posterior.stopping.items() if isinstance(v, int | float | str | bool)},
    }
    contents: dict[str, Any] = {"mean": posterior.mean, "about": np.array(json.dumps(about)), **arrays}
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **contents)
        stream.close()
        seal_file(temporary)
    return True


def load_posterior(
    path: Path, problem: Problem, method: str = "auto", report: Callable[[str], None] = lambda _line: None
) -> Posterior | None:
    """Return the posterior kept in a file, or None where it is of another problem, method or damaged.

    Parameters
    ----------
    path : Path
    problem : Problem
        What is to be solved; its hash must be the file's.
    method : str
        What was asked for.
    report : callable
        Takes lines for people from what is solved later.
    """
    try:
        check_file(path)
        with reading(path), open(path, "rb") as stream, np.load(stream, allow_pickle=False) as kept:
            about = json.loads(str(kept["about"]))
            same = about["version"] == VERSION and about["fingerprint"] == fingerprint(problem)
            if not same or method not in {"auto", about["method"]}:
                return None
            arrays = {k: kept[k] for k in kept.files if k != "about"}
    except FormatError:  # there is none, or it is damaged
        return None
    system: Any
    if about["method"] == "dual":
        system = DualSystem(problem, factor=arrays["factor"])
    elif about["method"] == "cg":
        tolerance, *counts = arrays["settings"].tolist()
        limit, steps, seed = (int(c) for c in counts)
        known = Preconditioner(problem, 0, known=(arrays["vectors"], arrays["values"]))
        system = CGSystem(
            problem,
            tolerance=tolerance,
            limit=limit,
            steps=steps,
            seed=seed,
            report=report,
            preconditioner=known,
            first=arrays["first"],
        )
    else:
        system = PrimalSystem(problem, factor=arrays["factor"])
    return Posterior(
        problem, arrays["mean"], system, about["method"], about["stopping"] | {"restarted": True}
    )


def kept_arrays(folder: Path, posterior: Posterior) -> Callable[[str, Callable[[], Floats]], Floats]:
    """Return what `inversion.problem.totals.region_totals` takes as ``keep``: a file an array, of one posterior.

    Parameters
    ----------
    folder : Path
        Is made when the first array is kept; what it holds of another posterior then goes.
    posterior : Posterior
        Problem, regions solved for, method and stopping state name the files, so that those of another are never
        taken.
    """
    about = [fingerprint(posterior.problem), posterior.method]
    system = posterior.system
    if isinstance(system, ReducedSystem):  # the problem in cells does not tell which regions stand for them
        about.append(fingerprint(system.reduction.problem))
    about += [f"{k}={posterior.stopping[k]}" for k in ("tolerance", "rank") if k in posterior.stopping]
    key = hashlib.sha256(" ".join(about).encode()).hexdigest()[:16]

    def keep(name: str, make: Callable[[], Floats]) -> Floats:
        path = folder / f"{key}-{name}.npy"
        try:
            if not check_file(path):
                raise ValueError("without its seal")
            return np.asarray(np.load(path, allow_pickle=False))
        except (FileNotFoundError, ValueError, OSError, EOFError):
            made = make()
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.glob("*.npy"):
            if not other.name.startswith(key):
                other.unlink(missing_ok=True)
        with atomic_path(path) as temporary:
            with open(temporary, "wb") as stream:
                np.save(stream, made)
            seal_file(temporary)
        return made

    return keep
