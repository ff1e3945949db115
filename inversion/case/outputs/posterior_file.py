"""The posterior file: fluxes and totals with all that a fair comparison needs, in CF netCDF.

Variables of ``posterior.nc`` (contract *Posterior*); `total` is the flat axis of (sector, region, period),
the last running fastest, with the labels ``total_sector``, ``total_region`` and ``total_period``. What is in no
region has rows of its own: ``offshore``, the flux at sea, where the grid reaches the sea, and ``outside``, the last,
other land:

``flux``, ``flux_uncertainty``, ``flux_prior``, ``flux_prior_uncertainty`` (time, sector, lat, lon), mol m-2
s-1
    Mean flux of a time bin and its standard deviation.
``region_total`` and the same with ``_uncertainty``, ``_prior``, ``_prior_uncertainty`` (sector, region,
period), mol s-1
    Mean rate over the period. ``region_total_mass…`` is the same in Mt of substance a year.
``region_response`` (sector, region, period), 1
    Diagonal of the kernel below: share of a true change that the posterior follows; 0 means nobody observed
    it.
``total_covariance``, ``total_prior_covariance`` (total, total_2), mol2 s-2
    Of posterior and prior totals.
``total_averaging_kernel`` (total, total_2), 1
    Answer of a posterior total (row) to a change of a true total (column) spread as the prior.
    With an ensemble, the base's plus the covariance between members, here and in ``total_test_covariance``.
``total_noise_covariance``, ``total_pattern_covariance``, ``total_nuisance_covariance`` (total, total_2),
mol2 s-2
    Parts of the posterior totals' error: observations; redistribution inside regions; inflow and offsets.
``total_test_covariance`` (total, total_2), mol2 s-2
    For an inventory of **one** sector: error of its posterior totals from all that is not its totals, noise +
    pattern + nuisance + all other sectors with their prior error; zero between sectors. What is tested and its
    variance: `inversion.problem.totals`.
``total_tested`` (total), mol s-1
    Where the posterior is no linear function of the observations (method lognormal): the estimate of the totals that
    is, which the kernel and the errors are of and inventories are tested with.
``total_prescribed_response`` (prescribed, total), mol s-1
    Where sectors are prescribed: change of the posterior totals where the truth of such a sector is larger by its
    whole prior than the inversion takes it to be.
``sector_response``, ``sector_correlation`` (sector, sector_2), 1
    What the domain's posterior total of a sector (row) answers to, and how their errors are correlated. The global
    attribute ``sectors_not_told_apart`` says in sentences which sectors the observations see only as a sum.
``share`` (entry) with ``share_region``, ``share_cell``, ``share_sector``
    Which part of each cell's flux is which region's, see `obsnet.shares`; the attribute ``shares`` says how that was
    found, ``shares_notes`` what was chosen.
``region_split_uncertainty`` (sector, region), mol s-1
    Of the prior total, for want of knowing where inside the prior's cells its flux is, if each cell's stood at one
    place; in ``total_test_covariance`` where ``[invert.shares] in_test`` says so (attribute ``shares_in_test``).
``basis_region`` (sector, lat, lon)
    Where regions were solved for: which. What they cannot express is part of every uncertainty above; the global
    attribute ``basis_unresolved`` is its share of the prior's variance in the observations.
``error_assumed``, ``error_estimated``, ``error_relative_error``, ``error_determined`` (error_parameter)
    Where errors were estimated: keys of the case file and what the observations say of them.
``state_dofs`` (component)
    Degrees of freedom for signal of each block of the state.
``source_*`` (source)
    Observations by source: count, degrees of freedom for signal, bias and rmse before and after, the error assumed and
    the one that innovations and residuals suggest.

Global attributes name the prior, solver, its stopping state, chi-square per observation, degrees of freedom
and what was left out. The attribute ``checks``, where there is one, has a line for each thing that the run's own checks
found and a reader of verdicts must know; ``no_verdict``, where it is not empty, says why inventories cannot be tested
with this file. Beside it ``fit.parquet`` has one row an observation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa

from inversion.case.assemble import Assembled
from inversion.case.inputs.reading import PriorFlux
from inversion.case.solving.estimate import EstimatedErrors
from inversion.errors.desroziers import desroziers
from inversion.problem.basis import Basis
from inversion.problem.posterior import Posterior
from inversion.problem.totals import Totals
from obsnet.constants import SECONDS_PER_YEAR, Species, species
from obsnet.grid import Grid
from obsnet.typing import Floats, Times

__all__ = ["add_likelihood", "fit_table", "posterior_dataset", "summary_of", "write_posterior"]

# Unit (empty: that of the observations) and meaning of each number by source.
_SOURCE_NOTES = {
    "count": ("1", "observations used"),
    "dofs": ("1", "degrees of freedom for signal from these observations"),
    "bias_prior": ("", "mean of observation minus prior simulation"),
    "bias_posterior": ("", "mean of observation minus posterior simulation"),
    "rmse_prior": ("", "root mean square of observation minus prior simulation"),
    "rmse_posterior": ("", "root mean square of observation minus posterior simulation"),
    "error_assumed": ("", "root of the mean variance of the assumed observation error"),
    "error_suggested": ("", "the same as innovations and residuals suggest (Desroziers et al. 2005)"),
    "residual_chi_square": ("1", "mean square of posterior difference over assumed error"),
}


def fit_table(posterior: Posterior, observations: pa.Table) -> pa.Table:
    """Return what each observation was, was expected to be and became.

    Parameters
    ----------
    posterior : Posterior
        Solved.
    observations : pyarrow.Table
        Rows in the problem's order.

    Returns
    -------
    pyarrow.Table
        Identity and place; ``value``, ``error`` (root of R's diagonal), ``background``, ``prior``,
        ``posterior`` (simulated), ``influence`` (self-sensitivity), in the unit of the observations.
    """
    problem = posterior.problem
    columns = ["obs_id", "source", "platform", "kind", "time", "latitude", "longitude", "value"]
    table = observations.select([c for c in columns if c in observations.column_names])
    more = {
        "error": np.sqrt(problem.observation_error.diagonal()),
        "background": problem.background,
        "prior": problem.simulate(problem.prior),
        "posterior": problem.simulate(posterior.mean),
        "influence": posterior.influence,
    }
    for name, values in more.items():
        table = table.append_column(name, pa.array(values))
    return table.replace_schema_metadata({b"obsnet:contract": b"fit", b"obsnet:version": b"1"})


class Described(Protocol):
    """What the file says of a problem; `inversion.case.assemble.Assembled` has it."""

    @property
    def species(self) -> Species:
        """What is inverted."""

    @property
    def grid(self) -> Grid:
        """Flux cells."""

    @property
    def sectors(self) -> tuple[str, ...]:
        """All sectors of the prior."""

    @property
    def prior(self) -> PriorFlux:
        """With name and notes."""

    @property
    def counts(self) -> dict[str, int]:
        """What was used and what was left out."""

    @property
    def prescribed(self) -> dict[str, Floats]:
        """What each prescribed sector contributes to the observations."""

    @property
    def error_notes(self) -> tuple[str, ...]:
        """What errors of the observations have in common."""


def posterior_dataset(
    made: Described,
    posterior: Posterior,
    totals: Totals,
    *,
    region_names: dict[str, str],
    basis: Basis | None = None,
    fields: tuple[Times, dict[str, Floats]] | None = None,
) -> Any:
    """Return the posterior as a dataset of the contract.

    Parameters
    ----------
    made : Assembled
        The problem and its labels.
    posterior : Posterior
        Its answer.
    totals : Totals
        From `inversion.problem.totals.region_totals`.
    region_names : dict of str to str
        Names of region keys for people.
    basis : Basis, optional
        Regions that were solved for.
    fields : tuple, optional
        Time edges and the four flux fields (time, sector, lat, lon), where the state is not the flux of cells.

    Returns
    -------
    xarray.Dataset
        See the module's text.
    """
    from obsnet.cf import flux_dataset

    edges, cubes = _flux_fields(cast(Assembled, made), posterior) if fields is None else fields
    attributes = _attributes(made, posterior)
    data = flux_dataset(
        cubes.pop("flux"),
        made.grid,
        edges,
        sectors=list(made.sectors),
        substance=made.species.name,
        title=f"Posterior {made.species.name} fluxes",
        summary=f"Fluxes of {made.species.name}, region totals, their covariance; prior {made.prior.name}",
        license="as its inputs",
        source=f"obsnet inversion ({posterior.method}) of {posterior.problem.n_obs} observations",
        uncertainty=cubes.pop("flux_uncertainty"),
    )
    dims, attrs = data["flux"].dims, data["flux"].attrs
    shared = {
        k: v
        for k, v in attrs.items()
        if k not in {"standard_name", "long_name", "ancillary_variables", "comment"}
    }
    for name, text in (("flux_prior", "mean"), ("flux_prior_uncertainty", "standard deviation")):
        data[name] = (dims, cubes[name], {**shared, "long_name": f"prior {text} of surface flux"})
    data = data.assign_coords(
        region=("region", list(totals.weights.region), {"long_name": "region key"}),
        period=(
            "period",
            _middle(totals.weights.period),
            {"bounds": "period_bnds", "long_name": "middle of period"},
        ),
    )
    names = [region_names.get(r, r) for r in totals.weights.region]
    data["region_label"] = ("region", names, {"long_name": "name of the region for people"})
    ends = np.stack([totals.weights.period[:-1], totals.weights.period[1:]], axis=1)
    data["period_bnds"] = (("period", "bnds"), ends)
    _add_totals(data, totals, made)
    _add_prescribed(data, totals, made, posterior)
    _add_separation(data, totals)
    _add_diagnostics(data, posterior)
    data.attrs |= attributes
    if basis is not None:
        _add_basis(data, basis, made, posterior)
    return data


def add_likelihood(data: Any, estimated: EstimatedErrors, *, used: bool) -> None:
    """Add what the observations say of the assumed errors to a posterior.

    Parameters
    ----------
    data : xarray.Dataset
        Is changed.
    estimated : EstimatedErrors
    used : bool
        Whether the inversion was made with the estimates.
    """
    data["error_parameter"] = ("error_parameter", [r.key for r in estimated.rows])
    for name, values, text in (
        ("assumed", [r.assumed for r in estimated.rows], "what the case assumes"),
        ("estimated", [r.estimated for r in estimated.rows], "maximum likelihood estimate"),
        ("relative_error", [r.relative_error for r in estimated.rows], "standard error of its logarithm"),
        (
            "determined",
            [np.int8(r.determined) for r in estimated.rows],
            "0 where the observations do not tell",
        ),
    ):
        note = {"long_name": text, "comment": "unit of the key of the case file"}
        data[f"error_{name}"] = ("error_parameter", values, note)
    data.attrs |= {
        "likelihood": "restricted" if estimated.restricted else "full",
        "likelihood_used": "yes" if used else "no",
        "likelihood_observations": estimated.n_obs,
        "log_likelihood_assumed": estimated.log_likelihood_assumed,
        "log_likelihood_estimated": estimated.log_likelihood,
    }


def _add_basis(data: Any, basis: Basis, made: Described, posterior: Posterior) -> None:
    shape = (len(made.sectors), *made.grid.shape)
    label = np.full(shape, -1, dtype=np.int32)
    for number, sector in enumerate(made.sectors):
        if sector in basis.region:
            label[number] = basis.region[sector].reshape(made.grid.shape)
    note = {
        "long_name": "region of the basis that holds most of the cell",
        "comment": "-1 in sectors not solved",
    }
    data["basis_region"] = (("sector", "lat", "lon"), label, note)
    data.attrs |= {
        "basis": basis.kind,
        "basis_unknowns": posterior.stopping["regions"],
        "basis_unresolved": posterior.stopping["unresolved"],
    }


def _middle(edges: Times) -> Times:
    return np.asarray(edges[:-1] + (edges[1:] - edges[:-1]) // 2)


def _flux_fields(made: Assembled, posterior: Posterior) -> tuple[Times, dict[str, Floats]]:
    """Return the common time edges of all sectors and the four flux fields on them."""
    problem = posterior.problem
    assert problem.state is not None
    edges = np.unique(np.concatenate([b.edges for b in made.bins.values()]))
    prior_sd = np.sqrt(posterior.prior_variance())
    sd = np.sqrt(np.maximum(posterior.variance(), 0.0))
    shape = (edges.size - 1, len(made.sectors), *made.grid.shape)
    names = ("flux", "flux_uncertainty", "flux_prior", "flux_prior_uncertainty")
    fields = {n: np.zeros(shape) for n in names}
    for number, sector in enumerate(made.sectors):
        bins = made.bins[sector]
        at = np.searchsorted(bins.edges, edges[:-1], side="right") - 1
        fields["flux_prior"][:, number] = made.prior_mean[sector][at].reshape(-1, *made.grid.shape)
        if sector not in problem.state.names:
            fields["flux"][:, number] = fields["flux_prior"][:, number]
            continue
        span = problem.state.span(sector)
        for name, vector in (
            ("flux", posterior.mean),
            ("flux_uncertainty", sd),
            ("flux_prior_uncertainty", prior_sd),
        ):
            cube = vector[span].reshape(bins.size, *made.grid.shape)
            fields[name][:, number] = cube[at] / made.flux_scale
    return edges, fields


def _add_totals(data: Any, totals: Totals, made: Described) -> None:
    weights = totals.weights
    shape, dims = weights.shape, ("sector", "region", "period")
    to_mass = made.species.molar_mass * SECONDS_PER_YEAR * 1e-9  # mol s-1 -> Mt a year
    values = {
        "": (totals.posterior.mean, "posterior mean"),
        "_uncertainty": (_sd(totals.posterior.covariance), "posterior standard deviation"),
        "_prior": (totals.prior.mean, "prior mean"),
        "_prior_uncertainty": (_sd(totals.prior.covariance), "prior standard deviation"),
    }
    for suffix, (flat, role) in values.items():
        text = f"{role} of the mean rate over region and period"
        data[f"region_total{suffix}"] = (dims, flat.reshape(shape), {"units": "mol s-1", "long_name": text})
        mass = {"units": "Mt yr-1", "long_name": f"{text}, mass of {made.species.name}"}
        data[f"region_total_mass{suffix}"] = (dims, (to_mass * flat).reshape(shape), mass)
    response = np.diagonal(totals.kernel).reshape(shape)
    note = {"units": "1", "long_name": "share of a true change of the total that the posterior follows"}
    data["region_response"] = (dims, response, note)
    sector, region, period = (a.ravel() for a in np.indices(shape))
    data["total_sector"] = ("total", np.asarray(weights.sector)[sector])
    data["total_region"] = ("total", np.asarray(weights.region)[region])
    data["total_period"] = ("total", period.astype(np.int32), {"long_name": "index along period"})
    square = ("total", "total_2")
    data["total_averaging_kernel"] = (
        square,
        totals.kernel,
        {
            "units": "1",
            "long_name": "response of posterior totals (rows) to true totals spread as the prior (columns)",
        },
    )
    matrices = {
        "total_covariance": (totals.posterior.covariance, "posterior covariance of totals"),
        "total_prior_covariance": (totals.prior.covariance, "prior covariance of totals"),
        "total_noise_covariance": (totals.noise, "observation error in posterior totals"),
        "total_pattern_covariance": (
            totals.pattern,
            "error of posterior totals from patterns inside regions",
        ),
        "total_nuisance_covariance": (totals.nuisance, "error of posterior totals from inflow and offsets"),
        "total_test_covariance": (totals.test, "covariance for a test of one sector's inventory"),
    }
    for name, (matrix, text) in matrices.items():
        data[name] = (square, matrix, {"units": "mol2 s-2", "long_name": text})
    if totals.tested is not None:
        text = "linear estimate of totals, which inventories are tested with"
        data["total_tested"] = ("total", totals.tested, {"units": "mol s-1", "long_name": text})


def _add_prescribed(data: Any, totals: Totals, made: Described, posterior: Posterior) -> None:
    """Add how totals answer to sectors that are taken as exact; a test of an inventory has to doubt them."""
    if made.prescribed:
        data["prescribed"] = ("prescribed", list(made.prescribed), {"long_name": "sector taken as exact"})
        moved = totals.weights.weights @ posterior.gain(np.stack(list(made.prescribed.values()), axis=1))
        note = {
            "units": "mol s-1",
            "long_name": "change of posterior totals where the truth of the sector is larger by its whole prior",
        }
        data["total_prescribed_response"] = (("prescribed", "total"), np.asarray(moved).T, note)


def _add_separation(data: Any, totals: Totals) -> None:
    """Add what the domain's total of each sector answers to, and the sentences that follow from it."""
    weights = totals.weights
    n_sector, n_region, n_period = weights.shape
    cube = (n_sector, n_region, n_period) * 2
    kernel, after, prior = (
        m.reshape(cube) for m in (totals.kernel, totals.posterior.covariance, totals.prior.covariance)
    )
    # a change of a total divided among its regions and periods as the prior doubts them
    spread = np.sqrt(np.maximum(np.einsum("srpsrp->srp", prior), 0.0))
    size = spread.sum(axis=(1, 2), keepdims=True)
    share = np.where(size > 0.0, spread / np.where(size > 0.0, size, 1.0), 0.0)
    response = np.einsum("srptqu,tqu->st", kernel, share)
    covariance = np.einsum("srptqu->st", after)
    sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    correlation = covariance / np.where(np.outer(sd, sd) > 0.0, np.outer(sd, sd), 1.0)
    pair = ("sector", "sector_2")
    note = {
        "units": "1",
        "long_name": "response of the domain's posterior total (row) to another's truth (column)",
    }
    data["sector_response"] = (pair, response, note)
    note = {"units": "1", "long_name": "correlation of posterior errors of the domain's totals"}
    data["sector_correlation"] = (pair, correlation, note)
    solved = [i for i in range(n_sector) if size[i] > 0.0]
    data.attrs["sectors_not_told_apart"] = "\n".join(
        f"{weights.sector[i]} cannot be told from {weights.sector[j]}: its total answers to {response[i, i]:.0%} of a "
        f"change of its own and to {response[i, j]:.0%} of one of {weights.sector[j]}, and their errors are correlated "
        f"by {correlation[i, j]:.2f}. The sum is known better than either."
        for i in solved
        for j in solved
        if i != j and (abs(response[i, j]) > 0.5 * abs(response[i, i]) or correlation[i, j] < -0.8)
    )


def _sd(covariance: Floats) -> Floats:
    return np.sqrt(np.maximum(np.diagonal(covariance), 0.0))


def _add_diagnostics(data: Any, posterior: Posterior) -> None:
    problem = posterior.problem
    assert problem.state is not None
    dofs = posterior.dofs_by_block()
    data["component"] = ("component", list(dofs))
    data["state_dofs"] = (
        "component",
        list(dofs.values()),
        {"units": "1", "long_name": "degrees of freedom for signal"},
    )
    data["state_size"] = ("component", [problem.state.block(n).size for n in dofs], {"long_name": "elements"})
    source = problem.labels("source")
    names = np.unique(source)
    before, after = problem.innovation, posterior.residual
    sigma = np.sqrt(problem.observation_error.diagonal())
    check = desroziers(posterior, "source", prior=False)
    rows: dict[str, list[float]] = {k: [] for k in _SOURCE_NOTES}
    for name in names:
        at = source == name
        rows["count"].append(int(at.sum()))
        rows["dofs"].append(float(posterior.influence[at].sum()))
        for when, residual in (("prior", before), ("posterior", after)):
            rows[f"bias_{when}"].append(float(residual[at].mean()))
            rows[f"rmse_{when}"].append(float(np.sqrt(np.mean(residual[at] ** 2))))
        rows["error_assumed"].append(check[str(name)]["assumed_observation_error"])
        rows["error_suggested"].append(check[str(name)]["observation_error"])
        rows["residual_chi_square"].append(float(np.mean((after[at] / sigma[at]) ** 2)))
    data["source"] = ("source", list(names))
    for key, values in rows.items():
        unit, text = _SOURCE_NOTES[key]
        attrs = {"units": unit or species(str(data["flux"].attrs["substance"])).unit, "long_name": text}
        data[f"source_{key}"] = ("source", values, attrs)


def _attributes(made: Described, posterior: Posterior) -> dict[str, Any]:
    """Return the global attributes: prior, solver, stopping state, fit, what was left out."""
    problem = posterior.problem
    return {
        "obsnet_contract": "posterior 1",
        "prior_name": made.prior.name,
        "prior_notes": "; ".join(made.prior.notes),
        "error_notes": "; ".join(made.error_notes),
        "solver": posterior.method,
        "solver_state": json.dumps({k: _plain(v) for k, v in posterior.stopping.items()}),
        "n_observations": problem.n_obs,
        "n_state": problem.n_state,
        "n_state_unobserved": int(problem.unseen.sum()),
        "chi_square": float(posterior.chi_square),
        "degrees_of_freedom_for_signal": float(posterior.dofs),
        **({"log_evidence": float(posterior.log_evidence)} if posterior.factorised else {}),
        "no_verdict": str(posterior.stopping.get("no_verdict", "")),
        "observations_counts": json.dumps(made.counts),
    }


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def write_posterior(data: Any, fit: pa.Table, path: Path) -> list[Path]:
    """Write the posterior file and the table of the fit beside it, each whole or not at all."""
    from obsnet.cf import write_netcdf
    from obsnet.parquet import write_table

    beside = path.with_name("fit.parquet")
    write_table(fit, beside)
    write_netcdf(data, path)
    return [path, beside]


def summary_of(posterior: Posterior) -> dict[str, Any]:
    """Return the numbers that sum a posterior up.

    Parameters
    ----------
    posterior : Posterior
        Solved.
    """
    problem = posterior.problem
    return {
        "method": posterior.method,
        "stopping": dict(posterior.stopping),
        "observations": problem.n_obs,
        "state": problem.n_state,
        "unobserved": int(problem.unseen.sum()),
        "chi_square": posterior.chi_square,
        "dofs": posterior.dofs,
        **({"log_evidence": posterior.log_evidence} if posterior.factorised else {}),
    }
