"""The dossier of a made-up station that passes some criteria and fails others."""

import numpy as np

from stations.record.file import write_record
from tests.stations.made import make_record


def write_dossier(folder):
    """Write records, target runs and the dossier that names them."""
    rng = np.random.default_rng(1)
    record = make_record(400 + rng.standard_normal(24 * 420), uncertainty=0.05)
    write_record(record, folder / "station.nc")
    write_record(make_record(400 + rng.standard_normal(90), hours=np.arange(90) * 100), folder / "flasks.nc")
    lines = [f"2020-01-{1 + k:02d}T06:00Z,{405 + 0.01 * (-1) ** k},405.0,0.03" for k in range(20)]
    (folder / "targets.csv").write_text("# runs\ntime,measured,assigned,sd\n" + "\n".join(lines))
    text = """name = "试验站 <Test> & Co"
files = ["station.nc"]
targets = "targets.csv"
comparison = "flasks.nc"
calibrations = ["2020-01-05", "2020-06-01"]
[[standards]]
name = "A"
grade = "tertiary"
value = 380.0
calibrated = "2019-01-01"
"""
    (folder / "dossier.toml").write_text(text)
    return folder / "dossier.toml"
