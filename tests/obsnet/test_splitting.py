"""How cells are split: identities first, then hand-made coasts, then the power plants of China."""

from __future__ import annotations

import geopandas
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from obsnet.cf import flux_dataset
from obsnet.errors import ConfigError, GridError, RangeError, RegionError
from obsnet.grid import Grid
from obsnet.points import Points
from obsnet.regions import PROVINCES, provinces, read_regions
from obsnet.regrid import refinement, regrid_flux
from obsnet.shares import Shares
from obsnet.splitting import flux_shares, flux_totals, usual_rule
from obsnet.zonal import zonal_weights
from tests.properties.strategies import partitions

# Two regions and another country on land that ends at 3.2 degrees east; sea beyond.
LAND = shapely.box(-1, -1, 3.2, 9)
COAST = geopandas.GeoDataFrame(
    index=["a", "b"], geometry=[shapely.box(0, 0, 3.2, 1.5), shapely.box(0, 1.5, 3.2, 3)], crs="EPSG:4326"
)
UNIT = Grid.regular(0, 4, 0, 6, 1, 1)
FINE = Grid.regular(0, 4, 0, 6, 0.25, 0.25)


def split(flux, grid=UNIT, frame=COAST, **options):
    """Return the shares of one sector, ``power`` unless a dict is given."""
    fluxes = flux if isinstance(flux, dict) else {"power": flux}
    return flux_shares(frame, grid, fluxes, **{"land": LAND, **options})


def part(shares, sector="power"):
    return shares.part(sector).toarray().reshape(len(shares.labels), *shares.grid.shape)


def drawn(grid, seed=0, nothing=0.3):
    """Return an uneven flux, part of it zero."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(sigma=1.5, size=grid.shape) * (rng.random(grid.shape) > nothing)


class TestIdentities:
    @pytest.mark.parametrize("rule", ["land", "sea", "area"])
    def test_every_cell_is_given_away_wholly_and_once(self, rule):
        shares = split(drawn(FINE), flux_grid=FINE, rules={"power": rule})
        assert shares.labels == ("a", "b", "offshore", "outside")
        np.testing.assert_allclose(part(shares).sum(axis=0), 1.0, rtol=1e-14)
        assert (part(shares) >= 0).all()

    @pytest.mark.parametrize("rule", ["land", "sea", "area"])
    def test_totals_add_up_to_the_domain(self, rule):
        flux = drawn(UNIT, 3) - 0.5  # both signs
        shares = split(drawn(FINE), flux_grid=FINE, rules={"power": rule})
        assert shares.totals(flux, "power").sum() == pytest.approx((flux * UNIT.cell_area).sum(), rel=1e-12)

    def test_a_cell_wholly_inside_is_its_regions(self):
        found = part(split(drawn(UNIT)))
        assert found[0, 0, 0] == found[1, 2, 1] == 1.0
        assert found[3, 3, 0] == 1.0  # the country in the north

    def test_even_flux_by_area_is_area(self):
        shares = split(np.ones(FINE.shape), flux_grid=FINE, rules={"power": "area"})
        zones = zonal_weights(COAST, UNIT, cache=None)
        np.testing.assert_allclose(shares.regional("power").toarray(), zones.fraction.toarray(), atol=1e-12)
        np.testing.assert_allclose(
            part(shares)[2:].sum(axis=0).ravel(), 1 - zones.fraction.toarray().sum(axis=0), atol=1e-9
        )

    @pytest.mark.parametrize("rule", ["land", "sea", "area"])
    def test_no_flux_is_area_whatever_the_rule(self, rule):
        zero = split(np.zeros(UNIT.shape), rules={"power": rule})
        even = split(np.ones(UNIT.shape), rules={"power": "area"})
        np.testing.assert_allclose(part(zero), part(even), atol=1e-14)
        assert any("no flux" in n for n in zero.notes)

    def test_only_the_cells_without_flux_go_by_area(self):
        flux = np.ones(UNIT.shape)
        flux[0, 3] = 0.0
        found = part(split(flux))
        assert found[0, 0, 3] == pytest.approx(0.2, rel=1e-9)
        assert found[2, 0, 3] == pytest.approx(0.8, rel=1e-9)
        assert found[1, 2, 3] == 1.0

    def test_size_and_sign_of_the_flux_do_not_matter(self):
        flux = drawn(FINE)
        signs = np.where(np.random.default_rng(1).random(FINE.shape) > 0.5, 1.0, -1.0)
        once = part(split(flux, flux_grid=FINE))
        np.testing.assert_allclose(part(split(1e-9 * signs * flux, flux_grid=FINE)), once, rtol=1e-12)
        # mean magnitude over time
        twice = part(split(np.stack([2 * flux, np.zeros_like(flux)]), flux_grid=FINE))
        np.testing.assert_allclose(twice, once, rtol=1e-12)

    def test_sectors_do_not_know_of_each_other(self):
        fluxes = {"power": drawn(FINE), "ships": drawn(FINE, 1), "aviation": drawn(FINE, 2)}
        together = split(fluxes, flux_grid=FINE)
        for sector, flux in fluxes.items():
            alone = split({sector: flux}, flux_grid=FINE)
            np.testing.assert_array_equal(part(together, sector), part(alone, sector))

    @settings(max_examples=25, deadline=None)
    @given(partitions(0, 0, 5, 3), st.integers(0, 9), st.sampled_from(["land", "sea", "area"]))
    def test_any_partition_any_flux(self, frame, seed, rule):
        shares = flux_shares(
            frame, UNIT, {"x": drawn(FINE, seed)}, flux_grid=FINE, rules={"x": rule}, land=LAND
        )
        np.testing.assert_allclose(part(shares, "x").sum(axis=0), 1.0, rtol=1e-12)
        flux = drawn(UNIT, seed + 1) - 0.3
        found = shares.totals(flux, "x").sum()
        assert found == pytest.approx((flux * UNIT.cell_area).sum(), rel=1e-11, abs=1e-3)


class TestResolution:
    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 99), st.sampled_from(["land", "sea", "area"]), st.booleans())
    def test_split_finely_and_added_up_is_split_at_once(self, seed, rule, with_points):
        """Shares on the fine grid, weighted by flux and summed, are those of the coarse grid."""
        flux, rng = drawn(FINE, seed), np.random.default_rng(seed)
        points = None
        if with_points:
            cell = rng.choice(FINE.size, 20)
            lat, lon = FINE.lat[cell // 24] + rng.uniform(-0.1, 0.1, 20), FINE.lon[cell % 24]
            # half of what its cell has, so that the rest of it is the same on both grids
            rate = 0.5 * (flux * FINE.cell_area).ravel()[cell] / np.bincount(cell, minlength=FINE.size)[cell]
            points = Points(lat, lon, rate, np.full(20, "power"))
        options = {"rules": {"power": rule}, "points": points}
        fine = split(flux, FINE, **options).part("power")
        once = split(flux, UNIT, flux_grid=FINE, **options)
        amount = (flux * FINE.cell_area).ravel()
        lat, lon = np.meshgrid(FINE.lat, FINE.lon, indexing="ij")
        cell = UNIT.index(lat.ravel(), lon.ravel())
        add = sp.csr_array((np.ones(FINE.size), (np.arange(FINE.size), cell)))
        summed = (fine * amount[None, :] @ add).toarray()
        there = summed.sum(axis=0) > 0
        expected = summed[:, there] / summed.sum(axis=0)[there]
        np.testing.assert_allclose(once.part("power").toarray()[:, there], expected, atol=1e-12)

    def test_the_coarse_total_is_the_fine_one(self):
        """What a region has on the fine grid it has on the coarse one, however few cells that is."""
        flux = drawn(FINE, 4, nothing=0.0)
        fine = split(flux, FINE).totals(flux, "power")
        for grid in (UNIT, Grid.regular(0, 4, 0, 6, 2, 3), Grid.regular(0, 4, 0, 6, 4, 6)):
            coarse = split(flux, grid, flux_grid=FINE)
            np.testing.assert_allclose(
                coarse.totals(regrid_flux(flux, FINE, grid), "power"), fine, rtol=1e-12, atol=1e-3
            )

    def test_grids_that_do_not_nest(self):
        """A prior of 0.4 degree on cells of 1 degree: split where both have edges."""
        other = Grid.regular(0, 4, 0, 6, 0.4, 0.4)
        flux = drawn(other, 2, nothing=0.0)
        shares = split(flux, UNIT, flux_grid=other, rules={"power": "area"})
        zones = zonal_weights(COAST, refinement(UNIT, other), cache=None)
        lat, lon = np.meshgrid(zones.grid.lat, zones.grid.lon, indexing="ij")
        expected = zones.matrix[:2] @ flux.ravel()[other.index(lat.ravel(), lon.ravel())]
        found = shares.totals(regrid_flux(flux, other, UNIT), "power")
        np.testing.assert_allclose(found[:2], expected, rtol=1e-12)

    def test_a_coarser_prior_than_the_cells(self):
        coarse = Grid.regular(0, 4, 0, 6, 2, 2)
        found = part(split(np.ones(coarse.shape), UNIT, flux_grid=coarse))
        np.testing.assert_allclose(found, part(split(np.ones(UNIT.shape))), atol=1e-12)

    def test_other_longitudes(self):
        flux = drawn(FINE, 5)
        turned = Grid(FINE.lat_edges, FINE.lon_edges - 360.0)
        np.testing.assert_allclose(
            part(split(flux, flux_grid=turned)), part(split(flux, flux_grid=FINE)), atol=1e-14
        )

    def test_a_flux_that_does_not_reach_is_refused(self):
        with pytest.raises(GridError, match="does not cover"):
            split(np.ones((4, 5)), flux_grid=Grid.regular(0, 4, 0, 5, 1, 1))


class TestCoast:
    def test_a_fifth_of_land_has_all_of_the_flux(self):
        found = part(split(np.ones(UNIT.shape)))
        assert found[0, 0, 3] == 1.0
        # the border at 1.5 north runs through this row: the land's parts by area
        assert found[:2, 1, 3] == pytest.approx([0.5, 0.5], abs=1e-3)
        assert found[3, 3, 3] == 1.0

    def test_ships_are_at_sea(self):
        found = part(split({"ships": np.ones(UNIT.shape)}), "ships")
        assert found[2, 0, 3] == 1.0
        assert found[0, 0, 1] == 1.0  # on a river
        assert found[2, 0, 5] == 1.0

    def test_the_name_tells_and_may_be_overruled(self):
        names = ("TNR_Ship", "ocean", "shipping", "TNR_Aviation_CDS", "fossil", "leadership")
        assert [usual_rule(n) for n in names] == ["sea", "sea", "sea", "area", "land", "land"]
        told = split({"ocean": np.ones(UNIT.shape)})
        assert any("because of its name" in n for n in told.notes)
        assert "at sea" in told.made["ocean"]
        overruled = split({"ocean": np.ones(UNIT.shape)}, rules={"ocean": "land"})
        assert part(overruled, "ocean")[0, 0, 3] == 1.0
        assert not any("because of its name" in n for n in overruled.notes)

    def test_cells_at_sea_belong_to_a_coast_that_is_near_enough(self):
        """The column of cells from 4 east is at sea, its middles 1.3 degrees from the coast at 3.2."""
        flux = np.ones(UNIT.shape)
        far, near = split(flux), split(flux, snap_deg=1.4)
        assert part(far)[2, :, 4].tolist() == [1, 1, 1, 1]
        assert part(near)[0, 0, 4] == part(near)[1, 2, 4] == 1.0
        assert part(near)[3, 3, 4] == 1.0  # the country in the north is nearer
        assert part(near)[2, :, 5].tolist() == [1, 1, 1, 1]
        assert any("within 1.4 degree of a coast" in n for n in near.notes)

    def test_no_flux_at_sea_is_nobodys_however_near(self):
        found = part(split(np.zeros(UNIT.shape), snap_deg=1.4))
        assert found[2, :, 4].tolist() == [1, 1, 1, 1]

    def test_strips_beyond_a_regions_coast_are_the_regions(self):
        """The land of the map reaches 0.04 degree further than the region, a flaw; 0.4 degree is a country."""
        for far, outside in ((3.24, 0.0), (3.6, 2 / 3)):
            found = part(split(np.ones(UNIT.shape), land=shapely.box(-1, -1, far, 9)))
            assert found[3, 0, 3] == pytest.approx(outside, abs=1e-9)
            assert found[0, 0, 3] == pytest.approx(1 - outside, abs=1e-9)

    def test_inland_domains_have_no_sea(self):
        shares = split(np.ones((3, 3)), Grid.regular(0, 3, 0, 3, 1, 1))
        assert shares.labels == ("a", "b", "outside")

    def test_land_of_the_world_by_default(self):
        box = geopandas.GeoDataFrame(index=["x"], geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
        sea = flux_shares(box, UNIT, {"x": np.ones(UNIT.shape)})  # the Gulf of Guinea
        assert sea.labels == ("x", "offshore", "outside")
        assert part(sea, "x")[1, 2, 3] == 1.0
        assert not part(sea, "x")[2].any()


class TestPoints:
    def points(self, rate=(3.0, 1.0), whole=False, sector="power", lat=(1.4, 1.6), lon=(2.5, 2.5)):
        return Points(np.array(lat), np.array(lon), np.array(rate), np.full(len(lat), sector), whole)

    def test_all_of_a_cell(self):
        for rate in ((3.0, 1.0), (3e-6, 1e-6)):
            found = part(split(np.ones(UNIT.shape), points=self.points(rate, whole=True)))
            assert found[:, 1, 2] == pytest.approx([0.75, 0.25, 0, 0], abs=1e-12)

    def test_what_is_beyond_the_points_is_split_as_ever(self):
        have = UNIT.cell_area[1, 2]
        found = part(split(np.ones(UNIT.shape), points=self.points((0.5 * have, 0.1 * have))))
        half = part(split(np.ones(UNIT.shape)))[0, 1, 2]
        assert found[:2, 1, 2] == pytest.approx([0.5 + 0.4 * half, 0.1 + 0.4 * (1 - half)], rel=1e-9)

    def test_points_beyond_their_cell_are_all_of_it_and_it_is_said(self):
        have = UNIT.cell_area[1, 2]
        shares = split(np.ones(UNIT.shape), points=self.points((3 * have, have)))
        assert part(shares)[:, 1, 2] == pytest.approx([0.75, 0.25, 0, 0], abs=1e-12)
        assert "more than their cells have" in shares.made["power"]

    def test_kilotonnes_taken_for_megatonnes(self):
        whole = UNIT.cell_area.sum()
        with pytest.raises(RangeError, match="points of 'power' emit .* is their unit right"):
            split(np.ones(UNIT.shape), points=self.points((6 * whole, 6 * whole)))

    def test_order_does_not_matter(self):
        rng = np.random.default_rng(3)
        lat, lon, rate = rng.uniform(0, 4, 60), rng.uniform(0, 6, 60), 1e8 * rng.lognormal(0, 2, 60)
        order = rng.permutation(60)
        one, two = (
            part(split(drawn(UNIT), points=self.points(rate[o], lat=lat[o], lon=lon[o])))
            for o in (np.arange(60), order)
        )
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-15)

    def test_just_off_the_coast_and_far_off(self):
        at = {"lat": (0.5, 0.5), "lon": (3.4, 3.9)}
        found = part(split(np.ones(UNIT.shape), points=self.points((1.0, 1.0), whole=True, **at)))
        assert found[:, 0, 3] == pytest.approx([0.5, 0, 0.5, 0], abs=1e-12)
        none = part(split(np.ones(UNIT.shape), points=self.points((1.0, 1.0), True, **at), snap_deg=0.1))
        assert none[:, 0, 3] == pytest.approx([0, 0, 1, 0], abs=1e-12)

    def test_another_countrys_plant_near_the_border_is_not_drawn_over(self):
        at = {"lat": (3.1,), "lon": (1.5,)}
        found = part(split(np.ones(UNIT.shape), points=self.points((1.0,), whole=True, **at)))
        assert found[:, 3, 1].tolist() == [0, 0, 0, 1]

    def test_cells_without_flux_but_with_points(self):
        found = part(split(np.zeros(UNIT.shape), points=self.points()))
        assert found[:, 1, 2] == pytest.approx([0.75, 0.25, 0, 0], abs=1e-12)

    def test_points_of_another_sector_change_nothing(self):
        fluxes = {"power": np.ones(UNIT.shape), "cement": np.ones(UNIT.shape)}
        with_points = split(fluxes, points=self.points(sector="cement"))
        np.testing.assert_array_equal(part(with_points), part(split(fluxes)))
        with pytest.raises(ConfigError, match="no flux of sector 'cement'"):
            split(np.ones(UNIT.shape), points=self.points(sector="cement"))

    def test_points_outside_the_grid_are_passed_over(self):
        at = {"lat": (50.0,), "lon": (100.0,)}
        found = split(np.ones(UNIT.shape), points=self.points((1.0,), **at))
        np.testing.assert_array_equal(part(found), part(split(np.ones(UNIT.shape))))


class TestGiven:
    """A file that says whose the flux of its cells is."""

    @staticmethod
    def given(grid=UNIT, labels=("a", "b", "offshore", "outside"), seed=5, **more):
        rng = np.random.default_rng(seed)
        parts = rng.dirichlet(np.ones(len(labels)), grid.size).T
        return Shares(labels, grid, {"power": sp.csr_array(parts)}, {"power": "as drawn"}, **more)

    def test_its_totals_are_the_files_whatever_the_cells(self):
        """Region by region, on its own cells, on coarser ones, and where they cut its own."""
        flux, own = drawn(UNIT, 2), self.given()
        wanted = own.totals(flux, "power")
        same = split(flux, given=own)
        np.testing.assert_allclose(part(same)[:, flux > 0], part(own)[:, flux > 0], rtol=1e-12)
        for grid in (UNIT, Grid.regular(0, 4, 0, 6, 2, 2), Grid.regular(0, 4, 0, 6, 4, 6)):
            shares = split(flux, grid, flux_grid=UNIT, given=own)
            np.testing.assert_allclose(
                shares.totals(regrid_flux(flux, UNIT, grid), "power"), wanted, rtol=1e-9
            )
            assert "as its own file says (as drawn)" in shares.made["power"]
            assert not shares.doubt
        land = split(flux).totals(flux, "power")
        assert np.abs(land / wanted - 1.0).max() > 0.1  # what is lost without

    def test_where_cells_are_cut_a_region_has_its_own_side(self):
        """Both regions have half of the cell at 1 to 2 north, on their own sides of 1.5."""
        half = np.zeros((4, UNIT.size))
        half[:2] = 0.5
        own = Shares(
            ("a", "b", "offshore", "outside"), UNIT, {"power": sp.csr_array(half)}, {"power": "halves"}
        )
        found = part(split(np.ones(UNIT.shape), FINE, flux_grid=UNIT, given=own))
        column = 9  # 2.25 to 2.5 east, on land
        np.testing.assert_allclose(found[0, 4:8, column], [1, 1, 0, 0], atol=1e-12)
        np.testing.assert_allclose(found[1, 4:8, column], [0, 0, 1, 1], atol=1e-12)
        np.testing.assert_allclose(found[0, :4, column] + found[1, :4, column], 1.0, rtol=1e-12)

    def test_its_doubt_goes_with_it(self):
        doubt = np.array([[4.0, -1, 0, -3], [-1, 2, 0, -1], [0, 0, 0, 0], [-3, -1, 0, 4]])
        own = self.given(doubt={"power": doubt})
        np.testing.assert_allclose(split(drawn(UNIT), given=own).doubt["power"], doubt)
        one = split(drawn(UNIT), frame=COAST.loc[["b"]], given=own)
        assert one.labels == ("b", "offshore", "outside")  # a is other land now
        np.testing.assert_allclose(one.doubt["power"], [[2, 0, -2], [0, 0, 0], [-2, 0, 2]])

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ({"rules": {"power": "land"}}, "a rule is given for power"),
            ({"points": Points([1.4], [2.5], [0.1], ["power"])}, "points are given"),
            ({"frame": COAST.rename({"a": "north"})}, "it has no region 'north'"),
        ],
    )
    def test_what_is_said_here_goes_before_it_and_is_told(self, more, why):
        flux = drawn(UNIT)
        found, anew = split(flux, given=self.given(), **more), split(flux, **more)
        np.testing.assert_array_equal(part(found), part(anew))
        assert f"power: whose its cells are by its own file is not used: {why}" in found.notes

    def test_another_grid_is_refused(self):
        with pytest.raises(GridError, match="given shares are on"):
            split(drawn(UNIT), given=self.given(FINE))


class TestDoubt:
    """How uncertain totals are because nobody says where inside a cell its flux stands."""

    def test_one_cell_by_hand(self):
        flux = np.zeros(UNIT.shape)
        flux[1, 2] = 2.0  # on the border at 1.5 north
        shares = split(flux)
        m, q = 2.0 * UNIT.cell_area[1, 2], part(shares)[0, 1, 2]
        expected = m**2 * q * (1 - q) * np.array([[1, -1], [-1, 1]])
        np.testing.assert_allclose(shares.doubt["power"][:2, :2], expected, rtol=1e-9)
        assert not shares.doubt["power"][2:].any()
        told = [n for n in shares.notes if "totals are uncertain" in n]
        off = np.sqrt(m**2 * q * (1 - q)) / (m * np.array([q, 1 - q]))
        order = np.argsort(-off)
        names = ", ".join(f"{shares.labels[i]} {off[i]:.0%}" for i in order)
        assert len(told) == 1
        assert f"for it: {names}; give points" in told[0]

    def test_it_is_the_spread_of_placing_each_cell_at_random(self):
        flux, rng = drawn(UNIT, 2), np.random.default_rng(0)
        shares = split(flux)
        q, m = shares.part("power").toarray(), (flux * UNIT.cell_area).ravel()
        edges = np.cumsum(q, axis=0)
        row = (rng.random((20000, 1, UNIT.size)) > edges).sum(axis=1)
        totals = np.stack([np.where(row == r, m, 0.0).sum(axis=1) for r in range(4)], axis=1)
        scale = np.sqrt(np.diagonal(shares.doubt["power"]).max())
        np.testing.assert_allclose(np.cov(totals.T) / scale**2, shares.doubt["power"] / scale**2, atol=0.03)

    def test_nothing_is_lost(self):
        doubt = split(drawn(UNIT)).doubt["power"]
        assert doubt[0, 0] > 0
        np.testing.assert_allclose(doubt.sum(axis=0), 0.0, atol=1e-12 * np.abs(doubt).max())
        assert np.linalg.eigvalsh(doubt).min() > -1e-12 * np.abs(doubt).max()

    def test_a_finer_flux_is_surer_and_cutting_a_coarse_one_is_not(self):
        coarse = split(np.ones(UNIT.shape)).doubt["power"]
        fine = Grid.regular(0, 4, 0, 6, 0.4, 0.4)  # the border runs through its cells too
        finer = split(np.ones(fine.shape), flux_grid=fine).doubt["power"]
        assert 0.0 < finer[0, 0] < 0.3 * coarse[0, 0]
        cut = split(np.ones(UNIT.shape), FINE, flux_grid=UNIT).doubt["power"]
        assert cut[0, 0] > 0.99 * coarse[0, 0]

    def test_known_places_leave_none(self):
        points = Points([1.4], [2.5], [1.0], ["power"], whole=True)
        flux = np.zeros(UNIT.shape)
        flux[1, 2] = 1.0
        assert not split(flux, points=points).doubt["power"].any()
        have = UNIT.cell_area[1, 2]
        half = split(flux, points=Points([1.4], [2.5], [0.5 * have], ["power"])).doubt["power"]
        np.testing.assert_allclose(half, 0.25 * split(flux).doubt["power"], rtol=1e-9)

    def test_what_is_spread_evenly_has_none(self):
        fluxes = {
            "rice": np.ones(UNIT.shape),
            "biosphere": drawn(UNIT) - 0.5,
            "aviation": np.ones(UNIT.shape),
        }
        shares = split(fluxes, diffuse=["rice"])
        assert not shares.doubt
        with pytest.raises(ConfigError, match="diffuse: there is no flux of sector 'paddy'"):
            split(fluxes, diffuse=["paddy"])


class TestTotalsOfAFile:
    def data(self, grid=FINE):
        edges = np.datetime64("2019-01-01", "us") + np.arange(3) * np.timedelta64(30, "D")
        flux = np.stack([np.stack([drawn(grid, s), drawn(grid, s + 9) - 0.5]) for s in (1, 2)])
        return flux_dataset(
            1e-6 * flux,
            grid,
            edges,
            sectors=["power", "shipping"],
            substance="CO2",
            title="t",
            summary="s",
            source="s",
            license="CC0",
        )

    def test_each_sector_by_its_own_flux(self):
        data = self.data()
        totals = flux_totals(data, COAST, land=LAND)
        assert totals.dims == ("time", "sector", "region")
        assert list(totals["region"].values) == ["a", "b", "offshore", "outside"]
        whole = (data["flux"] * data["cell_area"]).sum(("lat", "lon"))
        np.testing.assert_allclose(totals.sum("region").values, whole.values, rtol=1e-9)
        own = split(data["flux"].sel(sector="power").values, FINE)
        expected = own.totals(data["flux"].sel(sector="power").values, "power")
        np.testing.assert_allclose(totals.sel(sector="power").values, expected, rtol=1e-12)
        assert (totals.sel(sector="power", region="offshore") < whole.sel(sector="power")).all()
        assert totals.attrs["shares"].splitlines()[1].startswith("shipping: at sea")
        assert totals.attrs["units"] == "mol s-1"

    def test_power_at_sea_is_little_and_shipping_on_land_is_what_is_far_inland(self):
        totals = flux_totals(self.data(UNIT), COAST, land=LAND).mean("time")
        even = self.data(UNIT)["flux"].mean("time") * UNIT.cell_area
        at_sea = even.sel(sector="power", lon=slice(4, 6)).sum()
        assert float(totals.sel(sector="power", region="offshore")) == pytest.approx(float(at_sea), rel=1e-9)
        on_land = even.sel(sector="shipping", lon=slice(0, 3)).sum()
        rest = totals.sel(sector="shipping", region=["a", "b", "outside"]).sum()
        assert float(rest) == pytest.approx(float(on_land), rel=1e-9)


def test_faults_are_named():
    with pytest.raises(ConfigError, match="no flux of sector 'pwer'; nearest: 'power'"):
        split(np.ones(UNIT.shape), rules={"pwer": "sea"})
    double = geopandas.GeoDataFrame(
        index=["a", "b"], geometry=[shapely.box(0, 0, 2, 2), shapely.box(1, 0, 3, 2)], crs=4326
    )
    with pytest.raises(RegionError, match="overlap"):
        split(np.ones(UNIT.shape), frame=double)
    with pytest.raises(GridError):
        split(np.ones((3, 3)))
    with pytest.raises(RangeError, match="the flux of power: 24 of 24 values are missing"):
        split(np.full(UNIT.shape, np.nan))


# --- the coal plants of China -----------------------------------------------------------------------------

MEGATONNE = 1235.0  # MW of coal that emit 5 Mt of CO2 a year at 4,500 h and 0.9 t per MWh


@pytest.fixture(scope="module")
def plants(sample_data):
    table = pd.read_csv(sample_data / "inventory/powerplants/wri_gppd_china_coal.csv").dropna(
        subset=["capacity_mw", "lat", "lon"]
    )
    return Points(table["lat"], table["lon"], table["capacity_mw"], np.full(len(table), "power"), name="WRI")


@pytest.fixture(scope="module")
def china():
    return provinces()


def gridded(plants, cell):
    grid = Grid.regular(15.0, 55.0, 70.0, 140.0, cell, cell)
    at = grid.index(plants.lat, plants.lon)
    return grid, (np.bincount(at, plants.rate, minlength=grid.size) / grid.cell_area.ravel()).reshape(
        grid.shape
    )


def errors(plants, frame, grid, field, **options):
    """Return relative errors: of the nation, and of each province of more than 5 Mt."""
    from obsnet.zonal import assign_points

    region, _ = assign_points(plants.lat, plants.lon, frame)
    true = np.array([plants.rate[region == key].sum() for key in frame.index])
    found = flux_shares(frame, grid, {"power": options.pop("flux", field)}, **options).totals(field, "power")
    assert found.sum() == pytest.approx(plants.rate.sum(), rel=1e-12)
    large = true > MEGATONNE
    named = [PROVINCES[k][0] for k, big in zip(frame.index, large, strict=True) if big]
    each = found[: len(frame)][large] / true[large] - 1
    return found[: len(frame)].sum() / true.sum() - 1, dict(zip(named, each, strict=True))


@pytest.mark.parametrize("cell", [0.1, 0.25, 0.5, 1.0])
def test_plants_are_where_they_are(plants, china, cell):
    grid, field = gridded(plants, cell)
    nation, each = errors(plants, china, grid, field, points=plants)
    assert len(each) == 31
    assert abs(nation) < 1e-3
    assert max(map(abs, each.values())) < 1e-3


@pytest.mark.parametrize("cell", [0.1, 0.25, 0.5, 1.0])
def test_plants_of_which_only_a_grid_is_known(plants, china, cell):
    """The coast is right; on borders a tenth of a degree does not say on which side a plant stands."""
    grid, field = gridded(plants, cell)
    fine, finely = gridded(plants, 0.1)
    nation, each = errors(plants, china, grid, field, flux=finely, flux_grid=fine)
    assert abs(nation) < 1e-3
    coast = [
        "Liaoning",
        "Tianjin",
        "Shandong",
        "Jiangsu",
        "Shanghai",
        "Zhejiang",
        "Fujian",
        "Guangdong",
        "Hainan",
    ]
    assert max(abs(each[name]) for name in (*coast, "Hong Kong", "Guangxi", "Taiwan") if name in each) < 0.03
    assert sum(abs(e) > 0.03 for e in each.values()) <= 10
    assert max(map(abs, each.values())) < 0.10


@pytest.mark.parametrize("cell", [0.1, 0.25, 0.5, 1.0])
def test_errors_of_gridded_plants_are_as_large_as_said(plants, china, cell):
    from obsnet.zonal import assign_points

    grid, field = gridded(plants, cell)
    shares = flux_shares(china, grid, {"power": field})
    region, _ = assign_points(plants.lat, plants.lon, china)
    true = np.array([plants.rate[region == key].sum() for key in china.index])
    off, large = shares.totals(field, "power")[: len(true)] - true, true > MEGATONNE
    sd = np.sqrt(np.diagonal(shares.doubt["power"]))[: len(true)]
    islands = sd == 0.0  # no border in any cell with a plant
    np.testing.assert_allclose(off[islands], 0.0, atol=1e-6)
    z = off[large & ~islands] / sd[large & ~islands]
    assert 0.6 < np.sqrt(np.mean(z**2)) < 1.5


@pytest.mark.parametrize("cell", [0.1, 0.5, 1.0])
def test_the_nation_is_right_by_land_alone_and_was_not_by_area(plants, china, cell):
    grid, field = gridded(plants, cell)
    assert abs(errors(plants, china, grid, field)[0]) < 0.005
    nation, each = errors(plants, china, grid, field, rules={"power": "area"})
    assert nation < -0.07
    assert each["Guangdong"] < -0.25


def test_a_coarse_map_of_provinces_is_good_enough(plants, sample_data):
    """Natural Earth's provinces have 15 % of the capacity in the sea, up to 0.17 degree out."""
    frame = read_regions(sample_data / "inventory/boundaries/ne_50m_china_provinces.geojson", "adcode")
    for cell in (0.1, 0.25):
        grid, field = gridded(plants, cell)
        assert abs(errors(plants, frame, grid, field)[0]) < 0.005
