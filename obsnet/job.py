"""The batch job that this process runs in: its number, and its place in an array."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["array_task", "job_id", "job_variables"]

# SLURM, PBS, SGE, LSF
_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID")
_TASKS = ("SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "PBS_ARRAYID", "SGE_TASK_ID", "LSB_JOBINDEX")


def job_variables() -> Mapping[str, str]:
    """Return what the batch system has put into the environment."""
    return {v: os.environ[v] for v in (*_JOBS, *_TASKS) if v in os.environ}


def job_id() -> str:
    """Return the job's number, with ``_task`` in an array; empty outside of a batch job."""
    number = next((os.environ[v] for v in _JOBS if v in os.environ), "")
    task = array_task()
    return number if task is None else f"{number}_{task}"


def array_task() -> int | None:
    """Return the number of this task of a job array, None where there is none."""
    text = next((os.environ[v] for v in _TASKS if os.environ.get(v, "").isdigit()), None)
    return None if text is None else int(text)
