"""A case splits its cells by where the prior's flux is, everywhere alike."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import scipy.sparse as sp

from inversion import solve
from inversion.case.assemble import assemble
from inversion.case.inputs.reading import load
from inversion.case.inputs.shares import read_shares
from inversion.case.options import BasisOptions, InvertOptions
from inversion.case.run import run_invert
from inversion.case.solving.basis import make_basis
from inversion.commands.invert_stage import STAGE
from inversion.problem.reduction import reduce_problem
from inversion.problem.time_bins import state_bins
from inversion.problem.totals import region_totals, total_weights
from obsnet.cf import read_flux, read_netcdf, write_netcdf
from obsnet.config import validate
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.pipeline import read_case
from obsnet.regrid import regrid_flux
from obsnet.shares import Shares, add_shares, shares_of
from tests.inversion.case.files import CASE, write_case, write_prior
from tests.inversion.world import GRID

FINE = Grid.regular(30.0, 34.0, 110.0, 116.0, 0.25, 0.25)


def options(**changes):
    return validate(InvertOptions, tomllib.loads(CASE)["invert"] | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The case with a prior of a quarter of a degree, uneven, the biosphere of both signs."""
    folder = write_case(tmp_path_factory.mktemp("case"))
    rng = np.random.default_rng(4)
    fossil = 1e-6 * rng.lognormal(sigma=1.5, size=FINE.size) * (rng.random(FINE.size) > 0.3)
    course = 1.0 + 0.2 * np.sin(np.arange(6))[:, None]
    biosphere = 1e-7 * rng.normal(size=(6, FINE.size))
    write_prior(folder / "fine.nc", {"fossil": course * fossil, "biosphere": biosphere}, FINE)
    return folder


class Made:
    """A case read and put together."""

    def __init__(self, folder, **changes):
        self.options = options(**{"prior": "fine.nc"} | changes)
        read = load(self.options, folder, folder)
        self.shares, _, _ = read_shares(self.options, read.jacobian, read.prior, folder, folder)
        self.whole = assemble(self.options, read.jacobian, read.table, read.prior, shares=self.shares)
        self.read = read
        self.weights = total_weights(
            self.whole.problem.state,
            self.whole.sectors,
            self.whole.prior_mean,
            bins=self.whole.bins,
            shares=self.shares,
            periods=state_bins(read.jacobian.time_edges, "all").edges,
            scale=self.whole.flux_scale,
        )


@pytest.fixture(scope="module")
def made(folder):
    return Made(folder)


def by_hand(folder, sector="fossil"):
    """Return prior totals of (a, b, outside) on the grid of the file; the border at 112.5 is one of its edges."""
    flux = read_flux(folder / "fine.nc")["flux"].sel(sector=sector).mean("time").values * FINE.cell_area
    west = flux[:, FINE.lon < 112.5].sum()
    return np.array([west, flux[:, FINE.lon < 114.0].sum() - west, flux[:, FINE.lon > 114.0].sum()])


def test_prior_totals_are_those_of_the_finer_file(folder, made):
    assert made.shares.labels == ("a", "b", "outside")
    totals = made.weights.weights @ made.whole.problem.prior
    np.testing.assert_allclose(totals[:3], by_hand(folder), rtol=1e-9)
    area = Made(folder, shares={"rule": "area"}, prior="prior.nc")
    assert np.abs(area.shares.part("fossil").toarray() - made.shares.part("fossil").toarray()).max() > 0.1


def test_both_signs_add_up_and_have_parts_between_nothing_and_all(folder, made):
    flux = made.whole.prior_mean["biosphere"].mean(axis=0).reshape(GRID.shape)
    totals = made.shares.totals(flux, "biosphere")
    assert totals.sum() == pytest.approx((flux * GRID.cell_area).sum(), rel=1e-9)
    part = made.shares.part("biosphere").toarray()
    assert part.max() <= 1.0
    # mean magnitude over time, which a mean of both signs is not
    size = (
        np.abs(read_flux(folder / "fine.nc")["flux"].sel(sector="biosphere").values).mean(axis=0)
        * FINE.cell_area
    )
    blocks = size.reshape(4, 4, 6, 4)[:, :, 2]  # the column of cells from 112 to 113
    west = blocks[:, :, :2].sum(axis=(1, 2)) / blocks.sum(axis=(1, 2))
    np.testing.assert_allclose(part[0].reshape(GRID.shape)[:, 2], west, rtol=1e-6)


def test_patterns_and_weights_fit(made):
    w = made.weights
    np.testing.assert_allclose((w.weights @ w.pattern).toarray(), np.eye(6), atol=1e-9)


def test_a_pattern_in_a_border_cell_is_the_regions_part_of_its_flux(made):
    """Region b has the fourth column, and its own part of the third."""
    w, state = made.weights, made.whole.problem.state
    column = w.pattern.toarray()[state.span("fossil"), 1].reshape(-1, *GRID.shape)[0]
    mean = made.whole.prior_mean["fossil"][0].reshape(GRID.shape)
    share = made.shares.part("fossil").toarray().reshape(3, *GRID.shape)
    inside = column[:, 3] / mean[:, 3]
    np.testing.assert_allclose(inside, inside[0], rtol=1e-9)
    raw = column[:, 2] / mean[:, 2] / inside[0]
    # as the prior's part of b, but for the smallest correction that leaves region a as it is
    assert np.corrcoef(raw, share[1, :, 2])[0, 1] > 0.99
    assert column[:, 4:] == pytest.approx(0.0, abs=1e-15)


def test_the_error_common_to_a_region_is_of_its_flux(made):
    """Errors of whole regions are patterns of each region's part of the prior, and of nothing outside."""
    block = made.whole.problem.prior_error.blocks[made.whole.problem.state.names.index("fossil")]
    regional = block.parts[1].matmul(np.eye(block.size)).reshape(2, GRID.size, 2, GRID.size)
    mean = made.whole.flux_scale * made.whole.prior_mean["fossil"]
    patterns = 0.3 * made.shares.regional("fossil").toarray() * mean[:, None]
    for time in range(2):  # the two time bins are not correlated
        expected = patterns[time].T @ patterns[time]
        np.testing.assert_allclose(regional[time, :, time], expected, rtol=1e-9, atol=1e-15)
        assert not regional[time, :, 1 - time].any()


def test_each_sector_has_its_own_error_common_to_a_region(folder):
    doubts = {"fossil": {"relative": 0.3}, "biosphere": {"sigma": 3e-7, "regional_relative": 0.5}}
    found = Made(folder, sector=doubts)
    problem = found.whole.problem
    block = problem.prior_error.blocks[problem.state.names.index("biosphere")]
    mean = found.whole.flux_scale * found.whole.prior_mean["biosphere"][0]
    patterns = 0.5 * found.shares.regional("biosphere").toarray() * np.abs(mean)
    spread = block.parts[1].matmul(np.eye(block.size))[: GRID.size, : GRID.size]
    np.testing.assert_allclose(spread, patterns.T @ patterns, rtol=1e-9, atol=1e-15)


def test_regions_that_are_solved_for_are_the_totals(made):
    basis = make_basis(BasisOptions(kind="regions"), made.whole, made.shares)
    posterior = reduce_problem(made.whole.problem, basis.restriction).solve(solve)
    exact = solve(made.whole.problem)
    g = made.weights.weights
    np.testing.assert_allclose(posterior.aggregate(g).mean, exact.aggregate(g).mean, rtol=1e-6)
    assert basis.region["fossil"].max() == 2


def test_what_a_region_has_more_shows_in_its_total(folder, made):
    """The truth is the prior's file with half as much again in region a; totals find it in a, not by area."""
    fine = read_flux(folder / "fine.nc")["flux"].sel(sector="fossil").mean("time").values
    more = 0.5 * np.where(FINE.lon < 112.5, fine, 0.0)
    change = regrid_flux(more, FINE, GRID)
    state = made.whole.problem.state
    x = np.zeros(state.size)
    x[state.span("fossil")] = np.tile(made.whole.flux_scale * change.ravel(), 2)
    moved = made.weights.weights @ x
    own = by_hand(folder)[0]
    # border cells cannot tell; but what leaks is a part of a part, where area would be off by a part
    share = made.shares.part("fossil").toarray()
    leak = (share[1] * (change * GRID.cell_area).ravel()).sum()
    np.testing.assert_allclose(moved[0], 0.5 * own - leak, rtol=1e-9)
    assert moved.sum() == pytest.approx(0.5 * own, rel=1e-9)


def test_the_file_says_how_cells_were_split(folder, made):
    lines = []
    written, _ = run_invert(made.options, folder, folder / "run", lines.append)
    data = read_netcdf(written[0])
    assert any(
        "fossil: on the land of a cell, by its flux on 0.25 x 0.25 degree cells" in line for line in lines
    )
    assert data.attrs["shares"].startswith("fossil: on the land of a cell, by its flux on 0.25 x 0.25")
    again = shares_of(data)
    for sector, part in made.shares.parts.items():
        np.testing.assert_array_equal(again.parts[sector].toarray(), part.toarray())
    # another flux is split as this one
    flux = data["flux"].mean("time").sel(sector="fossil").values
    np.testing.assert_allclose(
        again.totals(flux, "fossil"), data["region_total"].sel(sector="fossil").values.ravel(), rtol=1e-6
    )
    np.testing.assert_allclose(
        data["region_total_prior"].sel(sector="fossil").values.ravel(), by_hand(folder), rtol=1e-6
    )


class TestPoints:
    def write(self, folder, text):
        (folder / "plants.csv").write_text("lat,lon,value,unit,sector\n" + text, encoding="utf-8")

    def test_points_say_on_which_side_of_a_border_a_cell_is(self, folder):
        self.write(folder, "31.5,112.4,900,1,fossil\n31.5,112.6,100,1,fossil\n")
        made = Made(folder, shares={"points": "plants.csv"}, prior="prior.nc")
        share = made.shares.part("fossil").toarray().reshape(3, *GRID.shape)
        assert share[:, 1, 2] == pytest.approx([0.9, 0.1, 0.0], abs=1e-12)
        assert share[:, 0, 2] == pytest.approx([0.5, 0.5, 0.0], abs=1e-3)
        assert "2 points of plants.csv" in made.shares.made["fossil"]
        np.testing.assert_allclose(
            (made.weights.weights @ made.weights.pattern).toarray(), np.eye(6), atol=1e-9
        )

    def test_a_changed_register_is_another_run(self, folder):
        self.write(folder, "31.5,112.4,900,1,fossil\n")
        case, _ = read_case(tomllib.loads(CASE), folder / "case.toml")
        assert folder / "plants.csv" in STAGE.inputs(options(shares={"points": "plants.csv"}), case)

    def test_a_sector_that_there_is_not(self, folder):
        self.write(folder, "31.5,112.4,900,1,fosil\n")
        with pytest.raises(
            ConfigError, match="plants.csv: there is no flux of sector 'fosil'; nearest: 'fossil'"
        ):
            Made(folder, shares={"points": "plants.csv"})


def test_rules_are_checked_and_one_holds_for_all(folder):
    with pytest.raises(
        ConfigError, match=r"\[invert.shares\] rule: the prior has no sector 'fosil'; nearest: 'fossil'"
    ):
        Made(folder, shares={"rule": {"fosil": "sea"}})
    with pytest.raises(ConfigError):
        options(shares={"rule": "coast"})
    found = Made(folder, shares={"rule": "area"}).shares
    assert all(text.startswith("even over a cell") for text in found.made.values())


def test_flux_that_nobody_doubts_is_told(folder):
    only = {"fossil": {"regional_relative": 0.3}, "biosphere": {"prescribed": True}}
    notes = Made(folder, sector=only).shares.notes
    assert any("of its flux in no region are taken as known" in n for n in notes)
    assert not any("taken as known" in n for n in Made(folder).shares.notes)


def test_places_that_nobody_knows_join_the_test(folder):
    """With a prior of one degree, whole cells may stand on either side of a border."""
    assert options().shares.in_test  # what nobody knows is no alarm, unless it is said to be known
    files = []
    for choice in (False, True):
        written, _ = run_invert(
            options(shares={"in_test": choice}), folder, folder / f"run-{choice}", lambda _line: None
        )
        files.append(read_netcdf(written[0]))
    without, with_it = files
    assert [f.attrs["shares_in_test"] for f in files] == ["no", "yes"]
    added = with_it["total_test_covariance"].values - without["total_test_covariance"].values
    response = np.diagonal(without["total_averaging_kernel"].values)
    sd = without["region_split_uncertainty"].sel(sector="fossil").values
    np.testing.assert_allclose(np.diagonal(added)[:3], (response[:3] * sd) ** 2, rtol=1e-6)
    assert sd[0] > 0
    assert not added[3:].any()  # the biosphere has both signs: it is spread out
    assert not added[:, 3:].any()
    for name in ("total_covariance", "total_noise_covariance", "region_total"):
        np.testing.assert_array_equal(with_it[name].values, without[name].values)


def test_a_prior_that_says_whose_its_cells_are_is_taken_at_its_word(folder):
    """Prior totals are then those that the file was made from, whatever its cells, and nothing of them is doubted."""
    data = read_netcdf(folder / "prior.nc")
    rng = np.random.default_rng(8)
    labels = ("a", "b", "offshore", "outside")
    parts = {str(s): sp.csr_array(rng.dirichlet(np.ones(4), GRID.size).T) for s in data["sector"].values}
    own = Shares(labels, GRID, parts, dict.fromkeys(parts, "as drawn"))
    told = data.assign_coords(region=list(labels))
    add_shares(told, own)
    write_netcdf(told, folder / "told.nc")
    found = Made(folder, prior="told.nc")
    totals = found.weights.weights @ found.whole.problem.prior
    mean = found.read.prior.flux["fossil"].mean(axis=0)
    wanted = own.totals(mean.reshape(GRID.shape), "fossil")
    assert found.shares.labels == labels
    np.testing.assert_allclose(totals[:4], wanted, rtol=1e-9)
    assert not found.shares.doubt
    assert any("fossil: as its own file says" in line for line in found.shares.described)
    anew = Made(folder, prior="told.nc", shares={"rule": {"fossil": "land"}})
    assert anew.shares.doubt["fossil"].any()
    assert any("by its own file is not used: a rule is given" in note for note in anew.shares.notes)


def test_totals_of_a_posterior_are_split_so_too(made):
    totals = region_totals(solve(made.whole.problem), made.weights)
    flux = totals.weights.weights @ solve(made.whole.problem).mean
    np.testing.assert_allclose(totals.posterior.mean, flux, rtol=1e-9)
