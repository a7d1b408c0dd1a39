r"""Score the trees of a scan on families with exact truth.

  python scripts/make_families.py PHOTOS FAMILIES --families 24 --level moderate
  python scripts/score_families.py FAMILIES

Scans FAMILIES/images as ``asl scan`` does and compares the column ``parent`` with truth.csv. Root:
most members of the family stand under its original. Parent: share of the copies that stand under
the file they were made from; one that the scan does not find counts as wrong. Ancestor F1: of the
pairs (ancestor, descendant). scripts/fit_parentage.py --model packaged scores the trees given the
members of each family.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fit_parentage import read_families, scores

from asl.app.scanning.scan_folder import scan
from asl.app.scanning.tables import rows_of
from asl.console.progress import progress_bar
from asl.console.schemas.scan_config import ScanConfig
from asl.shared_defaults import PRECISION


def scanned_parents(folder: Path, output: Path, precision: float) -> dict[str, str]:
    """Name of a copy -> name of the file that it stands under."""
    options = ScanConfig(
        photos=[folder / "images"], output=output, precision=precision, workers=1, gallery=0
    )
    rows = rows_of(scan(options, bar=lambda label, unit: progress_bar(label, unit=unit)))
    return {Path(row.copy).name: Path(row.parent).name for row in rows if row.parent}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", type=Path)
    parser.add_argument("--precision", type=float, default=PRECISION)
    parser.add_argument("--output", type=Path, help="folder of the scan, kept for another one")
    options = parser.parse_args(arguments)
    members, parents = read_families(options.families)
    with tempfile.TemporaryDirectory() as temporary:
        output = options.output or Path(temporary)
        output.mkdir(parents=True, exist_ok=True)
        found = scanned_parents(options.families, output, options.precision)
    truth = [{n: parents[n] for n in names if n in parents} for names in members.values()]
    trees = [{n: found[n] for n in names if n in found} for names in members.values()]
    values = ", ".join(f"{key} {value:.3f}" for key, value in scores(truth, trees).items())
    copies = sum(map(len, truth))
    print(f"{len(truth)} families, {copies} copies, {sum(map(len, trees))} found: {values}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
