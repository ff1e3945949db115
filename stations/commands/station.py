"""``obsnet station``: one line a command; each is loaded when it is called."""

from __future__ import annotations

from obsnet.command import Group

__all__ = ["app"]

app = Group(
    "Station records: read, judge, deliver.",
    {
        "read": "stations.commands.read:read",
        "compact": "stations.commands.compact:compact",
        "scale": "stations.commands.process:scale",
        "qc": "stations.commands.process:qc",
        "calibrate": "stations.commands.process:calibrate",
        "budget": "stations.commands.process:budget",
        "fit": "stations.commands.fit:fit",
        "plot": "stations.commands.show:plot",
        "admit": "stations.commands.show:admit",
        "sites": "stations.commands.show:sites",
    },
)
