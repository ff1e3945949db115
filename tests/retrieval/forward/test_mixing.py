"""Line mixing: balances that must hold, the inversion of the whole matrix, and the real matrix of the O2 A band."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import wofz

from obsnet.errors import FormatError, RangeError
from retrieval.forward.absorption import ATMOSPHERE, DOPPLER, cross_section
from retrieval.forward.hitran import LineList, read_lines
from retrieval.forward.mixing import read_mixing
from retrieval.forward.relaxation import BandLines, model_matrix, read_band, read_relaxation
from retrieval.forward.tables import build_table, open_table, save_table
from tests.retrieval.forward.worlds import record


def band(count=24):
    """A parallel band of a linear molecule with even J, like CO2's."""
    lower, b = 2.0 * np.arange(1, count // 2 + 1), 0.39
    upper = np.concatenate([lower - 1.0, lower + 1.0])
    j = np.concatenate([lower, lower])
    energy, above = b * j * (j + 1.0), 0.387 * upper * (upper + 1.0)
    nu = 6228.0 + above - energy
    population = (2.0 * j + 1.0) * np.exp(-1.4388 * energy / 296.0)
    amplitude = np.concatenate([-np.sqrt(lower), np.sqrt(lower + 1.0)]) / np.sqrt(2.0 * j + 1.0)
    branch = np.repeat(["P", "R"], count // 2)
    n, width = np.ones(count), 0.085 - 1e-3 * j
    strength = 1e-22 * population * amplitude**2
    columns = (n.astype(np.int64), nu, strength, width, width, energy, 0.7 * n, 0.0 * n)
    order = np.argsort(nu)
    lines = LineList("CO2", *(c[order] for c in columns))
    return BandLines(
        lines, population[order], amplitude[order], branch[order], np.full(count, "e"), "a made-up band"
    )


def write_band(path):
    """Two lines in the records of a line-mixing package."""
    rows = [
        record(wavenumber=6225.0 + k)[:117] + f"{'PR'[k]} 10e".ljust(53) + f"{0.7 - k:16.8E}{0.03:16.8E}"
        for k in (0, 1)
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def write_relaxation(folder):
    """Three lines of a band and their nine pairs."""
    names = [f"  P {j:2d}P {j:2d}" for j in (1, 3, 5)]
    lines = [
        f"{13118.0 - 6 * k:12.6f}  0.01 0.7 0.7 {40.0 * k:.4f} .05 0.7 -.005".ljust(81) + n
        for k, n in enumerate(names)
    ]
    pairs = [
        f"{0.05 if a == b else -0.01:15.7E}{0.7:15.9f}".ljust(33) + a + "  " + b for a in names for b in names
    ]
    (folder / "SDF.dat").write_text("\n".join(lines) + "\n")
    (folder / "RMF.dat").write_text("\n".join(pairs) + "\n")
    return folder / "SDF.dat", folder / "RMF.dat"


def test_files_made_here_are_read(tmp_path):
    made = read_band(write_band(tmp_path / "S.dat"))
    assert made.branch.tolist() == ["P", "R"]
    assert made.parity.tolist() == ["e", "e"]
    np.testing.assert_allclose(made.amplitude, [0.7, -0.3])
    np.testing.assert_allclose(made.population, 0.03)
    matrix = read_relaxation(*write_relaxation(tmp_path))
    np.testing.assert_allclose(matrix.matrix, np.where(np.eye(3) > 0, 0.05, -0.01))
    text = (tmp_path / "RMF.dat").read_text().splitlines()
    (tmp_path / "RMF.dat").write_text("\n".join([*text[:-1], text[0]]) + "\n")
    with pytest.raises(FormatError, match="there twice"):
        read_relaxation(tmp_path / "SDF.dat", tmp_path / "RMF.dat")


def whole(matrix, made, nu, p):
    """The band by the inverse of the relaxation matrix, to all orders: poles of nu - L - i p W, each a Voigt."""
    w, population = matrix.at(296.0)
    poles, vectors = np.linalg.eig(np.diag(made.lines.wavenumber) + 1j * p * w)
    left, right = made.amplitude @ vectors, np.linalg.solve(vectors, population * made.amplitude)
    scale = np.sqrt(np.log(2.0)) / (DOPPLER * made.lines.wavenumber.mean() * np.sqrt(296.0 / 43.98983))
    z = scale * (nu[:, None] - poles.conj())
    return 1e-22 * ((left * right) * scale / np.sqrt(np.pi) * 1j * wofz(z).conj()).sum(axis=1).imag


@pytest.mark.parametrize("cross", [0.0, 1.0])
def test_balances_of_a_modelled_matrix(cross):
    made = band()
    matrix = model_matrix(made, decay=60.0, cross=cross)
    w, population = matrix.at(230.0)
    np.testing.assert_allclose(w * population, (w * population).T, rtol=1e-12)
    assert np.abs(matrix.sum_rule()).max() < 1e-8
    y = matrix.first_order(296.0)
    taken = made.population * made.amplitude**2 * y
    assert abs(taken.sum()) < 1e-12 * np.abs(taken).sum()
    # far from the band S (gamma + Y (nu - nu_j)) / (nu - nu_j)^2 cancels to its leading order
    strength = made.population * made.amplitude**2
    distance = 1.6e4 - made.lines.wavenumber
    plain, mixed = ((strength * (made.lines.air_width + m * distance) / distance**2).sum() for m in (0.0, y))
    assert abs(mixed) < 0.02 * plain


def test_first_order_is_the_inverse_matrix_to_the_square_of_pressure():
    made = band()
    matrix, lines = model_matrix(made, decay=60.0), made.lines
    mixing = matrix.mixing()
    nu = np.arange(6190.0, 6260.0, 0.01)
    errors = []
    for p in (0.1, 0.05):
        exact = whole(matrix, made, nu, p)
        first, none = (
            cross_section(lines, nu, p * ATMOSPHERE, 296.0, wing=500.0, mixing=m) for m in (mixing, None)
        )
        # Doppler widths differ by the line's place, a relative 1e-3: compare what mixing adds
        diagonal = dataclasses.replace(matrix, matrix=np.diag(np.diag(matrix.matrix)))
        added = exact - whole(diagonal, made, nu, p)
        errors.append(np.abs(first - none - added).max() / np.abs(exact).max())
        assert np.abs(first - none - added).max() < 0.1 * np.abs(added).max()
    assert 3.0 < errors[0] / errors[1] < 9.0  # p^2 of a peak that itself grows with falling p
    plain = cross_section(lines, nu, 500.0, 296.0, wing=500.0)
    mixed = cross_section(lines, nu, 500.0, 296.0, wing=500.0, mixing=mixing)
    wide = np.arange(5928.0, 6528.0, 0.02)
    areas = [cross_section(lines, wide, 500.0, 296.0, wing=500.0, mixing=m).sum() for m in (None, mixing)]
    assert abs(areas[1] / areas[0] - 1.0) < 2e-3  # what is left is beyond the ends
    wing, trough = nu < 6192.0, (nu > 6227.5) & (nu < 6228.5)
    assert (mixed[wing] < plain[wing]).all()
    assert (mixed[trough] > plain[trough]).all()
    nothing = dataclasses.replace(mixing, coefficient=0.0 * mixing.coefficient)
    np.testing.assert_array_equal(cross_section(lines, nu, 500.0, 296.0, wing=500.0, mixing=nothing), plain)


def test_coefficients_of_a_file(tmp_path):
    made = band()
    lines = made.lines
    path = tmp_path / "mine.txt"
    rows = "\n".join(
        f"{v} {e} 0.01 {0.8}" for v, e in zip(made.lines.wavenumber, made.lines.lower_energy, strict=True)
    )
    path.write_text(f"# mine\nwavenumber lower_energy mixing exponent\n{rows}\n")
    mixing = read_mixing(path)
    np.testing.assert_allclose(mixing.at(lines, 233.0), 0.01 * (296.0 / 233.0) ** 0.8, rtol=1e-4)
    assert mixing.imbalance(lines) == pytest.approx(1.0)  # all of one sign: no band gives more than it takes
    grid = 6220.0 + 0.05 * np.arange(100)
    table = build_table(lines, grid, temperature_step=60.0, log_pressure_step=3.0, mixing=mixing)
    save_table(table, tmp_path / "t.zip")
    assert open_table(tmp_path / "t.zip").mixing == "mine.txt"
    other = dataclasses.replace(lines, wavenumber=lines.wavenumber + 1.0)
    with pytest.raises(FormatError, match="none of its 24 lines"):
        cross_section(other, grid, 500.0, 250.0, mixing=mixing)
    with pytest.raises(RangeError, match="150 to 350 K"):
        mixing.at(lines, 100.0)
    for text, message in (
        ("wavenumber Y\n1 2\n", "must name"),
        ("wavenumber lower_energy mixing\n1 2\n", "row 2"),
    ):
        path.write_text(text)
        with pytest.raises(FormatError, match=message):
            read_mixing(path)


def test_refusals_of_matrices(tmp_path):
    made = band()
    matrix = model_matrix(made, decay=60.0)
    double = dataclasses.replace(
        matrix, wavenumber=np.where(np.arange(24) == 3, made.lines.wavenumber[4], made.lines.wavenumber)
    )
    with pytest.raises(RangeError, match="singular"):
        double.first_order(296.0)
    with pytest.raises(RangeError, match="decay"):
        model_matrix(made, decay=0.0)
    with pytest.raises(RangeError, match="another decay"):
        model_matrix(made, decay=1e-3)
    path = tmp_path / "S.dat"
    path.write_text(" 71" + "1" * 199 + "\n")
    with pytest.raises(FormatError, match="molecule 2, isotopologue 1"):
        read_band(path)
    path.write_text("x" * 160 + "\n")
    with pytest.raises(FormatError, match="160 characters, this layout has 202"):
        read_band(path)
    with pytest.raises(FormatError, match="160 characters, this layout has 91"):
        read_relaxation(path, path)


def test_real_matrix_of_the_oxygen_band(sample_data):
    """Detailed balance and sum rule to what the files' digits and the model behind them allow; HITRAN's strengths."""
    folder = sample_data / "retrieval"
    matrix = read_relaxation(folder / "lm_co2/SDFO2.dat", folder / "lm_co2/RMFO2.dat")
    assert matrix.imbalance() < 2e-3
    assert np.median(np.abs(matrix.sum_rule())) < 0.04
    lines = read_lines(folder / "spectroscopy/O2_12847-13339.par", "O2", isotopologues=(1, 2, 3))
    mixing = matrix.mixing()
    mine, theirs = mixing.match(lines)
    assert len(mine) == 70
    band_30013 = read_band(folder / "lm_co2/S13001300001__.dat")
    assert len(band_30013.lines) == 97
    ratio = band_30013.lines.strength / (band_30013.population * band_30013.amplitude**2)
    assert (
        0.85 < ratio.min() / ratio.mean() < ratio.max() / ratio.mean() < 1.25
    )  # the file's are a rigid rotor's
    assert model_matrix(band_30013, decay=100.0).mixing().imbalance(band_30013.lines) < 1e-6
    ratio = lines.strength[theirs] / (matrix.population * matrix.amplitude**2 * matrix.wavenumber)[mine]
    assert ratio.std() < 5e-3 * ratio.mean()
    assert mixing.imbalance(lines) < 5e-3
