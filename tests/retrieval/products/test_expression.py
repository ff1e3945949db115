"""The little language of bias formulas and screens: precedence, functions, refusals; never executed as code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import FormatError
from retrieval.products.expression import (
    Binary,
    Call,
    FormulaTerm,
    Name,
    Number,
    evaluate,
    names,
    parse,
    terms,
    unparse,
)


def value(text, **variables):
    return evaluate(parse(text), variables.__getitem__)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 + 2*3", 7),
        ("(1 + 2)*3", 9),
        ("8/4/2", 1),
        ("8-4-2", 2),
        ("-3 + 5", 2),
        ("2*-3", -6),
        ("-2^2", -4),
        ("2^3", 8),
        ("2^-1", 0.5),
        ("--3", 3),
        ("3>5", 5),  # IDL: the larger
        ("3<5", 3),  # the smaller
        ("1 + 3>5", 5),  # at the rank of + and -, from the left: (1 + 3) > 5
        ("1 + (3>5)", 6),
        ("7 - 2<3", 3),
        ("2*3>5", 6),
        ("sqrt(16) + abs(-2)", 6),
        ("min(3, 4) + max(3, 4)", 7),
        ("alog(exp(2.0)) + alog10(100)", 4),
        ("1.5e2 + 1.5D1 + .5 + 6.", 171.5),
    ],
)
def test_arithmetic(text, wanted):
    assert value(text) == pytest.approx(wanted)


def test_names_and_arrays():
    found = value("a*(B_2 - 1.)", a=np.array([1.0, 2.0]), B_2=np.array([3.0, np.nan]))
    np.testing.assert_array_equal(found, [2.0, np.nan])
    assert names(parse("b + a*sqrt(b) + c2")) == ["b", "a", "c2"]


def test_undefined_is_nan_without_a_warning():
    assert np.isnan(value("sqrt(-1)"))
    assert np.isnan(value("0/0"))


def test_precision_is_that_of_every_operand():
    single = evaluate(parse("a + 0.1"), {"a": 0.2}.__getitem__, np.float32)
    assert single.dtype == np.float32
    assert single == np.float32(0.2) + np.float32(0.1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 +", "ends where 'a value' is expected"),
        ("(1 + 2", r"ends where '\)' is expected"),
        ("1 2", "cannot be read from '2' on"),
        ("a b", "cannot be read from 'b' on"),
        ("a; b", "cannot be read from '; b' on"),
        ("__import__('os')", "cannot be read from \"'os'\\)\" on"),
        ("open(1)", "unknown function 'open'"),
        ("sqrt(1, 2)", "sqrt takes 1 argument, found 2"),
        ("max(1)", "max takes 2 arguments, found 1"),
        ("a.b", "cannot be read from '.b' on"),
        ("a[0]", r"cannot be read from '\[0\]' on"),
        ("*3", r"a value expected, found '\*'"),
        ("(" * 100 + "1" + ")" * 100, "more than 60 levels deep"),
        ("-" * 200 + "1", "more than 60 levels deep"),
        ("1+" * 3000 + "1", "longer than 4000 characters"),
    ],
)
def test_refusals(text, why):
    with pytest.raises(FormatError, match=why):
        parse(text, "file.nc: Bias_Correction")


def test_a_unit_at_the_end_is_left_out_only_where_asked():
    assert value("0.95") == evaluate(parse("0.95 ppm", unit=True), {}.__getitem__)
    with pytest.raises(FormatError, match="cannot be read from 'ppm' on"):
        parse("0.95 ppm")


positive = st.floats(0.001, 1000).map(lambda x: float(f"{x:.6g}"))
trees = st.recursive(
    positive.map(Number) | st.sampled_from(["a", "b_1", "Cc"]).map(Name),
    lambda inner: (
        st.builds(Binary, st.sampled_from("+-*/^><"), inner, inner)
        | st.builds(lambda f, x: Call(f, (x,)), st.sampled_from(["sqrt", "abs", "log"]), inner)
        | st.builds(lambda f, x, y: Call(f, (x, y)), st.sampled_from(["min", "max"]), inner, inner)
    ),
    max_leaves=12,
)


@given(trees)
def test_unparse_then_parse_is_the_same_tree(tree):
    assert parse(unparse(tree)) == tree


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text):
    try:
        tree = parse(text)
    except FormatError:
        return
    evaluate(tree, lambda _name: 1.0)


def test_terms_of_a_lite_formula():
    found, divisor = terms(
        parse("(XCO2_Raw + 0.9*(dpfrac + 0.0) - 0.029*(g - 15.0) + 3 - footprint_bias)/0.9954")
    )
    assert divisor == 0.9954
    assert found == [
        FormulaTerm(1.0, Name("XCO2_Raw")),
        FormulaTerm(0.9, Binary("+", Name("dpfrac"), Number(0.0))),
        FormulaTerm(-0.029, Binary("-", Name("g"), Number(15.0))),
        FormulaTerm(3.0, None),
        FormulaTerm(-1.0, Name("footprint_bias")),
    ]


def test_terms_without_divisor():
    assert terms(parse("raw + x*2")) == ([FormulaTerm(1.0, Name("raw")), FormulaTerm(2.0, Name("x"))], 1.0)
