"""`obsnet invert` on files, as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from inversion.commands.invert_stage import STAGE
from obsnet.cf import check_flux, read_flux, read_netcdf
from obsnet.cli import main
from obsnet.constants import SECONDS_PER_YEAR
from obsnet.crosscheck.verdicts.table import read_totals
from obsnet.errors import FormatError
from obsnet.pipeline import read_case, run_case
from obsnet.store import ObservationStore
from tests.inversion.case.files import CASE, write_case
from tests.inversion.case.solving.test_estimate import drawn
from tests.inversion.world import APART, make_world
from tests.inversion.world import options as world_options


def run(*arguments):
    """Run `obsnet invert` and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(["invert", *map(str, arguments)])
    return stop.value.code


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return write_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def done(case):
    import tomllib

    options = InvertOptions.model_validate(tomllib.loads(CASE)["invert"])
    lines = []
    written, summary = run_invert(options, case, case / "run", lines.append)
    return read_netcdf(written[0]), summary, lines


def test_the_file_keeps_both_contracts(done):
    data, summary, lines = done
    check_flux(data)
    assert data.attrs["obsnet_contract"] == "posterior 1"
    assert data.attrs["prior_name"] == "test prior"
    assert list(data["region"].values) == ["a", "b", "outside"]
    assert list(data["sector"].values) == ["fossil", "biosphere"]
    assert data["flux"].sizes == {"time": 2, "sector": 2, "lat": 4, "lon": 6}
    assert float(data.attrs["chi_square"]) == pytest.approx(summary["chi_square"])
    assert json.loads(data.attrs["observations_counts"])["used"] == 60
    assert any("60 observations with footprints" in line for line in lines)


def test_the_file_passes_the_compliance_checker(case, done, tmp_path):
    from tests.obsnet.test_cf import check_with_compliance_checker

    assert done[1]["posterior"].endswith("posterior.nc")
    found, broke = check_with_compliance_checker(
        case / "run" / "posterior.nc", "cf:1.11", tmp_path / "report.json"
    )
    assert not broke
    assert found["high_priorities"] == []


def test_totals_are_what_the_fluxes_say(done):
    data = done[0]
    part_of_a = np.where(np.arange(6) < 2, 1.0, np.where(np.arange(6) == 2, 0.5, 0.0))
    mean = data["flux"].mean("time")
    by_hand = (mean * data["cell_area"]).sum("lat").values @ part_of_a
    np.testing.assert_allclose(data["region_total"].sel(region="a").values.ravel(), by_hand, rtol=1e-6)
    mass = data["region_total"] * 0.0440095 * SECONDS_PER_YEAR * 1e-9
    np.testing.assert_allclose(data["region_total_mass"], mass, rtol=1e-9)
    assert data["region_total_mass"].attrs["units"] == "Mt yr-1"


def test_a_stranger_can_test_an_inventory_from_the_file_alone(done):
    data = done[0]
    labels = list(zip(data["total_sector"].values, data["total_region"].values, strict=True))
    own = [i for i, (s, _) in enumerate(labels) if s == "fossil"]
    kernel = data["total_averaging_kernel"].values[np.ix_(own, own)]
    prior = data["region_total_prior"].sel(sector="fossil").values.ravel()
    after = data["region_total"].sel(sector="fossil").values.ravel()
    # The prior itself as inventory: what is left is what the observations moved.
    delta = after - (prior + kernel @ (prior - prior))
    covariance = data["total_test_covariance"].values[np.ix_(own, own)]
    assert np.linalg.eigvalsh(covariance).min() > 0
    np.testing.assert_allclose(delta, after - prior)
    np.testing.assert_allclose(
        np.diagonal(kernel), data["region_response"].sel(sector="fossil").values.ravel()
    )
    total = data["total_covariance"].values
    np.testing.assert_allclose(
        np.sqrt(np.diagonal(total)).reshape(2, 3, 1), data["region_total_uncertainty"].values, rtol=1e-9
    )


def test_uncertainty_shrinks_and_components_are_told_apart(done):
    data = done[0]
    assert (data["flux_uncertainty"].values <= data["flux_prior_uncertainty"].values + 1e-15).all()
    assert (data["region_total_uncertainty"] < data["region_total_prior_uncertainty"]).all()
    dofs = dict(zip(data["component"].values, data["state_dofs"].values, strict=True))
    assert set(dofs) == {"fossil", "biosphere", "boundary"}
    assert sum(dofs.values()) == pytest.approx(float(data.attrs["degrees_of_freedom_for_signal"]), rel=1e-6)
    assert data["source_dofs"].values.sum() == pytest.approx(sum(dofs.values()), rel=1e-6)


def test_the_fit_is_a_table_beside_it(case, done):
    table = pq.read_table(case / "run" / "fit.parquet").to_pandas()
    assert len(table) == 60
    assert (table["value"] - table["posterior"]).std() < (table["value"] - table["prior"]).std()
    assert table["influence"].sum() == pytest.approx(
        float(done[0].attrs["degrees_of_freedom_for_signal"]), rel=1e-6
    )


def test_the_prior_can_be_read_back_as_a_flux(case, done):
    np.testing.assert_allclose(
        done[0]["flux_prior"].sel(sector="fossil").mean("time").values,
        read_flux(case / "prior.nc")["flux"].sel(sector="fossil").mean("time").values,
        rtol=1e-9,
    )


def test_command_line_and_json(case, tmp_path, capsys):
    assert run(case / "case.toml", "--out", tmp_path, "--json", "--set", "invert.periods=3D") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["observations"] == 60
    assert read_netcdf(tmp_path / "posterior.nc").sizes["total"] == 2 * 3 * 2


def test_errors_can_be_estimated_and_used(case, tmp_path, capsys):
    """Observations of stations that scatter far more than assumed."""
    world = drawn(make_world(), world_options(error=APART | {"point": 3.0, "column": 0.5}), seed=1)
    ObservationStore(tmp_path / "store").write(world.table)
    wanted = "invert.likelihood.estimate=['prior_sigma','length_km','error']"
    more = [
        "--set",
        "invert.likelihood.use=true",
        "--set",
        wanted,
        "--set",
        f"invert.store={tmp_path / 'store'}",
    ]
    assert run(case / "case.toml", "--out", tmp_path, "--json", *more) == 0
    captured = capsys.readouterr()
    rows = {r["key"]: r for r in json.loads(captured.out)["likelihood"]}
    assert list(rows)[:2] == ["sector.fossil.relative", "sector.fossil.correlation_km"]
    data = read_netcdf(tmp_path / "posterior.nc")
    assert list(data["error_parameter"].values) == list(rows)
    assert data.attrs["likelihood"] == "restricted"
    assert data.attrs["log_likelihood_estimated"] > data.attrs["log_likelihood_assumed"] + 10
    # the inversion uses what is determined, and keeps what is not
    point = rows["error.point"]["estimated"]
    assert 2.0 < point < 5.0
    assert "error.point: " in captured.err
    fit = pq.read_table(tmp_path / "fit.parquet").to_pandas()
    assert fit["error"][fit["kind"] == "point"].min() >= point
    for row in rows.values():
        assert row["relative_error"] is not None or row["estimated"] == row["assumed"]
    page = (tmp_path / "inversion.html").read_text(encoding="utf-8")
    assert "Errors estimated from the observations" in page
    assert "The inversion uses these." in page


def test_estimates_are_reported_and_not_used_unless_asked(case, done, tmp_path):
    more = ["--set", "invert.likelihood.restricted=false"]
    assert run(case / "case.toml", "--out", tmp_path, *more) == 0
    data = read_netcdf(tmp_path / "posterior.nc")
    assert (data.attrs["likelihood"], data.attrs["likelihood_used"]) == ("full", "no")
    np.testing.assert_array_equal(data["flux"], done[0]["flux"])
    assert "The inversion uses the assumed ones." in (tmp_path / "inversion.html").read_text(encoding="utf-8")


def test_the_matrix_free_method_gives_the_same_totals(case, tmp_path, done, capsys):
    assert run(case / "case.toml", "--out", tmp_path, "--set", "invert.method=cg") == 0
    data = read_netcdf(tmp_path / "posterior.nc")
    np.testing.assert_allclose(data["region_total"], done[0]["region_total"], rtol=1e-5)
    np.testing.assert_allclose(data["total_covariance"], done[0]["total_covariance"], rtol=1e-5, atol=1e-3)
    assert "log_evidence" not in data.attrs
    # a second run takes mean and totals from the files of the first
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "restart-totals").iterdir()}
    assert kept
    capsys.readouterr()
    assert run(case / "case.toml", "--out", tmp_path, "--set", "invert.method=cg") == 0
    said = "".join(capsys.readouterr())
    assert "solved before" in said
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "restart-totals").iterdir()} == kept
    again = read_netcdf(tmp_path / "posterior.nc")
    np.testing.assert_array_equal(again["total_covariance"], data["total_covariance"])


def test_a_stage_is_not_run_twice(case, monkeypatch):
    import tomllib

    monkeypatch.setattr("obsnet.pipeline.load_stages", lambda names=None: {"invert": STAGE})
    place, steps = read_case(tomllib.loads(CASE), case / "case.toml")
    first = run_case(place, steps)
    assert first["invert"]["observations"] == 60
    assert not first["invert"]["skipped"]
    assert run_case(place, steps)["invert"]["skipped"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "give a case file, or --jacobian FILE"),
        (["CASE", "--set", "invert.store=nothing"], "no CO2 here; the store holds nothing"),
        (["CASE", "--set", "invert.footprints=nothing"], "no Jacobian here"),
        (["CASE", "--set", "invert.prior=nothing.nc"], "nothing.nc"),
        (["CASE", "--set", "invert.species=CH4"], "no CH4 here; the store holds CO2"),
        (["CASE", "--set", "invert.regions=nothing.shp"], "no such region file"),
        (["CASE", "--set", "invert.method=duel"], "unknown method 'duel'; nearest: 'dual'"),
        (["CASE", "--set", "invert.sektor=1"], "unknown key 'sektor'; nearest: 'sector'"),
        (["--jacobian", "nothing.nc"], "no file matches"),
        (
            ["--jacobian", "a.nc", "--set", "invert.method=truncated"],
            "solved by auto, dual, primal, cg, not by truncated",
        ),
        (["--jacobian", "a.nc", "--set", "invert.basis.kind=regions"], "is solved as it is: take out basis"),
        (["CASE", "--jacobian", "a.nc"], "several files: --jacobian before each, or a quoted pattern"),
    ],
)
def test_mistakes_are_one_line(case, tmp_path, capsys, arguments, text):
    real = [str(case / "case.toml") if a == "CASE" else a for a in arguments]
    assert run(*real, "--out", tmp_path) == 2
    captured = capsys.readouterr().err
    assert text in captured
    assert "Traceback" not in captured
    assert not list(tmp_path.iterdir())


def test_a_part_that_ends_early_is_reported_and_the_rest_is_used(case, tmp_path, capsys):
    import shutil

    copy = tmp_path / "footprints"
    shutil.copytree(case / "footprints", copy)
    whole = copy / "sensitivity" / "part.parquet"
    (copy / "sensitivity" / "half.parquet").write_bytes(whole.read_bytes()[:400])
    code = run(case / "case.toml", "--out", tmp_path / "out", "--set", f"invert.footprints={copy}", "--json")
    captured = capsys.readouterr()
    assert code == 1
    assert "half.parquet: cannot be read as Parquet" in captured.err
    assert captured.err.strip().endswith("1 parts of the footprints could not be read; see above")
    assert json.loads(captured.out)["observations"] == 60
    whole.unlink()
    assert run(case / "case.toml", "--out", tmp_path / "none", "--set", f"invert.footprints={copy}") == 2
    assert "no part of the footprints can be read" in capsys.readouterr().err


def test_outputs_elsewhere_still_find_what_the_run_made(tmp_path):
    folder = write_case(tmp_path)
    (folder / "run").mkdir()
    for name in ("store", "footprints"):
        (folder / name).rename(folder / "run" / name)
    assert run(folder / "case.toml", "--out", tmp_path / "elsewhere") == 0
    assert (tmp_path / "elsewhere" / "posterior.nc").exists()
    assert not (folder / "run" / "posterior.nc").exists()


def test_every_table_of_the_document_is_one():
    """The TOML of docs/inversion.md, put together, is a valid case."""
    import re
    import tomllib
    from pathlib import Path

    from obsnet.config import validate

    text = (Path(__file__).resolve().parents[3] / "docs" / "inversion.md").read_text(encoding="utf-8")
    tables = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(tables) == 9
    options = validate(InvertOptions, tomllib.loads("\n".join(tables))["invert"])
    assert options.basis.kind == "adaptive"
    assert options.likelihood.use
    assert options.ensemble.member[0].axis == "background"


def test_methods_come_from_one_table():
    """What the options take, what the document and `obsnet config schema` list, and what is solved."""
    from pathlib import Path

    from inversion.case.methods import METHODS
    from inversion.case.solving.by_method import SOLVERS

    own = {name for name, method in METHODS.items() if not method.normal}
    assert set(SOLVERS) == own
    assert own <= set(InvertOptions.model_fields)
    text = (Path(__file__).resolve().parents[3] / "docs" / "inversion.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- methods: ")[2].partition("<!-- /methods -->")[0].splitlines()[3:]
    assert listed == [f"| `{name}` | {method.text} |" for name, method in METHODS.items()]
    said = InvertOptions.model_fields["method"].description
    assert all(f"{name}: {method.text}" in said for name, method in METHODS.items())


def test_the_python_of_the_document_runs(capsys):
    import re
    from pathlib import Path

    text = (Path(__file__).resolve().parents[3] / "docs" / "inversion.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    rng = np.random.default_rng(0)
    names = {
        "h": rng.random((30, 12)),
        "y": rng.random(30),
        "variance": np.full(30, 0.1),
        "prior": np.ones(12),
    }
    names |= {
        "sigma": 0.5,
        "time_correlation": np.eye(3),
        "space_correlation": np.eye(4),
        "weights": np.ones((2, 12)),
    }
    names["station"] = np.arange(30) % 3
    exec(code, names)
    assert names["posterior"].mean.shape == (12,)
    assert "method primal" in capsys.readouterr().out


def test_the_real_gosat_jacobian_is_refused_and_then_solved(sample_data, tmp_path, capsys):
    files = [str(p) for p in sorted((sample_data / "inversion" / "gosat_jacobian").glob("*.nc"))]
    given = [a for f in files for a in ("--jacobian", f)]
    assert run(*given, "--out", tmp_path) == 2
    err = capsys.readouterr().err
    for row in ("test.20100101.nc row 862", "row 863", "test.20100102.nc row 1018", "row 1019"):
        assert row in err
    assert not list(tmp_path.iterdir())
    assert run(*given, "--out", tmp_path, "--set-aside-bad-rows", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["used"] == 1880
    assert [r["row"] for r in summary["set_aside"]] == [862, 863, 1018, 1019]
    assert 0.5 < summary["chi_square"] < 2.0
    data = read_netcdf(tmp_path / "posterior.nc")
    assert data["flux_scale"].size == 186
    with pytest.raises(FormatError, match=r"no totals of regions; with a map of its columns .*elements"):
        read_totals(tmp_path / "posterior.nc")


@pytest.mark.parametrize("kind", ["quadtree", "weighted", "adaptive", "regions"])
def test_regions_in_the_place_of_cells(case, done, tmp_path, capsys, kind):
    more = ["--set", f"invert.basis.kind={kind}"] + ["--set", "invert.basis.count=6"] * (kind != "regions")
    assert run(case / "case.toml", "--out", tmp_path, "--json", *more) == 0
    captured = capsys.readouterr()
    assert f"basis {kind}: " in captured.err
    assert json.loads(captured.out)["stopping"]["regions"] == {"regions": 12}.get(kind, 24) + 12
    data, cells = read_netcdf(tmp_path / "posterior.nc"), done[0]
    check_flux(data)
    assert data.attrs["basis"] == kind
    assert 0.0 < data.attrs["basis_unresolved"] < 0.6
    assert float(data.attrs["chi_square"]) == pytest.approx(float(cells.attrs["chi_square"]), rel=1e-6)
    # coarser is never more certain, and gridded fluxes are there with what regions cannot express
    for name in ("flux_uncertainty", "region_total_uncertainty"):
        assert (data[name].values >= cells[name].values * (1 - 1e-6)).all()
    assert (data["region_total_uncertainty"] < 1.1 * data["region_total_prior_uncertainty"]).all()
    assert data["basis_region"].dims == ("sector", "lat", "lon")
    part_of_a = np.where(np.arange(6) < 2, 1.0, np.where(np.arange(6) == 2, 0.5, 0.0))
    by_hand = (data["flux"].mean("time") * data["cell_area"]).sum("lat").values @ part_of_a
    np.testing.assert_allclose(data["region_total"].sel(region="a").values.ravel(), by_hand, rtol=1e-6)
    if kind == "regions":  # what they can express is exact
        np.testing.assert_allclose(data["region_total"], cells["region_total"], rtol=1e-6)
        np.testing.assert_allclose(data["total_covariance"], cells["total_covariance"], rtol=1e-5, atol=1e-3)
    assert "counted as aggregation error" in (tmp_path / "inversion.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(case / "case.toml", "--out", tmp_path, *more) == 0
    assert "solved before: taken from" in capsys.readouterr().err
