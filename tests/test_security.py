"""What a hostile file, name, folder or neighbour on the machine may try, and does not achieve."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from obsnet.chain import chain
from obsnet.content import Contents, sha256
from obsnet.errors import FormatError, SchemaError
from obsnet.met.readers.archives import Unpacked
from obsnet.pipeline import read_case
from obsnet.stage_mark import Mark, remove_leftovers
from obsnet.store import GranuleIndex, ObservationStore
from obsnet.work.cluster import client_of
from obsnet.work.shards import taking_part
from obsnet.work.work import Work
from stations.record import containers
from stations.record.containers import unpack
from tests.obsnet.observations import table

HOSTILE = "../../../escaped"


def below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


# --- archives ------------------------------------------------------------------------------------------


def test_members_of_a_zip_stay_where_it_is_unpacked(tmp_path):
    path = tmp_path / "a" / "b" / "c" / "met.zip"
    path.parent.mkdir(parents=True)
    link = zipfile.ZipInfo("link")
    link.external_attr = (0o120777) << 16  # a symbolic link
    with zipfile.ZipFile(path, "w") as archive:
        for name in (HOSTILE, "/tmp/escaped", "..\\..\\escaped"):
            archive.writestr(name, "x")
        archive.writestr(link, "/etc/passwd")
    before = below(tmp_path)
    made = Unpacked([path])
    try:
        homes = {p.parent for p in made.files}
        assert len(homes) == 1
        assert len(made.files) == 4
        assert not any(p.is_symlink() for p in made.files)
        assert made.files[-1].read_text() == "/etc/passwd"  # a link is the text of its target
        assert all(p.resolve().is_relative_to(next(iter(homes))) for p in made.files)
    finally:
        made.close()
    assert below(tmp_path) == before
    assert not any(p.exists() for p in homes)


def test_a_zip_that_expands_without_measure_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.nc", bytes(1 << 22))
    Unpacked([path]).close()  # small things may be packed as they like
    monkeypatch.setattr("obsnet.met.readers.archives._HARMLESS", 1 << 20)
    with pytest.raises(
        FormatError, match=r"bomb.zip: .* MB that say they hold .* no fields are packed like that"
    ):
        Unpacked([path])


def members(archive):
    """Return hostile members of a tar: names that lead out, links, a device, and a good one."""

    def add(name, kind=tarfile.REGTYPE, target="", data=b""):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, len(data)
        archive.addfile(info, io.BytesIO(data))

    add(HOSTILE, data=b"one")
    add("/tmp/escaped", data=b"two")
    add("link", tarfile.SYMTYPE, "/etc/passwd")
    add("hard", tarfile.LNKTYPE, "/etc/passwd")
    add("null", tarfile.CHRTYPE)
    add("pipe", tarfile.FIFOTYPE)


def test_members_of_a_tar_are_read_in_memory_and_links_are_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        members(archive)
    assert sorted(unpack(path)) == [("escaped", b"one"), ("escaped", b"two")]
    assert below(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("pack", ["gz", "bz2", "zip", "tar.gz", "gz in zip"])
def test_whatever_unpacks_to_too_much_is_refused(tmp_path, pack):
    zeros, path = bytes(1 << 21), tmp_path / "bomb"
    if pack == "gz":
        path.write_bytes(gzip.compress(zeros))
    elif pack == "bz2":
        path.write_bytes(bz2.compress(zeros))
    elif pack == "tar.gz":
        with tarfile.open(path, "w:gz") as archive:
            info = tarfile.TarInfo("zeros")
            info.size = len(zeros)
            archive.addfile(info, io.BytesIO(zeros))
    else:
        inner = gzip.compress(zeros) if pack == "gz in zip" else zeros
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", inner)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(FormatError, match="bomb: holds more than 1 MiB; split it"):
        unpack(path, 1 << 20)
    assert containers.MAX_BYTES == 2 << 30


# --- names that become paths ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"source": "a/../../../escaped"}, {"file_id": "../escaped"}, {"file_id": "*"}]
)
def test_rows_cannot_name_a_place_outside_of_the_store(tmp_path, change):
    store = ObservationStore(tmp_path / "deep" / "store")
    with pytest.raises(SchemaError, match="is no plain name"):
        store.write(table(rows=2, **change))
    assert not list(tmp_path.rglob("escaped*"))


def test_an_index_cannot_name_parts_by_pattern(tmp_path):
    store = ObservationStore(tmp_path)
    row = {"path": "a.nc", "size": 1, "sha256": "0" * 64, "sensor": "s", "version": "v", "status": "done"}
    row |= {"species": "CO2", "soundings": 1, "good": 1, "options": ""}
    store.index.write([{**row, "file_id": "*"}], "all")
    with pytest.raises(SchemaError, match=r"'\*' would name a file or folder of the store"):
        GranuleIndex(store.index.path).read()


# --- links and marks that lead out of a run ------------------------------------------------------------


def test_leftovers_are_removed_inside_of_a_run_only(tmp_path):
    out, outside = tmp_path / "run", tmp_path / "outside"
    (out / "store").mkdir(parents=True)
    outside.mkdir()
    for folder in (out / "store", outside):
        (folder / "old.parquet").write_text("old")
    (out / "store" / "away").symlink_to(outside)
    digest = sha256(outside / "old.parquet")
    names = ["store/old.parquet", "store/away/old.parquet", "store/../../outside/old.parquet"]
    old = Mark({}, ("store",), dict.fromkeys(names, digest), {})
    gone = remove_leftovers(old, Mark({}, ("store",), {}, {}), out, Contents(tmp_path / "contents.json"))
    assert gone == 1
    assert not (out / "store" / "old.parquet").exists()
    assert (outside / "old.parquet").read_text() == "old"


def test_a_plan_that_is_a_link_is_left_alone(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "plan.json").write_text('{"stage": "ingest", "settings": "x", "items": ["a"]}')
    shards = tmp_path / "store" / "_shards"
    shards.mkdir(parents=True)
    (shards / "ingest-000000000000").symlink_to(outside)
    with taking_part(tmp_path / "store", "ingest", ["a"], {}, Work()):
        pass
    assert (outside / "plan.json").exists()


def test_an_output_that_is_a_link_is_replaced_and_not_written_through(tmp_path):
    from obsnet.atomic import write_text

    (tmp_path / "target").write_text("mine")
    (tmp_path / "out.json").symlink_to(tmp_path / "target")
    write_text(tmp_path / "out.json", "theirs")
    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "out.json").is_symlink()


# --- job scripts (those of Dask's workers: tests/obsnet/work/test_cluster.py) --------------------------


def test_scripts_of_a_chain_quote_what_they_are_given(tmp_path):
    """Run by a shell, with a program that writes down its words: each arrives whole, and nothing else happens."""
    import subprocess

    hostile = "a b; touch broken `touch broken` $(touch broken) ' \" \\ *"
    folder = tmp_path / hostile.replace("/", "")
    folder.mkdir()
    case_file = folder / "case '$(touch broken)'.toml"
    case_file.write_text("")
    data = {
        "run": {"name": hostile},
        "cluster": {
            "queue": hostile,
            "account": hostile,
            "log_directory": hostile,
            "interface": "lo",
            "shards": 1,
        },
        "ingest": {"files": ["a"]},
    }
    case, steps = read_case(data, case_file)
    program = tmp_path / "program"
    program.write_text('#!/bin/bash\nprintf "%s\\n" "$@" > "$SAID"\n')
    program.chmod(0o755)
    job = chain(case, steps, case_file, [f"run.name={hostile}"], program=[str(program)])[-1]
    said = tmp_path / "said"
    done = subprocess.run(["bash", "-c", job.script], env=os.environ | {"SAID": str(said)}, check=False)
    assert done.returncode == 0
    words = said.read_text().splitlines()
    assert words[:2] == ["run", case_file.name]
    assert f"run.name={hostile}" in words
    assert not list(tmp_path.rglob("broken"))
    title = next(line for line in job.script.splitlines() if "--job-name" in line)
    assert re.fullmatch(r"#SBATCH --job-name=[\w.-]+", title)


# --- neighbours on the machine -------------------------------------------------------------------------


@pytest.mark.slow
def test_nobody_else_on_the_machine_can_use_a_local_scheduler():
    """Listening on loopback only, and behind keys of this run: without them a client is turned away."""
    import dask
    import psutil
    from distributed import Client

    def listening():
        own = psutil.Process()
        return {
            (process.pid, c.laddr)
            for process in [own, *own.children(recursive=True)]
            for c in process.net_connections(kind="inet")
            if c.status == psutil.CONN_LISTEN
        }

    before = listening()  # a browser's driver of an earlier test
    with client_of(Work(scheduler="dask", workers=1)) as client:
        assert {address.ip for _, address in listening() - before} == {"127.0.0.1"}
        addresses = [client.scheduler.address, *client.scheduler_info()["workers"]]
        assert all(a.startswith("tls://127.0.0.1:") for a in addresses)
        for address in addresses:
            with (
                dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
                pytest.raises(OSError, match="."),
            ):
                Client(address.replace("tls", "tcp"))
        assert client.submit(len, "ab").result() == 2  # it serves its owner still


def test_keys_are_readable_by_their_owner_alone_and_go_with_the_run(tmp_path, monkeypatch):
    dask_jobqueue = pytest.importorskip("dask_jobqueue")
    from obsnet.work.cluster import _batch

    monkeypatch.chdir(tmp_path)
    seen = []

    class Cluster:
        def __init__(self, *, security, shared_temp_directory, **_asked):
            seen.append((security, Path(shared_temp_directory)))

        def adapt(self, **_how):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(dask_jobqueue, "SLURMCluster", Cluster)
    for interface in ("lo", "eth0"):
        with _batch(Work.model_validate({"scheduler": "slurm", "cluster": {"interface": interface}})):
            security, keys = seen[-1]
            assert security.require_encryption
            assert keys.stat().st_mode & 0o777 == 0o700
        assert not keys.exists()
    assert seen[0][0].tls_client_key != seen[1][0].tls_client_key  # made for the run
