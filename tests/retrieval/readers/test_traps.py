"""Traps that products lay, found in real files: each is told or refused, none is swallowed."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest

from obsnet.errors import FormatError
from obsnet.schema import Quality, profile_array
from retrieval.products.read import read_granule
from tests.retrieval import synthetic


def broken_lite(folder, **changes):
    """A Lite granule with variables replaced: ``name=(function of the values, attributes or None)``."""
    variables, attributes = synthetic.lite(20)
    for name, (change, own) in changes.items():
        values, before = variables[name]
        variables[name] = (change(values), before if own is None else own)
    return synthetic.write(folder / synthetic.lite_name(), variables, attributes)


# -- identities -----------------------------------------------------------------------------------------


def test_sixteen_digits_in_single_precision_are_refused(tmp_path):
    path = broken_lite(tmp_path, sounding_id=(lambda x: x.astype(np.float32), None))
    with pytest.raises(
        FormatError, match="sounding_id is stored as float32, which cannot tell identities of 16"
    ):
        read_granule(path)


def test_small_numbers_in_single_precision_are_fine(tmp_path):
    path = broken_lite(tmp_path, sounding_id=(lambda x: np.arange(len(x), dtype=np.float32), None))
    assert read_granule(path).table["obs_id"].to_pylist()[:2] == ["oco2_lite_v9:0", "oco2_lite_v9:1"]


# -- what soundings tell of flags and errors without words ---------------------------------------------

SAID = ("turned round", "is its unit right")


@pytest.mark.parametrize("product", ["acos_lite", "gosat_ocpr", "tropomi_blended", "acos_l2s"])
def test_real_granules_raise_no_doubt_and_those_with_their_flag_turned_do(sample_data, tmp_path, product):
    for real in sorted((sample_data / "satellite" / product).iterdir()):
        assert not [n for n in read_granule(real, profiles="none").notes if any(w in n for w in SAID)]
        if product in {"tropomi_blended", "acos_l2s"}:  # without rejected ones, with six good ones
            continue
        other = tmp_path / real.name
        other.write_bytes(real.read_bytes())
        name = {"acos_lite": "xco2_quality_flag", "gosat_ocpr": "xch4_quality_flag"}[product]
        with h5py.File(other, "a") as file:
            flag = file[name]
            flag[:] = np.where(flag[:] == 0, 1, np.where(flag[:] == 1, 0, flag[:]))
            for key in set(flag.attrs) & {
                "comment",
                "long_name",
                "short_description",
                "description",
                "flag_meanings",
            }:
                del flag.attrs[key]
        (note,) = (n for n in read_granule(other, profiles="none").notes if SAID[0] in n)
        assert re.search(r"good soundings scatter (1\.9|2\.\d|3\.\d) times .* and state 1\.\d+ times", note)


@pytest.mark.parametrize(
    ("factor", "hint"), [(100.0 / 1850.0, "or are they per cent of the value"), (200.0, "right?")]
)
def test_uncertainties_far_from_what_soundings_scatter_by_are_said(sample_data, tmp_path, factor, hint):
    real = next(iter(sorted((sample_data / "satellite" / "gosat_ocpr").iterdir())))
    other = tmp_path / real.name
    other.write_bytes(real.read_bytes())
    with h5py.File(other, "a") as file:
        error = file["xch4_uncertainty"]
        error[:] = np.where(error[:] > 0, error[:] * factor, error[:])
    (note,) = (n for n in read_granule(other, profiles="none").notes if SAID[1] in n)
    assert hint in note


# -- packed numbers, and ranges that the file calls valid -----------------------------------------------


def packed(values, factor, offset, kind, **own):
    """Return what is stored, its attributes, and what it stands for."""
    stored = np.round((np.asarray(values, float) - offset) / factor)
    kept = stored.astype(np.uint8).view(np.int8) if kind == "unsigned" else stored.astype(kind)
    more = {"_Unsigned": "true"} if kind == "unsigned" else {}
    return kept, {"scale_factor": factor, "add_offset": offset} | more | own, stored * factor + offset


def test_a_packed_granule_is_its_unpacked_twin(tmp_path):
    """Values, errors, places, times, flags and profiles, also bytes that are unsigned in a type that is not."""
    plain, attributes = synthetic.lite(20)
    tight = dict(plain)
    for name, how in {
        "xco2": (0.01, 400.0, np.int16),
        "xco2_uncertainty": (0.005, 0.0, "unsigned"),
        "latitude": (0.01, 0.0, np.int16),
        "time": (0.25, float(np.floor(plain["time"][0][0])), np.int32),
        "pressure_weight": (1e-9, 0.0, np.int32),
        "co2_profile_apriori": (0.01, 400.0, np.int16),
    }.items():
        values, own = plain[name]
        own = {k: v for k, v in own.items() if k != "missing_value"}
        stored, packing, meant = packed(values, *how)
        tight[name] = stored, own | packing
        plain[name] = (
            meant if name == "time" else meant.astype(values.dtype if meant.ndim == 2 else float),
            own,
        )
    flag = plain["xco2_quality_flag"]
    plain["xco2_quality_flag"] = np.where(np.arange(20) == 3, 200, flag[0]).astype(np.uint8), {}
    tight["xco2_quality_flag"] = plain["xco2_quality_flag"][0].view(np.int8), {"_Unsigned": "true"}
    one, two = (
        read_granule(
            synthetic.write(tmp_path / f"{k}_{synthetic.lite_name()}", v, attributes), sensor="oco2_lite"
        )
        for k, v in enumerate((plain, tight))
    )
    assert one.notes == two.notes
    assert one.table["quality_original"].to_pylist()[3] == "200"
    for name in set(one.table.column_names) - {"file_id"}:
        assert one.table[name].to_pylist() == two.table[name].to_pylist(), name


def test_values_outside_of_the_range_that_the_file_calls_valid_are_not_used(tmp_path):
    variables, _ = synthetic.lite(20)
    values = variables["xco2"][0].copy()
    values[:] = np.linspace(400.0, 410.0, 20)
    values[4] = 425.0  # a column that could be, were it not for the file
    own = variables["xco2"][1] | {"valid_range": np.array([390.0, 420.0], np.float32)}
    weights = variables["pressure_weight"][1] | {"valid_max": np.float32(0.9)}
    path = broken_lite(
        tmp_path,
        xco2=(lambda _: values, own),
        pressure_weight=(
            lambda w: np.where(np.arange(20)[:, None] == 7, w + 1.0, w).astype(np.float32),
            weights,
        ),
    )
    found = read_granule(path)
    quality = found.table["quality"].to_numpy()
    assert quality[4] & Quality.RANGE.value
    assert quality[7]
    assert (
        "1 values of xco2 are outside of the range that the file calls valid (390 to 420): not used"
        in found.notes
    )
    assert any("values of pressure_weight are outside" in n and "(at most 0.9)" in n for n in found.notes)
    assert found.table["value"].to_pylist()[4] != 425.0


# -- units that lie -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "hint"), [(100.0, r"times 1e-2 it would fit"), (1e-3, r"times 1e\+3 it would fit"), (40.0, "")]
)
def test_pressures_in_another_unit_than_they_say(tmp_path, factor, hint):
    path = broken_lite(tmp_path, pressure_levels=(lambda p: p * np.float32(factor), None))
    with pytest.raises(FormatError, match=rf"profiles of oco2_lite reach from .* hPa \(medians\).*{hint}"):
        read_granule(path)


def test_pressures_are_not_read_where_no_profile_is_wanted(tmp_path):
    path = broken_lite(tmp_path, pressure_levels=(lambda p: p * 100, None))
    assert len(read_granule(path, profiles="none").table) == 20


def test_a_plateau_is_no_wrong_unit(tmp_path):
    path = broken_lite(tmp_path, pressure_levels=(lambda p: p * np.float32(0.5), None))
    notes = read_granule(path).notes
    assert not any("reverse" in n for n in notes)


@pytest.mark.parametrize("quantity", ["surface_pressure", "pressure_interval"])
def test_tropomi_pressures_in_hpa_are_converted_by_what_they_say(tmp_path, quantity):
    variables, attributes, truth = synthetic.s5p()
    name = next(v for v in variables if v.endswith(quantity))
    values, own = variables[name]
    missing = own["_FillValue"]
    variables[name] = (
        np.where(values == missing, missing, values / 100).astype(np.float32),
        {**own, "units": "hPa"},
    )
    granule = read_granule(synthetic.write(tmp_path / "orbit.nc", variables, attributes))
    assert any(f"{quantity}: converted from 'hPa'" in n for n in granule.notes)
    edges = profile_array(granule.table["pressure_edges"])
    np.testing.assert_allclose(edges, truth["edges"][truth["there"]], rtol=1e-5, atol=1e-3)


def test_tropomi_interval_in_hpa_that_says_pa_is_refused(tmp_path):
    variables, attributes, _ = synthetic.s5p()
    name = next(v for v in variables if v.endswith("pressure_interval"))
    values, own = variables[name]
    variables[name] = (np.where(values == own["_FillValue"], values, values / 100).astype(np.float32), own)
    path = synthetic.write(tmp_path / "orbit.nc", variables, attributes)
    with pytest.raises(FormatError, match=r"s5p_ch4 reach from \d+.* to \d{3}.* hPa"):
        read_granule(path)


# -- what stands on levels and what on layers -----------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "name", "vertical", "pressures", "values"),
    [
        (synthetic.lite, synthetic.lite_name(), "level", 20, 20),
        (synthetic.cci, "ESACCI-GHG-L2-CH4-GOSAT-OCPR-20120101-fv7.2.nc", "level", 20, 20),
        (synthetic.wfmd, "ESACCI-GHG-L2-CH4_CO-TROPOMI-WFMD-20171110-fv2.nc", "layer", 21, 20),
        (synthetic.s5p, "orbit.nc", "layer", 13, 12),
    ],
)
def test_levels_and_layers(tmp_path, made, name, vertical, pressures, values):
    variables, attributes = made()[:2]
    table = read_granule(synthetic.write(tmp_path / name, variables, attributes)).table
    assert set(table["vertical"].to_pylist()) == {vertical}
    grid, other = (
        ("pressure_levels", "pressure_edges")
        if vertical == "level"
        else ("pressure_edges", "pressure_levels")
    )
    assert table[other].null_count == len(table)
    assert profile_array(table[grid]).shape[1] == pressures
    for profile in ("pressure_weight", "averaging_kernel", "prior_profile"):
        assert profile_array(table[profile]).shape[1] == values
    assert (np.diff(profile_array(table[grid]), axis=1) < 0).all()  # surface first


# -- real files -----------------------------------------------------------------------------------------


def test_levels_of_real_lite_files_are_shares_of_the_surface_pressure(sample_data):
    for path in sorted((sample_data / "satellite" / "acos_lite").iterdir()):
        pressure = profile_array(read_granule(path).table["pressure_levels"])
        with h5py.File(path) as file:
            sigma, surface = file["Retrieval/SigmaB"][()], file["Retrieval/psurf"][()]
        np.testing.assert_allclose(pressure, surface[:, None] * sigma[::-1], rtol=2e-6)


def test_flags_mean_good_by_their_own_sense(sample_data):
    """0 is good (Lite, CCI), high is good (qa_value), words (L2 standard), all are good (blended)."""
    folder = sample_data / "satellite"
    first = {p.name: min(p.iterdir()) for p in folder.iterdir() if p.is_dir()}
    good = {}
    for name in ("acos_lite", "gosat_ocpr", "acos_l2s", "tropomi_blended"):
        flags = read_granule(first[name], profiles="none").table["quality"].to_numpy()
        good[name] = (int((flags == 0).sum()), len(flags))
    assert good["acos_lite"] == (350, 985)
    assert good["gosat_ocpr"] == (1053, 2417)
    assert good["acos_l2s"] == (4, 60)
    assert good["tropomi_blended"][0] == good["tropomi_blended"][1]


def test_the_raw_value_is_off_by_more_than_any_bias_that_is_left(sample_data):
    path = min((sample_data / "satellite" / "acos_lite").iterdir())
    granule = read_granule(path, profiles="none", extra=("raw",))
    good = granule.table["quality"].to_numpy() == 0
    apart = np.mean(granule.table["value"].to_numpy()[good]) - np.mean(granule.extra["raw"][good])
    assert 1.7 < apart < 1.9


# -- what a file says of itself ---------------------------------------------------------------------------


SAME = lambda v: v  # noqa: E731
MEANINGS = {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "bad good"}


@pytest.mark.parametrize(
    ("name", "change", "own", "why"),
    [
        ("xco2_quality_flag", SAME, MEANINGS, "its own attributes call 0 'bad'"),
        ("xco2_quality_flag", SAME, {"comment": "1 = Good, 0 = Bad"}, "its own attributes call 1 'Good'"),
        ("latitude", SAME, {"units": "degrees_east"}, "are latitude and longitude exchanged"),
        ("longitude", SAME, {"standard_name": "latitude"}, "are latitude and longitude exchanged"),
        ("latitude", np.deg2rad, {"units": "radians"}, "is in 'radians', not in degrees"),
        ("latitude", lambda v: v + 75, {}, "20 latitudes lie beyond a pole"),
        ("xco2_uncertainty", lambda v: v * 1e-6, {}, r"times 1e\+6 they would fit: is their unit right"),
    ],
)
def test_a_file_that_contradicts_its_table_is_refused(tmp_path, name, change, own, why):
    changes = {"longitude": (lambda v: v * 0 + 40, None), name: (change, own)}
    path = broken_lite(tmp_path, **changes)
    with pytest.raises(FormatError, match=why):
        read_granule(path)


def test_times_of_another_epoch_and_of_single_precision_are_told(tmp_path):
    moved = lambda unit: read_granule(broken_lite(tmp_path, time=(SAME, {"units": unit})))  # noqa: E731
    granule = moved("seconds since 2000-01-01")
    run = "times run from 2048-01-02T05:00 to 2048-01-02T05:00, while the file's name says 2018-01-02"
    assert granule.notes[0] == f"all rows: {run}: is their unit right?"
    assert granule.notes[1] == "20 rows are of a time to come: is the unit of time right?"
    assert "the file's name says 2018-01-02" in moved("seconds since 1960-01-01").notes[0]
    assert not moved("seconds since 1970-01-01 00:00 +08:00").notes  # the day before, as orbits may be
    coarse = read_granule(broken_lite(tmp_path, time=(np.float32, None)))
    assert coarse.notes[0] == "time is stored in single precision: times are exact to 128 s only"


def test_a_few_uncertainties_next_to_nothing_are_flagged(tmp_path):
    path = broken_lite(tmp_path, xco2_uncertainty=(lambda v: np.where(np.arange(len(v)) < 3, 1e-6, v), None))
    granule = read_granule(path)
    flagged = granule.table["quality"].to_numpy() & int(Quality.UNCERTAINTY) > 0
    assert np.flatnonzero(flagged).tolist() == [0, 1, 2]
    assert any(note.startswith("3 rows: uncertainty below 5e-05 of the value") for note in granule.notes)


def test_words_where_numbers_were_expected_are_told(tmp_path):
    words = lambda v: np.where(v == 0, b"good", b"bad").astype("S4")  # noqa: E731
    granule = read_granule(broken_lite(tmp_path, xco2_quality_flag=(words, None)))
    assert any(n == "no sounding is good: xco2_quality_flag is bad, good, good is 0" for n in granule.notes)
