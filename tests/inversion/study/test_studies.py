"""Twin experiments and designs end to end: the order of published results, files, commands, mistakes."""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from inversion.study.case_study import chosen_rows
from inversion.study.designs.design import choose_network
from inversion.study.designs.run_design import run_design
from inversion.study.options import DesignOptions, MissingOptions, OsseOptions, WorldOptions
from inversion.study.osse.osse import run_twins
from inversion.study.osse.run_osse import run_osse
from inversion.study.worlds.world import DEFAULTS, StudyWorld
from obsnet.config import validate
from obsnet.errors import ConfigError, SolverError
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from tests.commands import call
from tests.inversion.world import BACKGROUND, EDGES, make_world

SMALL = {"start": "2023-01-01", "stop": "2023-02-01", "cell_deg": 4.0, "south": 14.0, "north": 54.0}


@lru_cache
def world(species="CO2", seed=0):
    return StudyWorld(WorldOptions(species=species, seed=seed, **SMALL))


@lru_cache
def spread(networks, species="CO2", seed=0):
    """Return posterior standard deviations of all totals, Mt a-1, and degrees of freedom."""
    study = world(species, seed).study(list(networks), Path())
    d = choose_network(study.problem, "network", 99, weights=study.weights)
    return d.steps[-1].deviation, d.steps[-1].dofs


def china(*networks, **key):
    return spread(networks, **key)[0][-1]


# --- the idealised world ---------------------------------------------------------------------------------


def test_the_prior_has_the_national_spread_that_was_asked_for():
    for species in ("CO2", "CH4"):
        w = world(species)
        g = w.weights.toarray()
        error = w.prior_error()
        assert np.sqrt(g[-1] @ error.matmul(g[-1])) == pytest.approx(DEFAULTS[species]["national_sd"][0])
        # China is the sum of its provinces
        np.testing.assert_allclose(g[:-1].sum(axis=0), g[-1], rtol=1e-12)


def test_totals_are_megatonnes_a_year():
    w = world()
    one = np.ones(w.grid.size * (w.edges.size - 1))  # 1 umol m-2 s-1 everywhere
    national = float((w.weights @ one)[-1])
    # China is 9.6 million km2: 1e-6 mol x 0.04401 kg x a year
    assert national == pytest.approx(9.6e12 * 1e-6 * 0.0440095 * 365.2425 * 86400 * 1e-9, rel=0.02)


def test_known_numbers_are_noted_and_own_numbers_are_not_called_assumed():
    notes = world().study(["existing", "oco2"], Path()).notes
    assert any(n.startswith("idealised transport") for n in notes)
    assert any(n.startswith("national_sd = 3664") for n in notes)
    assert any(n.startswith("error.point = 3") for n in notes)
    assert any(
        n.startswith("error.correlation_hours = 84, not stated: by default half a week") for n in notes
    )
    assert any(n.startswith("error.overpass_share = 0.3, not stated: by default as OCO-2's") for n in notes)
    error = {"point": 2.0, "correlation_hours": 24.0}
    own = StudyWorld(validate(WorldOptions, {**SMALL, "national_sd": 1000.0, "error": error}))
    told = own.study(["existing"], Path()).notes
    assert [n for n in told if n.startswith(("national_sd", "error."))] == [
        "error.correlation_hours = 24, as stated"  # no columns are there
    ]


def test_stations_that_networks_share_count_once():
    both = world().study(["existing", "stations_30"], Path()).problem
    alone = world().study(["stations_30"], Path()).problem
    assert both.n_obs == alone.n_obs
    assert china("existing", "stations_30") == pytest.approx(china("stations_30"), rel=1e-9)
    study = world().study(["existing", "stations_30"], Path())
    # and are of both, so that a bias of either reaches them
    assert study.listed["stations_30"].all()
    assert 0 < study.listed["existing"].sum() < study.problem.n_obs


# --- the order of published results ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_more_stations_know_china_better(seed):
    """Wang et al. 2023 (doi:10.1016/j.scib.2023.07.010): spread today > 30 stations > 60 stations."""
    names = ("existing", "stations_30", "stations_39", "stations_60", "stations_120")
    sd = [china(n, seed=seed) for n in names]
    assert all(a > b for a, b in pairwise(sd))
    prior = DEFAULTS["CO2"]["national_sd"][0]
    assert prior > sd[0]
    # 30 stations bring more than the next 30 (0.3 of 1 PgC, then 0.2)
    assert sd[0] - sd[1] > sd[1] - sd[3]
    parts = [spread((n,), seed=seed)[0][:-1] for n in names]
    assert all((a >= b - 1e-9).all() for a, b in pairwise(parts))


def scattered(folder, count, seed):
    """Write a network of stations at random places of China and return its file."""
    import shapely

    area, rng = world().area, np.random.default_rng([seed, count])
    west, south, east, north = area.bounds
    lon, lat = west + (east - west) * rng.random(4000), south + (north - south) * rng.random(4000)
    inside = np.flatnonzero(shapely.contains_xy(area, lon, lat))[:count]
    sites = "".join(
        f'[[site]]\ncode = "R{i}"\nlatitude = {lat[i]:.3f}\nlongitude = {lon[i]:.3f}\n' for i in inside
    )
    path = folder / f"r{count}_{seed}.toml"
    path.write_text(
        f'title = "random"\nkind = "stations"\nrandom = {{ CO2 = 0.1 }}\n{sites}', encoding="utf-8"
    )
    return path


def test_stations_at_random_places_have_published_worth_in_several_winds(tmp_path):
    """Wang et al. 2023: 1 PgC of spread, 0.3 with 30 stations, about 0.2 with 60; the networks are not nested."""
    prior, left = DEFAULTS["CO2"]["national_sd"][0], {}
    for count in (15, 30, 60):
        left[count] = []
        for seed in range(6):
            study = world(seed=seed).study([str(scattered(tmp_path, count, seed))], Path())
            left[count].append(study.solve(study.problem).aggregate(study.weights[[-1]]).covariance[0, 0])
        left[count] = np.sqrt(left[count]) / prior
    means = {count: float(values.mean()) for count, values in left.items()}
    assert means[15] > means[30] > means[60]
    assert means[30] == pytest.approx(0.3, abs=0.12)
    assert means[60] == pytest.approx(0.2, abs=0.08)
    # single networks scatter: where they stand matters as much as some more of them
    assert left[30].min() < left[15].max()


@pytest.mark.parametrize("seed", [0, 1])
def test_three_satellites_know_more_than_two_and_two_more_than_one(seed):
    """Kuhlmann et al. 2021: annual plant errors of 23-119 % with two CO2M satellites, 18-65 % with three."""
    sd = [china(f"co2m_{n}", seed=seed) for n in (1, 2, 3)]
    assert sd[0] > sd[1] > sd[2]
    each = [spread((f"co2m_{n}",), seed=seed)[0] for n in (1, 2, 3)]
    assert np.mean(each[1] < each[0]) > 0.9
    assert np.mean(each[2] < each[1]) > 0.9
    dofs = [spread((f"co2m_{n}",), seed=seed)[1] for n in (1, 2, 3)]
    assert dofs[0] < dofs[1] < dofs[2]
    assert dofs[2] < 3 * dofs[0]  # but not three times as much


def test_wider_swaths_and_night_lines_add():
    assert china("fy3h") < china("oco2")  # 100 km against 10 km, of larger errors
    assert china("co2m_1") < china("fy3h")
    assert china("dq1_day", "dq1_night") < min(china("dq1_day"), china("dq1_night"))
    assert china("oco2", "stations_60") < min(china("oco2"), china("stations_60"))


def test_an_imager_of_methane_knows_more_than_points_and_stations_add_to_it():
    """egusphere-2026-1349: degrees of freedom 134 with TROPOMI and 17 sites, 259 with 50 more stations."""
    sd, dofs = spread(("tropomi", "existing"), species="CH4")
    more, many = spread(("tropomi", "stations_60"), species="CH4")
    assert many > dofs > spread(("existing",), species="CH4")[1]
    assert (more <= sd + 1e-9).all()
    assert china("tropomi", species="CH4") < china("gosat2", species="CH4")


def test_greedy_sites_beat_sites_at_random():
    """Park and Kim 2020: ten chosen stations over Asia do better than ten at random."""
    study = world().study(["existing", "stations_120"], Path())
    there = sorted(set(study.problem.groups["platform"][study.problem.groups["network"] == "existing"]))
    key = {"weights": study.weights}
    chosen = choose_network(study.problem, "platform", 10, existing=there, **key)
    others = [r.label for r in chosen.ranking]
    rng = np.random.default_rng(0)
    random = [
        choose_network(
            study.problem, "platform", 0, existing=[*there, *rng.choice(others, 10, False)], **key
        ).steps[0]
        for _ in range(12)
    ]
    assert chosen.steps[-1].information > max(r.information for r in random)
    aimed = choose_network(study.problem, "platform", 10, existing=there, criterion="target", **key)
    assert aimed.steps[-1].target < min(r.target for r in random)
    assert aimed.steps[-1].target <= chosen.steps[-1].target
    assert chosen.steps[-1].information >= aimed.steps[-1].information


def test_a_bias_of_one_ppm_ruins_what_a_satellite_says():
    """Elementa 138 (Indianapolis): a systematic error of 1 ppm and the posterior is no use."""
    sure = StudyWorld(WorldOptions(**SMALL, inflow_sigma=0.0)).study(["oco2"], Path())
    free = world().study(["oco2"], Path())
    found = {}
    for name, study in (("sure", sure), ("free", free)):
        for bias in (0.0, 1.0):
            twins = run_twins(study.problem, study.weights[[-1]], twins=500, seed=1, bias=bias)
            found[name, bias] = twins.coverage()[0]
    assert found["sure", 0.0].verdict == found["free", 0.0].verdict == "as stated"
    assert found["sure", 1.0].verdict == "too sure"
    assert found["sure", 1.0].bias > 1.0
    # an inflow that may be wrong takes most of a bias that is the same everywhere
    assert 0.0 < found["free", 1.0].bias < 0.5 * found["sure", 1.0].bias


# --- truths that the inversion does not know of ------------------------------------------------------------


APART = (
    "error.correlation_hours=0",
    "error.along_track_km=0",
    "error.overpass_share=0",
    "offset.systematic=false",
)


@lru_cache
def against(networks, assumed=(), truth=(), missing=(), twins=400):
    """Return stated and true standard deviation of China, how many true totals are inside of 95 %, and China's."""
    base = world().changed(assumed)
    study = base.study(networks, Path())
    true = base.changed(truth).study(networks, Path(), missing)
    found = run_twins(
        study.problem, study.weights, twins=twins, seed=3, truth=true.problem, true_weights=true.weights
    )
    covered = found.coverage()
    inside = float(np.mean([c.inside_95 for c in covered]))
    return found.posterior_deviation[-1], found.true_deviation[-1], inside, covered[-1]


@pytest.mark.parametrize("networks", [("stations_30",), ("co2m_1",), ("co2m_3",), ("oco2", "existing")])
def test_as_assumed_is_covered_as_stated(networks):
    stated, true, inside, china = against(networks)
    assert true == pytest.approx(stated, rel=0.12)
    assert inside == pytest.approx(0.95, abs=0.01)
    assert china.verdict == "as stated"


@pytest.mark.parametrize(
    ("networks", "assumed", "truth", "factor"),
    [
        # as it was: nothing in common is assumed, while errors last a week, or satellites share a pattern of 1000 km
        (("stations_60",), APART, ("error.correlation_hours=168",), 1.3),
        (("co2m_3",), APART, ("offset.systematic=true",), 2.0),
        (("oco2",), (), ("offset.pattern={oco2=1.0}",), 1.1),
        (("oco2",), (), ("offset={sigma={oco2=1.0},by='day'}",), 1.1),
        (("stations_60",), (), ("transport.seed=5",), 1.1),
    ],
)
def test_errors_in_common_that_nobody_told_of_show(networks, assumed, truth, factor):
    stated, true, inside, china = against(networks, assumed, truth)
    assert true > factor * stated
    assert china.verdict == "too sure"
    assert inside < 0.95


def test_a_longer_memory_than_assumed_does_no_harm():
    """Half a week is assumed, a week and two are true: intervals still hold."""
    for hours in (168, 336):
        assert against(("stations_60",), (), (f"error.correlation_hours={hours}",))[2] > 0.94


def test_larger_true_errors_are_larger_in_what_observations_share_too():
    """`true_error_factor`: of R and of what stands in the state; fluxes and inflow stay."""
    from inversion.study.osse.scenarios import _scaled

    study = world().study(["co2m_1"], Path())
    truth = _scaled(study.problem, 1.0, 4.0)
    state = study.problem.state
    for name in state.names:
        span, factor = state.span(name), 4.0 if state.block(name).kind == "offset" else 1.0
        before, after = (p.prior_error.diagonal()[span] for p in (study.problem, truth))
        np.testing.assert_allclose(after, factor * before)
    assert {"pattern", "overpass"} <= set(state.names)
    np.testing.assert_allclose(
        truth.observation_error.diagonal(), 4.0 * study.problem.observation_error.diagonal()
    )


def test_a_source_that_the_prior_lacks_shifts_the_answer():
    none = against(("existing",))[3]
    one = MissingOptions(latitude=37.0, longitude=117.0, amount=4000.0)
    found = against(("existing",), missing=(one,))[3]
    assert none.bias == pytest.approx(0.0, abs=0.2)
    assert found.bias < -0.3  # too little is found
    with pytest.raises(ConfigError, match=r"0N 0E is outside of the world"):
        against(("existing",), missing=(MissingOptions(latitude=0.0, longitude=0.0, amount=1.0),))


def test_a_truth_is_of_the_same_observations():
    with pytest.raises(ConfigError, match=r"\[osse.truth\] set seed: truths are of the same observations"):
        world().changed(["seed=4"])
    with pytest.raises(ConfigError, match="unknown key"):
        world().changed(["error.correlation_hour=4"])


# --- files -----------------------------------------------------------------------------------------------


def read(path):
    with open(path, encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_osse_writes_tables_and_map(tmp_path):
    options = validate(
        OsseOptions,
        {
            "world": SMALL,
            "twins": 60,
            "scenario": [
                {"name": "now", "networks": ["existing"]},
                {"name": "then", "networks": ["stations_39", "oco2"]},
            ],
        },
    )
    lines = []
    written, summary = run_osse(options, {}, tmp_path, tmp_path / "run", lines.append)
    assert sorted(p.name for p in written) == [
        "osse.json",
        "osse.png",
        "osse_regions.csv",
        "osse_scenarios.csv",
    ]
    assert all(p.stat().st_size > 100 for p in written)
    assert (tmp_path / "run" / "osse.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((tmp_path / "run" / "osse.json").read_text()) == json.loads(
        json.dumps(summary, default=float)
    )
    table = read(tmp_path / "run" / "osse_scenarios.csv")
    assert [r["scenario"] for r in table] == ["now", "then"]
    assert (
        float(table[1]["national_sd"]) < float(table[0]["national_sd"]) < float(table[0]["national_prior_sd"])
    )
    for row in table:
        assert float(row["inside_95"]) == pytest.approx(0.95, abs=0.02)
        assert float(row["inside_68"]) == pytest.approx(0.68, abs=0.03)
        assert int(row["regions_as_stated"]) >= 33
    regions = read(tmp_path / "run" / "osse_regions.csv")
    assert len(regions) == 2 * 35
    shandong = next(r for r in regions if r["region"] == "370000" and r["scenario"] == "then")
    assert shandong["name"] == "Shandong"
    assert float(shandong["reduction"]) == pytest.approx(
        1 - float(shandong["posterior_sd"]) / float(shandong["prior_sd"]), abs=1e-4
    )
    assert any("assumed" in note for note in summary["assumptions"])
    assert "now: " in lines[0]


def test_scenarios_beside_each_other_give_the_same_tables(tmp_path):
    table = {"world": SMALL, "twins": 30, "bias": {"oco2": 0.3}}
    table["scenario"] = [{"name": "now", "networks": ["existing"]}, {"name": "then", "networks": ["oco2"]}]
    table["truth"] = [{"name": "another wind", "set": ["transport.seed=5"]}]
    options, lines = validate(OsseOptions, table), {}
    for how in ("serial", "processes"):
        said = lines[how] = []
        work = Work(scheduler=how, workers=2)
        run_osse(options, {}, tmp_path, tmp_path / how, said.append, work=work)
    found = [[line for line in lines[how] if "of true totals inside" in line] for how in lines]
    assert found[0] == found[1]
    assert len(found[0]) == 4
    for name in ("osse_scenarios.csv", "osse_regions.csv"):  # rounded as people see them
        assert (tmp_path / "processes" / name).read_text() == (tmp_path / "serial" / name).read_text()
    one, other = (json.loads((tmp_path / how / "osse.json").read_text()) for how in ("serial", "processes"))
    assert one["assumptions"] == other["assumptions"]
    for a, b in zip(one["regions"], other["regions"], strict=True):
        for name, value in b.items():
            assert a[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)
    with pytest.raises(ConfigError, match="scenarios are ranked together: give it workers"):
        run_osse(options, {}, tmp_path, tmp_path, work=Work(shard="1/2"))


def test_truths_are_lines_of_the_table_and_a_picture(tmp_path):
    table = {
        "world": SMALL,
        "twins": 60,
        "scenario": [{"name": "60", "networks": ["stations_60"]}, {"name": "oco", "networks": ["oco2"]}],
        "truth": [
            {"name": "another wind", "set": ["transport.seed=5"]},
            {"name": "a source more", "missing": [{"latitude": 37, "longitude": 117, "amount": 2000}]},
        ],
    }
    written, _ = run_osse(validate(OsseOptions, table), {}, tmp_path, tmp_path)
    assert "osse_truths.png" in [p.name for p in written]
    rows = read(tmp_path / "osse_scenarios.csv")
    assert [(r["scenario"], r["truth"]) for r in rows][:3] == [
        ("60", "as assumed"),
        ("60", "another wind"),
        ("60", "a source more"),
    ]
    assert len(rows) == 6
    assert float(rows[1]["national_true_sd"]) > 1.1 * float(rows[1]["national_sd"])
    assert rows[0]["national_sd"] == rows[1]["national_sd"]
    assert float(rows[0]["dofs"]) > 0.0
    with pytest.raises(ConfigError, match="truths need different names"):
        validate(OsseOptions, table | {"truth": [{"name": "as assumed"}]})


def test_wrong_assumptions_show_in_the_report(tmp_path):
    base = {"world": SMALL, "twins": 60, "scenario": [{"name": "a", "networks": ["stations_39"]}]}
    right, wrong = (
        run_osse(validate(OsseOptions, base | more), {}, tmp_path, tmp_path / f"{len(more)}")[1]["scenarios"][
            0
        ]
        for more in ({}, {"true_error_factor": 3.0, "true_prior_factor": 2.0})
    )
    assert right["regions_as_stated"] >= 33
    assert wrong["regions_as_stated"] < 5
    assert wrong["inside_95"] < 0.85
    assert wrong["innovation_chi_square"] > 3.0


def test_design_writes_ranking_choice_and_map(tmp_path):
    options = validate(
        DesignOptions,
        {
            "world": SMALL,
            "existing_networks": ["existing"],
            "candidate_networks": ["stations_39"],
            "count": 4,
            "criterion": "target",
            "target": {"650000": 1.0, "540000": 1.0},
        },
    )
    written, summary = run_design(options, {}, tmp_path, tmp_path)
    assert {p.name for p in written} == {
        "design.json", "design.png", "design_ranking.csv", "design_choice.csv", "design_regions.csv"
    }  # fmt: skip
    assert len(summary["existing"]) == 8
    assert len(summary["chosen"]) == 4
    assert not set(summary["chosen"]) & set(summary["existing"])
    # stations for Xinjiang and Xizang are in the west
    west = [r["longitude"] for r in summary["choice"][1:]]
    assert max(west) < 100.0
    ranking = read(tmp_path / "design_ranking.csv")
    assert len(ranking) == 39 - 8
    gains = [float(r["target"]) for r in ranking]
    assert gains == sorted(gains, reverse=True)
    assert ranking[0]["candidate"] == summary["chosen"][0]
    assert ranking[0]["most_for"] in {"Xinjiang", "Xizang"}
    choice = read(tmp_path / "design_choice.csv")
    nats = [float(r["information_nats"]) for r in choice]
    assert nats == sorted(nats)
    assert [float(r["target"]) for r in choice] == sorted((float(r["target"]) for r in choice), reverse=True)
    regions = {r["region"]: r for r in read(tmp_path / "design_regions.csv")}
    assert float(regions["650000"]["chosen_sd"]) < float(regions["650000"]["existing_sd"])


def test_more_than_there_are_is_said(tmp_path):
    table = {
        "world": SMALL,
        "existing_networks": ["existing"],
        "candidate_networks": ["stations_30"],
        "count": 500,
    }
    lines = []
    _, summary = run_design(validate(DesignOptions, table), {}, tmp_path, tmp_path, lines.append)
    assert len(summary["chosen"]) == 22
    said = "500 were asked for, 22 candidates could be added"
    assert said in lines
    assert said in summary["assumptions"]


def test_design_by_orbit(tmp_path):
    options = validate(
        DesignOptions,
        {"world": SMALL, "candidate_networks": ["oco2"], "by": "orbit", "count": 3, "out": "orbits"},
    )
    _, summary = run_design(options, {}, tmp_path, tmp_path)
    assert all(label.startswith("oco2:2023-01-") for label in summary["chosen"])
    assert summary["choice"][0]["dofs"] == 0.0


# --- a case with footprints ------------------------------------------------------------------------------


@pytest.fixture
def case(tmp_path):
    """A case whose store, footprints and prior are files."""
    from inversion.jacobian.store import JacobianStore
    from obsnet.cf import flux_dataset, write_netcdf
    from tests.inversion.world import GRID, options

    made = make_world(n=30)
    import pyarrow.compute as pc

    for source in ("test_point", "test_column"):
        ObservationStore(tmp_path / "store").write(made.table.filter(pc.equal(made.table["source"], source)))
    store = JacobianStore(tmp_path / "footprints").create(
        {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "test", "species": "CO2"}
    )
    store.write("part", made.jacobian)
    flux = np.stack([made.prior.flux[s] for s in made.prior.flux], axis=1).reshape(6, 2, *GRID.shape)
    data = flux_dataset(
        flux, GRID, EDGES, sectors=list(made.prior.flux), substance="CO2", title="test prior", summary="x",
        license="x", source="x",
    )  # fmt: skip
    write_netcdf(data, tmp_path / "prior.nc")
    chosen = options(boundary={"background": BACKGROUND, "sigma": 0.5, "step": "3D"})
    return {"invert": chosen.model_dump(exclude_none=True, exclude_defaults=True)}, tmp_path


def test_osse_of_a_case(case):
    data, folder = case
    options = validate(
        OsseOptions,
        {
            "twins": 80,
            "scenario": [{"name": "all"}, {"name": "AAA", "keep": {"platform": ["AAA"]}},
                         {"name": "no columns", "drop": {"kind": ["column"]}}],
        },
    )  # fmt: skip
    _, summary = run_osse(options, data, folder, folder / "out")
    counts = {r["scenario"]: r["observations"] for r in summary["scenarios"]}
    assert counts["all"] == 30
    assert counts["AAA"] == 15
    assert counts["no columns"] == 20
    for row in summary["scenarios"]:
        assert row["inside_95"] == pytest.approx(0.95, abs=0.03)
    seen = [r for r in summary["regions"] if r["scenario"] == "all" and r["coverage"] != "known beforehand"]
    assert seen
    assert all("relative_sd" in r for r in seen)
    with pytest.raises(ConfigError, match="no observation has platform 'AAB'; nearest: 'AAA'"):
        run_osse(
            options.model_copy(
                update={"scenario": [options.scenario[1].model_copy(update={"keep": {"platform": ["AAB"]}})]}
            ),
            data,
            folder,
            folder / "out",
        )


TABLES = {
    "nothing more": {},
    "withheld": {"withhold": {"platforms": ["AAA"]}},
    "estimated errors": {"likelihood": {"estimate": ["error"], "use": True}},
    "a basis": {"basis": {"kind": "quadtree", "count": 6}},
    "screened": {"screen": {"rule": "none", "largest": 1e-9}, "most": 1.0},
    "an ensemble": {
        "ensemble": {"member": [{"name": "looser", "axis": "prior", "set": ["sector.fossil.relative=0.6"]}]}
    },
    "methods": {"method": "primal"},
    "an offset": {"offset": {"sigma": {"test_column": 0.5}}},
}


@pytest.mark.parametrize("name", TABLES)
def test_the_preview_is_the_inversion(case, name):
    """Whatever the case holds: unknowns, degrees of freedom and the errors of totals are those of `invert`."""
    from inversion.case.options import InvertOptions
    from inversion.case.run import solve_case
    from inversion.study.case_study import case_study

    data, folder = case
    more = dict(TABLES[name])
    if "screen" in more:
        more["screen"] = {"rule": "none", "largest": 1000.0, "most": more.pop("most")}
    data = {"invert": data["invert"] | more}
    study = case_study(
        validate(OsseOptions, {"scenario": [{"name": "a"}]}), data, folder, folder / "out", print
    )
    posterior = study.solve(study.problem)
    solved = solve_case(InvertOptions.model_validate(data["invert"]), folder, folder / "out", print)
    assert posterior.dofs == pytest.approx(solved.posterior.dofs, rel=1e-8)
    assert posterior.problem.n_obs == solved.posterior.problem.n_obs
    np.testing.assert_allclose(
        posterior.aggregate(study.weights).covariance,
        solved.posterior.aggregate(study.weights).covariance,
        rtol=1e-7,
        atol=1e-12 * np.abs(posterior.aggregate(study.weights).covariance).max(),
    )
    assert (study.spread is not None) == (name == "an ensemble")
    if study.spread is not None:
        assert np.diagonal(study.spread).max() > 0.0


def test_a_design_says_what_it_leaves_out(case):
    data, folder = case
    lines = []
    for more, text in ((TABLES["a basis"], "[invert.basis] is not used here"), ({}, None)):
        options = validate(DesignOptions, {"by": "platform", "existing": ["AAA"], "count": 1})
        lines.clear()
        _, summary = run_design(
            options, {"invert": data["invert"] | more}, folder, folder / "out", lines.append
        )
        said = [n for n in summary["assumptions"] if "unlike in osse" in n]
        assert (text is None and not said) or (text in said[0] and said[0] in lines)


def test_a_study_of_a_method_by_draws_is_refused(case):
    data, folder = case
    data = {"invert": data["invert"] | {"method": "truncated"}}
    with pytest.raises(ConfigError, match=r"a study is of a linear method.*'truncated' is not"):
        run_osse(validate(OsseOptions, {"scenario": [{"name": "a"}]}), data, folder, folder / "out")


def test_design_of_a_case(case):
    data, folder = case
    options = validate(
        DesignOptions, {"by": "platform", "existing": ["AAA"], "count": 5, "sector": ["fossil"]}
    )
    _, summary = run_design(options, data, folder, folder / "out")
    assert summary["chosen"] == ["BBB"]
    assert summary["choice"][0]["information_nats"] > 0
    with pytest.raises(ConfigError, match="sector 'fosil' is not solved; nearest: 'fossil'"):
        run_design(options.model_copy(update={"sector": ["fosil"]}), data, folder, folder / "out")
    with pytest.raises(ConfigError, match=r"\[design.target\] no region '999999'"):
        run_design(options.model_copy(update={"target": {"999999": 1.0}}), data, folder, folder / "out")
    _, summary = run_design(options.model_copy(update={"by": "orbit"}), data, folder, folder / "out")
    assert len(summary["chosen"]) > 1  # passes of a satellite are candidates of their own
    with pytest.raises(SolverError, match="not labelled by 'network'"):
        run_design(options.model_copy(update={"by": "network"}), data, folder, folder / "out")


def test_neither_world_nor_case(tmp_path):
    options = validate(OsseOptions, {"scenario": [{"name": "a"}]})
    with pytest.raises(ConfigError, match=r"no table \[invert\] with footprints: add it, .*\[osse.world\]"):
        run_osse(options, {}, tmp_path, tmp_path)
    (tmp_path / "other.toml").write_text("[ingest]\n")
    elsewhere = validate(DesignOptions, {"case": "other.toml"})
    with pytest.raises(ConfigError, match=r"footprints in other.toml: add it, .*design.case"):
        run_design(elsewhere, {}, tmp_path, tmp_path)


def test_a_case_in_another_file(tmp_path, case):
    """A study has a file of its own, so that `obsnet run` of the case does not meet its tables."""
    import tomllib

    data, folder = case

    def toml(table, name):
        lines = [f"[{name}]"]
        inner = []
        for key, value in table.items():
            if isinstance(value, dict):
                inner += toml(value, f"{name}.{key}")
            else:
                lines.append(f"{key} = {json.dumps(value)}")
        return lines + inner

    text = "\n".join(toml(data["invert"], "invert"))
    assert tomllib.loads(text) == data
    (folder / "case.toml").write_text(text)
    options = validate(OsseOptions, {"case": "case.toml", "twins": 20, "scenario": [{"name": "all"}]})
    _, summary = run_osse(options, {}, folder, folder / "out")
    assert summary["scenarios"][0]["observations"] == 30


def test_nothing_left():
    problem = make_world(n=30).assemble().problem
    assert chosen_rows(problem, {}, {}, "a").all()
    with pytest.raises(ConfigError, match="scenario 'a' leaves no observation"):
        chosen_rows(problem, {"platform": ["AAA"]}, {"platform": ["AAA"]}, "a")


# --- options and commands --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"scenario": []}, "at least 1 item"),
        ({"scenario": [{"name": "a"}, {"name": "a"}]}, "different names"),
        ({"world": {}, "scenario": [{"name": "a"}]}, "give networks"),
        ({"scenario": [{"name": "a", "networks": ["oco2"]}]}, r"networks need \[osse.world\]"),
        ({"world": {"species": "N2O"}, "scenario": [{"name": "a", "networks": ["oco2"]}]}, "world.species"),
        ({"world": {}, "case": "a.toml", "scenario": [{"name": "a"}]}, "a world or a case, not both"),
        ({"scenario": [{"name": "a"}], "twin": 3}, "unknown key 'twin'; nearest: 'twins'"),
    ],
)
def test_faulty_osse_tables(table, message):
    with pytest.raises(ConfigError, match=message):
        validate(OsseOptions, table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"world": {}}, "candidate_networks are missing"),
        ({"candidate_networks": ["oco2"]}, r"networks need \[design.world\]"),
        ({"world": {}, "candidate_networks": ["oco2"], "by": "source"}, "take network, platform or orbit"),
        ({"criterion": "nats"}, "criterion = 'nats'"),
    ],
)
def test_faulty_design_tables(table, message):
    with pytest.raises(ConfigError, match=message):
        validate(DesignOptions, table)


def test_a_bias_of_nobody(tmp_path):
    options = validate(
        OsseOptions,
        {"world": SMALL, "bias": {"oco3": 1.0}, "scenario": [{"name": "a", "networks": ["oco2"]}]},
    )
    with pytest.raises(ConfigError, match=r"\[osse.bias\] there is no network 'oco3'; nearest: 'oco2'"):
        run_osse(options, {}, tmp_path, tmp_path)


def test_a_world_that_ends_before_it_starts():
    with pytest.raises(ConfigError, match="start must lie before its stop"):
        StudyWorld(WorldOptions(start="2023-02-01", stop="2023-01-01"))


CASE = """
[osse]
twins = 20
[osse.world]
start = "2023-01-01"
stop = "2023-01-20"
cell_deg = 4.0
south = 14.0
[[osse.scenario]]
name = "now"
networks = ["existing"]
[design]
existing_networks = ["existing"]
candidate_networks = ["stations_30"]
count = 2
[design.world]
start = "2023-01-01"
stop = "2023-01-20"
cell_deg = 4.0
south = 14.0
"""


def test_commands(tmp_path, capsys):
    from inversion.commands.design import choose
    from inversion.commands.osse import osse

    path = tmp_path / "case.toml"
    path.write_text(CASE)
    call(osse, path, "--out", tmp_path / "out", "--set", "osse.twins=30")
    out, err = capsys.readouterr()
    assert "now, as assumed: " in out
    assert "mean reduction" in out
    assert "osse.png" in out
    assert "unknowns" in err
    call(osse, path, "--json")
    assert json.loads(capsys.readouterr().out)["twins"] == 20
    assert (tmp_path / "run" / "osse.json").exists()
    call(choose, path)
    out = capsys.readouterr().out
    assert "existing: " in out
    assert "nats" in out
    call(choose, path, "--json")
    assert len(json.loads(capsys.readouterr().out)["chosen"]) == 2
    call(osse, "--networks")
    assert "co2m_3" in capsys.readouterr().out
    call(osse, "--networks", "--json")
    assert json.loads(capsys.readouterr().out)["networks"][0]["sources"]
    call(osse, path, "--observations", tmp_path / "virtual")
    assert "virtual_existing" in capsys.readouterr().out
    assert len(ObservationStore(tmp_path / "virtual").read("CO2")) == 8 * 19


def test_commands_say_what_is_missing(tmp_path):
    from inversion.commands.design import choose
    from inversion.commands.osse import osse

    path = tmp_path / "case.toml"
    path.write_text("[invert]\nspecies = 'CO2'\n")
    with pytest.raises(ConfigError, match=r"no table \[osse\]; there is: invert"):
        call(osse, path)
    with pytest.raises(ConfigError, match=r"no table \[design\]; there is: invert"):
        call(choose, path)
    with pytest.raises(ConfigError, match="give a case file"):
        call(osse)


# --- in Chinese ------------------------------------------------------------------------------------------


def test_every_word_is_there_in_both_languages():
    import string

    from inversion.study.words import _HEADINGS, _TEXTS

    for key, (en, zh) in _TEXTS.items():
        fields = [{f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (en, zh)]
        assert fields[0] == fields[1], key
        assert "$" not in zh  # mathtext has no Chinese
        assert zh
    assert all(any(ord(c) > 0x2E7F for c in text) for text in _HEADINGS.values())


def test_studies_in_chinese(tmp_path, capsys):
    from inversion.commands.design import choose
    from inversion.commands.osse import osse

    path = tmp_path / "case.toml"
    path.write_text(CASE + '[[osse.truth]]\nname = "风场不同"\nset = ["transport.seed=5"]\n')
    call(osse, path, "--language", "zh")
    out = capsys.readouterr().out
    assert "now，符合假定：" in out
    assert "全国 ±" in out
    text = (tmp_path / "run" / "osse_regions.csv").read_bytes().decode()
    assert text.startswith("\ufeff方案,真实情形,")
    assert "北京市" in text
    assert "符合假定" in text
    heads = [
        (tmp_path / "run" / f"osse_{name}.csv").read_text("utf-8-sig").splitlines()[0].split(",")
        for name in ("regions", "scenarios")
    ]
    call(choose, path, "--language", "zh")
    out = capsys.readouterr().out
    assert "  0 现有：" in out
    assert "已写入：" in out
    heads += [
        (tmp_path / "run" / f"design_{name}.csv").read_text("utf-8-sig").splitlines()[0].split(",")
        for name in ("ranking", "choice", "regions")
    ]
    bare = {h for head in heads for h in head if not any(ord(c) > 0x2E7F for c in h)}
    assert not bare
    call(osse, "--networks", "--language", "zh")
    assert "现有本底站" in capsys.readouterr().out


def test_chinese_without_a_font_is_refused(monkeypatch):
    from inversion.study.words import draw_in
    from obsnet.drawing import fonts
    from obsnet.errors import DependencyError

    monkeypatch.setattr(fonts, "chinese_font", lambda: None)
    draw_in("en")
    with pytest.raises(DependencyError, match="no font with Chinese characters.*fonts-noto-cjk"):
        draw_in("zh")
