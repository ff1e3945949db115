"""What takes long says how far it is: the last line of each loop's progress stands in the run's journal."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from inversion import DiagonalCovariance, Problem
from inversion.problem.innovation import innovation_covariance
from inversion.solvers.choose import solve
from inversion.solvers.gibbs import solve_gibbs
from inversion.solvers.letkf import solve_letkf
from inversion.solvers.localisation import Localisation
from inversion.solvers.lognormal import solve_lognormal
from inversion.solvers.smoother import solve_ensemble_smoother
from inversion.solvers.truncated import solve_truncated
from inversion.study.designs.design import choose_network
from inversion.study.osse.osse import run_twins
from obsnet.grid import Grid
from obsnet.inventory.uncertainty.montecarlo import province_draws
from obsnet.journal import journal, read_journals
from obsnet.store import ObservationStore
from obsnet.work.progress import counted, progress
from retrieval.mapping.gridding import bin_store
from retrieval.validation.collocation import collocate
from tests.commands import call
from tests.inversion.cases import case
from tests.obsnet.report import synthetic
from tests.retrieval.ground import make_ground, make_overpasses
from tests.retrieval.soundings import make_table

C = case("T")
SMALL = Problem([[1.0]], [-1.0], [1.0], [0.0], [1.0])
COLUMN = np.arange(C.problem.n_state) % C.lat.size
NOWHERE = np.full(C.problem.n_obs, 40.0), np.full(C.problem.n_obs, 100.0)
STEPS = np.arange(C.problem.n_state) // C.lat.size


def independent():
    return C.problem.with_(observation_error=DiagonalCovariance(C.problem.observation_error.diagonal()))


def solved(method):
    return solve(C.problem, method).system


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
    "observations, how they vary together": (lambda: innovation_covariance(C.problem), C.problem.n_obs),
    "stations left out in turn": (lambda: solve(C.problem).leave_out("station"), None),
    "blocks of unknowns": (lambda: solved("primal").signal(), None),
    "blocks of observations": (lambda: solved("dual").variance(), None),
    "blocks of draws": (lambda: province_draws(np.ones((2, 2)), 0.1, 0.1, draws=5000), None),
}


@pytest.mark.parametrize("what", LONG)
def test_long_work_says_how_far_it_is(what, tmp_path):
    run, of = LONG[what]
    with journal(tmp_path):
        run()
    told = [line for line in read_journals(tmp_path) if line["event"] == "progress"]
    mine = [line for line in told if line["what"].split(", ")[0] == what.split(", ")[0]]
    assert mine, {line["what"] for line in told}
    assert mine[-1]["done"] == mine[-1]["of"]
    assert of is None or mine[-1]["of"] == of


def test_bins_count_the_files_of_a_store(tmp_path):
    """Those without a row that is asked for are counted too: the bar ends full."""
    store, days = (
        ObservationStore(tmp_path / "s"),
        np.arange("2020-01-30", "2020-02-03", dtype="datetime64[D]"),
    )
    for k, day in enumerate(days):
        store.write(make_table(300, seed=k, start=day + np.timedelta64(5, "h")))
    with journal(tmp_path):
        bin_store(store, "CO2", Grid.regular(29, 35, 109, 112, 0.5, 0.5), days[:2], batch=64)
    told = [line for line in read_journals(tmp_path) if line.get("what") == "files of columns"]
    assert told[-1]["done"] == told[-1]["of"] == 4


def test_a_report_counts_its_pictures(tmp_path):
    from obsnet.commands.report import report

    with journal(tmp_path):
        call(report, synthetic.folder(tmp_path / "run"), "--format", "csv")
    told = [line for line in read_journals(tmp_path) if line.get("what") == "pictures"]
    assert told[-1]["done"] == told[-1]["of"] == 4


class _Terminal:
    """Standard error of a person."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass


def test_a_terminal_gets_a_bar_with_its_time_and_a_batch_log_a_line(monkeypatch, capsys):
    screen = _Terminal()
    with monkeypatch.context() as here:
        here.setattr(sys, "stderr", screen)
        here.setenv("TERM", "xterm")
        assert list(counted(range(3), "granules")) == [0, 1, 2]
    assert "granules" in screen.text
    assert "0/3" in screen.text
    assert ":" in screen.text  # what is left, as H:MM:SS
    with progress(4, "granules", every=0.0) as advance:
        advance(1)
    assert capsys.readouterr().err == "granules: 1 of 4, about 0 s left\n"


def test_work_on_many_items_is_counted():
    """Whoever takes results as they come counts them, or hands them to those who do: a law for what will be added."""
    root = Path(__file__).parents[1]
    silent = []
    for path in (
        p for room in ("obsnet", "retrieval", "inversion", "stations") for p in (root / room).rglob("*.py")
    ):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            called = {
                n.func.id
                for n in ast.walk(function)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
            }
            yields = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(function))
            if "map_unordered" in called and not called & {"progress", "counted"} and not yields:
                silent.append(f"{path.relative_to(root)}: {function.name}")
    assert silent == []
