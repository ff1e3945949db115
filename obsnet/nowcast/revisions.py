"""Years in which official statistics changed under every inventory made from them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REVISIONS", "Revision", "revised_between"]


@dataclass(frozen=True)
class Revision:
    """A year in which official statistics changed under every inventory made from them.

    Parameters
    ----------
    year : int
        First year of the new statistics: the change from the year before may be theirs and not of emissions.
    en, zh : str
        What happened.
    source : str
        Where it is described.
    """

    year: int
    en: str
    zh: str
    source: str


REVISIONS = (
    Revision(
        2013,
        "third national economic census: energy statistics of 2000-2013 were revised, coal of 2012 by up to 17 %",
        "第三次全国经济普查：2000-2013年能源统计修订，2012年煤炭消费上调最多约17%",
        "Korsbakken, Peters and Andrew 2016, doi:10.1038/nclimate2963",
    ),
)


def revised_between(start: int, stop: int) -> tuple[Revision, ...]:
    """Return the revisions that lie between the values of two years."""
    return tuple(r for r in REVISIONS if start < r.year <= stop)
