"""Write an inventory in the forms that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obsnet.inventory.account.categories import converted, need_terminology
from obsnet.inventory.account.report import read_edition
from obsnet.inventory.exchange.primap import write_primap
from obsnet.inventory.exchange.workbook import write_workbook
from obsnet.language import Language

__all__ = ["export_inventory"]


def export_inventory(
    inventory: Path,
    out: Path,
    formats: Sequence[str],
    *,
    gwp: str = "ar5",
    terminology: str = "IPCC2006",
    title: str = "",
    language: Language = "en",
) -> list[Path]:
    """Write an inventory to a folder.

    Parameters
    ----------
    inventory : Path
        A table of the contract or its folder; with its trace where one lies beside it.
    out : Path
        Folder.
    formats : sequence of {"primap2", "xlsx"}
        Which.
    gwp : str
        Set of GWPs of the workbook's CO2e.
    terminology : str
        Of the categories, which are converted.
    title : str
        For the metadata.
    language : {"en", "zh"}
        Of the workbook.

    Returns
    -------
    list of Path
    """
    table, lines = read_edition(inventory)
    table = converted(need_terminology(table, str(inventory)), terminology)
    paths: list[Path] = []
    if "primap2" in formats:
        meta = {
            "title": title or f"inventory {inventory.name}",
            "comment": "compiled with obsnet; categories in their terminology",
        }
        paths += write_primap(table, out, meta=meta)
    if "xlsx" in formats:
        tables = {} if lines is None else {"trace": lines}
        paths.append(write_workbook(out / "inventory.xlsx", table, tables=tables, gwp=gwp, language=language))
    return paths
