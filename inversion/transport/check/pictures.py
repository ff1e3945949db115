"""The table and the pictures of the honesty tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inversion.transport.check.references import table_of
from inversion.transport.check.worlds import Row
from obsnet.atomic import atomic_path, write_text

__all__ = ["write_report"]


def write_report(rows: Sequence[Row], out: Path) -> list[Path]:
    """Write ``check.md`` and one picture a kind of test.

    Parameters
    ----------
    rows : sequence of Row
        From `inversion.transport.check.run.run_checks`.
    out : path
        Folder.

    Returns
    -------
    list of Path
        What was written.
    """
    lines = ["| test | measured | accepted | unit | passed | how |", "|---|---|---|---|---|---|"]
    for row in rows:
        limit = "informs" if row.passed is None else f"{row.accepted:.3g}"
        passed = {True: "yes", False: "**no**", None: ""}[row.passed]
        lines.append(f"| {row.test} | {row.measured:.3g} | {limit} | {row.unit} | {passed} | {row.detail} |")
    table = table_of(rows)
    write_text(out / "check.md", "\n".join([*lines, *([""] if table else []), *table]) + "\n")
    written = [out / "check.md"]
    drawings: dict[str, tuple[str, Callable[[Any, list[Row]], None]]] = {
        "layers": ("well_mixed.png", _layers),
        "hours": ("stilt_hours.png", _hours),
        "maps": ("stilt_maps.png", _maps),
        "parcels": ("mptrac.png", _parcels),
    }
    for kind, (name, draw) in drawings.items():
        chosen = [row for row in rows if row.series.get("kind") == kind]
        if chosen:
            written.append(_picture(out / name, draw, chosen))
    return written


def _picture(path: Path, draw: Callable[[Any, list[Row]], None], rows: list[Row]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    draw(figure, rows)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path


def _layers(figure: Any, rows: list[Row]) -> None:
    figure.set_size_inches(10.0, 6.5)
    grid = figure.subplots(2, (len(rows) + 1) // 2, sharey=True, sharex=True, squeeze=False)
    for ax in grid.flat[len(rows) :]:
        ax.set_axis_off()
    for ax, row in zip(grid.flat, rows, strict=False):
        ratio, error = 100 * row.series["ratio"], 100 * row.series["error"]
        height = (np.arange(ratio.size) + 0.5) / ratio.size
        ax.axvspan(-3, 3, color="0.92")
        ax.axvline(0, color="0.6", lw=0.8)
        ax.errorbar(ratio, height, xerr=3 * error, fmt="o", ms=3, lw=0.8, color="C0")
        ax.set_title(row.series["name"], fontsize=9)
        ax.set_xlim(-9, 9)
    figure.supxlabel("excess, %", fontsize=10)
    figure.supylabel("height / boundary-layer height", fontsize=10)
    figure.suptitle(
        "Particles that begin evenly mixed in mass: excess per layer (bars 3 sigma, grey 3 %)", fontsize=10
    )


def _hours(figure: Any, rows: list[Row]) -> None:
    ax = figure.subplots()
    lines = {
        "100": ("STILT, 100 particles", "0.8"),
        "100_rep2": ("STILT, 100, again", "0.8"),
        "1000": ("STILT, 1000", "0.5"),
        "2000": ("STILT, 2000", "0.0"),
        "our turbulence": ("this model, its own turbulence", "C0"),
        "STILT's choices": ("this model, STILT's choices", "C3"),
    }
    for key, (label, color) in lines.items():
        curve = rows[0].series[key]
        ax.plot(np.arange(1, curve.size + 1), curve, color=color, label=label)
    ax.set(
        xlabel="hours before the observation",
        ylabel="sensitivity, ppm / (umol m-2 s-1)",
        xlim=(1, 24),
        ylim=(0, None),
    )
    ax.legend(fontsize=8)
    ax.set_title("The same meteorology, mixing height and receptor", fontsize=10)


def _maps(figure: Any, rows: list[Row]) -> None:
    from matplotlib.colors import LogNorm

    maps = [("STILT", rows[0].series["STILT"])]
    maps += [(f"this model, {row.series['name']}", row.series["ours"]) for row in rows]
    figure.set_size_inches(11.0, 4.5)
    panels = figure.subplots(1, len(maps), sharey=True)
    picture = None
    for ax, (title, values) in zip(panels, maps, strict=True):
        shown = np.ma.masked_less(values, 1e-5)
        picture = ax.imshow(
            shown, origin="lower", extent=(106, 124, 31, 44), norm=LogNorm(1e-4, 0.5), aspect=1.3
        )
        ax.plot(116.4, 39.9, "k*", ms=8)
        ax.set(xlabel="longitude, degrees east", xlim=(107, 119), ylim=(38, 44))
        ax.set_title(title, fontsize=10)
    panels[0].set_ylabel("latitude, degrees north")
    figure.colorbar(picture, ax=panels, shrink=0.7, label="24 h, per 0.5 degree cell:\nppm / (umol m-2 s-1)")


def _parcels(figure: Any, rows: list[Row]) -> None:
    ax = figure.subplots()
    series = rows[0].series
    ax.plot(series["rx"] / 1000, series["ry"] / 1000, ".", ms=3, color="0.5", label="MPTRAC")
    ax.plot(series["x"] / 1000, series["y"] / 1000, ".", ms=2, color="C3", label="this model, mean wind")
    ax.set(xlabel="easting, km", ylabel="northing, km", title="1000 parcels after 2 h in real ERA5 winds")
    ax.set_aspect("equal")
    ax.legend()
