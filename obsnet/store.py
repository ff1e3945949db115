"""The observation store, Parquet by species, source and month, with its granule index."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obsnet import schema
from obsnet.constants import species as species_of
from obsnet.errors import FormatError, SchemaError
from obsnet.holdings import held, is_whole, living, whole_parts
from obsnet.parquet import GROUP, read_table, write_table, write_whole
from obsnet.reading import reading
from obsnet.scan import Choice, Hits, find_hits, sorted_rows
from obsnet.seal import check_parquet
from obsnet.times import as_utc, later, year_month

if TYPE_CHECKING:
    import pyarrow.dataset as ds

__all__ = [
    "GranuleIndex",
    "ObservationStore",
    "StoredPart",
    "checked_part",
    "forget_parts",
    "read_part",
]

_NAME = re.compile(r"[^/\0]+")  # of a folder
_ID = re.compile(r"[\w.#-]+")  # of a part; it is looked for by pattern
_COUNT = re.compile(r"(\d+(?= rows\b))?(.*)", re.DOTALL)  # of rows, at the beginning of a note
_PARTITION = ("species", "source", "year", "month")
_FEW = 10  # input files, looked for by name
LOST = "lost: files of the store are gone"
REMOVED = "removed: the case no longer names it"  # status of an input whose rows were taken out again


@dataclass(frozen=True)
class StoredPart:
    """One Parquet file of a store and the times it spans.

    Parameters
    ----------
    path : Path
        Its stem is the ``file_id`` of its rows.
    first, last : datetime64[us]
        Of the rows' middle times.
    """

    path: Path
    first: np.datetime64
    last: np.datetime64


def read_part(path: str | os.PathLike[str], columns: Sequence[str]) -> pa.Table:
    """Read columns of one file of a store, rows in the order of their file, text as dictionaries.

    What stands in the folder's name is filled in; much faster than `ObservationStore.read` for whole files.

    Parameters
    ----------
    path : path
        See `ObservationStore.parts`.
    columns : sequence of str
        Columns of the contract.
    """
    path = Path(path)
    footer, folders = checked_part(path, columns)
    contract = schema.OBSERVATIONS.schema
    with reading(path, "Parquet"):
        stored = [c for c in columns if c in footer.schema.to_arrow_schema().names]
        text = [c for c in stored if contract.field(c).type == pa.string() and c != "obs_id"]
        table = pq.ParquetFile(path, metadata=footer, read_dictionary=text).read(stored, use_threads=False)
        table.validate(full=True)
    arrays = []
    for name in columns:
        if name in table.column_names:
            arrays.append(table[name])
        elif name in folders:
            same = pa.array(np.zeros(len(table), dtype=np.int32))
            arrays.append(pa.DictionaryArray.from_arrays(same, pa.array([folders[name]])))
        else:  # written before the contract had it
            arrays.append(pa.nulls(len(table), contract.field(name).type))
    return pa.table(arrays, names=list(columns))


def checked_part(
    path: Path, columns: Collection[str] | None = None
) -> tuple[pq.FileMetaData, dict[str, str]]:
    """Verify columns of a part (all by default) and what it says of itself; return its footer and what its folders say.

    Raises
    ------
    FormatError
        The part is damaged.
    SchemaError
        It is of another contract, version or unit, or lacks columns.
    """
    footer = check_parquet(path, columns)
    folders = dict(p.split("=", 1) for p in path.parts[-5:-1])
    unit = species_of(folders["species"]).unit
    stored = footer.schema.to_arrow_schema()
    schema.check_stored(stored, schema.OBSERVATIONS, str(path), unit=unit, elsewhere=("species", "source"))
    return footer, folders


class ObservationStore:
    """A folder of Parquet files ``species=…/source=…/year=…/month=…/<file_id>.parquet``.

    One input file writes one Parquet file a month it touches, named after the input's hash: ingesting it
    again replaces the same files, so a run that was killed can simply be started again. `obsnet.compact` merges them
    by year (``year=…/month=0/1of1.parquet``).

    Parameters
    ----------
    path : path
        Made when first written to.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.index = GranuleIndex(self.path / "_index")  # Arrow skips folders that begin with _

    def __repr__(self) -> str:
        return f"ObservationStore({str(self.path)!r})"

    def write(self, table: pa.Table) -> list[Path]:
        """Write a table of one input file, split by source and month.

        Parameters
        ----------
        table : pyarrow.Table
            See `schema.check_observations`; one ``file_id``.

        Returns
        -------
        list of Path
            What was written.
        """
        table = schema.check_observations(table, str(self.path))
        if len(table) == 0:
            return []
        ids = pc.unique(table["file_id"]).to_pylist()
        if len(ids) != 1 or not ids[0]:
            raise SchemaError(f"a table written to the store comes from one file, found file_id {ids[:5]}")
        years, months = year_month(table["time"].to_numpy())
        table = table.append_column("year", pa.array(years)).append_column("month", pa.array(months))
        written = []
        groups = table.select(_PARTITION).group_by(list(_PARTITION)).aggregate([]).to_pylist()
        _refuse_paths(ids, _ID, str(self.path))
        _refuse_paths((g["source"] for g in groups), _NAME, str(self.path))
        for source in {(g["species"], g["source"]) for g in groups}:
            for part in whole_parts(self.path / f"species={source[0]}" / f"source={source[1]}"):
                _take_out(part, ids)
        for keys in groups:
            mask = None
            for name, value in keys.items():
                same = pc.equal(table[name], value)
                mask = same if mask is None else pc.and_(mask, same)
            part = (table if len(groups) == 1 else table.filter(mask)).drop_columns(list(_PARTITION))
            folder = self.path.joinpath(*(f"{k}={v}" for k, v in keys.items()))
            target = folder / f"{ids[0]}.parquet"
            write_table(part, target, distinct=("obs_id",), group=GROUP, quick=True)
            written.append(target)
        return written

    def dataset(
        self, filter: ds.Expression | None = None, columns: Collection[str] | None = None
    ) -> ds.Dataset:
        """Return the whole store as a lazy Arrow dataset, what is to be read of it verified.

        Parameters
        ----------
        filter : pyarrow.dataset.Expression, optional
            Files whose folders rule them out are not verified.
        columns : collection of str, optional
            Columns that are to be read, profiles among them; all but profiles are verified in any case.

        Raises
        ------
        FormatError
            The folder does not hold a store, or a file is damaged.
        SchemaError
            A file is of another contract, version or unit, or lacks columns.
        """
        if not any(self.path.glob("species=*")):
            raise FormatError(
                f"{self.path}: no observation store; make one with `obsnet ingest FILE… --out {self.path}`"
            )
        import pyarrow.dataset as ds

        fields = [(n, schema.OBSERVATIONS.schema.field(n).type) for n in ("species", "source")]
        parts = ds.partitioning(
            pa.schema([*fields, ("year", pa.int32()), ("month", pa.int32())]), flavor="hive"
        )
        # The schema is the contract's own, so no file has to be opened to find it.
        full = pa.unify_schemas([schema.OBSERVATIONS.schema, parts.schema])
        counting = [str(p) for p in self.files()]
        found = ds.dataset(
            counting or self.path,
            format="parquet",
            partitioning=parts,
            partition_base_dir=str(self.path),
            schema=full,
            exclude_invalid_files=False,
        )
        heavy = set() if columns is None else set(schema.PROFILES) - set(columns)
        wanted = [n for n in schema.OBSERVATIONS.schema.names if n not in heavy]
        files = [Path(f.path) for f in found.get_fragments(filter=filter)]
        with ThreadPoolExecutor(min(8, len(files) or 1)) as pool:
            for _ in pool.map(lambda path: checked_part(path, wanted), files):
                pass  # the first fault is raised here
        return found

    def species(self) -> list[str]:
        """Return the species the store holds, sorted."""
        return sorted(p.name.removeprefix("species=") for p in self.path.glob("species=*"))

    def sources(self, species: str) -> list[str]:
        """Return the sources the store holds of a species, sorted."""
        folder = self.path / f"species={species_of(species).name}"
        return sorted(p.name.removeprefix("source=") for p in folder.glob("source=*"))

    def parts(self, species: str, source: str) -> list[StoredPart]:
        """Return the files of a species and source with the times they span, from their footers alone."""
        folder = self.path / f"species={species_of(species).name}" / f"source={source}"
        found = living(sorted(folder.glob("year=*/month=*/[!.]*.parquet")))
        return [StoredPart(p, *_span(p)) for p in found]

    def files(self, species: str | None = None, sources: Sequence[str] | None = None) -> list[Path]:
        """Return the files that hold a species and sources (all by default), by name alone."""
        name = "*" if species is None else species_of(species).name
        found = self.path.glob(f"species={name}/source=*/year=*/month=*/[!.]*.parquet")
        chosen = None if sources is None else {f"source={s}" for s in sources}
        return living(sorted(p for p in found if chosen is None or p.parts[-4] in chosen))

    def standing(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of the index; those that are done but have lost files of the store are done no more."""
        there: Counter[tuple[str, str]] = Counter()
        for part in self.files():
            there.update({(i, part.parts[-5].removeprefix("species=")): n for i, n in _ids(part).items()})

        def whole(row: Mapping[str, Any]) -> bool:
            names = (row["species"] or "").split(",")
            return row["parts"] is None or sum(there[row["file_id"], n] for n in names) >= row["parts"]

        return [dict(r) if r["status"] != "done" or whole(r) else {**r, "status": LOST} for r in rows]

    def parts_of(self, ids: Collection[str]) -> list[Path]:
        """Return the files that hold rows of some input files, and what is kept beside them; see `file_id`."""
        beside = self.path.glob("_extra/source=*/[!.]*.parquet")
        wanted = set(ids)
        parts = (p for p in self._named(wanted) if not wanted.isdisjoint(_ids(p)))
        return sorted([*parts, *(p for p in beside if p.stem in wanted)])

    def _named(self, ids: Collection[str]) -> list[Path]:
        """Return the parts that may hold rows of some input files; those of a few are found without listing all."""
        if len(ids) > _FEW:
            return self.files()
        single = [p for i in ids for p in self.path.glob(f"species=*/source=*/year=*/month=*/{i}.parquet")]
        whole = [p for source in self.path.glob("species=*/source=*") for p in whole_parts(source)]
        return living([*whole, *single])

    def forget(
        self, ids: Collection[str], *, species: Collection[str] = (), keep: Collection[Path] = ()
    ) -> None:
        """Take the rows of input files out of the store, and out of the index where nothing is left of one.

        Parameters
        ----------
        ids : collection of str
            Names of input files; see `obsnet.content.file_id`.
        species : collection of str, optional
            Only rows of these; by default of all.
        keep : collection of Path
            Parts that stay.
        """
        folders = {f"species={name}" for name in species}
        found = [p for p in self.parts_of(ids) if p not in keep and (not folders or p.parts[-5] in folders)]
        for part in filter(is_whole, found):
            _take_out(part, ids)
        forget_parts(p for p in found if not is_whole(p))
        _no_longer_done(self, ids)

    def read(
        self,
        species: str,
        *,
        source: str | Sequence[str] | None = None,
        start: Any = None,
        stop: Any = None,
        bounds: tuple[float, float, float, float] | None = None,
        good_only: bool = False,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
    ) -> pa.Table:
        """Read rows of one species, sorted by time, then identity.

        Parameters
        ----------
        species : str
            Formula.
        source : str or sequence of str, optional
            Only these sources.
        start, stop : time, optional
            Half-open interval of the middle time, UTC.
        bounds : (south, north, west, east), optional
            Degrees, inclusive; west > east crosses the dateline.
        good_only : bool
            Only rows with quality 0.
        columns : sequence of str, optional
            Only these columns (all of the contract otherwise).
        where : pyarrow.dataset.Expression, optional
            A further condition.

        Returns
        -------
        pyarrow.Table
            With the unit in its metadata.
        """
        name = species_of(species).name
        if name not in self.species():
            raise FormatError(
                f"{self.path}: no {name} here; the store holds {', '.join(self.species()) or 'nothing'}"
            )
        first, last = (None if t is None else as_utc(t) for t in (start, stop))
        choice = Choice(first, last, bounds, good_only, where)
        files = self.files(name, [source] if isinstance(source, str) else source)
        files = [p for p in files if _may_reach(p, first, last)]

        def hits_of(path: Path) -> Hits | None:
            return find_hits(path, *checked_part(path, ()), choice)

        wanted = list(columns) if columns is not None else schema.OBSERVATIONS.schema.names
        with reading(self.path, "an observation store"), ThreadPoolExecutor(min(8, len(files) or 1)) as pool:
            hits = [h for h in pool.map(hits_of, files) if h is not None]
            table = sorted_rows(hits, wanted, pool)
        return table.replace_schema_metadata(
            {
                b"obsnet:contract": schema.OBSERVATIONS.name.encode(),
                b"obsnet:version": schema.VERSION.encode(),
                b"obsnet:unit": species_of(name).unit.encode(),
                b"obsnet:species": name.encode(),
            }
        )


def forget_parts(paths: Iterable[Path]) -> None:
    """Remove files of stores; the index no longer calls an input done of which nothing is left.

    Parameters
    ----------
    paths : iterable of Path
        Parts of any store, or files beside their tables, such as reports.
    """
    lost: dict[Path, set[str]] = {}
    for path in paths:
        ids = set(_ids(path)) if path.exists() else {path.stem}
        path.unlink(missing_ok=True)
        if len(path.parents) > 4 and path.parents[3].name.startswith("species="):
            lost.setdefault(path.parents[4], set()).update(ids)
    for root, of in lost.items():
        _no_longer_done(ObservationStore(root), of)


def _no_longer_done(store: ObservationStore, ids: Collection[str]) -> None:
    """Write to the index that input files are removed, those of which no part is left."""
    left = {i for part in store.parts_of(ids) for i in _ids(part)}
    gone = set(ids) - left
    rows = [
        r | {"status": REMOVED}
        for r in store.index.read().to_pylist()
        if r["file_id"] in gone and r["status"] == "done"
    ]
    if rows:
        store.index.write(rows, f"removed-{time.time_ns():x}")


def _ids(part: Path) -> dict[str, int]:
    """Return the input files of which a part holds rows, and how many single parts that is of each."""
    return held(part) if is_whole(part) else {part.stem: 1}


def _take_out(part: Path, ids: Collection[str]) -> None:
    """Write a whole-year part again without the rows of some input files, or remove it if nothing is left."""
    inside = held(part)
    gone = inside.keys() & set(ids)
    if not gone:
        return
    # what a killed compaction left of them would count again
    for name in gone:
        for single in part.parents[1].glob(f"month=*/{name}.parquet"):
            single.unlink(missing_ok=True)
    left = {i: n for i, n in inside.items() if i not in gone}
    if not left:
        part.unlink(missing_ok=True)
        return
    footer, _ = checked_part(part)
    table = pq.ParquetFile(part, metadata=footer).read()
    write_whole(table.filter(pc.invert(pc.is_in(table["file_id"], pa.array(sorted(gone))))), part, left)


def _may_reach(part: Path, start: np.datetime64 | None, stop: np.datetime64 | None) -> bool:
    """Tell from the names of a part's folders whether it may hold rows of a time."""
    year, month = (int(p.name.partition("=")[2]) for p in (part.parents[1], part.parent))
    first = np.datetime64(f"{year:04d}-{month or 1:02d}", "M")
    after = later(first, 1 if month else 12)  # month=0 is a whole year
    return bool((stop is None or first < stop) and (start is None or after > start))


def _span(path: Path) -> tuple[np.datetime64, np.datetime64]:
    metadata, _ = checked_part(path, ())
    column = metadata.schema.names.index("time")
    groups = [metadata.row_group(k).column(column).statistics for k in range(metadata.num_row_groups)]
    if any(g is None or not g.has_min_max for g in groups):  # written by another program
        time = read_part(path, ["time"])["time"].to_numpy()
        return time.min(), time.max()
    low, high = min(g.min for g in groups), max(g.max for g in groups)
    return np.datetime64(low, "us"), np.datetime64(high, "us")


class GranuleIndex:
    """What became of each input file: a folder of small Parquet parts, one a writer.

    Several jobs may write at the same time, each to its own part. A file of several species has a row for
    each time some of them were read; a row stands for the earlier ones of its path that share a species.

    Parameters
    ----------
    path : path
        Folder of the parts.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self) -> pa.Table:
        """Return one row a path and species, sorted by both; the newest part wins."""
        rows: dict[str, list[dict[str, Any]]] = {}
        # Parts are named by the hash of their writer; age decides, then the name for a tie.
        for part in sorted(self.path.glob("[!.]*.parquet"), key=lambda p: (p.stat().st_mtime_ns, p.name)):
            found = read_table(part, schema.GRANULE_INDEX)
            _refuse_paths(found["file_id"].to_pylist(), _ID, str(part))
            for row in found.to_pylist():
                earlier = rows.get(row["path"], [])
                rows[row["path"]] = [r for r in earlier if not _replaces(row, r)] + [row]
        ordered = sorted(
            (r for of in rows.values() for r in of), key=lambda r: (r["path"], r["species"] or "")
        )
        return schema.check(
            pa.Table.from_pylist(ordered, schema=schema.GRANULE_INDEX.schema), schema.GRANULE_INDEX
        )

    def notes(self, names: Collection[str]) -> dict[str, int]:
        """Return what there is to know of files, by `file_id`: each note with the number of files that it is of.

        Counts of rows that begin a note are added up, so that a year of files makes no line of each.
        """
        files: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        for row in self.read().to_pylist():
            if row["file_id"] in names and row["notes"]:
                for note in row["notes"].split("; "):
                    count, text = _COUNT.fullmatch(note).groups()  # type: ignore[union-attr]  # all text matches
                    files[text] += 1
                    rows[text] += int(count or 0)
        return {f"{rows[text]}{text}" if rows[text] else text: n for text, n in files.items()}

    def write(self, rows: Sequence[dict[str, Any]], part: str) -> None:
        """Replace one writer's part.

        Parameters
        ----------
        rows : sequence of dict
            Columns of `schema.GRANULE_INDEX`.
        part : str
            Name of the writer, e.g. ``"3of40-20190101T000000"``.
        """
        table = pa.Table.from_pylist(list(rows), schema=schema.GRANULE_INDEX.schema)
        target = self.path / f"{part}.parquet"
        write_table(schema.check(table, schema.GRANULE_INDEX, str(self.path)), target)
        # A node whose clock is ahead must not have the last word for as long as it is.
        newest = max(p.stat().st_mtime_ns for p in self.path.glob("[!.]*.parquet"))
        about = target.stat()
        if about.st_mtime_ns < newest:
            os.utime(target, ns=(about.st_atime_ns, newest + 1))


def _refuse_paths(names: Iterable[str | None], plain: re.Pattern[str], where: str) -> None:
    """Refuse names of which paths are made that would lead out of the store, or to other files of it."""
    bad = next((n for n in names if n and not plain.fullmatch(n)), None)
    if bad is not None:
        raise SchemaError(f"{where}: {bad!r} would name a file or folder of the store, and is no plain name")


def _replaces(row: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Say whether a row tells of the same species of a file, or the earlier one of none."""
    if earlier["species"] is None:
        return True
    return bool(set(earlier["species"].split(",")) & set((row["species"] or "").split(",")))
