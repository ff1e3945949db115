"""The commands ``obsnet bias verify`` and ``obsnet bias fit``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bias corrections: verify the producer's, fit your own.",
)
_Files = Annotated[list[str], typer.Argument(help="granules, folders or globs")]
_Text = Optional[str]  # noqa: UP045 - typer reads the annotation when the command is made


@app.command()
def verify(
    files: _Files,
    correction: Annotated[_Text, typer.Option(help="a .toml instead of the formula in the files")] = None,
    tolerance: Annotated[
        float, typer.Option(help="largest difference that passes, in the species' unit")
    ] = 5e-5,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Recompute values from raw ones and compare; exit 1 where they differ or a file cannot be used."""
    from obsnet.errors import ObsnetError
    from obsnet.output import emit
    from retrieval.ingest.run import granule_files
    from retrieval.products import bias
    from retrieval.products.read import open_fields

    wanted = None if correction is None else bias.read_correction(correction)
    rows: list[dict[str, Any]] = []
    for path in granule_files(files):
        try:
            fields = open_fields(path)
            with fields.source:
                found = bias.verify(fields, wanted)
        except ObsnetError as error:
            rows.append({"file": path.name, "status": f"bad: {error}"})
            continue
        for v in found:
            good = v.largest <= tolerance
            status = "same" if good else ("no formula" if v.name == "none" else "differs")
            rows.append(
                {
                    "file": path.name,
                    "class": v.name,
                    "n": v.n,
                    "largest": v.largest,
                    "mean": v.mean,
                    "status": status,
                }
            )
    failed = sum(row["status"] != "same" for row in rows)
    if json:
        emit({"rows": rows, "failed": failed})
    else:
        for row in rows:
            if "class" in row:
                numbers = f"largest difference {row['largest']:.2e}, mean {row['mean']:+.2e}"
                print(f"{row['file']}  {row['class']:10s} {row['n']:8d}  {numbers}  {row['status']}")
            else:
                print(f"{row['file']}  {row['status']}")
        if failed:
            print(f"{failed} of {len(rows)} lines do not hold")
    if failed:
        raise SystemExit(1)


@app.command()
def fit(
    files: _Files,
    out: Annotated[str, typer.Option(help="bias correction to write (.toml)")],
    truth: Annotated[
        _Text, typer.Option(help="CSV with sounding_id and truth; small areas without it")
    ] = None,
    start: Annotated[
        _Text, typer.Option(help="a .toml whose formulas to refit instead of the files' own")
    ] = None,
    name: Annotated[str, typer.Option(help="becomes part of the source of corrected rows")] = "refit",
    length: Annotated[float, typer.Option(help="longest small area, km")] = 100.0,
    minimum: Annotated[int, typer.Option(help="soundings a class needs")] = 30,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Fit coefficients on small areas or on given truths; apply them with `obsnet ingest --correction`."""
    import numpy as np

    from obsnet.output import emit
    from retrieval.ingest.run import granule_files
    from retrieval.products import bias, bias_fit
    from retrieval.products.read import open_fields

    correction = None if start is None else bias.read_correction(start)
    paths = granule_files(files)
    parts = []
    for path in paths:
        fields = open_fields(path)
        with fields.source:
            correction = correction or bias.producer_correction(fields)
            parts.append(bias_fit.collect(fields, correction, length=length))
    samples = bias_fit.concatenate(parts)
    known = None if truth is None else bias_fit.read_truth(truth, samples.obs_id)
    new, fits = bias_fit.refit(
        correction,  # type: ignore[arg-type]
        samples,
        name=name,
        truth=known,
        minimum=minimum,
        provenance={
            "files": len(paths),
            "first_file": paths[0].name,
            "last_file": paths[-1].name,
            "length_km": length,
        },
    )
    bias.write_correction(new, out)
    if json:
        emit({"out": out, "classes": [f.__dict__ for f in fits]})
        return
    for f in fits:
        print(
            f"{f.name}: {f.n} soundings in {f.groups} groups, scatter {f.scatter_before:.4f} -> {f.scatter_after:.4f}"
        )
        for factor, old, now, error in zip(f.factors, f.old, f.new, f.error, strict=True):
            shown = "kept" if np.isnan(error) else f"± {error:.2g}"
            print(f"  {factor:40s} {old:+.5g} -> {now:+.5g} {shown}")
    print(f"written: {out}")
