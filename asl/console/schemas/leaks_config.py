"""Find images that leak between the splits of a data set: copies, crops, frames.

Examples:
  asl leaks TRAIN TEST                                 folders, lists, archives or tables
  asl leaks TRAIN VAL TEST --output found              every two of them
  asl leaks data.csv --split-column split              a CSV with the columns path and split
  asl leaks DATA                                       folder with train/ and test/, or with shards
                                                       named by their split (train-00000.tar)
  asl leaks TRAIN TEST --drop test                     list what to remove from TEST, not TRAIN
  asl leaks TRAIN TEST --same-moment false             without frames of one video or burst

OUTPUT gets leaks.csv (one row per pair: both files, kind, probability, direction, edits), drop.csv
(split and path: without these files no leak that was found is left), report.html (pictures; open it
in a browser), summary.json, unreadable.csv where files could not be read, and the cache:
the next run reads only files that are new or changed.

Kinds: identical file; same pixels in another file; copy (an edited or re-encoded whole); crop (part
of the other); same moment (another frame: similar, not a copy).

Exit code: 0 no leak, 1 leaks were found, 2 wrong use, 3 failed or too many files are unreadable,
130 stopped from the keyboard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.scan_config import ScanCandidates, ScanMachine
from asl.shared_defaults import PRECISION


@dataclass(kw_only=True)
class LeaksInputs:
    """Splits and results.

    Attributes:
        sets: the splits, the training images first: folders, lists, archives or tables; or one CSV;
            or one folder with all splits.
        split_column: column of the CSV that names the split of each image.
        path_column: column of the CSV with the paths, which start from the CSV's folder.
        splits: splits of the CSV or folder to compare, in order; empty: all.
        drop: side whose files drop.csv lists; of two splits, train is the one that is given first.
        same_moment: report frames of the same moment, too.
        output: folder of the results.
        cache: what is remembered between runs; null: OUTPUT/cache.sqlite, with the model in its
            name.
        check_files: check the whole cache first, not only what is read.
        precision: share of the reported copies that should be right.
        format: format of the table.
        report: most pairs in the page; 0: no page.
        quiet: print nothing but errors.
    """

    sets: list[Path]
    split_column: str | None = None
    path_column: str = "path"
    splits: list[str] = field(default_factory=list)
    drop: Literal["train", "test"] = "train"
    same_moment: bool = True
    output: Path = Path("asl-leaks")
    cache: Path | None = None
    check_files: bool = False
    precision: float = PRECISION
    format: Literal["csv", "parquet", "json"] = "csv"
    report: int = 500
    quiet: bool = False


@dataclass(kw_only=True)
class LeaksConfig(LeaksInputs, ScanCandidates, ScanMachine, CheckedChoices):
    """Options of ``asl leaks``."""
