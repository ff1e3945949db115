"""Whole estimates on a synthetic country with a known truth, and on CEADs."""

import numpy as np
import pandas as pd
import pytest

from obsnet.crosscheck.compared.fit import Fit
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.inventory.period import read_period
from obsnet.nowcast.forecast import KAYA, forecast, read_target
from obsnet.nowcast.inputs.atmosphere import seen_in, updated
from obsnet.nowcast.inputs.history import read_history
from obsnet.nowcast.inputs.indicator_file import read_indicators
from obsnet.nowcast.inputs.indicators import join
from obsnet.nowcast.power import FACTOR, likeness, power_estimate
from obsnet.nowcast.rapid import rapid_estimate
from obsnet.nowcast.rows import covariance_rows, value_rows
from obsnet.nowcast.shape import monthly_shape, shaped_flux
from obsnet.nowcast.with_atmosphere import atmosphere_estimate
from tests.obsnet.nowcast.made import REGIONS, indicator_frame, inventory_frame, world, write

SOME = REGIONS[:16]
YEARS = np.arange(2003, 2020)


def files(folder, made, *, nation=None, drop_last=False, **how):
    frame = inventory_frame(made, nation)
    if drop_last:
        frame = frame[frame["period"] != str(made.years[-1])]
    return (
        read_history([str(write(frame, folder / "inventory.csv"))]),
        read_indicators(write(indicator_frame(made, **how), folder / "indicators.csv")),
    )


def row(scores, model, step=1, region="provinces"):
    return scores[(scores["model"] == model) & (scores["step"] == step) & (scores["region"] == region)].iloc[
        0
    ]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    made = world(3, regions=SOME, years=YEARS)
    history, indicators = files(tmp_path_factory.mktemp("known"), made, layout="running")
    return made, history, indicators, rapid_estimate(history, indicators, year=2019, draws=500)


def test_the_estimate_is_as_good_as_if_the_truth_of_the_slopes_were_known(known):
    made, _, _, found = known
    assert found.model == "regression"
    used = row(found.scores, "regression")
    years = YEARS[1:][-used["years"] - 1 : -1]
    at = np.isin(YEARS[1:], years)
    oracle = np.exp(np.log(made.emissions[:-1][at]) + made.explained[at]) / made.emissions[1:][at] - 1.0
    assert used["mae"] < 1.08 * 100 * np.abs(oracle).mean()
    assert used["mae"] < 0.7 * row(found.scores, "persistence")["mae"]
    assert used["than_persistence"] + used["than_persistence_sd"] < 0.0


def test_coverage_over_drawn_countries(tmp_path):
    held, cases = {80: 0.0, 90: 0.0}, 0
    for seed in range(4):
        made = world(20 + seed, regions=SOME, years=YEARS)
        history, indicators = files(tmp_path, made, layout="year")
        used = row(rapid_estimate(history, indicators, year=2019, draws=400).scores, "regression")
        cases += used["cases"]
        for level in held:
            held[level] += used[f"cover{level}"] * used["cases"]
    assert held[90] / cases == pytest.approx(0.90, abs=0.03)
    assert held[80] / cases == pytest.approx(0.80, abs=0.04)


def test_the_year_itself_is_unknown_to_its_estimate(known, tmp_path):
    made, _, _, found = known
    history, indicators = files(tmp_path, made, layout="running", drop_last=True)
    again = rapid_estimate(history, indicators, draws=500)
    assert again.year == 2019
    assert again.draws == pytest.approx(found.draws, rel=1e-12)
    assert again.day == np.datetime64("2020-01-17")


def test_earlier_in_the_year_less_is_known_and_said(known):
    _, history, indicators, found = known
    early = rapid_estimate(history, indicators, year=2019, day=np.datetime64("2019-08-20"), draws=300)
    assert early.last == 2017  # the inventory of 2018 comes at the end of 2019
    assert "thermal power: 2019 is known to month 7; the same months are compared" in early.notes
    assert row(early.scores, early.model, 2)["mae"] > row(found.scores, found.model)["mae"]


def test_indicators_without_any_bearing_are_not_used(tmp_path):
    made = world(5, regions=SOME, years=YEARS, slopes=(0.0, 0.0), own=0.06)
    found = rapid_estimate(*files(tmp_path, made, layout="year"), year=2019, draws=300)
    assert row(found.scores, "regression")["mae"] > 0.95 * row(found.scores, "persistence")["mae"]
    assert found.model in {"persistence", "damped trend", "regression"}
    assert row(found.scores, found.model)["crps"] <= row(found.scores, "persistence")["crps"]


def test_without_indicators_only_trends_are_there(known):
    _, history, _, _ = known
    found = rapid_estimate(history, None, draws=200)
    assert found.year == 2020
    assert set(found.scores["model"]) == {"persistence", "last growth", "drift", "damped trend"}
    with pytest.raises(
        ConfigError, match="2004 cannot be estimated from inventories of 2003-2019: choose one of 2007-2024"
    ):
        rapid_estimate(history, None, year=2004)


def test_indicators_that_end_before_the_year_are_named(known):
    _, history, indicators, _ = known
    with pytest.raises(FormatError, match="cannot estimate 2020: no indicator reaches 2020"):
        rapid_estimate(history, indicators, draws=200)


def test_a_nation_that_is_known_better_helps(tmp_path):
    """The nation's own growth is stated without the provinces' shared error."""
    made = world(6, regions=SOME, years=YEARS, shared=0.03)
    rng = np.random.default_rng(0)
    nation = made.emissions.sum(axis=1) * np.exp(0.002 * rng.standard_normal(len(YEARS))) * 0.95
    frame = indicator_frame(made, layout="year")
    total = np.diff(np.log(nation))
    level = np.exp(np.concatenate([[0.0], np.cumsum(total + 0.004 * rng.standard_normal(total.size))]))
    rows = [
        ("全国", y, "全年", "火力发电量", 1e4 * v, "亿千瓦时", f"{y + 1}-02-28")
        for y, v in zip(YEARS, level, strict=True)
    ]
    frame = pd.concat([frame, pd.DataFrame(rows, columns=frame.columns)])
    indicators = read_indicators(write(frame, tmp_path / "i.csv"))
    history = read_history([str(write(inventory_frame(made, nation), tmp_path / "v.csv"))])
    found = rapid_estimate(history, indicators.only(["thermal power"]), year=2019, draws=400)
    alone, tied = (row(found.scores, m, region="CHN") for m in ("regression", "regression + nation"))
    assert tied["mae"] < 0.6 * alone["mae"]
    assert row(found.scores, "regression + nation")["crps"] < row(found.scores, "regression")["crps"]
    assert found.model == "regression + nation"


def test_rows_of_the_contract_and_covariance(known, tmp_path):
    from obsnet.inventory.table import check_inventory

    *_, found = known
    rows = value_rows(found, found.draws, found.year, "made")
    kept = check_inventory(rows)
    assert kept["value"].iloc[-1] == pytest.approx(found.draws.sum(axis=1).mean(), rel=0.01)
    covariance = covariance_rows(found, found.draws, found.year)
    matrix = covariance["covariance"].to_numpy().reshape(len(SOME), -1)
    total_sd = kept["uncertainty"].iloc[-1] * kept["value"].iloc[-1]
    assert np.sqrt(matrix.sum()) == pytest.approx(total_sd, rel=1e-6)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9


# power


@pytest.fixture(scope="module")
def electric(tmp_path_factory):
    """Power emissions: generation times a factor that wanders by 4 % a year."""
    folder = tmp_path_factory.mktemp("power")
    made = world(9, regions=SOME, years=YEARS)
    rng = np.random.default_rng(1)
    frame = indicator_frame(made, names=("火力发电量",))
    annual = (
        frame.assign(key=frame["地区"])
        .groupby(["年份", "key"], sort=False)["数值"]
        .sum()
        .to_numpy()
        .reshape(len(YEARS), -1)
    )
    factor = 0.85 * np.exp(np.cumsum(0.04 * rng.standard_normal(annual.shape), axis=0))
    power = type(made)(annual * factor / 10.0, made.indicators, made.explained, made.regions, made.years)
    return power, factor, frame, folder


def test_power_is_generation_times_the_last_factor(electric):
    power, factor, frame, folder = electric
    history = read_history([str(write(inventory_frame(power), folder / "v.csv"))])
    indicators = read_indicators(write(frame, folder / "i.csv"))
    found, factors, alike = power_estimate(history, indicators, year=2019, draws=400)
    assert factors.table["factor"].to_numpy() == pytest.approx(factor.ravel(), rel=1e-6)
    scores = row(found.scores, FACTOR)
    assert scores["mae"] == pytest.approx(
        100 * np.abs(np.expm1(0.04 * np.random.default_rng(0).standard_normal(9999))).mean(), rel=0.15
    )
    assert scores["cover90"] == pytest.approx(0.90, abs=0.04)
    assert found.model in {FACTOR, "regression"}
    assert scores["mae"] < 0.7 * row(found.scores, "persistence")["mae"]
    # the mean of the neighbours misses a wandering factor by sqrt(1/2) of its step
    inner = factors.left_out[factors.left_out["year"].between(2004, 2018)]["error"]
    assert inner.std() == pytest.approx(0.04 / np.sqrt(2), rel=0.15)
    assert alike.correlation < 0.95


def test_emissions_made_from_the_indicator_are_refused(electric):
    power, _, frame, folder = electric
    rng = np.random.default_rng(2)
    generation = frame.groupby(["年份", "地区"], sort=False)["数值"].sum().to_numpy().reshape(len(YEARS), -1)
    yearly = np.exp(0.05 * rng.standard_normal((len(YEARS), 1)))  # one factor a year for all does not hide it
    made = type(power)(
        0.08 * generation * yearly, power.indicators, power.explained, power.regions, power.years
    )
    history = read_history([str(write(inventory_frame(made), folder / "same.csv"))])
    with pytest.raises(
        SchemaError,
        match=r"change as thermal power does: rank correlation 1\.0000 .*were made from this indicator",
    ):
        power_estimate(history, read_indicators(write(frame, folder / "i.csv")), year=2019)


@pytest.mark.parametrize(("noise", "alike"), [(0.003, True), (0.03, False), (0.06, False)])
def test_likeness_tells_made_from_measured(noise, alike):
    rng = np.random.default_rng(3)
    generation = np.exp(np.cumsum(0.07 * rng.standard_normal((15, 30)), axis=0))
    made = generation * np.exp(np.cumsum(noise * rng.standard_normal((15, 30)), axis=0))
    assert likeness(made, generation).alike is alike
    assert np.isnan(likeness(made[:2, :4], generation[:2, :4]).correlation)


def test_generation_in_another_unit_is_refused(electric):
    power, _, frame, folder = electric
    history = read_history([str(write(inventory_frame(power), folder / "v.csv"))])
    off = frame.assign(数值=frame["数值"] * 100.0)  # GWh under the heading of 1e8 kWh
    with pytest.raises(RangeError, match=r"0\.008\d* kg CO2/kWh, 0.02 to 4 can be: is the unit of one off"):
        power_estimate(history, read_indicators(write(off, folder / "off.csv")), year=2019)
    tonnes = frame.assign(单位="万吨")
    with pytest.raises(FormatError, match="thermal power is in t; generation needs kWh"):
        power_estimate(history, read_indicators(write(tonnes, folder / "t.csv")), year=2019)


def flux_of(year, sectors=("power",)):
    from obsnet.cf import flux_dataset
    from obsnet.grid import Grid

    grid = Grid(np.arange(34.0, 43.0), np.arange(112.0, 121.0))
    values = np.random.default_rng(0).random((1, len(sectors), *grid.shape)) * 1e-7
    return flux_dataset(
        values, grid, [f"{year}-01-01", f"{year + 1}-01-01"], substance="CO2", title="t", summary="s", source="made",
        license="none", sectors=sectors, uncertainty=0.2 * values,
    )  # fmt: skip


def test_the_shape_keeps_every_cells_year(electric):
    _, _, frame, folder = electric
    frame = frame.copy()
    frame.loc[frame["地区"] == "河北", "数值"] *= 1.0 + 0.3 * (frame["月份"] == "7月")
    indicators = read_indicators(write(frame, folder / "shape.csv"))
    shape = monthly_shape(indicators, "thermal power", SOME, 2019, np.datetime64("2020-06-01"))
    assert shape.own_year
    assert shape.mae[0] < shape.mae[1]
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    assert days @ shape.factor / 365 == pytest.approx(np.ones(len(SOME)))
    assert shape.factor[0] == pytest.approx(shape.factor[1])  # published together: one rate
    data = flux_of(2019, ("power", "rest"))
    made, notes = shaped_flux(data, shape, sector="power")
    length = np.diff(made["time_bnds"].values, axis=1)[:, 0] / np.timedelta64(1, "s")
    for name in ("power", "rest"):
        mean = np.tensordot(length / length.sum(), made["flux"].sel(sector=name).values, axes=1)
        assert mean == pytest.approx(data["flux"].sel(sector=name).values[0], rel=1e-9)
    july = made["flux"].sel(sector="power").values[6] / data["flux"].sel(sector="power").values[0]
    hebei, henan = july[4, 3], july[0, 1]  # 38.5N 115.5E, 34.5N 113.5E
    assert hebei / henan > 1.2
    assert any("keeps the mass of its year" in n for n in notes)
    hourly = shaped_flux(data, shape, sector="power", step="day")[0]
    assert hourly.sizes["time"] == 365


def test_a_shape_of_another_year_says_its_error_and_mistakes_are_refused(electric):
    _, _, frame, folder = electric
    indicators = read_indicators(write(frame, folder / "i.csv"))
    early = monthly_shape(indicators, "thermal power", SOME, 2019, np.datetime64("2019-06-01"))
    assert not early.own_year
    data = flux_of(2019)
    spread = shaped_flux(data, early)[0]["flux_uncertainty"].values
    own = shaped_flux(
        data, monthly_shape(indicators, "thermal power", SOME, 2019, np.datetime64("2020-06-01"))
    )[0]
    assert (spread >= own["flux_uncertainty"].values - 1e-15).all()
    one = read_indicators(write(frame[frame["年份"] == 2017], folder / "one.csv"))
    alone = monthly_shape(one, "thermal power", SOME, 2019, np.datetime64("2020-06-01"))
    with pytest.raises(
        FormatError, match="no two earlier years say how far one year's shape misses another's"
    ):
        shaped_flux(data, alone)
    with pytest.raises(FormatError, match="one of the year 2019 is needed"):
        shaped_flux(flux_of(2018), early)
    with pytest.raises(FormatError, match="say which one is power with --sector"):
        shaped_flux(flux_of(2019, ("a", "b")), early)
    yearly = read_indicators(
        write(indicator_frame(world(9, regions=SOME, years=YEARS), layout="year"), folder / "y.csv")
    )
    with pytest.raises(FormatError, match="months are wanted, not sums of years"):
        monthly_shape(yearly, "thermal power", SOME, 2019, np.datetime64("2020-06-01"))


# forecast


def test_targets_are_read():
    assert read_target("河北:2024=900").region == "130000"
    for text in ("2024=900", "24=-5%", "2024=x", "Hebei:2024=much", "2024"):
        with pytest.raises(ConfigError, match=f"target '{text}'"):
            read_target(text)


def test_a_forecast_with_targets_and_a_peak(known):
    _, history, *_ = known
    targets = [read_target("2021=-5%"), read_target("Hebei:2022=1")]
    found = forecast(history, steps=3, targets=targets, peak=2021, draws=300)
    assert found.draws.shape == (3, 300, len(SOME))
    assert set(found.weights) >= {"persistence", "damped trend"}
    chances = found.chances
    first = chances[chances["event"] == "target 0"]
    j = SOME.index("130000")
    last = history.at().values[-1]
    by_hand = (found.draws[1][:, j] <= 0.95 * last[j]).mean()
    assert first["probability"].to_numpy()[j] == pytest.approx(by_hand)
    assert (first["cases"] > 100).all()
    second = chances[chances["event"] == "target 1"]
    assert second["region"].tolist() == ["130000"]
    assert second["probability"].item() == 0.0
    assert second["warning"].item() == ""  # never met in hindcasts: no rate of false alarms
    assert len(chances[chances["event"] == "peak"]) == len(SOME)
    assert found.reliability["count"].sum() == sum(len(SOME) * n * 6 for n in (13, 12, 11))


def test_what_a_forecast_refuses(known):
    _, history, *_ = known
    with pytest.raises(
        FormatError, match="15 years ahead cannot be hindcast .*the longest from 2006 on is 13"
    ):
        forecast(history, steps=15)
    with pytest.raises(ConfigError, match="target: 2025 is not within the forecast 2020-2022"):
        forecast(history, steps=3, targets=[read_target("2025=1%")])
    with pytest.raises(ConfigError, match="peak: 2022 is not within .* with years after it"):
        forecast(history, steps=3, peak=2022)
    with pytest.raises(ConfigError, match="a target of 810000"):
        forecast(history, steps=3, targets=[read_target("Hong Kong:2021=5")])


def test_a_scenario_joins_the_ensemble_where_it_tells(tmp_path):
    years = np.arange(2001, 2023)
    made = world(12, regions=SOME, years=years, own=0.015, shared=0.004)
    frame = inventory_frame(made)
    history = read_history([str(write(frame[frame["period"] <= "2019"], tmp_path / "v.csv"))])
    scenario = read_indicators(write(indicator_frame(made, layout="year"), tmp_path / "i.csv"))
    found = forecast(history, steps=3, scenario=scenario, draws=300)
    assert found.model in {KAYA, "combination"}
    assert found.weights[KAYA] > 0.5
    truth = made.emissions[-1]
    kaya = row(found.scores, KAYA, 3)
    assert kaya["mae"] < 0.6 * row(found.scores, "persistence", 3)["mae"]
    assert np.abs(np.median(found.draws[2], axis=0) / truth - 1).mean() < 0.06
    assert any("only if the scenario comes true" in n for n in found.notes)
    short = read_indicators(
        write(indicator_frame(world(12, regions=SOME, years=years[:-2]), layout="year"), tmp_path / "s.csv")
    )
    with pytest.raises(
        FormatError, match="scenario: thermal power of 2021 is known of no region; it has to reach 2022"
    ):
        forecast(history, steps=3, scenario=short)


def test_the_nation_alone_is_a_history_too(known, tmp_path):
    made, *_ = known
    rows = inventory_frame(made, made.emissions.sum(axis=1))
    history = read_history([str(write(rows[rows["region"] == "CHN"], tmp_path / "n.csv"))])
    found = forecast(history, steps=2, draws=300)
    assert found.regions == ("CHN",)
    assert set(found.scores["region"]) == {"CHN"}
    assert found.weights["damped trend"] > found.weights["persistence"]
    assert found.draws.shape == (2, 300, 1)


def test_hindcasts_may_begin_later(known):
    _, history, indicators, _ = known
    found = forecast(history, steps=2, since=2012, draws=200)
    assert found.hindcast.table["target"].min() == 2012
    later = rapid_estimate(history, indicators, year=2019, since=2012, draws=200)
    assert later.hindcast.table["target"].min() == 2012


def test_a_forecast_of_then_knows_the_edition_of_then(tmp_path):
    made = world(3, regions=SOME, years=YEARS)
    old = inventory_frame(made)
    new = old.assign(value=old["value"] * np.where(old["period"] >= "2010", 1.2, 1.0))
    first = old[old["period"] <= "2014"]
    sources = [
        f"2015-06-01={write(first, tmp_path / 'a.csv')}",
        f"2020-06-01={write(new, tmp_path / 'b.csv')}",
    ]
    history = read_history(sources)
    assert history.first(2014).at(2012) == pytest.approx(made.emissions[9])
    assert history.first(2015).at(2012) == pytest.approx(1.2 * made.emissions[9])


def test_a_factor_is_never_of_another_indicator(electric):
    """Generation that was not out then: the model of the factor does not run, and takes no other in its place."""
    power, _, frame, folder = electric
    other = indicator_frame(power, names=("水泥产量",))
    late = frame[frame["年份"] >= 2011]
    history = read_history([str(write(inventory_frame(power), folder / "v.csv"))])
    indicators = read_indicators(write(pd.concat([other, late]), folder / "late.csv"))
    assert indicators.names[0] == "cement"
    found, *_ = power_estimate(history, indicators, year=2019, draws=200)
    scores = row(found.scores, FACTOR)
    assert scores["years"] < 7
    assert any(n.startswith(f"{FACTOR} could not run") for n in found.notes)
    assert scores["mae"] < 0.8 * row(found.scores, "persistence")["mae"]


# the atmosphere


def totals_of(year, emissions, *, kernel, noise, prior, seed):
    n = len(emissions)
    rng = np.random.default_rng(seed)
    a = np.diag(np.full(n, kernel)) + 0.02
    posterior = prior + a @ (emissions - prior) + np.sqrt(noise) * rng.standard_normal(n)
    return RegionTotals(
        gas="CO2", sector="fossil", regions=SOME, names={}, periods=(read_period(year),), asked=None, prior=prior,
        posterior=posterior, averaging_kernel=a, noise_covariance=noise * np.eye(n),
        prior_covariance=np.diag((0.3 * prior) ** 2),
        posterior_covariance=noise * np.eye(n), prior_name="p", region_source="", prescribed={}, fit=Fit(1.0, 10, ()),
        not_told_apart=False, checks=(),
    )  # fmt: skip


def test_the_update_is_the_dense_formula():
    n = len(SOME)
    rng = np.random.default_rng(0)
    cov = 25.0 * (0.4 + np.eye(n))
    mean = rng.uniform(80, 200, n)
    draws = rng.multivariate_normal(mean, cov, 60_000)
    truth = rng.multivariate_normal(mean, cov)
    seen = seen_in(totals_of(2019, truth, kernel=0.8, noise=16.0, prior=1.2 * mean, seed=1), 2019)
    got, tested = updated(draws, SOME, seen, 0.02, rng)
    assert tested == SOME
    h = seen.response
    noise = seen.noise + (h * (0.02 * mean) ** 2) @ h.T
    gain = cov @ h.T @ np.linalg.inv(h @ cov @ h.T + noise)
    assert got.mean(axis=0) == pytest.approx(mean + gain @ (seen.value - h @ mean), abs=0.3)
    assert np.cov(got, rowvar=False) == pytest.approx(cov - gain @ h @ cov, abs=0.8)


def test_a_right_inventory_as_prior_confirms_nothing_and_a_blind_inversion_tells_nothing():
    mean = np.full(len(SOME), 100.0)
    draws = mean + 5.0 * np.random.default_rng(1).standard_normal((4000, len(SOME)))
    blind = seen_in(totals_of(2019, mean, kernel=1e-6, noise=1e-4, prior=2.0 * mean, seed=2), 2019)
    same, tested = updated(draws, SOME, blind, 0.1, np.random.default_rng(3))
    noisy = seen_in(totals_of(2019, mean, kernel=0.8, noise=900.0, prior=mean, seed=2), 2019)
    assert updated(draws, SOME, noisy, 0.1, np.random.default_rng(3))[1] == ()
    assert tested == () or np.abs(same.mean(axis=0) - mean).max() < 1.0
    with pytest.raises(FormatError, match="cover 0% of 2018"):
        seen_in(totals_of(2019, mean, kernel=0.8, noise=1.0, prior=mean, seed=2), 2018)


def test_the_atmosphere_is_shown_only_with_a_score(known):
    made, history, indicators, found = known
    at = {int(y): made.emissions[i] for i, y in enumerate(YEARS)}
    posteriors = [
        totals_of(y, at[y], kernel=0.9, noise=1.0, prior=1.1 * at[y], seed=y)
        for y in (2014, 2015, 2016, 2017, 2018, 2019)
    ]
    how = {"draws": 500, "seed": 0}
    seen = atmosphere_estimate(history, indicators, found, posteriors, 0.005, **how)
    assert seen.draws is not None
    before, after = (np.abs(d.mean(axis=0) - at[2019]).mean() for d in (found.draws, seen.draws))
    assert after < 0.5 * before
    assert "testable provinces" in seen.words[0].en
    few = atmosphere_estimate(history, indicators, found, posteriors[-2:], 0.005, **how)
    assert few.draws is None
    assert "3 are needed to score it" in few.words[0].en
    wrong = [totals_of(y, 1.3 * at[y], kernel=0.9, noise=1.0, prior=at[y], seed=y) for y in range(2014, 2020)]
    useless = atmosphere_estimate(history, indicators, found, wrong, 0.005, **how)
    assert useless.draws is None
    assert "not used" in useless.words[0].en
    with pytest.raises(FormatError, match="no posterior of 2019"):
        atmosphere_estimate(history, indicators, found, posteriors[:3], 0.005, **how)


# CEADs


@pytest.fixture(scope="module")
def ceads(sample_data):
    books = sorted((sample_data / "inventory/ceads/provinces").glob("*.xlsx"))
    if not books:
        pytest.skip("no CEADs")
    return read_history([str(b) for b in books])


def test_forecasts_of_ceads_reach_their_bars(ceads):
    """At 1, 3, 5 years MAE 4.7, 10.3, 14.9 %, CRPS 3.66, 7.54, 10.98 %, 80 % coverage 0.80 +- 0.05."""
    found = forecast(ceads, draws=1000)
    for step, mae, score in ((1, 4.7, 3.66), (3, 10.3, 7.54), (5, 14.9, 10.98)):
        used = row(found.scores, found.model, step)
        assert used["mae"] <= mae
        assert used["crps"] <= score
        assert used["cover80"] == pytest.approx(0.80, abs=0.05)
    nation = found.scores[(found.scores["region"] == "CHN") & (found.scores["step"] == 1)]
    assert nation.set_index("model")["mae"].idxmin() == "last growth"
    off = found.reliability
    assert (np.abs(off["observed"] - off["forecast"]) < 3 * off["observed_sd"]).all()


def test_join_keeps_editions(electric):
    _, _, frame, folder = electric
    one = read_indicators(write(frame, folder / "a.csv"))
    later = frame[frame["年份"] == 2018].assign(发布日期="2020-05-01")
    later = later.assign(数值=1.02 * later["数值"])
    both = join([one, read_indicators(write(later, folder / "b.csv"))])
    assert set(both.triangle()["year"]) == {2018}
    assert both.triangle()["revision"].to_numpy() == pytest.approx(0.02, abs=1e-9)
