"""The notebooks run from top to bottom."""

import os
import tomllib
from pathlib import Path

import pytest

from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from tests.docs.pages import DOCS
from tests.inversion.case.files import CASE, write_case

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")


def run(name: str, folder: Path, monkeypatch) -> None:
    """Run all cells in a kernel of its own, in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
    book = nbformat.read(DOCS / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    assert not any(cell.get("outputs") for cell in book.cells), "outputs belong to no commit"
    nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["granules_to_map", "record_to_fit"])
def test_on_sample_data(name, sample_data, tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "OBSNET_SAMPLE_DATA", str(sample_data))
    run(name, tmp_path, monkeypatch)


@pytest.mark.slow
def test_posterior_to_verdict(tmp_path, monkeypatch):
    case = write_case(tmp_path)
    run_invert(InvertOptions.model_validate(tomllib.loads(CASE)["invert"]), case, tmp_path)
    (tmp_path / "inventory.csv").write_text(
        "region,period,gas,category,terminology,value,unit,uncertainty,source,edition\n"
        "a,2019,CO2,total,IPCC2006,100,Mt,0.1,made,1\nb,2019,CO2,total,IPCC2006,50,Mt,0.1,made,1\n"
    )
    monkeypatch.setitem(os.environ, "OBSNET_RUN", str(tmp_path))
    run("posterior_to_verdict", tmp_path, monkeypatch)
