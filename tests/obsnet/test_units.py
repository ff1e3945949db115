"""Units: spellings of real files, and conversions that must not be possible."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet import units
from obsnet.errors import UnitError
from obsnet.units import conversion_factor, convert, is_mole_fraction

SAME = [
    ("ppm", "1e-6"),
    ("1E-6", "ppm"),
    ("10^-6", "ppm"),
    ("ppmv", "umol mol-1"),
    ("PPM", "1e-6"),
    ("Ppb", "nmol mol-1"),
    ("parts-per-billion", "1e-9"),
    ("micromol mol-1", "1e-6"),
    ("µmol mol⁻¹", "ppm"),
    ("umol.mol-1", "ppm"),
    ("nmol.mol-¹", "1e-9"),
    ("nanomol mol-1", "ppb"),
    ("1e-12", "ppt"),
    ("ppm (umol-1 m2 s)", "ppm m2 s umol-1"),
    ("(mol/mol)/(mol/m2/s)", "ppm / (umol m-2 s-1)"),
    ("mbar", "hPa"),
    ("m s**-1", "m s-1"),
    ("parts_per_million", "ppm"),
    ("parts_per_billion", "1e-9"),
    ("nanomole per mole", "ppb"),
    ("mb", "hPa"),
    ("hpa", "hPa"),
    ("Parts per billion by volume", "ppb"),
    ("parts_per_trillion", "ppt"),
    ("1.e-9", "ppb"),  # to pint alone: one times e minus nine
    ("1.E-06", "ppm"),
    ("1 e-9", "ppb"),
    ("10**-9", "ppb"),
    ("10-9", "ppb"),
    ("10^-6 mol/mol", "ppm"),
    ("1e-9 mol mol-1", "ppb"),
    ("nmol mol-1 dry", "ppb"),
    ("ppb (dry)", "ppb"),
    ("ppmv_dry", "ppm"),
    ("mol/mol dry air", "1"),
    ("ppb(v)", "ppb"),  # to pint alone: times a volt
    ("ppm (V)", "ppm"),
    ("ppm by volume", "ppm"),
    ("ppb_v (dry)", "ppb"),
    ("parts per million (volume)", "ppm"),
]
FACTORS = [
    ("mol mol-1", "ppm", 1e6),
    ("1e-9", "1e-6", 1e-3),
    ("atm", "hPa", 1013.25),
    ("Pa", "hPa", 0.01),
    ("g m-2 s-1", "kg m-2 s-1", 1e-3),
    ("µmol m-2 s-1", "mol m-2 s-1", 1e-6),
    ("km", "m", 1e3),
    ("100 Pa", "hPa", 1.0),
    ("2.5 ppm", "ppb", 2500.0),
]


@pytest.mark.parametrize(("unit", "to"), SAME)
def test_spellings_of_one_unit(unit, to):
    assert conversion_factor(unit, to) == 1.0
    assert conversion_factor(to, unit) == 1.0


@pytest.mark.parametrize(("unit", "to", "factor"), FACTORS)
def test_factors(unit, to, factor):
    assert conversion_factor(unit, to) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize(("unit", "to"), [("ppm", "hPa"), ("kg m-2 s-1", "mol m-2 s-1"), ("s", "s m3 kg-1")])
def test_dimensions_must_agree(unit, to):
    with pytest.raises(UnitError, match="dimensions differ"):
        conversion_factor(unit, to)


def test_unknown_unit_is_named():
    with pytest.raises(UnitError, match="'furlongs per fortnite' is not known"):
        conversion_factor("furlongs per fortnite", "m s-1")


def test_offset_units_are_no_factor():
    with pytest.raises(UnitError):
        conversion_factor("degC", "K")


def test_same_unit_returns_the_same_array():
    values = np.arange(3, dtype=np.float32)
    assert convert(values, "ppm", "1e-6") is values
    assert convert(values, "ppm", "ppb").dtype == np.float64


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from(["ppm", "ppb", "ppt", "mol mol-1", "1e-6"]),
    st.sampled_from(["ppm", "ppb", "1"]),
)
def test_round_trip(value, unit, to):
    assert convert(convert(value, unit, to), to, unit) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_is_mole_fraction():
    assert is_mole_fraction("nmol mol-1")
    assert is_mole_fraction("1e-6")
    assert not is_mole_fraction("hPa")
    assert not is_mole_fraction("no such unit at all")


def by_pint(unit, to):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "_multiplied", lambda _text: None)
        return conversion_factor(unit, to)


def test_the_table_of_usual_units_is_pint_s():
    for sizes in units._SIZES.values():
        first, *rest = sizes
        for name in rest:
            for unit, to in ((name, first), (first, name)):
                assert units._multiplied(unit) is not None
                assert conversion_factor(unit, to) == by_pint(unit, to), name


NAMES = sorted(units._USUAL)


@given(st.data())
def test_products_of_usual_units_are_pint_s(data):
    drawn = st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(-3, 3).filter(bool)), min_size=1, max_size=4
    )
    parts = data.draw(drawn)
    joint = data.draw(st.sampled_from([" ", "/", "*", "/(", " ("]))
    texts = [f"{name}{power}" for name, power in parts]
    text = " ".join(texts[:-1]) + joint + texts[-1] + ")" * joint.count("(") if len(texts) > 1 else texts[0]
    own = units._multiplied(text)
    pint = units._parse(text).to_base_units()
    assert own is not None
    assert float(own.size) == pytest.approx(pint.magnitude, rel=1e-13)
    dimensions = dict(
        zip(("[substance]", "[mass]", "[length]", "[time]", "[temperature]"), own.powers, strict=True)
    )
    assert {k: v for k, v in dimensions.items() if v} == dict(pint.dimensionality)


@pytest.mark.parametrize(
    "text",
    ["m**2**3", "m (s", "m s)", "m //s", "/s", "degC", "furlong", "ppm ppm2x", "kg**", "2 3", "(m)^2", "kgC"],
)
def test_what_the_table_does_not_read_is_left_to_pint(text):
    assert units._multiplied(text) is None


def test_usual_units_need_no_pint():
    pairs = [*SAME, *((a, b) for a, b, _ in FACTORS if "atm" not in a)]
    convert_all = f"import sys; from obsnet.units import *; [conversion_factor(*p) for p in {pairs!r}]"
    code = f"{convert_all}; print('pint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("unit", "to", "factor"),
    [
        ("ppt (pmol/mol)", "1e-12", 1.0),
        ("nmol mol-1 (ppb)", "1e-9", 1.0),
        ("1e-9 (ppb)", "1e-9", 1.0),
        ("1e-6 (mol/mol)", "1e-9", 1000.0),
        ("mole fraction (ppm)", "1e-6", 1.0),
    ],
)
def test_a_unit_said_twice_is_no_product(unit, to, factor):
    assert conversion_factor(unit, to) == factor
    assert is_mole_fraction(unit)


def test_two_units_that_differ_are_refused():
    with pytest.raises(UnitError, match="two units, which differ"):
        conversion_factor("ppm (nmol/mol)", "1e-6")
    assert not is_mole_fraction("ppm (nmol/mol)")
