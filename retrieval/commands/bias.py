"""The commands ``obsnet bias verify`` and ``obsnet bias fit``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obsnet.command import Group, Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.products.bias_fit import ClassFit
    from retrieval.products.bias_options import FitOptions, VerifyOptions

__all__ = ["app", "fit", "verify"]

app = Group(
    "Bias corrections: verify the producer's, fit your own.",
    {"verify": "retrieval.commands.bias:verify", "fit": "retrieval.commands.bias:fit"},
)


@command("retrieval.products.bias_options:VerifyOptions", work=True)
def verify(options: VerifyOptions, work: Work) -> Shown:
    """Recompute values from raw ones and compare; exit 1 where they differ or a file cannot be used."""
    from retrieval.products.bias_files import verify_files

    rows = verify_files(options, work)
    failed = sum(row["status"] != "same" for row in rows)
    return Shown({"rows": rows, "failed": failed}, _verified(rows, failed), failed=failed)


def _verified(rows: list[dict[str, Any]], failed: int) -> Iterator[str]:
    for row in rows:
        if "class" in row:
            numbers = f"largest difference {row['largest']:.2e}, mean {row['mean']:+.2e}"
            yield f"{row['file']}  {row['class']:10s} {row['n']:8d}  {numbers}  {row['status']}"
        else:
            yield f"{row['file']}  {row['status']}"
    if failed:
        yield f"{failed} of {len(rows)} lines do not hold"


@command("retrieval.products.bias_options:FitOptions", work=True)
def fit(options: FitOptions, work: Work) -> Shown:
    """Fit coefficients on small areas or on given truths; apply them with `obsnet ingest --correction`."""
    from retrieval.products.bias_files import fit_files

    fits = fit_files(options, work)
    data = {"out": str(options.out), "classes": [vars(f) for f in fits]}
    return Shown(data, _fitted(fits, str(options.out)))


def _fitted(fits: list[ClassFit], out: str) -> Iterator[str]:
    for f in fits:
        yield (
            f"{f.name}: {f.n} soundings in {f.groups} groups, scatter {f.scatter_before:.4f} -> {f.scatter_after:.4f}"
        )
        for factor, old, now, error in zip(f.factors, f.old, f.new, f.error, strict=True):
            shown = "kept" if math.isnan(error) else f"± {error:.2g}"
            yield f"  {factor:40s} {old:+.5g} -> {now:+.5g} {shown}"
    yield f"written: {out}"
