"""Read and write scored pairs as CSV (the ISC 2021 columns, scores with every digit) or Parquet.

The challenge's own writer keeps six decimals, whose ties cost µAP; here a score survives the round
trip. In CSV, ids that a spreadsheet would take for formulas begin with ``./``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from asl.counts import counted
from asl.data.checked_parquet import read_parquet, write_parquet
from asl.data.csv_rows import FORMULA, id_of, read_rows
from asl.storage import atomic_path, recorded
from asl.types import I64, AslError, ScoredPairs, StrArray

COLUMNS = ["query_id", "reference_id", "score"]


def write_pairs(
    pairs: ScoredPairs,
    path: str | Path,
    *,
    columns: Mapping[str, npt.ArrayLike | list[str]] | None = None,
) -> None:
    """Write pairs as Parquet (suffix ``.parquet``) or CSV.

    Args:
        pairs: P pairs, written in their order.
        path: of the file.
        columns: more columns, P values each.
    """
    path = Path(path)
    table = {
        "query_id": pa.DictionaryArray.from_arrays(
            pairs.query_index.astype(np.int32), pairs.queries.tolist()
        ),
        "reference_id": pa.DictionaryArray.from_arrays(
            pairs.reference_index.astype(np.int32), pairs.references.tolist()
        ),
        "score": pa.array(pairs.scores),
        **{name: pa.array(values) for name, values in (columns or {}).items()},
    }
    if path.suffix == ".parquet":
        write_parquet(pa.table(table), path)
        return
    with recorded(path), atomic_path(path) as temporary:
        cells = {name: _plain(column) for name, column in table.items()}
        for name in COLUMNS[:2]:
            cells[name] = pc.replace_substring_regex(cells[name], f"^({FORMULA})", r"./\1")
        _write_csv(pa.table(cells), temporary)


def _write_csv(table: Any, path: Path) -> None:
    """Write plain lines as the challenge's tools do; quote only where some text needs it."""
    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    plain = not any(
        pc.any(pc.match_substring_regex(column, r'[",\r\n]')).as_py() for column in texts
    )
    with path.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        style = "none" if plain else "needed"
        pacsv.write_csv(table, file, pacsv.WriteOptions(include_header=False, quoting_style=style))


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def read_pairs(path: str | Path) -> ScoredPairs:
    """Read pairs from Parquet (suffix ``.parquet``) or CSV.

    A CSV may lack its header; with one, it may have more columns, which are ignored.

    Raises:
        AslError: the file cannot be read, lacks a column, or a line is malformed (its number is
            named).
    """
    path = Path(path)
    if path.suffix != ".parquet":
        return _read_csv(path)
    try:
        return _from_table(read_parquet(path, columns=COLUMNS))
    except (pa.ArrowException, OSError, KeyError, ValueError, AslError) as error:
        reason = " ".join(str(error).split())[:300]
        raise AslError(
            f"{path}: cannot be read as scored pairs ({reason}); write it again"
        ) from error


def read_columns(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read the further columns of a file of pairs, one value a pair; none without a header.

    Raises:
        AslError: the file cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix == ".parquet":
            table = read_parquet(path)
        else:
            text = {"null_values": [], "strings_can_be_null": False}
            table = _arrow_csv(
                path,
                parse_options=pacsv.ParseOptions(newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(**text),
            )
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise AslError(
            f"{path}: cannot be read as scored pairs ({reason}); write it again"
        ) from error
    if table.column_names[:3] != COLUMNS:
        return {}
    return {
        name: _plain(table.column(name)).to_numpy(zero_copy_only=False)
        for name in table.column_names[3:]
    }


def _arrow_csv(path: Path, **options: Any) -> Any:
    """Read a CSV with Arrow, which cannot encode every path and is given the open file."""
    with path.open("rb") as file:
        return pacsv.read_csv(file, **options)


def _from_table(table: Any) -> ScoredPairs:
    queries, query_index = _encode(table.column("query_id"), "query_id")
    references, reference_index = _encode(table.column("reference_id"), "reference_id")
    column = table.column("score")
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise AslError(_wrong_score(column))
    if column.null_count:
        raise AslError(f"column score: {counted(column.null_count, 'empty value')}")
    scores = column.combine_chunks().to_numpy(zero_copy_only=False)
    return ScoredPairs(queries, references, query_index, reference_index, scores)


def _wrong_score(column: Any) -> str:
    """Name the first row of a score column that is no number, else the type of the column."""
    for row, value in enumerate(column.to_pylist()):
        if not isinstance(value, str) or not _is_number(value):
            return f"column score, row {row}: expected a finite number, got {value!r}"
    return f"column score: expected numbers, got {column.type}"


def _encode(column: Any, name: str) -> tuple[StrArray, I64]:
    if column.null_count:
        raise AslError(f"column {name}: {counted(column.null_count, 'empty value')}")
    encoded = pc.dictionary_encode(column.cast(pa.string()).combine_chunks())
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names = encoded.dictionary.to_pylist()
    vocabulary = np.array(names, dtype=np.str_) if names else np.empty(0, dtype="<U1")
    return vocabulary, encoded.indices.to_numpy().astype(np.int64)


def _read_csv(path: Path) -> ScoredPairs:
    """Read a CSV with Arrow; where that fails, read it again to name the line."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = [cell.strip().lower() for cell in file.readline().split(",")]
    except (OSError, UnicodeDecodeError) as error:
        raise AslError(f"{path}: cannot be read as CSV ({error})") from error
    headed = first[:3] == COLUMNS
    if not headed and (len(first) != 3 or not _is_number(first[2])):
        return _read_slowly(path)
    names = [*COLUMNS, *(f"column_{place}" for place in range(3, len(first)))]
    try:
        table = _arrow_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=int(headed)),
            convert_options=pacsv.ConvertOptions(
                column_types={
                    "query_id": pa.string(),
                    "reference_id": pa.string(),
                    "score": pa.float64(),
                },
                include_columns=COLUMNS,
                null_values=[],
                strings_can_be_null=False,
            ),
        )
        columns = [
            pc.replace_substring_regex(
                pc.utf8_trim_whitespace(table.column(name)), rf"^\./({FORMULA})", r"\1"
            )
            for name in COLUMNS[:2]
        ]
        return _from_table(pa.table([*columns, table.column("score")], names=COLUMNS))
    except (pa.ArrowException, AslError):
        return _read_slowly(path)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _read_slowly(path: Path) -> ScoredPairs:
    """Read a CSV line by line, to name the one that is wrong."""
    queries: list[str] = []
    references: list[str] = []
    scores: list[float] = []
    for number, row in read_rows(path, header=COLUMNS):
        if len(row) < 3 or not row[0] or not row[1] or not _is_number(row[2]):
            raise AslError(
                f"{path}, line {number}: expected query_id,reference_id,score (a finite number), "
                f"got {','.join(row)!r}"
            )
        queries.append(id_of(row[0]))
        references.append(id_of(row[1]))
        scores.append(float(row[2]))
    return ScoredPairs.from_ids(queries, references, scores)
