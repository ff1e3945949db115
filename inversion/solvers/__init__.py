"""Solvers: each turns a `Problem` into a `Posterior`; `choose.solve` picks one."""
