"""The commands ``obsnet plume absorption``, ``filter``, ``detect``, ``rate``, ``transect`` and ``divergence``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obsnet.command import Group, Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.matched_filter.options import AbsorptionTable, FilterTable
    from retrieval.matched_filter.run import FilterSummary
    from retrieval.plume.options import DetectTable, DivergenceTable, RateTable, TransectTable
    from retrieval.plume.run import PlumeSummary

__all__ = ["absorption", "app", "detect", "divergence", "filter_", "rate", "transect"]

app = Group(
    "Plumes of point sources: find them, tell emission rates.",
    {
        "absorption": "retrieval.commands.plume:absorption",
        "filter": "retrieval.commands.plume:filter_",
        "detect": "retrieval.commands.plume:detect",
        "rate": "retrieval.commands.plume:rate",
        "transect": "retrieval.commands.plume:transect",
        "divergence": "retrieval.commands.plume:divergence",
        "card": "retrieval.commands.plants:card",
        "planned": "retrieval.commands.plants:planned",
        "provinces": "retrieval.commands.plants:provinces",
    },
)


@command("retrieval.matched_filter.options:AbsorptionTable")
def absorption(options: AbsorptionTable) -> Shown:
    """Compute how much a gas absorbs in the bands of an imaging spectrometer, from your own HITRAN lines.

    The table is what `obsnet plume filter` looks for in radiances; one of your own making does as well.
    """
    from retrieval.matched_filter.absorption_run import run_absorption

    _, found = run_absorption(options)
    return Shown(found, _absorption_lines(found), [f"note: {n}" for n in found["notes"]])


@command("retrieval.matched_filter.options:FilterTable", work=True)
def filter_(options: FilterTable, work: Work) -> Shown:
    """Tell enhancements of a gas from cubes of radiances by matched filters, column by detector column.

    Writes a scene a cube and gas that `obsnet plume detect` and `rate` read, with the standard deviation and the
    limit of detection of each pixel and the reasons against it.
    """
    from retrieval.matched_filter.run import run_filter

    summary = run_filter(options, work)
    data = {"cubes": summary.rows, "files": [str(f) for f in summary.files]}
    return Shown(data, _filter_lines(summary), failed=len(summary.bad))


def _absorption_lines(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{found['gas']}: {found['bands']} bands, strongest {1e5 * found['strongest_per_ppm_m']:.3g} % per 1000 ppm m, "
        f"{100 * found['strongest_per_column_unit']:.3g} % per {found['column_unit']} of the column"
    )
    yield f"1000 ppm m are {found['column_unit_per_1000_ppm_m']:.4g} {found['column_unit']} of the column"
    if found["linear_to_ppm_m"] == found["linear_to_ppm_m"]:
        yield f"10 % less than linear at {found['linear_to_ppm_m']:.3g} ppm m; the columns k_at_… say how it goes on"
    for key in ("lines", "atmosphere", "wavelengths", "solar_lines", "air_mass_factor"):
        yield f"{key.replace('_', ' ')}: {found[key]}"
    yield f"wrote {found['file']}"


def _filter_lines(summary: FilterSummary) -> Iterator[str]:
    for row in summary.rows:
        if row["status"] != "done":
            yield f"{row['cube']} {row['gas']}: {row['status']}"
        else:
            yield (
                f"{row['cube']} {row['gas']}: {row['pixels']} of {row['rows']} x {row['columns']} pixels, "
                f"{row['bands']} bands; median error {row['median_error_ppm_m']:.4g} ppm m, limit "
                f"{row['median_limit_ppm_m']:.4g}, highest {row['highest_ppm_m']:.4g}"
            )
        for reason, number in row.get("rejected", {}).items():
            yield f"  {number} pixels {reason.replace('_', ' ')}"
        for note in row["notes"]:
            yield f"  note: {note}"
    for name in summary.files:
        yield f"wrote {name}"


@command("retrieval.plume.options:DetectTable", work=True)
def detect(options: DetectTable, work: Work) -> Shown:
    """Find plumes in images of columns.

    A pixel belongs to a plume where the mean round it stands out of the background by more than noise and
    structure explain. Tables, labels and a picture of every scene are written.
    """
    from retrieval.plume.run import run_detect

    summary = run_detect(options, work)
    return _shown(summary, _plumes(summary))


@command("retrieval.plume.options:RateTable", work=True)
def rate(options: RateTable, work: Work) -> Shown:
    """Tell emission rates of known sources from their plumes, several methods side by side.

    Each rate comes with its errors by where they come from and with the reasons against it. Methods share
    pixels and wind: their spread is no error of a mean, and no mean is taken.
    """
    from retrieval.plume.run import run_rate

    summary = run_rate(options, work)
    return _shown(summary, _rates(summary))


@command("retrieval.plume.options:TransectTable")
def transect(options: TransectTable) -> Shown:
    """Tell emission rates from tracks that cross plumes, such as those of OCO-2.

    Every pass of the store within reach of a source and downwind of it is one estimate.
    """
    from retrieval.plume.several import run_transect

    found = run_transect(options)
    return Shown(
        found | {"files": [str(f) for f in found["files"]]},
        _several(found, f"{found['passes']} passes"),
        found["notes"],
    )


@command("retrieval.plume.options:DivergenceTable")
def divergence(options: DivergenceTable) -> Shown:
    """Tell emission rates from the divergence of the mean flux of many images.

    Fewer than eight images of a source with enough wind give none.
    """
    from retrieval.plume.several import run_divergence

    found = run_divergence(options)
    bad = [s for s in found["scenes"] if s["status"] != "done"]
    said = f"{len(found['scenes'])} scenes, {len(bad)} bad"
    notes = [*found["notes"], *(f"{s['scene']}: {s['status']}" for s in bad)]
    data = found | {"files": [str(f) for f in found["files"]]}
    return Shown(data, _several(found, said), notes, failed=len(bad))


def _several(found: dict[str, Any], said: str) -> Iterator[str]:
    yield said
    yield from _rate_lines(found["rates"])
    for name in found["files"]:
        yield f"wrote {name}"


def _shown(summary: PlumeSummary, lines: Iterator[str]) -> Shown:
    data = {
        "scenes": summary.scenes,
        "plumes": summary.plumes,
        "rates": summary.rates,
        "files": [str(f) for f in summary.files],
    }
    return Shown(data, lines, failed=len(summary.bad))


def _scenes(summary: PlumeSummary) -> Iterator[str]:
    for scene in summary.scenes:
        number = sum(p["scene"] == scene["scene"] for p in summary.plumes)
        said = f"{number} plumes" if scene["status"] == "done" else scene["status"]
        yield f"{scene['scene']}: {said}"
        for note in scene["notes"]:
            yield f"  note: {note}"


def _plumes(summary: PlumeSummary) -> Iterator[str]:
    yield from _scenes(summary)
    if summary.plumes:
        yield f"{'plume':>5s} {'pixels':>6s} {'km2':>7s} {'z':>6s} {'lat':>8s} {'lon':>9s}  sources"
    for p in summary.plumes:
        yield (
            f"{p['plume']:5d} {p['pixels']:6d} {p['area_km2']:7.0f} {p['highest_z']:6.1f} {p['latitude']:8.3f} "
            f"{p['longitude']:9.3f}  {p['sources'] or '-'}"
        )
    yield from _files(summary)


def _rates(summary: PlumeSummary) -> Iterator[str]:
    yield from _scenes(summary)
    yield from _rate_lines(summary.rates)
    used: dict[tuple[str, str], list[float]] = {}
    for r in summary.rates:
        if not r["quality"]:
            used.setdefault((r["scene"], r["source"]), []).append(r["rate_kg_s"])
    for (scene, source), values in used.items():
        between = f"from {_short(min(values))} to {_short(max(values))} kg s-1"
        yield f"{scene}, {source}: {len(values)} methods {between}, not independent"
    yield from _files(summary)


def _rate_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield (
        f"{'source':16s} {'method':10s} {'kg s-1':>8s} {'95 % interval':>17s} {'kt a-1':>8s} "
        f"{'wind':>6s} {'backg.':>6s} {'noise':>6s} {'method':>6s}  rejected because"
    )
    for r in rows:
        parts = " ".join(_number(r[f"error_{n}_kg_s"], 6) for n in ("wind", "background", "noise", "method"))
        between = f"{_number(r['low95_kg_s'], 7)} … {_number(r['high95_kg_s'], 7)}"
        yield (
            f"{r['source'][:16]:16s} {r['method']:10s} {_number(r['rate_kg_s'], 8)} {between} "
            f"{_number(r['rate_kt_a'], 8)} {parts}  {r['reasons']}"
        )
    yield "kt a-1: as if the source emitted at this rate all year; one overpass does not say that it does"


def _files(summary: PlumeSummary) -> Iterator[str]:
    for name in summary.files:
        yield f"wrote {name}"
    if summary.bad:
        yield f"{len(summary.bad)} of {len(summary.scenes)} scenes bad"


def _number(value: float | None, width: int) -> str:
    return f"{'-' if value is None else _short(value):>{width}s}"


def _short(value: float) -> str:
    """Return whole numbers from 100 on, three digits below: leaks of methane are told in tenths of kg s-1."""
    return f"{value:.0f}" if not abs(value) < 100.0 else f"{value:.3g}"
