"""The example table in the documentation of `retrieval.readers.sensors` reads the file it describes."""

import re
import textwrap

import numpy as np

from obsnet.schema import profile_array
from retrieval.products.read import read_granule
from retrieval.readers import sensors
from tests.retrieval import synthetic


def test_the_documented_example_reads_a_file(tmp_path):
    example = re.search(r"::\n\n(    title = .*)", sensors.__doc__, re.DOTALL)[1]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "ours.toml").write_text(textwrap.dedent(example))
    rng = np.random.default_rng(0)
    pressure, weight, kernel, prior = (a[:, ::-1] for a in synthetic.column(6, rng, layers=True, levels=11))
    error = np.full(6, 9.0)
    error[2] = -999.0
    path = synthetic.write(
        tmp_path / "a.h5",
        {
            "time": (np.arange(6.0), {"units": "seconds since 2021-06-01"}),
            "lat": (np.full(6, 30.0), {}),
            "lon": (np.full(6, 110.0), {}),
            "flag": (np.array([0, 0, 0, 1, 0, 0]), {}),
            "xch4_proxy": (np.full(6, 1900.0), {"units": "ppb"}),
            "xch4_error": (error, {"units": "ppb"}),
            "p": (pressure, {"units": "hPa"}),
            "h": (weight, {}),
            "ak": (kernel, {}),
            "prior": (4.6 * prior, {"units": "ppb"}),
        },
    )
    granule = read_granule(path, folders=[tmp_path / "tables"])
    assert granule.source == "ours"
    assert np.flatnonzero(granule.table["quality"].to_numpy()).tolist() == [2, 3]
    np.testing.assert_allclose(profile_array(granule.table["pressure_edges"]), pressure[:, ::-1], rtol=1e-6)
    assert granule.notes == ()
