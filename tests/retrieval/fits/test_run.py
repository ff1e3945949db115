"""From a file of spectra to columns: truths come back, runs go on where they were killed, mistakes are told."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import xarray as xr

from obsnet.config import validate
from obsnet.errors import ConfigError, FormatError
from obsnet.schema import Quality, profile_array
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from retrieval.commands.retrieve import retrieve
from retrieval.fits import run as running
from retrieval.fits.options import RetrieveTable
from tests.obsnet.test_cf import check_with_compliance_checker
from tests.retrieval.fits.world import LIGHT, SHIFT, granule

SERIAL = Work(scheduler="serial")
TRUTHS = [(1.01, 1.005, 1.0), (0.98, 0.99, -2.0), (1.0, 1.0, 0.0), (1.03, 1.01, 2.0)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    return folder, granule(folder, TRUTHS)


def options(world, out, **changes):
    given = world[1] | {"out": world[0] / out} | changes
    return validate(RetrieveTable, given)


def test_a_layer_and_line_mixing_are_options_of_the_command(world):
    """Clear granules: the layer comes out as none within its error; coefficients of zero change no table's numbers."""
    folder, given = world
    lines = [line for line in (folder / "CO2.par").read_text().splitlines() if line.strip()]
    rows = [f"{float(line[3:15])} {float(line[45:55])} 0.0 0.7" for line in lines]
    (folder / "mixing.txt").write_text("wavenumber lower_energy mixing exponent\n" + "\n".join(rows) + "\n")
    fit = given["fit"] | {"layer": True, "layer_depth": 0.02, "max_iterations": 30}
    changes = {"mixing": {"CO2": folder / "mixing.txt"}, "irradiance": LIGHT, "fit": fit}
    made = running.run_retrieve(options(world, "layer", **changes), SERIAL)
    assert ObservationStore(folder / "layer/store").read("CO2")["source"][0].as_py() == "thin_layer_1"
    assert made.assumptions["surface_pressure"] == "fitted with the lines of O2"
    with xr.open_dataset(folder / "layer/granule_columns.nc", engine="netcdf4") as data:
        assert data.attrs["clear_sky_only"] == 0
        assert "mixing.txt" in data.attrs["assumed_line_mixing_CO2"]
        assert "one, isotropic" in data.attrs["assumed_scattering_layer"]
        at = [str(n) for n in data["state_name"].values].index("scattering_height")
        assert made.soundings[0]["layer"]["height"] == pytest.approx(float(data["value"][0, at]))
        state, error = (data[n].sel(state="scattering_depth").values for n in ("value", "uncertainty"))
        assert (np.abs(state) < 4.0 * error).all()
        assert (error < 0.3).all()
    with pytest.raises(ConfigError, match="irradiance of weak is missing"):
        options(world, "no", fit=fit, irradiance={"o2": 1.0})
    (folder / "far.txt").write_text("wavenumber lower_energy mixing\n6300.0 10.0 0.1\n")
    with pytest.raises(ConfigError, match="has no line of CO2 in any window"):
        running.run_retrieve(options(world, "no", mixing={"CO2": folder / "far.txt"}), SERIAL)
    with pytest.raises(ConfigError, match="no lines of 'CH4'"):
        options(world, "no", mixing={"CH4": folder / "mixing.txt"})


def test_truths_come_back_with_their_errors(world, tmp_path):
    folder, _ = world
    cloud = folder / "cloud.h5"
    with h5py.File(cloud, "w") as file:
        file["SoundingHeader/sounding_id"] = 20100223034944 + np.arange(3)
        file["ABandCloudScreen/cloud_flag"] = np.array([0, 0, 1], np.int8)
    made = running.run_retrieve(options(world, "whole", a_band=cloud, pictures=1), SERIAL)
    assert [f["status"] for f in made.files] == ["done"]
    assert len([p for p in made.written if p.suffix == ".png"]) == 1
    assert any("1 soundings of granule.h5 are not in" in note for note in made.notes)
    for said, (scale, pressure, warmer) in zip(made.soundings, TRUTHS, strict=True):
        assert said["outcome"] == "converged"
        x = said["xco2"]
        assert abs(x["value"] - 400.0 * scale) < 4.0 * x["uncertainty"] < 10.0
        parts = [x[n] for n in ("noise", "smoothing", "interference")]
        assert np.linalg.norm(parts) == pytest.approx(x["uncertainty"], rel=1e-3)
        surface = said["surface_pressure"] - said["surface_pressure_met"] * pressure
        assert abs(surface) < 4.0 * said["surface_pressure_uncertainty"] < 20.0
        assert abs(said["temperature_offset"] - warmer) < 4.0
        for window in ("o2", "weak"):
            assert said["shift"][window] == pytest.approx(SHIFT, abs=2e-7)
            assert 0.6 < said["chi2"][window] < 1.4
    rows = ObservationStore(folder / "whole/store").read("CO2")
    assert rows["obs_id"][0].as_py() == "clear_sky_1:20100223034944"
    assert [Quality.names(q) for q in rows["quality"].to_pylist()] == [[], [], ["screen"], ["screen"]]
    assert rows["altitude_m"][0].as_py() == pytest.approx(90.0)
    weight, kernel = (profile_array(rows[n]) for n in ("pressure_weight", "averaging_kernel"))
    np.testing.assert_allclose(weight.sum(axis=1), 1.0, rtol=1e-5)
    assert (np.abs(np.sum(weight * kernel, axis=1) - 1.0) < 0.15).all()  # a scale answers to a scaled profile
    with xr.open_dataset(folder / "whole/granule_columns.nc", engine="netcdf4") as data:
        assert data.attrs["clear_sky_only"] == 1
        assert "scattering" in data.attrs["not_modelled"]
        assert {
            f"assumed_{n}" for n in ("lines_CO2", "meteorology", "prior_CO2", "solar_lines", "continuum")
        } <= set(data.attrs)
        place = [str(n) for n in data["state_name"].values].index("CO2_scale")
        np.testing.assert_allclose(
            400.0 * data["value"].values[:, place], rows["value"].to_numpy(), rtol=1e-6
        )
    found, broke = check_with_compliance_checker(
        folder / "whole/granule_columns.nc", "cf:1.11", tmp_path / "report.json"
    )
    assert not broke
    assert found["high_priorities"] == []


def test_a_killed_run_goes_on_and_gives_the_same(world, monkeypatch):
    whole = running.run_retrieve(options(world, "a"), SERIAL)
    done, fit = [], running._fit_chunk

    def until_killed(chunk):
        if done:
            raise KeyboardInterrupt
        done.append(chunk.first)
        return fit(chunk)

    monkeypatch.setattr(running, "_fit_chunk", until_killed)
    with pytest.raises(KeyboardInterrupt):
        running.run_retrieve(options(world, "b", chunk=2), SERIAL)
    again = []
    monkeypatch.setattr(running, "_fit_chunk", lambda chunk: again.append(chunk.first) or fit(chunk))
    after = running.run_retrieve(options(world, "b", chunk=2), SERIAL)
    assert (done, again) == ([0], [2])
    assert after.soundings == whole.soundings
    assert not list((world[0] / "b").glob(".*kept"))


def test_spoilt_soundings_are_told_and_others_go_on(world, capsys):
    folder, given = world
    path = folder / "spoilt.h5"
    path.write_bytes((folder / "granule.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["SoundingSpectra/radiance_weak_co2"][0, 0, 40:50] = np.nan
        file["SoundingSpectra/radiance_weak_co2"][0, :, 60] = -1e-7
        file["SoundingSpectra/radiance_o2"][1] = np.nan
        file["FootprintGeometry/footprint_altitude"][2] = 3000.0
    flat = {k: v for k, v in given.items() if k != "fit"} | {"files": [str(path)], "out": folder / "spoilt"}
    flat |= {f"fit__{k}": v for k, v in given["fit"].items()}
    words = {k: [f"{a}={b}" for a, b in v.items()] for k, v in flat.items() if isinstance(v, dict)}
    words["windows"] = ["o2=12950,12970", "weak=6200,6220"]
    words["lines"] = [f"{g}={p[0]}" for g, p in given["lines"].items()]
    words |= {"scheduler": "serial", "exclude": ["a_line=6210,6210.5"]}
    assert retrieve.call(flat | words, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)["soundings"]
    assert said[0]["channels_left_out"] == {"not_finite": 10, "negative": 1, "a_line": 3}
    assert abs(said[0]["xco2"]["value"] - 404.0) < 5.0 * said[0]["xco2"]["uncertainty"]
    assert "no light" in said[1]["status"] or "cannot be used" in said[1]["status"]
    assert "3000 m, where 701 hPa is usual" in said[2]["status"]
    assert said[3]["outcome"] == "converged"


def test_mistakes_are_told_at_once(world):
    folder, given = world
    lists = given["lines"]
    twice = {"lines": lists | {"CO2": (folder / "CO2.par", folder / "CO2.par")}}
    for error, match, changes in (
        (ConfigError, "prior: none of CO2", {"prior": {}}),
        (ConfigError, "no mole fraction in ppm", {"prior": {"CO2": "0.0004"}}),
        (ConfigError, "would count twice", twice),
        (
            ConfigError,
            "no line between",
            {"windows": {"far": (12945.5, 12946.5)}, "lines": {"CO2": lists["CO2"]}},
        ),
        (ConfigError, "holds no line shape", {"path_difference": None, "field_of_view": None}),
        (ConfigError, "go together", {"field_of_view": None}),
        (
            ConfigError,
            "weak begins at 12960 and o2 ends at 12970",
            {"windows": {"o2": (12950.0, 12970.0), "weak": (12960.0, 12975.0)}},
        ),
        (ConfigError, "lies in no window", {"exclude": {"line": (6221.0, 6222.0)}}),
        (ConfigError, "isotopologues: no lines of 'co2'", {"isotopologues": {"co2": (1, 2)}}),
        (ConfigError, "prior: no lines of 'CH4'", {"prior": {"CO2": "400", "CH4": "1900"}}),
        (ConfigError, "none can be given", {"prior": {"CO2": "400", "O2": "209500"}}),
        (ConfigError, "with fit.layer alone", {"irradiance": {"o2": 1.0}}),
        (ConfigError, "no window 'weka'", {"fit": given["fit"] | {"offset": ["weka"]}}),
        (FormatError, "no meteorology of soundings", {"met": folder / "granule.h5"}),
    ):
        with pytest.raises(error, match=match):
            running.run_retrieve(options(world, "never", **changes), SERIAL)
    beyond = running.run_retrieve(options(world, "never", windows={"o2": (12000.0, 12010.0)}), SERIAL)
    assert "no spectrum spans 12000 to 12010" in beyond.bad[0]["status"]
    wrong = given["fit"] | {"deviations": {"CO2scale": 0.1}}
    with pytest.raises(ConfigError, match="no element 'CO2scale'; nearest: 'CO2_scale'"):
        running.run_retrieve(options(world, "never", fit=wrong), SERIAL)
    narrow = running.run_retrieve(options(world, "never", fit=given["fit"] | {"search": 2e-5}), SERIAL)
    assert "do not meet within" in narrow.soundings[0]["status"]


def test_real_soundings_meet_in_both_bands_and_move_with_the_satellite(sample_data, tmp_path):
    """Channels are counted from one: else the shares of the wavenumber by which bands are off would be 1.7e-5 apart."""
    folder = sample_data / "retrieval"
    acos = folder / "acos_gosat/acos_{}B2900_tccon_5_good_qual.h5"
    made = running.run_retrieve(
        validate(
            RetrieveTable,
            {
                "files": [str(acos).format("L1b")],
                "met": str(acos).format("Ecm"),
                "a_band": str(acos).format("Cld"),
                "windows": {"o2": (12985.0, 13005.0), "weak": (6221.0, 6241.0)},
                "lines": {
                    "O2": [folder / "spectroscopy/O2_12847-13339.par"],
                    "CO2": [folder / "spectroscopy/CO2_6200-6280_iso1.par"],
                },
                "prior": {"CO2": "390"},
                "weakest": 3e-26,
                "path_difference": 2.5,
                "field_of_view": 0.0158,
                "fit": {
                    "surface_pressure": "met", "temperature": False, "layers": 10, "step": 0.02,
                    "log_pressure_step": 0.8, "temperature_step": 40.0, "continuum": 1,
                },
                "pictures": 0,
                "spectra": False,
                "out": tmp_path,
            },
        ),
        SERIAL,
    )  # fmt: skip
    assert made.files[0]["fitted"] == 5
    assert not any(s["cloudy"] for s in made.soundings)
    towards = []
    with h5py.File(str(acos).format("L1b")) as file:
        velocity = file["SpacecraftGeometry/relative_velocity"][:]
    for said, speed in zip(made.soundings, velocity, strict=True):
        assert said["shift"]["o2"] == pytest.approx(said["shift"]["weak"], abs=3e-6)
        towards.append(said["shift"]["o2"] + speed / 299792458.0)
        assert said["scale"]["CO2"] == pytest.approx(1.0, abs=0.07)
    assert np.ptp(towards) < 1.5e-6  # the velocities alone differ by 6e-6
