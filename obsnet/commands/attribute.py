"""``obsnet attribute POSTERIOR INVENTORY``."""

from __future__ import annotations

from obsnet.command import Shown, command
from obsnet.crosscheck.attribution.options import AttributeOptions

__all__ = ["attribute"]


@command("obsnet.crosscheck.attribution.options:AttributeOptions")
def attribute(options: AttributeOptions) -> Shown:
    """Split what an inversion found into the inventory's categories, two ways, with what observations say of each."""
    from obsnet.crosscheck.attribution.run import attribute_files
    from obsnet.crosscheck.verdicts.lines import attribution_lines

    table = attribute_files(options)
    path = (options.out or options.posterior.parent) / "attribution.csv"
    data = {"table": str(path), "attribution": table.to_dict("records")}
    return Shown(data, [*attribution_lines(table), f"written: {path}"])
