"""Hindcast CEADs and drawn countries, and write the tables and the picture of docs/nowcast.md.

    python scripts/make_nowcast_table.py [--countries 12] [--print]

CEADs of 30 provinces is read from the sample data ($OBSNET_SAMPLE_DATA); it is not part of the project. Drawn countries
(tests/obsnet/nowcast/made.py) have indicators of known slopes, published as statisticians do, and growth that no
indicator explains; the oracle knows the slopes. With ``--print`` nothing is written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
DATA = Path(os.environ.get("OBSNET_SAMPLE_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "nowcast.md"
MODELS = ("persistence", "last growth", "drift", "damped trend", "combination")


def ceads():
    from obsnet.nowcast.inputs.history import read_history

    return read_history([str(p) for p in sorted((DATA / "inventory/ceads/provinces").glob("*.xlsx"))])


def lead(row, base):
    return (
        f"{row[f'than_{base}']:+.2f} ± {row[f'than_{base}_sd']:.2f}"
        if np.isfinite(row[f"than_{base}"])
        else "–"
    )


def hindcast_table(found):
    """Return the table of all provinces and the nation, at 1, 3 and 5 years."""
    scores = found.scores
    yield (
        "| | years | model | error % | CRPS % | bias % | in 80 % | in 90 % | CRPS less persistence | "
        "less last growth | less drift |"
    )
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for place, name in (("provinces", f"{len(found.regions)} provinces"), ("CHN", "their sum")):
        for step in (1, 3, 5):
            for model in MODELS:
                r = scores[
                    (scores["region"] == place) & (scores["step"] == step) & (scores["model"] == model)
                ].iloc[0]
                mark = "**" if model == found.model else ""
                yield (
                    f"| {name} | {step} | {mark}{model}{mark} | {r['mae']:.2f} | {r['crps']:.2f} | {r['bias']:+.2f} | "
                    f"{r['cover80']:.2f} | {r['cover90']:.2f} | {lead(r, 'persistence')} | {lead(r, 'last_growth')} | "
                    f"{lead(r, 'drift')} |"
                )


def damping_table(history):
    """Return what other dampings would have given."""
    from obsnet.nowcast.forecast import forecast
    from obsnet.nowcast.models import trends
    from obsnet.nowcast.skill import hindcast

    yield "| damping | error 1, 3, 5 years | CRPS | in 80 % |"
    yield "| --- | --- | --- | --- |"
    for damping in (0.7, 0.75, 0.8, 0.85, 0.9):
        hindcast.DAMPED = trends.GrowthTrend(damping, trends.DAMPED.gains)
        scores = forecast(history).scores
        rows = scores[(scores["region"] == "provinces") & (scores["model"] == "damped trend")]
        rows = rows[rows["step"].isin([1, 3, 5])]
        cells = (" / ".join(f"{v:.2f}" for v in rows[c]) for c in ("mae", "crps", "cover80"))
        yield f"| {damping:.2f} | {' | '.join(cells)} |"
    hindcast.DAMPED = trends.DAMPED


def drawn_table(count):
    """Return scores on drawn countries: as drawn, with half the indicators, with none of any bearing."""
    from obsnet.nowcast.inputs.history import read_history
    from obsnet.nowcast.inputs.indicator_file import read_indicators
    from obsnet.nowcast.rapid import rapid_estimate
    from tests.obsnet.nowcast.made import YEARS, indicator_frame, inventory_frame, world, write

    settings = {
        "slopes 0.45 and 0.2": {},
        "own shocks 5 %": {"own": 0.05},
        "shared shocks 3 %": {"shared": 0.03},
        "no bearing": {"slopes": (0.0, 0.0)},
    }
    yield "| drawn countries | oracle | regression | persistence | damped trend | in 80 % | in 90 % | used |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for name, how in settings.items():
        rows, oracle, used = [], [], []
        for seed in range(count):
            made = world(100 + seed, **how)
            with tempfile.TemporaryDirectory() as folder:
                history = read_history([str(write(inventory_frame(made), Path(folder) / "v.csv"))])
                indicators = read_indicators(
                    write(indicator_frame(made, layout="year"), Path(folder) / "i.csv")
                )
            found = rapid_estimate(history, indicators, year=2019)
            own = found.scores[found.scores["region"] == "provinces"].set_index("model")
            first = int(YEARS[-1]) - int(own["years"].iloc[0])
            at = np.flatnonzero((YEARS[1:] >= first) & (YEARS[1:] < YEARS[-1]))
            best = np.exp(np.log(made.emissions[at]) + made.explained[at]) / made.emissions[at + 1] - 1.0
            oracle.append(100.0 * np.abs(best).mean())
            rows.append(own)
            used.append(found.model)
        mean = {m: np.mean([r.loc[m, "mae"] for r in rows]) for m in rows[0].index}
        cover = [np.mean([r.loc["regression", f"cover{level}"] for r in rows]) for level in (80, 90)]
        kinds = ", ".join(f"{m} {used.count(m)}" for m in dict.fromkeys(used))
        yield (
            f"| {name} | {np.mean(oracle):.2f} | {mean['regression']:.2f} | {mean['persistence']:.2f} | "
            f"{mean['damped trend']:.2f} | {cover[0]:.3f} | {cover[1]:.3f} | {kinds} |"
        )


# Okabe & Ito: told apart without red and green
COLOURS = ("#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#000000")


def picture(found, path):
    """Draw errors by horizon and the reliability of chances."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.0))
    scores = found.scores[found.scores["region"] == "provinces"]
    for model, mark, colour in zip(MODELS, "osD^v", COLOURS, strict=True):
        rows, width = scores[scores["model"] == model], 2.2 if model == found.model else 1.2
        left.plot(rows["step"], rows["mae"], f"{mark}-", color=colour, ms=5, lw=width, label=model)
    left.set(xlabel="years ahead", ylabel="mean absolute error, %", ylim=(0, 40), xticks=range(1, 6))
    left.legend(fontsize=8)
    table = found.reliability
    right.plot([0, 1], [0, 1], color="0.6", lw=1, ls="--")
    spread = 2 * table["observed_sd"]
    right.errorbar(table["forecast"], table["observed"], yerr=spread, fmt="o-", color="#0072B2", capsize=3)
    for r in table.to_dict("records"):
        place = {"xytext": (6, -12), "textcoords": "offset points", "fontsize": 8}
        right.annotate(f"{r['count']:,}", (r["forecast"], r["observed"]), **place)
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability given", ylabel="share that happened")
    for axes in (left, right):
        axes.grid(lw=0.4)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def put(text, name, lines):
    begin, end = f"<!-- {name}: made by scripts/make_nowcast_table.py -->", f"<!-- /{name} -->"
    before, rest = text.split(begin)
    return before + begin + "\n\n" + "\n".join(lines) + "\n\n" + end + rest.split(end)[1]


def main():
    from obsnet.nowcast.forecast import forecast

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--countries", type=int, default=12, help="drawn, of each kind")
    parser.add_argument("--print", action="store_true", help="write nothing")
    options = parser.parse_args()
    history = ceads()
    found = forecast(history)
    parts = {
        "hindcast": list(hindcast_table(found)),
        "damping": list(damping_table(history)),
        "drawn": list(drawn_table(options.countries)),
    }
    for lines in parts.values():
        print("\n".join(lines), end="\n\n")
    if not options.print:
        text = PAGE.read_text(encoding="utf-8")
        for name, lines in parts.items():
            text = put(text, name, lines)
        PAGE.write_text(text, encoding="utf-8")
        picture(found, ROOT / "docs" / "nowcast_reliability.png")


if __name__ == "__main__":
    main()
