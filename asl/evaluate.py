"""``python -m asl.evaluate``: score predictions against ground truth.

The keys and their explanation are in :mod:`asl.console.schemas.evaluate_config`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.entry import EntryPoint, current_command
from asl.console.schemas.evaluate_config import EvaluateConfig
from asl.console.terminal_text import terminal_text
from asl.counts import counted
from asl.errors import UsageError
from asl.pipeline.key_checks import (
    NORMALIZATION_KEYS,
    check_background_use,
    check_least,
    refuse_normalization,
    refuse_other_constants,
    refuse_unused,
    score_normalization,
)

if TYPE_CHECKING:
    from asl.data.catalog import Catalog
    from asl.metrics.evaluation import Evaluation
    from asl.metrics.significance import Difference
    from asl.pipeline.evaluation_runs import Runs
    from asl.types import TruthPairs

    Differences = Mapping[str, Mapping[str, Difference]]

_SEARCH_KEYS = (
    "references",
    "background",
    "score",
    "lam",
    "tau",
    "k",
    "most",
    "normalize",
    *NORMALIZATION_KEYS,
    "whiten",
    "negatives",
    "engine",
    "model",
)
_BENCHMARK_KEYS = ("layout", "workers")
_OWN_KEYS = ("references", "background", "truth", "query_images", "reference_images")


def run(config: EvaluateConfig) -> int:
    """Check, get the runs, evaluate, write, print."""
    from asl.metrics.evaluation import evaluate

    _check(config)
    if config.check_files:
        _check_files(config)
    runs = _runs(config)
    groups = _groups(config)
    evaluations = {
        name: evaluate(
            pairs,
            runs.truth,
            groups=groups,
            bootstrap=config.bootstrap,
            seed=config.seed,
            precision=config.precision,
        )
        for name, pairs in runs.pairs.items()
    }
    differences = _differences(config, runs) if config.compare else {}
    _write(config, runs, evaluations, differences)
    _print(config, runs, evaluations, differences)
    return 0


def _check(config: EvaluateConfig) -> None:
    """Refuse wrong values, and keys that have no effect, before anything is read or embedded."""
    given = [config.predictions, config.compare, config.queries, config.benchmark]
    if sum(bool(value) for value in given) != 1:
        raise UsageError(
            "give one of predictions=, compare=[A,B], queries= (with references=), or benchmark="
        )
    if not 0 < config.precision <= 1:
        raise UsageError(f"precision: must be in (0, 1], got {config.precision}")
    check_least(config, {"bootstrap": 0, "whiten": 0, "negatives": 0, "workers": 0, "lam": 0})
    if config.bootstrap == 1:
        raise UsageError("bootstrap: must be 2 or more for an interval, or 0 for none, got 1")
    for key in _OWN_KEYS if config.benchmark else ():
        if getattr(config, key):
            raise UsageError(
                f"{key}: benchmark= brings its own; leave it out, or give queries= instead"
            )
    if not config.benchmark and config.truth is None:
        raise UsageError("truth: needed, e.g. `truth=truth.csv`")
    for key in ("truth", "groups", "query_images", "reference_images"):
        path = getattr(config, key)
        if path and not Path(path).exists():
            from asl.storage import absent

            raise UsageError(f"{key}: {absent(path)}")
    for key in ("truth", "groups"):
        if (path := getattr(config, key)) and Path(path).is_dir():
            raise UsageError(f"{key}: {path} is a folder; give a .csv file")
    if not config.benchmark:
        refuse_unused(config, _BENCHMARK_KEYS, reason="without benchmark=")
    if config.queries or config.benchmark:
        _check_search(config)
    else:
        refuse_unused(config, _SEARCH_KEYS, reason="on predictions, which are scored already")


def _check_files(config: EvaluateConfig) -> None:
    from asl.features.store_groups import verify_below

    stores = [config.queries, config.references, config.background]
    for path in filter(None, stores):
        verify_below(path)
    if config.benchmark:
        verify_below(Path(config.output) / "features")
    _check_tables([config.predictions, *(config.compare or ()), config.truth, config.groups])


def _check_tables(paths: list[str | None]) -> None:
    """Compare tables with the checksums of when they were written; name those that have none."""
    from asl.storage import is_as_written

    for path in filter(None, paths):
        if Path(path).suffix == ".csv" and Path(path).is_file() and not is_as_written(path):
            said = f"{path}: not compared: it has no checksum, as files from elsewhere"
            print(terminal_text(said), file=sys.stderr)


def _check_search(config: EvaluateConfig) -> None:
    from asl.pipeline.benchmark_run import Protocol

    score_normalization(config)
    refuse_other_constants(config, config.score)
    refuse_normalization(config)
    if not config.benchmark:
        check_background_use(config)
    Protocol(config.k, config.most)


def _runs(config: EvaluateConfig) -> Runs:
    """Read predictions, or search descriptors or a benchmark."""
    from asl.pipeline.evaluation_runs import (
        read_predictions,
        search_benchmark,
        search_descriptors,
    )

    if config.benchmark:
        return search_benchmark(config)
    truth, images = _truth(config)
    if config.queries:
        return search_descriptors(config, truth, images)
    if config.predictions:
        return read_predictions([config.predictions], truth, key="predictions", images=images)
    files = list(dict.fromkeys(config.compare))
    if len(files) < 2:
        raise UsageError(
            f"compare: needs two different files, e.g. compare=[a.csv,b.csv]; got {config.compare}"
        )
    return read_predictions(files, truth, key="compare", images=images)


def _truth(config: EvaluateConfig) -> tuple[TruthPairs, tuple[Catalog | None, Catalog | None]]:
    """Read the truth, and the images of queries and references where they are given."""
    from asl.data.catalog import open_catalog
    from asl.data.truth import read_truth

    queries, references = (
        open_catalog(path, id_style=config.id_style) if path else None
        for path in (config.query_images, config.reference_images)
    )
    return read_truth(str(config.truth)), (queries, references)


def _groups(config: EvaluateConfig) -> Mapping[str, str] | None:
    from asl.data.truth import read_groups

    return read_groups(config.groups) if config.groups else None


def _differences(config: EvaluateConfig, runs: Runs) -> Differences:
    from asl.metrics.significance import compare

    (_, first), *others = runs.pairs.items()
    replicates = max(config.bootstrap, 1000)
    return {
        name: compare(other, first, runs.truth, bootstrap=replicates, seed=config.seed)
        for name, other in others
    }


def _write(
    config: EvaluateConfig,
    runs: Runs,
    evaluations: Mapping[str, Evaluation],
    differences: Differences,
) -> None:
    from asl.data.pairs import write_pairs
    from asl.report.html import Report, write_report
    from asl.report.provenance import provenance

    output, features = Path(config.output), runs.features
    for name, pairs in runs.pairs.items() if features is not None else ():
        write_pairs(pairs, output / "predictions" / f"{name}.csv")
    name = Path(config.benchmark or output).resolve().name
    title = " against ".join(runs.pairs) if differences else name
    report = Report(
        title=f"{title}, {runs.protocol}",
        evaluations=evaluations,
        pairs=runs.pairs,
        truth=runs.truth,
        queries=features.queries if features else None,
        references=features.references if features else None,
        query_images=runs.query_images,
        reference_images=runs.reference_images,
        differences=differences,
        facts={
            "protocol": runs.protocol,
            **provenance(vars(config), command=current_command("evaluate"), seed=config.seed),
        },
    )
    write_report(output / "report.html", report)


def _print(
    config: EvaluateConfig,
    runs: Runs,
    evaluations: Mapping[str, Evaluation],
    differences: Differences,
) -> None:
    from rich.console import Console

    from asl.console.plain_console import PlainConsole
    from asl.metrics.evaluation import missing_predictions
    from asl.report.headline_table import difference_rows, kind_rows, rich_rows, rich_table

    console, lines = Console(), PlainConsole()
    console.print(rich_table(evaluations, title=runs.protocol))
    for evaluation in evaluations.values() if len(evaluations) == 1 else ():
        for breakdown, title in ((evaluation.by_kind, "kind"), (evaluation.by_group, "group")):
            if breakdown:
                console.print(rich_rows(kind_rows(breakdown, head=title)))
    if differences:
        console.print(rich_rows(difference_rows(differences)))
    for name, pairs in runs.pairs.items():
        missing = missing_predictions(pairs, runs.truth)
        if len(missing):
            queries = counted(len(runs.truth.queries), "query", "queries")
            lines.say(f"{name}: no prediction for {len(missing)} of {queries}, e.g. {missing[0]}")
    lines.say(f"report: {Path(config.output) / 'report.html'}")


main = EntryPoint("evaluate", run)

if __name__ == "__main__":
    main()
