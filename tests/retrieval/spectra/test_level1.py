"""Level-1 files: scales from the first channel on, noise, units, faults; and the real soundings of GOSAT."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError, ObsnetError, UnitError
from retrieval.spectra.files import open_spectra, read_soundings
from retrieval.spectra.spectrum import tai93_time
from tests.retrieval.spectra.made import gosat_file, oco_file


def change(path, name, where=..., value=None, attribute=None):
    with h5py.File(path, "r+") as file:
        if attribute is not None:
            file[name].attrs["Units"] = attribute
        elif value is None:
            del file[name]
        else:
            file[name][where] = value


def test_gosat_polarisations_their_noise_and_the_first_channel(tmp_path):
    p = np.linspace(1e-7, 3e-7, 40)
    radiance = {"weak_co2": np.stack([np.stack([p, 2 * p])] * 2)}
    path = gosat_file(tmp_path / "a.h5", radiance)
    file = open_spectra(path)
    assert (file.kind, file.identities[1]) == ("gosat", "20100223034945")
    found = {kind: read_soundings(file, [1], kind)[0].covering(6201.0, 6207.0) for kind in ("mean", "P", "S")}
    mean = found["mean"]
    np.testing.assert_allclose(mean.wavenumber, 6200.0 + 0.2 * np.arange(1, 41))  # counted from one
    np.testing.assert_allclose(mean.radiance, 1.5 * p, rtol=1e-6)
    np.testing.assert_allclose(found["S"].radiance, 2 * p, rtol=1e-6)
    np.testing.assert_allclose(found["P"].noise, 4e-6 * 2e-4, rtol=1e-6)
    np.testing.assert_allclose(mean.noise, 0.5 * 5e-6 * 2e-4, rtol=1e-6)  # 3, 4, 5
    assert mean.unit == "W cm-2 sr-1 (cm-1)-1"


def test_times_lose_their_leap_seconds():
    assert tai93_time(541050593.0) == np.datetime64("2010-02-23T03:49:46")
    assert tai93_time(10.0) == np.datetime64("1993-01-01T00:00:10")
    days = (np.datetime64("2017-01-01") - np.datetime64("1993-01-01")).astype(int)
    assert tai93_time(86400.0 * days + 8.0) == np.datetime64("2016-12-31T23:59:59")
    assert tai93_time(86400.0 * days + 10.0) == np.datetime64("2017-01-01T00:00:00")
    assert np.isnat(tai93_time(-999999.0))


def test_times_of_a_real_file_are_those_it_spells_out(sample_data):
    path = next((sample_data / "retrieval/acos_oco2").glob("oco2_ECMWFTG_*.h5"))
    with h5py.File(path) as file:
        geometry = file["SoundingGeometry"]
        pair = (geometry[f"sounding_time_{n}"][:].ravel() for n in ("tai93", "string"))
        for seconds, text in zip(*pair, strict=True):
            apart = tai93_time(float(seconds)) - np.datetime64(text.decode().rstrip("Z"))
            assert abs(apart) <= np.timedelta64(1, "ms")


@pytest.mark.parametrize("old", [False, True])
def test_oco_spectra_are_turned_and_keep_noise_faults_and_line_shape(tmp_path, old):
    full = np.full((1, 2, 60), 5e19)
    full[0, 1, 3], full[0, 1, 10], full[0, 1, 20] = 2.5e20, -999999.0, np.nan
    path = oco_file(tmp_path / "a.h5", radiance={"weak_co2": full}, old=old)
    file = open_spectra(path)
    assert file.identities == ("2014101812360371", "2014101812360372")
    sounding = read_soundings(file, [1])[0]
    assert sounding.time == np.datetime64("2014-10-18T12:36:03")
    weak = sounding.spectra[1]
    i = np.arange(60, 0, -1)  # channels from one, in order of wavenumber
    np.testing.assert_allclose(weak.wavenumber, 1e4 / (1.5906 + 3.65e-5 * i - 1e-9 * i**2), rtol=1e-12)
    assert {n: (59 - np.flatnonzero(f)).tolist() for n, f in weak.faults.items() if f.any()} == {
        "bad_sample": [7],
        "saturated": [3],
    }
    assert weak.left_out == {"not_finite": 2, "bad_sample": 1, "saturated": 1}
    most = 2.45e20 / 100.0
    assert weak.noise[59] == pytest.approx(most * np.sqrt(5e19 / most * 0.01**2 + 0.02**2), rel=1e-6)
    # longer wavelengths are smaller wavenumbers: the long red side comes first
    assert weak.shape_offset[0, 0] == pytest.approx(-3e-4 * weak.wavenumber[0] ** 2 * 1e-4, rel=1e-3)
    peak = weak.shape_offset[0][np.argmax(weak.shape_response[0])]
    assert abs(peak) < 0.1


def everything(path):
    file = open_spectra(path)
    return read_soundings(file, range(len(file.identities)))


def test_what_is_no_spectrum_in_a_known_unit_is_refused(tmp_path):
    def fails(error, match, make, *changes, **more):
        path = make(tmp_path / "x.h5", **more)
        for name, rest in changes:
            change(path, name, **rest)
        with pytest.raises(error, match=match) as found:
            everything(path)
        assert "\n" not in str(found.value)

    radiance = "SoundingSpectra/radiance_o2"
    fails(UnitError, "is in mW", gosat_file, (radiance, {"attribute": "mW"}))
    fails(FormatError, "gain 'L'", gosat_file, gain=b"L    ")
    fails(MissingVariableError, "noise_o2_l1b", gosat_file, ("SoundingSpectra/noise_o2_l1b", {}))
    fails(ObsnetError, "no scale", gosat_file, spacing=-0.2)
    fails(ObsnetError, "solar zenith is 95", gosat_file, solar_zenith=95.0)
    apart = {"where": (0, 0, 1), "value": 1.0}
    fails(FormatError, "no mean", gosat_file, ("SoundingHeader/wavenumber_coefficients", apart))
    fails(
        FormatError, "different names", gosat_file, ("SoundingHeader/sounding_id", {"value": 20100223034944})
    )
    fails(
        UnitError,
        "nanometers",
        oco_file,
        ("InstrumentHeader/dispersion_coef_samp", {"attribute": "nanometers"}),
    )
    fails(UnitError, "no stated unit", oco_file, ("SoundingMeasurements/radiance_o2", {"attribute": ""}))
    turned = {"where": (slice(None), slice(None), 1), "value": -1e-5}
    fails(ObsnetError, "do not increase", oco_file, ("InstrumentHeader/dispersion_coef_samp", turned))
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["something"] = 1
    with pytest.raises(FormatError, match="its groups are something"):
        open_spectra(other)


def test_real_gosat_soundings_are_what_acos_fitted(sample_data):
    """Mean of both polarisations, its noise, and the number of each channel, in all three bands of three soundings."""
    folder = sample_data / "retrieval/acos_gosat"
    file = open_spectra(folder / "acos_L1bB2900_tccon_5_good_qual.h5")
    compared = 0
    for row, name in enumerate(file.identities):
        expected = folder / f"expected/l2_{name}.h5"
        if not expected.exists():
            continue
        (sounding,) = read_soundings(file, [row])
        with h5py.File(expected) as known:
            parts = {k: np.asarray(v)[0] for k, v in known["SpectralParameters"].items()}
            if "sample_indexes" not in parts:
                continue
            results = {
                k: np.asarray(v)[0] for k, v in known["RetrievalResults"].items() if v.dtype.kind == "f"
            }
        ends = np.cumsum(parts["num_colors_per_band"])
        for spectrum, band in zip(sounding.spectra, np.split(np.arange(ends[-1]), ends[:-1]), strict=True):
            at = parts["sample_indexes"][band] - 1
            np.testing.assert_allclose(
                spectrum.radiance[at], parts["measured_radiance"][band], rtol=0, atol=1e-14
            )
            np.testing.assert_allclose(spectrum.noise[at], parts["measured_radiance_uncert"][band], rtol=1e-6)
            # ACOS moved the first coefficient only
            moved = spectrum.wavenumber[at] - parts["wavenumber"][band]
            assert np.ptp(moved) < 1e-7
            first = results[f"dispersion_offset_{spectrum.name}"]
            with h5py.File(file.path) as stored:
                c0 = stored["SoundingHeader/wavenumber_coefficients"][row, compared % 3, 0, 0]
            assert moved[0] == pytest.approx(c0 - first, abs=1e-7)
            compared += 1
    assert compared >= 3
