"""Line lists: records written here, the real files, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import FormatError
from retrieval.forward.hitran import read_lines
from tests.retrieval.forward.worlds import record


def write(tmp_path, *records, name="lines.par"):
    path = tmp_path / name
    path.write_text("\n".join(records) + "\n")
    return path


def test_record_is_read_by_its_columns(tmp_path):
    path = write(
        tmp_path, record(wavenumber=6226.5), record(wavenumber=6225.25, energy=1234.5678), record(molecule=1)
    )
    found = read_lines(path, "CO2")
    np.testing.assert_allclose(found.wavenumber, [6225.25, 6226.5])  # sorted
    np.testing.assert_allclose(found.lower_energy, [1234.5678, 100.0])
    assert set(found.air_width) == {0.07}
    assert set(found.self_width) == {0.09}
    assert set(found.exponent) == {0.7}
    assert set(found.shift) == {-0.005}
    assert len(found.between(6226.0, 6227.0)) == 1
    assert found.molar_mass[0] == pytest.approx(43.98983)


def test_other_record_widths_are_refused(tmp_path):
    for text in (record()[:100], record() + "0.1284", record()[:159]):
        with pytest.raises(FormatError, match="160"):
            read_lines(write(tmp_path, record(), text), "CO2")
    assert len(read_lines(write(tmp_path, record(tail=",#,#")), "CO2")) == 1  # further parameters of HAPI


def test_missing_isotopologue_is_refused(tmp_path):
    path = write(tmp_path, record(), record(isotopologue="2"), record(isotopologue="0"))
    assert len(read_lines(path, "CO2", isotopologues=(1, 2))) == 2
    with pytest.raises(FormatError, match=r"\[3\] are missing"):
        read_lines(path, "CO2", isotopologues=(1, 3))
    with pytest.raises(FormatError, match="found none"):
        read_lines(path, "O2")
    with pytest.raises(FormatError, match="molar masses of 'CO3'.*CO2"):
        read_lines(path, "CO3")


def test_letters_among_numbers_are_refused(tmp_path):
    with pytest.raises(FormatError, match="not a HITRAN record"):
        read_lines(write(tmp_path, "x" * 160), "CO2")


def test_real_lists(sample_data):
    folder = sample_data / "retrieval/spectroscopy"
    co2 = read_lines(folder / "CO2_6200-6280_iso1.par", "CO2")
    assert len(co2) == 1427
    assert (np.diff(co2.wavenumber) >= 0).all()
    assert 1e-23 < co2.strength.max() < 3e-23
    with pytest.raises(FormatError, match="missing"):
        read_lines(folder / "CO2_6200-6280_iso1.par", "CO2", isotopologues=(1, 2))
    assert len(read_lines(folder / "O2_12847-13339.par", "O2", isotopologues=(1, 2, 3))) == 489
    with pytest.raises(FormatError, match="160"):
        read_lines(sample_data / "retrieval/lm_co2/S13001200001__.dat", "CO2")
