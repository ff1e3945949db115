"""A folder as a run leaves it, small and with everything that a report can show."""

import json

import numpy as np
import pandas as pd

from obsnet.cf import flux_dataset, write_netcdf
from obsnet.crosscheck.systems.spread import SPREAD, SYSTEMS
from obsnet.crosscheck.verdicts.run import beside
from obsnet.grid import Grid
from obsnet.run_words import line

GRID = Grid.regular(20, 50, 80, 130, 5, 5)
NASTY = "<script>alert(1)</script> $\\frac{"


def verdicts(**changes):
    """Return a table of verdicts of four provinces and a sum."""
    days = "2019-01-05 to 2019-01-20"
    frame = pd.DataFrame(
        {
            "region": ["110000", "410000", "540000", "650000"],
            "kind": "region",
            "members": "",
            "joint": "",
            "name_en": ["Beijing", "Henan <b>", "Tibet", "Xinjiang"],
            "name_zh": ["北京", "河南", "西藏", "新疆"],
            "gas": "CO2",
            "sector": "fossil",
            "unit": "Mt",
            "inventory": [89.0, 346.0, np.nan, 455.0],
            "inventory_sd": [4.0, 17.0, np.nan, 23.0],
            "prior": [89.0, 346.0, 3.0, 455.0],
            "prior_sd": [20.0, 60.0, 3.0, 130.0],
            "posterior": [92.0, 440.0, 3.0, 460.0],
            "posterior_sd": [5.0, 20.0, 3.0, 120.0],
            "difference": [3.0, 90.0, 0.0, 4.0],
            "difference_sd": [6.0, 22.0, 1.0, 30.0],
            "response": [0.8, 0.95, 0.0, 0.1],
            "resolution": [0.9, 0.9, 0.1, 0.4],
            "correlation": [0.1, 0.1, 0.0, 0.0],
            "correlation_with": ["410000", "110000", "", ""],
            "minimum_detectable": [20.0, 65.0, np.inf, 1000.0],
            "p_adjusted": [0.6, 1e-5, np.nan, np.nan],
            "verdict": ["consistent", "inconsistent", "not testable", "not decided"],
            "reason": ["", "", "no inventory", "<script>alert(1)</script>"],
            "reason_zh": ["", "", "无清单", "甲"],
            "remark": [f"{given}{days} held <20%>" for given in ("", "given <20%>; ", "", "")],
            "remark_zh": ["对照", "取指定值；对照", "对照", "对照"],
            "z": [0.4, 3.6, np.nan, 0.1],
            "e_n": [0.2, 1.8, np.nan, 0.05],
            "log_ratio": np.nan,
            "log_ratio_sd": np.nan,
            "relative_sd": [0.05, 0.05, 1.0, 0.26],
            "requirement": 0.3,
            "requirement_met": ["yes", "yes", "no", "prior"],
            "period": days,
            "inventory_period": "2015",
            "category": "total",
            "terminology": "CEADs",
            "inventory_source": "Book of numbers",
            "prior_name": "A prior",
            "region_source": "tianditu",
            "alpha": 0.2,
            "power": 0.6,
            "detectable": 2.0,
            "margin_share": 0.125,
            "adjustment": "Benjamini-Hochberg",
            "chi_square": 1.02,
            "chi_square_low": 0.5,
            "chi_square_high": 1.25,
        }
    )  # fmt: skip
    return frame.assign(**changes)


def posterior(path):
    """Write a posterior file with what a report reads; the western half of its cells was seen by nobody."""
    rng = np.random.default_rng(0)
    flux = rng.uniform(0.5e-6, 1e-6, (2, 1, *GRID.shape))
    after = np.full_like(flux, 1e-7)
    before = np.where(np.arange(GRID.shape[1]) < GRID.shape[1] // 2, 1e-7, 2e-7) * np.ones_like(flux)
    data = flux_dataset(
        flux,
        GRID,
        np.array(["2019-01-05", "2019-01-10", "2019-01-20"], "datetime64[us]"),
        substance="CO2",
        title="t",
        summary="s",
        source="x",
        license="l",
        sectors=["fossil"],
        uncertainty=after,
        attrs={
            "solver": "dual",
            "solver_state": json.dumps({"converged": True, "iterations": 1}),
            "observations_counts": json.dumps({"used": 100, "flagged": 3}),
            "n_observations": 100,
            "n_state": 30,
            "n_state_unobserved": 4,
            "degrees_of_freedom_for_signal": 12.0,
            "prior_name": "A prior",
            "shares": line("on land", sector="fossil", cells="5 x 5 degree"),
        },
    )
    dims = data["flux"].dims
    data["flux_prior"] = (dims, 1.1 * flux, {"units": "mol m-2 s-1"})
    data["flux_prior_uncertainty"] = (dims, before, {"units": "mol m-2 s-1"})
    data = data.assign_coords(source=("source", ["flasks", "satellite"]))
    ppm = {"units": "1e-6"}
    for key in (
        "bias_prior",
        "bias_posterior",
        "rmse_prior",
        "rmse_posterior",
        "error_assumed",
        "error_suggested",
    ):
        data[f"source_{key}"] = ("source", [1.2, 0.3], ppm)
    data["source_count"] = ("source", [40, 60])
    data["source_dofs"] = ("source", [8.0, 4.0])
    data["source_residual_chi_square"] = ("source", [0.9, 1.1])
    write_netcdf(data, path)


def comparison():
    """Return what `obsnet compare` writes of two systems."""
    names = {"region": "DEU", "name_en": "Germany", "name_zh": "德国"}
    kind = {"gas": "CH4", "quantity": "total", "period": "2023"} | names
    system = dict.fromkeys(SYSTEMS) | kind | {"how": "", "resolved": True, "sd": 0.02}
    rows = [system | {"system": n, "total": v} for n, v in (("elris", 2.744), ("intem", 2.469))]
    numbers = {"mean": 2.6065, "within_sd": 0.073, "between_sd": 0.194, "lowest": 2.469, "highest": 2.744}
    spread = kind | numbers | {"systems": 2, "lowest_system": "intem", "highest_system": "elris"}
    return {"systems": rows, "spread": [dict.fromkeys(SPREAD) | spread]}


def folder(path, **changes):
    """Fill a folder: posterior, verdicts with what goes with them, tables of other commands, the run's record."""
    path.mkdir(parents=True, exist_ok=True)
    table = verdicts(**changes)
    file = path / "provinces.csv"
    table.to_csv(file, index=False)
    square = pd.DataFrame(np.diag(table["posterior_sd"] ** 2), index=table["region"], columns=table["region"])
    square.to_csv(beside(file, "covariance"))
    pd.DataFrame(
        {
            "statistic": ["chi_square_common_0", "national"],
            "value": 1.0,
            "text": ["all together", "surer than published"],
            "text_zh": ["联合卡方", "小于已发表的集合"],
            "told": [0, 1],
        }
    ).to_csv(beside(file, "statistics"), index=False)
    names = {"region": "110000", "name_en": "Beijing", "name_zh": "北京"}
    pd.DataFrame(
        {
            **names,
            "line": ["inventory", "bunkers", "difference", "inversion"],
            "label_en": ["inventory", "bunkers", "difference", "inversion"],
            "label_zh": ["清单", "国际燃料舱", "差值", "反演"],
            "value": [89.0, -4.0, 7.0, 92.0],
            "sd": [4.0, 1.0, 6.0, 5.0],
            "total": [89.0, 85.0, 92.0, 92.0],
            "source": "stated",
        }
    ).to_csv(beside(file, "bridge"), index=False)
    pd.DataFrame(
        {
            **names,
            "category": ["1.A.1.a", "total"],
            "unit": "Mt",
            "remark": "",
            "remark_zh": "",
            **{k: [40.0, 89.0] for k in ("inventory", "by_share", "by_errors")},
            **{f"{k}_sd": [4.0, 5.0] for k in ("inventory", "by_share", "by_errors")},
            "told": [0.2, 0.3],
        }
    ).to_csv(path / "attribution.csv", index=False)
    pd.DataFrame(
        {
            **names,
            "kind": ["trend", "trend"],
            "source": ["inventory", "inversion"],
            "differ": "",
            **dict.fromkeys(
                ("slope", "slope_sd", "percent", "p_adjusted", "sen_slope", "p_rank", "scatter"), 0.5
            ),
            "response": [np.nan, 0.2],
            "remark": ["", "mostly the prior's"],
            "remark_zh": ["", "主要来自先验"],
            "first": 2015,
            "last": 2020,
        }
    ).to_csv(path / "trends.csv", index=False)
    (path / "compare.json").write_text(json.dumps(comparison()), encoding="utf-8")
    posterior(path / "posterior.nc")
    report = {
        "title": "A <title> & more",
        "title_zh": "标题",
        "notes": ["data are invented"],
        "notes_zh": ["数据均为虚构"],
    }
    record = {"command": "obsnet run case.toml", "config": {"report": report}, "config_sha256": "ab" * 32}
    (path / "run.json").write_text(json.dumps(record | {"versions": {"obsnet": "0"}}), encoding="utf-8")
    return path


def nowcast(path):
    """Fill a folder as `obsnet nowcast` does."""
    scores = pd.DataFrame(
        {
            "region": ["provinces", "CHN", "110000"], "step": 1, "model": "damped <b>", "category": "total",
            "cases": 330,
            "mae": 4.5, "crps": 3.3, "bias": -0.5, "cover80": 0.78, "cover90": 0.9,
            "than_persistence": [-0.7, np.nan, 0.0],
            "than_persistence_sd": 0.3,
        }
    )  # fmt: skip
    values = pd.DataFrame(
        {
            "region": ["110000", "own"],
            "period": "2020",
            "category": "total",
            "value": [90.0, 5.0],
            "low90": 80.0,
            "high90": 99.0,
        }
    )
    reliable = pd.DataFrame(
        {"low": [0.0, 0.5], "high": [0.5, 1.0], "count": [50, 60], "years": 5, "forecast": [0.2, 0.8],
         "observed": [0.25, 0.75],
         "observed_sd": [0.05, np.nan]}
    )  # fmt: skip
    for name, frame in (("scores", scores), ("estimate", values), ("reliability", reliable)):
        frame.to_csv(path / f"{name}.csv", index=False)
    said = '{"obsnet_nowcast": 1, "kind": "rapid", "statements": [["used: <i>", "采用"]], "notes": ["2013: revised"]}'
    (path / "summary.json").write_text(said, encoding="utf-8")
