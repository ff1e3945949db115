"""What takes long says how far it is: the last line of each loop's progress stands in the run's journal."""

from __future__ import annotations

import numpy as np
import pytest

from inversion import DiagonalCovariance, Problem
from inversion.solvers.gibbs import solve_gibbs
from inversion.solvers.letkf import solve_letkf
from inversion.solvers.localisation import Localisation
from inversion.solvers.lognormal import solve_lognormal
from inversion.solvers.smoother import solve_ensemble_smoother
from inversion.solvers.truncated import solve_truncated
from inversion.study.designs.design import choose_network
from inversion.study.osse.osse import run_twins
from obsnet.inventory.uncertainty.montecarlo import province_draws
from obsnet.journal import journal, read_journals
from retrieval.validation.collocation import collocate
from tests.inversion.cases import case
from tests.retrieval.ground import make_ground, make_overpasses

C = case("T")
SMALL = Problem([[1.0]], [-1.0], [1.0], [0.0], [1.0])
COLUMN = np.arange(C.problem.n_state) % C.lat.size
NOWHERE = np.full(C.problem.n_obs, 40.0), np.full(C.problem.n_obs, 100.0)
STEPS = np.arange(C.problem.n_state) // C.lat.size


def independent():
    return C.problem.with_(observation_error=DiagonalCovariance(C.problem.observation_error.diagonal()))


LONG = {
    "draws of error sizes": (lambda: solve_gibbs(C.problem, draws=16, chains=2), 2 * (20 + 1 + 16)),
    "twins": (lambda: run_twins(C.problem, C.regions, twins=5), 5),
    "twins, each solved": (lambda: run_twins(C.problem, C.regions, twins=2, solver=solve_letkf), 2),
    "columns of the ensemble": (
        lambda: solve_letkf(
            independent(), members=8, localisation=Localisation(COLUMN, C.lat, C.lon, *NOWHERE, 1000.0, None)
        ),
        C.lat.size,
    ),
    "time steps": (
        lambda: solve_ensemble_smoother(
            independent().with_(groups={**C.problem.groups, "step": np.zeros(C.problem.n_obs, np.int64)}),
            step=STEPS,
            lag=2,
            members=8,
        ),
        None,
    ),
    "chains of draws": (lambda: solve_truncated(SMALL, draws=2000), 4),
    "draws": (
        lambda: solve_lognormal(Problem([[1.0]], [1.0], [1.0], [1.0], [0.5]), draws=400, least=1),
        None,
    ),
    "candidates chosen": (lambda: choose_network(C.problem, "station", 2, weights=C.regions), 2),
    "sites": (lambda: collocate(make_overpasses(), make_ground()), 2),
    "blocks of draws": (lambda: province_draws(np.ones((2, 2)), 0.1, 0.1, draws=5000), None),
}


@pytest.mark.parametrize("what", LONG)
def test_long_work_says_how_far_it_is(what, tmp_path):
    run, of = LONG[what]
    with journal(tmp_path):
        run()
    told = [line for line in read_journals(tmp_path) if line["event"] == "progress"]
    mine = [line for line in told if line["what"] == what.split(", ")[0]]
    assert mine, {line["what"] for line in told}
    assert mine[-1]["done"] == mine[-1]["of"]
    assert of is None or mine[-1]["of"] == of
