"""Cloud screens: the real preprocessor files of 18 October 2014, and files written here."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError, RangeError
from retrieval.estimation.clear_sky import (
    ScreeningTable,
    clear_sky,
    column_ratio,
    read_preprocessor,
    surface_pressure_difference,
)
from retrieval.products.screening import Screen

FILES = [
    f"retrieval/acos_oco2/oco2_L2{kind}TG_01576a_141018_B5000x4_150210002838s_spliced.h5"
    for kind in ("ABP", "IDP")
]


def real(sample_data):
    import h5py

    with h5py.File(sample_data / FILES[0]) as a, h5py.File(sample_data / FILES[1]) as d:
        known = {
            name.split("/")[1]: a[name][()].ravel() for name in ("ABandRetrieval/surface_pressure_delta_abp",)
        }
        known |= {
            k: d[f"DOASCloudScreen/{k}"][()].ravel()
            for k in ("co2_ratio_idp", "cloud_flag_idp", "o2_ratio_idp")
        }
    return read_preprocessor(*(sample_data / f for f in FILES)), known


def test_real_files_give_their_own_differences_and_ratios(sample_data):
    table, known = real(sample_data)
    assert len(table) == 64
    np.testing.assert_allclose(
        table.columns["surface_pressure_difference"], known["surface_pressure_delta_abp"] / 100.0, atol=1e-3
    )
    np.testing.assert_allclose(table.columns["co2_ratio"], known["co2_ratio_idp"], atol=1e-4)


def test_real_flags_follow_from_two_limits(sample_data):
    """The producer's four classes: 3 and 2 are clear, 1 and 0 cloudy; the O2 ratio makes the one of class 0."""
    table, known = real(sample_data)
    flag = known["cloud_flag_idp"]
    result = clear_sky(table)
    assert result.counts == {"surface_pressure": 0, "co2_ratio": 11, "h2o_ratio": 0, "o2_fit": 0, "any": 11}
    np.testing.assert_array_equal(result.rejected[flag > 0], flag[flag > 0] == 1)
    assert known["o2_ratio_idp"][flag == 0].max() < known["o2_ratio_idp"][flag > 0].min()
    strict = Screen.model_validate(
        {"name": "strict", "filter": [{"name": "co2", "variable": "co2_ratio", "at_most": 1.0101}]}
    )
    np.testing.assert_array_equal(~clear_sky(table, strict).rejected[flag > 0], flag[flag > 0] == 3)


def make(sounding_id, **columns):
    return ScreeningTable({k: np.asarray(v, float) for k, v in columns.items()}, np.asarray(sounding_id))


def test_what_is_missing_is_rejected_or_told():
    table = make(
        [1, 2, 3, 4], surface_pressure_difference=[0, -40, np.nan, 5], co2_ratio=[1.0, 1.0, 1.0, np.nan]
    )
    result = clear_sky(table)
    assert result.rejected.tolist() == [False, True, True, True]
    assert any("h2o_ratio left out" in note for note in table.notes)
    with pytest.raises(MissingVariableError, match="no variable 'co2_ratio'"):
        clear_sky(make([1], surface_pressure_difference=[0.0]))


def test_ratio_is_blind_to_scale_and_refuses_failed_fits():
    ratio = column_ratio([2.0, 0.0, -1.0, np.nan], [1.0, 1.0, 1.0, 1.0], weak_prior=2.0, strong_prior=1.0)
    assert ratio[0] == 1.0
    assert np.isnan(ratio[1:]).all()
    with pytest.raises(RangeError, match="Pa must be divided by 100"):
        surface_pressure_difference([98_000.0], [980.0])


def write(path, group, ids, **variables):
    import h5py

    with h5py.File(path, "w") as file:
        file["SoundingGeometry/sounding_id"] = np.asarray(ids, dtype=np.int64)
        for name, values in variables.items():
            file[f"{group}/{name}"] = np.asarray(values, dtype=np.float32)


def a_band(path, ids=(10, 11)):
    pressure = {f"surface_pressure_{part}abp": [97000.0, 98000.0] for part in ("", "apriori_")}
    pressure["surface_pressure_offset_abp"] = [0.0, -999999.0]
    others = ("reduced_chi_squared_o2_abp", "reduced_chi_squared_o2_threshold_abp", "temperature_offset_abp")
    write(path, "ABandRetrieval", ids, **pressure, **{name: [1.0, 1.0] for name in others})
    return path


def doas(path, ids=(12, 11, 10)):
    import h5py

    write(path, "DOASCO2", ids)
    with h5py.File(path, "a") as file:
        for band, column in (("weak", [3.0, 2.0, 1.0]), ("strong", [1.0, 1.0, 1.0])):
            file[f"DOASCO2/co2_column_{band}_band_idp"] = np.array(column)
            file[f"DOASCO2/co2_column_{band}_band_apriori_idp"] = np.ones(3)
        for name in ("h2o_ratio_idp", "o2_ratio_idp"):
            file[f"DOASCloudScreen/{name}"] = np.ones(3)
    return path


def test_files_are_joined_by_identity(tmp_path):
    a_band(tmp_path / "a.h5")
    table = read_preprocessor(tmp_path / "a.h5")
    assert table.columns["surface_pressure_difference"][0] == 0.0
    assert np.isnan(table.columns["surface_pressure_difference"][1])
    with pytest.raises(MissingVariableError, match="preprocessor"):
        read_preprocessor(tmp_path / "a.h5", tmp_path / "a.h5")
    joined = read_preprocessor(tmp_path / "a.h5", doas(tmp_path / "d.h5"))
    assert joined.columns["co2_ratio"].tolist() == [1.0, 2.0]
    with pytest.raises(FormatError, match="one orbit"):
        read_preprocessor(tmp_path / "a.h5", doas(tmp_path / "e.h5", [1, 2, 3]))


@pytest.mark.parametrize("name", ["ABandRetrieval/temperature_offset_abp", "DOASCloudScreen/h2o_ratio_idp"])
@pytest.mark.parametrize("values", [1, 4])
def test_one_value_a_sounding(tmp_path, name, values):
    """One number would be spread over all, a longer column be read at the wrong places."""
    import h5py

    files = [a_band(tmp_path / "a.h5"), doas(tmp_path / "d.h5")]
    with h5py.File(files[name.startswith("DOAS")], "a") as file:
        del file[name]
        file[name] = np.ones(values)
    with pytest.raises(FormatError, match=rf"{name} has shape \({values},\) for"):
        read_preprocessor(*files)
