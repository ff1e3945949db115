"""Folders of SYNTHETIC granules for the tests of ingest."""

from __future__ import annotations

from tests.retrieval import synthetic


def granule(
    folder, day="180102", *, version=9, n=40, seed=0, made="180929105747", platform="oco2", change=None
):
    folder.mkdir(parents=True, exist_ok=True)
    start = f"20{day[:2]}-{day[2:4]}-{day[4:]}T05:00:00"
    label = {"oco2": "OCO-2", "oco3": "OCO-3"}[platform]
    variables, attributes = synthetic.lite(n, seed=seed, version=version, start=start, platform=label)
    if change:
        change(variables, attributes)
    return synthetic.write(folder / synthetic.lite_name(day, version, made, platform), variables, attributes)


def week(folder, days=3):
    return [granule(folder, f"1801{d:02d}", seed=d) for d in range(1, days + 1)]
