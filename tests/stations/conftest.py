"""What several station tests share."""

from __future__ import annotations

import pytest

from obsnet.cli import main


@pytest.fixture
def station(capsys):
    """Run ``obsnet station …`` as a user types it; return exit code, standard output, standard error."""

    def call(*words) -> tuple[int, str, str]:
        code = 0
        try:
            main(["station", *map(str, words)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def waliguan(sample_data):
    return sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt"
