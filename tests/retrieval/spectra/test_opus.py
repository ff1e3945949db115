"""OPUS spectra and run logs: files written here, and the real spectrum of Park Falls."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from obsnet.errors import FormatError
from retrieval.spectra.opus import read_opus, read_run_log

NAME = "pa20091103saaaaa_100223160344.008"


def parameters(**values):
    body = b""
    for name, value in values.items():
        if isinstance(value, int):
            kind, data = 0, struct.pack("<i", value)
        elif isinstance(value, float):
            kind, data = 1, struct.pack("<d", value)
        else:
            kind, data = 2, value.encode().ljust(2 * (len(value) // 2 + 1), b"\0")
        body += name.encode().ljust(4, b"\0") + struct.pack("<hh", kind, len(data) // 2) + data
    body += b"END\0" + struct.pack("<hh", 0, 0)
    return body.ljust(4 * (-(-len(body) // 4)), b"\0")


def opus(path, values, first, last, unit="WN", spectrum=True, factor=1.0):
    values = np.asarray(values, dtype="<f4")
    status = parameters(DPF=1, NPT=len(values), FXV=first, LXV=last, CSF=factor, DXU=unit)
    blocks = [(0x20, parameters(INS="IFS125 HR", DUR=104.25)), (0x8417, status)]
    blocks += [(0x8407, values.tobytes())] * spectrum
    start = 24 + 12 * (len(blocks) + 1)
    directory = struct.pack("<iii", 0x3400, 3 * (len(blocks) + 1), 24)
    content = b""
    for kind, body in blocks:
        directory += struct.pack("<iii", kind, len(body) // 4, start + len(content))
        content += body
    head = b"\x0a\x0a\xfe\xfe" + struct.pack("<diii", 920622.0, 24, 40, len(blocks) + 1)
    path.write_bytes(head + directory + content)
    return path


def run_log(path, *spectra):
    """Rows of 37 columns, after a heading."""
    numbers = [2009, 307, 22.5, 45.9, -90.3, 0.44, 60.0, 0.1, 180.0, 0.3, 45.0, 0.0024, 0.0024, 0]
    numbers += [400000, 800000, 0.0075, "0", 2, 1, 0.1, 0.9, 300.0, 0.01, 5.0, 970.0, 60.0, 4.0, 955.0, 40.0]
    numbers += [*range(36 - len(numbers))]
    rows = [" ".join(map(str, (name, *numbers))) for name in spectra]
    path.write_text("\n".join([" 2 37", " spectrum year day hour", *rows]) + "\n")
    return path


def test_a_run_log_is_read_by_its_columns(tmp_path):
    entry = read_run_log(run_log(tmp_path / "a.grl", "a.0", "b.0"), "b.0")
    assert (entry.spectrum, entry.year, entry.day, entry.hour) == ("b.0", 2009, 307, 22.5)
    assert (entry.first, entry.last, entry.spacing) == (400000, 800000, 0.0075)
    with pytest.raises(FormatError, match=r"no spectrum 'c\.0'"):
        read_run_log(tmp_path / "a.grl", "c.0")


def test_round_trip(tmp_path):
    values = np.linspace(0.1, 0.9, 101)
    found = read_opus(opus(tmp_path / "a.0", values, 6000.0, 6001.0, factor=2.0))
    np.testing.assert_allclose(found.radiance, 2.0 * values, rtol=1e-6)
    np.testing.assert_allclose(found.wavenumber, 6000.0 + 0.01 * np.arange(101))
    assert found.parameters["INS"] == "IFS125 HR"
    assert found.parameters["DUR"] == 104.25
    assert len(found.between(6000.2, 6000.4).radiance) == pytest.approx(20, abs=1)
    turned = read_opus(opus(tmp_path / "b.0", values, 6001.0, 6000.0))
    assert (np.diff(turned.wavenumber) > 0).all()
    np.testing.assert_allclose(turned.radiance, values[::-1], rtol=1e-6)


def test_what_is_no_spectrum_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"no spectrum")
    with pytest.raises(FormatError, match="not an OPUS file"):
        read_opus(tmp_path / "x")
    with pytest.raises(FormatError, match="no spectrum in it"):
        read_opus(opus(tmp_path / "c", [1.0] * 9, 1.0, 2.0, spectrum=False))
    with pytest.raises(FormatError, match="in MI, not in wavenumbers"):
        read_opus(opus(tmp_path / "d", [1.0] * 9, 1.0, 2.0, unit="MI"))
    whole = opus(tmp_path / "e", np.ones(1000), 1.0, 2.0).read_bytes()
    for length in (30, 200, len(whole) - 400):
        (tmp_path / "f").write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"cannot be read as an OPUS file|no spectrum"):
            read_opus(tmp_path / "f")
    with pytest.raises(FormatError, match="spans 1 to 2"):
        read_opus(tmp_path / "e").between(1.5, 3.0)


def test_real_spectrum_is_the_one_that_was_retrieved_from(sample_data):
    import h5py

    folder = sample_data / "retrieval/fts_acos"
    spectrum = read_opus(folder / NAME)
    log = read_run_log(folder / "tccon_runlog.grl", NAME)
    assert len(spectrum.radiance) == log.last - log.first + 1
    np.testing.assert_allclose(
        spectrum.wavenumber[[0, -1]], np.array([log.first, log.last]) * log.spacing, rtol=5e-7
    )
    assert log.solar_zenith == 84.573
    assert log.path_difference == 45.0
    assert spectrum.parameters["SEA"] == pytest.approx(90.0 - log.solar_zenith, abs=0.2)
    with h5py.File(folder / "out.expected.h5") as file:
        parts = file["SpectralParameters"]
        channels = slice(31859, 31859 + 15930)  # the second of three bands
        nu, known = (parts[n][0][channels] for n in ("wavenumber", "measured_radiance"))
    mine = np.interp(nu, spectrum.wavenumber, spectrum.radiance)
    assert np.corrcoef(mine, known)[0, 1] > 0.9995
    with pytest.raises(FormatError, match="nearest"):
        read_run_log(folder / "tccon_runlog.grl", NAME[:-1] + "3")
