"""TERM is an orderly end; a full disk is one line and a code that says so."""

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from obsnet.atomic import atomic_path, write_text
from obsnet.cli import _explain
from obsnet.errors import Exit, FormatError, StorageError

ROOT = Path(__file__).parents[3]


def python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


BUSY = {
    "waiting": "time.sleep(600)",
    "in_python": "while True: pass",
    "in_c": "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)",  # hears no signal until it ends
}


@pytest.mark.parametrize("how", BUSY)
def test_term_ends_with_a_word_and_its_code(how):
    process = python(f"""
        import atexit, hashlib, time
        from obsnet.work.termination import orderly_end
        with orderly_end(143):
            try:
                print("ready", flush=True)
                {BUSY[how]}
            finally:
                print("tidied up", flush=True)
    """)
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0 if how == "in_c" else 0.0)  # until it is there
    process.send_signal(signal.SIGTERM)
    said, word = process.communicate(timeout=120)
    assert process.returncode == Exit.TERMINATED == 143
    if how == "in_c":  # ended from outside: nothing could be tidied up
        assert said == ""
    else:
        assert said == "tidied up\n"
        assert word == "obsnet: terminated; run the same command again to go on\n"


def test_term_that_another_thread_took_is_heard_by_a_main_thread_that_waits():
    """What a signal between the last look for signals and the wait looks like: nothing breaks the wait."""
    process = python("""
        import signal, threading, time
        from obsnet.work.termination import orderly_end
        def take():
            time.sleep(0.5)  # until the main thread waits
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        with orderly_end(143):
            try:
                threading.Thread(target=take, daemon=True).start()
                time.sleep(600)
            finally:
                time.sleep(0.5)  # no second signal breaks what tidies up
                print("tidied up", flush=True)
    """)
    said, word = process.communicate(timeout=120)
    assert process.returncode == Exit.TERMINATED
    assert said == "tidied up\n"
    assert word == "obsnet: terminated; run the same command again to go on\n"


def test_term_is_as_before_after_the_block():
    from obsnet.work.termination import orderly_end

    before = signal.getsignal(signal.SIGTERM)
    with orderly_end(143):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


def limited():
    """A file may grow to 20 kB: what a full disk looks like to a program."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.parametrize("what", ["text", "parquet", "netcdf"])
def test_a_disk_that_takes_no_more_is_one_line_and_75(what, tmp_path):
    """A library that hides the reason (HDF5) too."""
    process = python(
        f"""
        import numpy as np
        from obsnet.cli import _explain
        def text():
            from obsnet.atomic import write_text
            write_text("out/a.txt", "x" * 100_000)
        def parquet():
            import pyarrow as pa
            from obsnet.parquet import write_table
            write_table(pa.table({{"a": np.random.default_rng(0).random(100_000)}}), "out/a.parquet")
        def netcdf():
            from tests.cases import _prior
            from pathlib import Path
            import obsnet.cf, tests.cases
            data = obsnet.cf.flux_dataset(
                np.random.default_rng(0).random((30, 1, 40, 50)) * 1e-6, obsnet.cf.Grid.regular(0, 40, 0, 50, 1, 1),
                np.datetime64("2020-01-01") + np.arange(31), substance="CO2", title="t", summary="s", source="s",
                license="l")
            obsnet.cf.write_netcdf(data, "out/a.nc")
        try:
            {what}()
        except Exception as error:
            raise SystemExit(_explain(error))
        """,
        cwd=tmp_path,
        preexec_fn=limited,
    )
    _, said = process.communicate(timeout=120)
    assert process.returncode == Exit.AGAIN == 75, said
    lines = [line for line in said.splitlines() if line.startswith("obsnet")]
    assert len(lines) == 1
    assert "out/a." in lines[0]
    assert lines[0].endswith("cannot be written (File too large); mend that and run again")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_each_refusal_of_a_disk(number, tmp_path, capsys):
    with pytest.raises(StorageError, match="cannot be written") as caught, atomic_path(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert _explain(caught.value) == 75
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_not_the_disks_fault_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="else"), atomic_path(tmp_path / "x"):
        raise RuntimeError("something else")
    with pytest.raises(FormatError), atomic_path(tmp_path / "x"):
        raise FormatError("a file")
    assert not list(tmp_path.iterdir())


def test_codes_of_what_comes_to_the_top(capsys):
    assert _explain(FormatError("x")) == 2
    assert _explain(MemoryError()) == 75
    assert _explain(OSError(errno.ENOSPC, "No space left on device", "/a")) == 75
    assert _explain(FileNotFoundError(errno.ENOENT, "No such file or directory", "/a")) == 2
    assert _explain(KeyError("x")) == 70
    assert "internal error" in capsys.readouterr().err.splitlines()[-2]


def test_a_full_disk_ends_an_ingest_and_blames_no_granule(tmp_path):
    from tests.retrieval.granules import granule

    granule(tmp_path / "in", n=400)
    process = python(
        "from obsnet.cli import main; main(['ingest', 'in', '--out', 'store'])",
        cwd=tmp_path,
        preexec_fn=limited,
    )
    _, said = process.communicate(timeout=240)
    assert process.returncode == Exit.AGAIN, said
    assert said.count("\n") == 1
    assert "cannot be written (File too large)" in said
    assert not list((tmp_path / "store").rglob("*.parquet"))
    write_text(tmp_path / "y", "a")


@pytest.mark.parametrize(("job", "code"), [("", Exit.TERMINATED), ("7", Exit.AGAIN)])
def test_a_batch_job_that_is_told_to_end_may_go_on(job, code, monkeypatch):
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    process = python("""
        import time
        from obsnet import cli
        def wait(_arguments):
            print("ready", flush=True)
            time.sleep(600)
        cli._main = wait
        cli.main([])
    """)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == code
