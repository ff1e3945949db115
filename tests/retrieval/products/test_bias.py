"""Bias corrections: the producers' formulas rebuilt on real files, refits that find what was put in."""

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, MissingVariableError, SolverError
from retrieval.products.bias import (
    Correction,
    CorrectionClass,
    producer_correction,
    read_correction,
    verify,
    write_correction,
)
from retrieval.products.bias_fit import BiasSamples, collect, concatenate, read_truth, refit, small_areas
from retrieval.products.read import open_fields, read_granule
from tests.retrieval import synthetic

CLASSES = {
    "090901": {"landH": 503, "landM": 117, "Ocean": 365},
    "090903": {"landH": 519, "landM": 77, "Ocean": 321},
}


def real_day(sample_data, date):
    return next((sample_data / "satellite" / "acos_lite").glob(f"*_{date}_*"))


@pytest.mark.parametrize("date", sorted(CLASSES))
def test_real_values_are_rebuilt_from_the_raw_ones(sample_data, date):
    fields = open_fields(real_day(sample_data, date))
    with fields.source:
        found = verify(fields)
    assert {v.name: v.n for v in found} == CLASSES[date]
    assert max(v.largest for v in found) < 5e-5
    # In single precision land is the producers' value to the last bit.
    assert [v.largest for v in found if v.name.startswith("land")] == [0.0, 0.0]


def test_synthetic_oco2_with_footprint_offsets(tmp_path):
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", *synthetic.lite(200)))
    with fields.source:
        found = verify(fields)
    assert {v.name for v in found} == {"land", "oceanGL"}
    assert max(v.largest for v in found) < 4e-5


def test_ocean_nadir_takes_its_own_formula_where_there_is_one(tmp_path):
    variables, attributes = synthetic.lite(40)
    attributes["Bias_Correction_oceanND"] = "XCO2_Bias_Corrected = XCO2_Raw + 100.0"
    mode = variables["Sounding/operation_mode"][0].copy()
    sea = np.flatnonzero(variables["Retrieval/surface_type"][0] == 0)
    mode[sea[0]] = 0
    variables["Sounding/operation_mode"] = (mode, {})
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        correction = producer_correction(fields)
        which = correction.split(fields)
        value = correction.apply(fields)
    names = [c.name for c in correction.classes]
    assert names.index("oceanND") < names.index("oceanGL")
    assert np.flatnonzero(which == names.index("oceanND")).tolist() == [sea[0]]
    assert value[sea[0]] == pytest.approx(variables["Retrieval/xco2_raw"][0][sea[0]] + 100, abs=1e-4)


def test_v10_syntax_with_logarithm_and_minimum(tmp_path):
    variables, attributes = synthetic.lite(30)
    attributes["Bias_Correction_land"] = (
        "XCO2_Bias_Corrected = (XCO2_Raw + 0.855*(dpfrac) + 0.335*((logDWS>(-5.0)) + 5.0) "
        "- 5.20*(AOD_fine - 0.03) - footprint_bias)/0.99590"
    )
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        value = producer_correction(fields).apply(fields)
    v = {
        k.rsplit("/", 1)[-1]: a.astype(float) for k, (a, _) in variables.items() if k.startswith("Retrieval/")
    }
    offset = np.array(synthetic.V9_FOOTPRINT)[variables["Sounding/footprint"][0] - 1]
    wanted = v["xco2_raw"] + 0.855 * v["dpfrac"] + 0.335 * (np.maximum(np.log(v["dws"]), -5) + 5)
    wanted = (wanted - 5.2 * (v["aod_fine"] - 0.03) - offset) / 0.9959
    land = v["surface_type"] == 1
    np.testing.assert_allclose(value[land], wanted[land], atol=1e-4)


def test_broken_formulas_are_told_with_file_and_attribute(tmp_path):
    variables, attributes = synthetic.lite(5)
    attributes["Bias_Correction_land"] = "X = XCO2_Raw + system('rm')"
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with (
        fields.source,
        pytest.raises(FormatError, match="a.nc4: Bias_Correction_land: formula .*cannot be read from"),
    ):
        producer_correction(fields)


def test_formula_with_a_variable_the_file_lacks(tmp_path):
    variables, attributes = synthetic.lite(5)
    attributes["Bias_Correction_land"] = "X = XCO2_Raw + 0.1*(snow_depth)"
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source, pytest.raises(MissingVariableError, match="no variable 'snow_depth'"):
        verify(fields)


@pytest.mark.parametrize(("text", "count"), [("offsets: 0.1, 0.2", 2), ("offsets", 0)])
def test_footprint_offsets_must_be_eight(tmp_path, text, count):
    variables, attributes = synthetic.lite(5)
    attributes["Footprint_bias_land"] = text
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source, pytest.raises(FormatError, match=f"gives {count} footprint offsets, not 8"):
        producer_correction(fields)


def test_products_and_files_without_formula(tmp_path):
    variables, attributes = synthetic.lite(5)
    for name in list(attributes):
        if name.startswith("Bias"):
            del attributes[name]
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source, pytest.raises(FormatError, match="none of the attributes Bias_Correction_land"):
        producer_correction(fields)
    variables, attributes = synthetic.cci("ch4")
    name = "ESACCI-GHG-L2-CH4-GOSAT-OCPR-20120101-fv7.2.nc"
    fields = open_fields(synthetic.write(tmp_path / name, variables, attributes))
    with fields.source, pytest.raises(FormatError, match="gosat_ocpr files carry no bias formula"):
        producer_correction(fields)


def test_correction_is_applied_with_its_provenance(tmp_path):
    variables, attributes = synthetic.lite(50)
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    correction = Correction(
        name="mine",
        sensor="oco2_lite",
        classes=(CorrectionClass(name="land", formula="raw + 2.0", when={"surface_type": 1}),),
        provenance={"origin": "by hand"},
    )
    granule = read_granule(path, correction=correction)
    assert granule.source == "oco2_lite_v9_mine"
    assert "value recomputed from the raw one by bias correction mine (by hand)" in granule.notes
    land = variables["Retrieval/surface_type"][0] == 1
    assert f"{int((~land).sum())} rows fit no class of bias correction mine" in granule.notes
    value = granule.table["value"].to_numpy(zero_copy_only=False)
    np.testing.assert_allclose(value[land], variables["Retrieval/xco2_raw"][0][land] + 2, atol=5e-5)
    assert np.isnan(value[~land]).all()
    assert (granule.table["quality"].to_numpy()[~land] != 0).all()


def test_correction_of_another_product_is_refused(tmp_path):
    path = synthetic.write(tmp_path / "a.nc4", *synthetic.lite(5))
    correction = Correction(name="x", sensor="acos_lite", classes=(CorrectionClass(name="a", formula="raw"),))
    with pytest.raises(FormatError, match="is oco2_lite, the bias correction is of acos_lite"):
        read_granule(path, correction=correction)


def test_correction_survives_writing(tmp_path):
    correction = Correction(
        name="refit7",
        sensor="oco2_lite",
        classes=(
            CorrectionClass(
                name="land",
                formula="(raw + 0.9 * dpfrac)/0.995",
                when={"surface_type": 1.0, "gain": "H"},
                footprint=(0.1,) * 8,
            ),
            CorrectionClass(name="sea", formula="raw - 0.1"),
        ),
        provenance={"origin": 'a "quoted" one', "n": 3, "land": {"errors": [0.1, 0.2]}},
    )
    write_correction(correction, tmp_path / "c.toml")
    assert read_correction(tmp_path / "c.toml") == correction


def test_faulty_correction_files(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        'name = "x"\nsensor = "oco2_lite"\n[[classes]]\nname = "a"\nformula = "raw +"\nfootprint = [1.0]\n'
    )
    with pytest.raises(ConfigError, match="c.toml: classes.0.*ends where 'a value' is expected"):
        read_correction(path)
    path.write_text(
        'name = "x"\nsensor = "oco2_lite"\n[[classes]]\nname = "a"\nformula = "raw"\nfootprint = [1.0]\n'
    )
    with pytest.raises(ConfigError, match="footprint has 1 offsets, not 8"):
        read_correction(path)


# -- refit ----------------------------------------------------------------------------------------------------


def test_small_areas_are_short_and_unbroken():
    seconds = np.r_[np.arange(0, 60, 0.3), 500 + np.arange(0, 5, 0.3), 2000.0]
    time = np.datetime64("2020-01-01", "us") + (seconds * 1e6).astype("timedelta64[us]")
    latitude = seconds * 6.75 / 111.2
    longitude = np.full(len(seconds), 100.0)
    area = small_areas(time, latitude, longitude, length=100.0, gap=20.0)
    assert area[-1] == -1  # alone
    for number in np.unique(area[area >= 0]):
        rows = np.flatnonzero(area == number)
        assert (np.diff(rows) == 1).all()
        assert np.ptp(latitude[rows]) * 111.2 <= 100.5
    assert len(np.unique(area[:200])) == 5  # 405 km
    assert not set(area[:200]) & set(area[200:-1])


def test_small_areas_do_not_depend_on_the_order():
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.uniform(0, 300, 200))
    time = np.datetime64("2020-01-01", "us") + (seconds * 1e6).astype("timedelta64[us]")
    latitude, longitude = seconds * 0.06, np.full(200, 10.0)
    area = small_areas(time, latitude, longitude)
    mixed = rng.permutation(200)
    np.testing.assert_array_equal(small_areas(time[mixed], latitude[mixed], longitude[mixed]), area[mixed])
    assert len(small_areas(time[:0], latitude[:0], longitude[:0])) == 0


def made_up(n=3000, areas=60, seed=1, noise=0.3, outliers=0.0):
    """Samples whose raw values were spoilt by known coefficients."""
    rng = np.random.default_rng(seed)
    correction = Correction(
        name="start",
        sensor="oco2_lite",
        classes=(
            CorrectionClass(
                name="land", formula="(raw + 0.5*(a - 1.0) + 0.5*b + 0.2*years_since_1Jan2015 + 1.0)/0.995"
            ),
        ),
    )
    area = rng.integers(0, areas, n)
    factors = np.column_stack([rng.normal(0, 1, n), rng.uniform(0, 2, n), 5.0 + 0.01 * area])
    truth = 400 + 3 * np.sin(area)
    raw = 0.995 * truth - factors @ [0.9, -0.3, 0.2] - 1.7 + rng.normal(0, noise, n)
    spoilt = rng.random(n) < outliers
    raw[spoilt] += rng.normal(20, 5, spoilt.sum())
    samples = BiasSamples(np.arange(n).astype(str), np.zeros(n, int), raw, np.zeros(n), [factors], area)
    return correction, samples, truth


def test_small_areas_find_the_coefficients_and_keep_what_they_cannot_see():
    correction, samples, _truth = made_up()
    new, (fit,) = refit(correction, samples)
    np.testing.assert_allclose(fit.new[:2], [0.9, -0.3], atol=4 * fit.error[:2].max())
    assert fit.error[0] == pytest.approx(0.3 / np.sqrt(3000), rel=0.3)
    assert fit.new[2] == 0.2
    assert np.isnan(fit.error[2])
    assert fit.constant == 1.0  # as before: areas tell no common offset
    assert fit.scatter_after < fit.scatter_before
    assert fit.scatter_after == pytest.approx(0.3, rel=0.1)
    assert new.provenance["land"]["soundings"] == 3000
    assert new.provenance["origin"] == "refit of start on small areas"


def test_given_truths_find_the_offset_too():
    correction, samples, truth = made_up()
    _, (fit,) = refit(correction, samples, truth=truth)
    np.testing.assert_allclose(fit.new[:2], [0.9, -0.3], atol=0.05)
    total = fit.constant + fit.new[2] * samples.factors[0][:, 2].mean()
    assert total == pytest.approx(1.7 + 0.2 * samples.factors[0][:, 2].mean(), abs=0.05)


def test_outliers_do_not_carry_the_fit_away():
    correction, samples, _ = made_up(outliers=0.03)
    _, (fit,) = refit(correction, samples)
    np.testing.assert_allclose(fit.new[:2], [0.9, -0.3], atol=0.06)


def test_fit_is_the_same_for_any_order_of_soundings():
    correction, samples, _ = made_up(500)
    mixed = np.random.default_rng(5).permutation(500)
    other = BiasSamples(
        samples.obs_id[mixed],
        samples.which,
        samples.raw[mixed],
        samples.offset,
        [samples.factors[0][mixed]],
        samples.area[mixed],
    )
    one, two = (refit(correction, s)[1][0].new for s in (samples, other))
    np.testing.assert_allclose(one, two, rtol=1e-8)


def test_refit_on_the_real_values_gives_the_producers_coefficients_back(sample_data):
    parts, truths = [], []
    for date in CLASSES:
        fields = open_fields(real_day(sample_data, date))
        with fields.source:
            correction = producer_correction(fields)
            parts.append(collect(fields, correction))
            truths.append(fields.number("value")[fields.raw("xco2_quality_flag") == 0])
    samples = concatenate(parts)
    _new, fits = refit(correction, samples, truth=np.concatenate(truths))
    for fit in fits:
        inside = [k for k, factor in enumerate(fit.factors) if not factor.startswith("years")]
        np.testing.assert_allclose(fit.new[inside], fit.old[inside], rtol=2e-5)
        assert fit.scatter_after < 3e-5
    assert {f.name for f in fits} == {"landH", "landM", "Ocean"}


def test_new_correction_reads_a_granule_and_lowers_the_scatter(tmp_path):
    variables, attributes = synthetic.lite(400, seed=7)
    # The true column is 405 everywhere; the raw value carries an error of another size than the file's formula.
    offset = np.array(synthetic.V9_FOOTPRINT)[variables["Sounding/footprint"][0] - 1]
    dpfrac = variables["Retrieval/dpfrac"][0].astype(float)
    rng = np.random.default_rng(0)
    raw = 405 * 0.9954 + offset - 1.4 * dpfrac - 0.029 * (variables["Retrieval/co2_grad_del"][0] - 15.0)
    raw = raw - 9 * variables["Retrieval/dws"][0] + rng.normal(0, 0.05, 400)
    variables["Retrieval/xco2_raw"] = (raw.astype(np.float32), variables["Retrieval/xco2_raw"][1])
    path = synthetic.write(tmp_path / synthetic.lite_name(), variables, attributes)
    fields = open_fields(path)
    with fields.source:
        correction = producer_correction(fields)
        samples = collect(fields, correction)
    new, fits = refit(correction, samples, provenance={"files": 1})
    land = next(f for f in fits if f.name == "land")
    assert land.new[land.factors.index("dpfrac + 0.0")] == pytest.approx(1.4, abs=0.02)
    write_correction(new, tmp_path / "c.toml")
    granule = read_granule(path, correction=read_correction(tmp_path / "c.toml"))
    use = (granule.table["quality"].to_numpy() == 0) & (variables["Retrieval/surface_type"][0] == 1)
    value = granule.table["value"].to_numpy(zero_copy_only=False)[use]
    assert value.std() < 0.07
    assert granule.source == "oco2_lite_v9_refit"


def test_too_little_to_fit():
    correction, samples, _truth = made_up(20)
    with pytest.raises(SolverError, match="no class of start has 30 soundings"):
        refit(correction, samples)
    with pytest.raises(FormatError, match="no granule"):
        concatenate([])


def test_formula_without_the_raw_value_cannot_be_refitted():
    _, samples, _ = made_up(50)
    correction = Correction(
        name="x", sensor="oco2_lite", classes=(CorrectionClass(name="a", formula="2*raw + b"),)
    )
    with pytest.raises(FormatError, match="the raw value must stand in it once"):
        refit(correction, samples)


def test_areas_of_granules_stay_apart():
    _, one, _ = made_up(50, areas=5)
    both = concatenate([one, one])
    assert not set(both.area[:50]) & set(both.area[50:])
    assert len(both.factors[0]) == 100


def test_truths_from_a_table(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("sounding_id,truth\n20180102,401.0\n20180102,403.0\n7,400.5\n")
    found = read_truth(str(path), np.array(["7", "8", "20180102"]))
    np.testing.assert_array_equal(found, [400.5, np.nan, 402.0])
    with pytest.raises(FormatError, match="none of its 2 soundings"):
        read_truth(str(path), np.array(["1"]))
    path.write_text("id,truth\n1,2\n")
    with pytest.raises(FormatError, match="no column 'sounding_id'; it has id, truth"):
        read_truth(str(path), np.array(["1"]))
