"""A made-up plant: its hours, its stack file in the layouts that are read, and rates of overpasses of it."""

import csv

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from retrieval.plants.stack.layout import SHORT_TON_KG
from retrieval.plants.stack.record import StackRecord
from retrieval.plume.rates.budget import RateBudget, interval
from retrieval.plume.rates.reasons import RejectReason

CAMPD = (
    "State", "Facility Name", "Facility ID", "Unit ID", "Associated Stacks", "Date", "Hour", "Operating Time",
    "Gross Load (MW)", "Steam Load (1000 lb/hr)", "CO2 Mass (short tons)", "CO2 Mass Measure Indicator",
    "CO2 Rate (short tons/mmBtu)", "CO2 Rate Measure Indicator", "Heat Input (mmBtu)", "Primary Fuel Type",
)  # fmt: skip


def hourly(year=2023, seed=1, mean=300.0, outage=0.08, restless=0.15):
    """Return kg s-1 of every hour of a year: seasons, weekdays, days, restlessness of two days, outages."""
    rng = np.random.default_rng(seed)
    start, stop = (np.datetime64(f"{y}-01-01T00", "h") for y in (year, year + 1))
    hours = np.arange(start, stop)
    n = hours.size
    t = np.arange(n)
    cycle = 1.0 + 0.15 * np.cos(2 * np.pi * t / 8766) + 0.12 * np.sin(2 * np.pi * (t % 24 - 9) / 24)
    cycle *= np.where((t // 24) % 7 == 6, 0.85, 1.0)
    keep = np.exp(-1 / 48)
    kicks = rng.standard_normal(n) * np.sqrt(1 - keep**2)
    kicks[0] = rng.standard_normal()
    noise = lfilter([1.0], [1.0, -keep], kicks)
    rate = cycle * np.clip(1.0 + restless * noise, 0.3, None)
    for at in rng.integers(0, n, int(outage * n / 120)):
        rate[at : at + 120] = 0.0
    return hours, mean * rate / rate.mean()


def record(year=2023, seed=1, utc_offset=0.0, error=0.05, **how):
    """Return the hours as a record of a plant whose clock is UTC."""
    hours, rate = hourly(year, seed, **how)
    mass = rate * 3600.0
    return StackRecord("plant", hours[0], mass, error * mass, np.zeros(mass.size), ("1",), utc_offset)


def campd_rows(
    start="2023-01-01",
    hours=48,
    units=("1", "2"),
    tons=100.0,
    flag="Measured",
    operating=1.0,
    name="Mill Creek",
):
    """Return rows of the US layout, a dict each."""
    about = {"State": "TX", "Facility Name": name, "Facility ID": "123", "Primary Fuel Type": "Coal"}
    about |= {"Operating Time": operating, "Gross Load (MW)": 400}
    about |= {"CO2 Mass (short tons)": tons, "CO2 Mass Measure Indicator": flag}
    times = pd.date_range(start, periods=hours, freq="h")
    return [
        dict.fromkeys(CAMPD, "") | about | {"Unit ID": unit, "Date": at.strftime("%Y-%m-%d"), "Hour": at.hour}
        for unit in units
        for at in times
    ]


def write(path, rows):
    """Write dicts as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.DictWriter(stream, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return path


def write_campd_year(path, rate, year=2023, name="Mill Creek", offset=-6):
    """Write kg s-1 of every UTC-hour series as one unit's file in local standard time."""
    rows = campd_rows(f"{year}-01-01", rate.size, units=("1",), name=name)
    for row, q in zip(rows, rate, strict=True):
        row["CO2 Mass (short tons)"] = f"{q * 3600.0 / SHORT_TON_KG:.6f}" if q > 0 else ""
        row["CO2 Mass Measure Indicator"] = "Measured" if q > 0 else ""
        row["Operating Time"] = 1.0 if q > 0 else 0.0
    return write(path, rows)


def rate_row(
    scene,
    time,
    rate,
    *,
    truth=None,
    additive=30.0,
    share=0.2,
    quality=0,
    method="csf",
    source="plant",
    **more,
):
    """Return a row of rates.csv: an estimate with its budget."""
    size = abs(rate)
    budget = RateBudget(size * share * 0.8, additive * 0.8, additive * 0.6, size * share * 0.6, 0.0)
    low, high = interval(rate, budget)
    return {
        "scene": scene,
        "time": str(time),
        "species": "CO2",
        "source": source,
        "latitude": 32.0,
        "longitude": -97.0,
        "method": method,
        "rate_kg_s": rate,
        "low95_kg_s": low,
        "high95_kg_s": high if np.isfinite(high) else "",
        "error_kg_s": budget.total,
        "error_wind_kg_s": budget.wind,
        "error_background_kg_s": budget.background,
        "error_noise_kg_s": budget.noise,
        "error_method_kg_s": budget.method,
        "error_conversion_kg_s": budget.conversion,
        "limit_kg_s": 3 * additive,
        "quality": quality,
        "reasons": "",
        "wind_m_s": 5.0,
        "wind_error_m_s": 1.0,
        "wind_basis": "given",
        "start_km": 2.0,
        "end_km": 38.0,
    } | more


def write_plant(folder):
    """Write a year of a plant with fifteen overpasses: one saw nothing, one lies under clouds, one in an outage."""
    _, rate = hourly(outage=0.0)
    rate[24 * 53 : 24 * 56] = 0.0
    write_campd_year(folder / "stack.csv", rate)
    start = np.datetime64("2023-01-01T06", "m")
    rng = np.random.default_rng(3)
    rows = []
    for k, day in enumerate(range(5, 350, 24)):
        i = 24 * day + 13
        q = rate[i - 2 : i].mean() * (1 + 0.2 * rng.standard_normal()) + 30 * rng.standard_normal()
        quality = {2: RejectReason.NOT_FOUND | RejectReason.BELOW_LIMIT, 4: RejectReason.GAPS}.get(k, 0)
        row = rate_row(
            f"day {k}", start + np.timedelta64(60 * i, "m"), 40.0 if k == 2 else q, quality=int(quality)
        )
        rows.append(row | {"source": "<b>Mühle & Söhne</b>"})
    write(folder / "rates.csv", rows)
    (folder / "fuel.csv").write_text(
        "kind,item,value,unit,ncv,carbon,oxidation\nfuel,bituminous coal,4700000,t,21,26.18,0.99\n"
    )
    return folder
