import ast
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import inversion
import obsnet
import retrieval
import stations


@pytest.mark.parametrize("package", [inversion, obsnet, retrieval, stations], ids=lambda p: p.__name__)
def test_every_public_name_loads(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("inversion.osse", "inversion.study.osse.osse"),
        ("inversion.design", "inversion.study.designs.design"),
        ("retrieval.column_operator", "retrieval.columns.column_operator"),
        ("retrieval.pressure_weights", "retrieval.columns.pressure_weights"),
        ("stations.fit_many", "stations.curve.many"),
        ("stations.curve_errors", "stations.curve.errors"),
        ("stations.water", "stations.calibration.water"),
    ],
)
def test_former_paths_are_the_same_modules(former, now):
    assert importlib.import_module(former) is importlib.import_module(now)


def test_a_class_has_a_name_of_its_own():
    found = Counter(
        node.name
        for package in (inversion, obsnet, retrieval, stations)
        for path in Path(package.__path__[0]).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert len(found) > 500
    assert [name for name, count in found.items() if count > 1] == []


def test_the_door_is_light():
    heavy = "('scipy', 'xarray', 'numba')"
    code = f"import sys, inversion, retrieval, stations; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
