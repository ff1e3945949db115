"""``obsnet config check`` opens what a case names and says what the run would say."""

from __future__ import annotations

import pytest

from obsnet import cli
from obsnet.case_check import few, later
from obsnet.config import read_toml
from obsnet.errors import FormatError, ObsnetError
from obsnet.pipeline import read_case, run_case
from tests.inversion.case.files import write_case


@pytest.fixture
def check(capsys):
    """Return what the command says, and its exit code."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["config", "check", *map(str, arguments)])
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    return run


@pytest.fixture
def case(tmp_path):
    write_case(tmp_path)
    return tmp_path / "case.toml"


def test_a_good_case_tells_its_inputs(case, check):
    code, said = check(case)
    assert code == 0, said
    assert "[invert] prior test prior: fossil, biosphere of CO2" in said
    assert "[invert] 2 regions in regions.geojson" in said
    assert " used, " in said
    assert "good; stages in order: invert" in said


def test_what_a_run_would_stop_at_is_a_fault(case, check):
    text = case.read_text().replace("[invert.sector.biosphere]", "[invert.sector.biosfere]")
    case.write_text(text)
    code, said = check(case)
    assert code == 2
    assert "sector 'biosphere' of the prior has no table" in said
    assert "the prior has no such sector; nearest: 'biosphere'" in said
    assert check(case, "--only-file")[0] == 0


def test_a_file_that_is_not_there(case, check):
    (case.parent / "prior.nc").unlink()
    code, said = check(case)
    assert code == 2
    assert "prior.nc: no such file" in said


def test_a_template_that_is_not_there_stops_a_run_before_its_first_stage(case, check):
    """Nobody waits for an inversion to hear of it; what is no part of this run is not asked for."""
    plain = case.read_text()
    case.write_text(f'{plain}\n[report]\ntemplate = "paper.docx"\n')
    code, said = check(case)
    assert code == 2
    assert "paper.docx: no such file (the template of the annex)" in said
    place, steps = read_case(read_toml(case), case)
    with pytest.raises(FormatError, match=r"paper.docx: no such file"):
        run_case(place, steps, report=lambda line: pytest.fail(f"began: {line}"))
    case.write_text(f'{plain}\n[report]\ntemplate = "paper.docx"\nformats = ["csv"]\n')
    assert "paper.docx" not in check(case)[1]


def test_nothing_is_written(case, check):
    before = sorted(p.name for p in case.parent.rglob("*"))
    check(case)
    assert sorted(p.name for p in case.parent.rglob("*")) == before


def test_what_an_earlier_stage_makes_is_no_fault(tmp_path):
    assert later(tmp_path / "store", ("stations",)) == "store: to be made by [stations]"
    assert isinstance(later(tmp_path / "store", ()), ObsnetError)


def test_few_are_taken_evenly():
    assert few([1, 2], 20) == [1, 2]
    taken = few(range(1000), 20)
    assert (len(taken), taken[0], taken[-1]) == (20, 0, 999)
