"""Draw the worst mistakes of a benchmark run: accepted false matches and missed copies.

  python -m asl.reproduce benchmark=folder root=BENCH verify=true output=RUN
  python scripts/draw_failures.py BENCH RUN/predictions/verified.csv failures.svg

One mistake per kind of edit is drawn before a second of any kind. The threshold gives 90 %
precision over the whole benchmark. The file contains small photographs: mind their licence.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from picture_cards import Cell, rows_of_pictures

from asl.data.catalog import Catalog
from asl.data.images import Pixels, decode_image
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.pairs import read_pairs
from asl.metrics.evaluation import evaluate
from asl.report.mistakes import Case, worst_false_matches, worst_misses
from asl.storage import atomic_text
from asl.types import AslError

ACROSS = 3  # pairs in a row


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--rows", type=int, default=2, help="rows of each sort of mistake (%(default)s)"
    )
    options = parser.parse_args()
    try:
        drawn = draw(open_benchmark(options.benchmark), options.predictions, options.rows)
        with atomic_text(options.output) as file:
            file.write(drawn)
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def draw(benchmark: Benchmark, predictions: Path, rows: int) -> str:
    """The picture."""
    pairs, truth = read_pairs(predictions), benchmark.truth
    threshold = evaluate(pairs, truth, bootstrap=0).threshold_at_p90
    if threshold is None:
        raise AslError(
            f"{predictions}: never reaches a precision of 0.9, so nothing is accepted or missed"
        )
    strangers = set(pairs.query_ids) - set(benchmark.queries.ids)
    strangers |= set(pairs.reference_ids) - set(benchmark.references.ids)
    if strangers:
        raise AslError(
            f"{predictions}: {len(strangers)} ids are not in the benchmark, e.g. {min(strangers)}"
        )
    wrong = worst_false_matches(pairs, truth, threshold=None, count=len(pairs))
    accepted = [case for case in wrong if (case.score or 0.0) >= threshold]
    missed = worst_misses(pairs, truth, threshold=threshold, count=len(truth))
    cells = []
    for cases, words in ((accepted, "taken for a copy"), (missed, "missed")):
        chosen = one_of_each(cases, truth.kinds, rows * ACROSS)
        for start in range(0, len(chosen) // ACROSS * ACROSS, ACROSS):
            cells.append(
                [
                    cell
                    for case in chosen[start : start + ACROSS]
                    for cell in pair(case, words, benchmark)
                ]
            )
    if not cells:
        raise AslError(f"{predictions}: fewer than {ACROSS} mistakes of different kinds")
    return rows_of_pictures(cells, "mistakes", box=(126, 96))


def one_of_each(cases: list[Case], kinds: dict[str, str], count: int) -> list[Case]:
    """The first case of every kind, then the second ones."""
    seen: dict[str, int] = {}
    ranked = []
    for place, case in enumerate(cases):
        kind = kinds.get(case.query, "")
        ranked.append((seen.get(kind, 0), place))
        seen[kind] = seen.get(kind, 0) + 1
    return [cases[place] for _, place in sorted(ranked)[:count]]


def pair(case: Case, words: str, benchmark: Benchmark) -> list[Cell]:
    """Query and reference of one mistake."""
    kind = benchmark.truth.kinds.get(case.query, "").removeprefix("hard:").replace("_", " ")
    score = "no candidate" if case.score is None else f"P = {case.score:.2f}"
    return [
        Cell(image(benchmark.queries, case.query), [kind or "distractor", words]),
        Cell(image(benchmark.references, case.reference), [score], sign="→"),
    ]


def image(catalog: Catalog, name: str) -> Pixels:
    return decode_image(catalog.read(catalog.ids.tolist().index(name)))


if __name__ == "__main__":
    sys.exit(main())
