"""``obsnet station fit``: the curve fit of one record, or of many in parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from stations.curve.options import FitTable

__all__ = ["fit"]


@command("stations.curve.options:FitTable", work=True)
def fit(options: FitTable, work: Work) -> Shown:
    """Fit function, smooth curve, trend and growth rate (Thoning, Tans & Komhyr 1989)."""
    from stations.curve.many import fit_files

    done = fit_files(options, work)
    if len(options.files) == 1:
        (only,) = done
        return Shown(only.numbers, _text(only.numbers), only.numbers["notes"])
    good, bad = [s for s in done if not s.error], [s for s in done if s.error]
    notes = [f"bad: {s.name}: {s.error}" for s in bad]
    if bad:
        notes.append(f"{len(bad)} of {len(done)} files could not be fitted")
    data = {
        "files": [{"path": s.name, **s.numbers} for s in good],
        "bad": [{"path": s.name, "error": s.error} for s in bad],
        "failed": len(bad),
    }
    return Shown(data, map(_line, good), notes, failed=len(bad))


def _line(done: Any) -> str:
    n = done.numbers
    return f"{done.name}: {n['n']} values, rsd {n['rsd_function']:.3f} and {n['rsd_smooth']:.3f}"


def _text(result: dict[str, Any]) -> list[str]:
    """Return a fit for people."""
    unit = result["unit"]
    lines = [
        f"{result['site']} {result['species']} {result['scale']}",
        f"  {result['n']} values from {result['first']:.3f} to {result['last']:.3f}",
        f"  zero {result['timezero']:g}, grid of {result['interval_days']:g} days",
        f"  residual sd: function {result['rsd_function']:.4f}, smooth curve {result['rsd_smooth']:.4f} {unit}",
        "  coefficients " + ", ".join(f"{c:.6g}" for c in result["coefficients"]),
        *(
            [
                f"  noise of {n['sd']:.3g} {unit} with a memory of {n['memory_days']:.1f} days about function and trend"
            ]
            if (n := result["noise"])
            else []
        ),
        "  standard errors " + ", ".join(f"{k} {v:.3g}" for k, v in result["standard_errors"].items()),
        *(
            ["  likely " + ", ".join(f"{k} {low:.3g} to {high:.3g}" for k, (low, high) in likely.items())]
            if (likely := result["standard_errors_likely"])
            else []
        ),
        *(
            [
                "  noise that remembers a year cannot be told from the curve; were it such, the standard errors would "
                "be " + ", ".join(f"{k} {slow[k]:.3g}" for k in slow)
            ]
            if (slow := result["standard_errors_year_long"])
            else []
        ),
    ]
    for key, words in (
        ("annual_increase", f"annual increase ({unit}/yr)"),
        ("amplitudes", f"seasonal amplitude ({unit})"),
    ):
        if last := list(result[key].items())[-5:]:
            lines.append(f"  {words} " + ", ".join(f"{year}: {v:.2f}" for year, v in last))
    for k, year in enumerate(result.get("dates", [])):
        values = ", ".join(f"{n} {result[n][k]:.4f}" for n in ("function", "smooth", "trend", "growth"))
        lines.append(f"  {year:.4f}: {values}")
    return lines
