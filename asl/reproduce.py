"""``python -m asl.reproduce``: a benchmark's table from its raw images.

The keys and their explanation are in :mod:`asl.console.schemas.reproduce_config`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from asl.console.entry import EntryPoint, current_command
from asl.console.plain_console import PlainConsole
from asl.console.schemas.reproduce_config import ReproduceConfig
from asl.errors import UsageError
from asl.pipeline.key_checks import (
    check_background_size,
    check_least,
    refuse_normalization,
    refuse_unused,
    score_normalization,
    uses_background,
)

if TYPE_CHECKING:
    from asl.data.layouts import Benchmark
    from asl.metrics.evaluation import Evaluation
    from asl.models import Embedder, SavedModel
    from asl.pipeline.benchmark_run import Protocol
    from asl.pipeline.inputs import SearchInput
    from asl.scoring.normalization import ScoreNormalization
    from asl.types import ScoredPairs


def run(config: ReproduceConfig) -> int:
    """Check, embed, search in every mode, verify, report, print beside the published rows."""
    from asl.pipeline.benchmark_run import Protocol
    from asl.pipeline.reporting import report_runs
    from asl.report.provenance import provenance

    rule = _check(config)
    protocol = Protocol(config.k, config.most)
    benchmark = _open(config)
    members = _members(config)
    benchmark = _with_background(config, benchmark, members, rule)
    output = Path(config.output or f"outputs/reproduce-{config.benchmark}-{'+'.join(members)}")
    if config.check_files:
        _check_files(output / "features")
    inputs = _embed(config, benchmark, members, output / "features")
    runs = _search(config, inputs, protocol, rule, output=output)
    evaluations = report_runs(
        benchmark,
        inputs,
        runs,
        output=output,
        protocol=protocol,
        bootstrap=config.bootstrap,
        context={
            "model": config.model,
            **_verification_facts(config),
            **provenance(vars(config), command=current_command("reproduce")),
        },
    )
    _print(config, benchmark, protocol, evaluations, output)
    return 0


def _check(config: ReproduceConfig) -> ScoreNormalization | None:
    """Refuse wrong values, and keys that have no effect; return the score normalisation."""
    from asl.models.score_constants import resolve_score

    if config.sizes is not None and (not config.sizes or min(config.sizes) < 1):
        raise UsageError(
            f"sizes: expected sides in pixels, 1 or more, got {config.sizes}; null: the model's own"
        )
    zero = ("local_candidates", "background", "whiten", "negatives", "bootstrap", "workers", "lam")
    check_least(config, dict.fromkeys(("candidates", "batch_size"), 1) | dict.fromkeys(zero, 0))
    resolve_score("hinge", {}, lam=config.lam, tau=config.tau)
    refuse_normalization(config)
    if not uses_background(config):
        reason = "without normalize=, whiten= or negatives="
        refuse_unused(config, ("background",), reason=reason)
    if not config.verify:
        keys = ("candidates", "local_candidates", "query_regions")
        refuse_unused(config, keys, reason="without verify=true")
    return score_normalization(config)


def _check_files(features: Path) -> None:
    from asl.features.store_groups import verify_below

    verify_below(features)


def _open(config: ReproduceConfig) -> Benchmark:
    from asl.console.progress import progress_bar
    from asl.data.layouts import open_benchmark
    from asl.data.sample_benchmark import sample_benchmark

    if config.benchmark == "sample":
        with progress_bar("generating", unit="images") as progress:
            return open_benchmark(sample_benchmark(progress=progress))
    if config.root is None:
        raise UsageError(f"root: needed for {config.benchmark}; data/README.md shows the folders")
    return open_benchmark(config.root, layout=config.benchmark)


def _members(config: ReproduceConfig) -> dict[str, SavedModel | Embedder]:
    """Load every model at every size: hash -> model."""
    from asl.models import model_hash, open_model

    names = [config.model] if Path(config.model).exists() else config.model.split("+")
    sizes: list[int | None] = list(config.sizes) if config.sizes else [None]
    models = [open_model(name, size=size) for name in names for size in sizes]
    return {model_hash(model): model for model in models}


def _with_background(
    config: ReproduceConfig,
    benchmark: Benchmark,
    members: dict[str, SavedModel | Embedder],
    rule: ScoreNormalization | None,
) -> Benchmark:
    """Choose the training images to embed: none where nothing needs them."""
    from asl.pipeline.features import thin_background

    steps = uses_background(config)
    if not steps:
        return replace(benchmark, train=None)
    if benchmark.train is None:
        raise UsageError(
            f"{', '.join(steps)}: need training images, and {benchmark.name} has none; "
            "leave them out"
        )
    train = thin_background(benchmark.train, config.background)
    dim = sum(model.dim for model in members.values())
    check_background_size(len(train), dim, whiten=config.whiten, rule=rule)
    return replace(benchmark, train=train)


def _embed(
    config: ReproduceConfig,
    benchmark: Benchmark,
    members: dict[str, SavedModel | Embedder],
    output: Path,
) -> SearchInput:
    from asl.features.embed_options import EmbedOptions
    from asl.pipeline.features import embed_benchmark, join_features, postprocess
    from asl.pipeline.inputs import check_background

    options = EmbedOptions(
        batch_size=config.batch_size, workers=config.workers, device=config.device
    )
    inputs = join_features(
        [
            embed_benchmark(
                benchmark,
                model,
                output / (name if len(members) > 1 else ""),
                regions=config.regions,
                query_regions=config.query_regions,
                background=benchmark.train is not None,
                options=options,
            )
            for name, model in members.items()
        ]
    )
    check_background(inputs)
    return postprocess(inputs, whiten=config.whiten, negatives=config.negatives)


def _search(
    config: ReproduceConfig,
    inputs: SearchInput,
    protocol: Protocol,
    rule: ScoreNormalization | None,
    *,
    output: Path,
) -> dict[str, ScoredPairs]:
    from asl.pipeline.benchmark_run import model_modes, score_modes, with_normalization
    from asl.pipeline.verification import verify_run

    scores = model_modes(inputs, config.model, inputs.model, lam=config.lam, tau=config.tau)
    runs = score_modes(inputs, with_normalization(scores, rule), protocol=protocol)
    if config.verify:
        runs["verified"] = verify_run(
            inputs,
            scores["hinge"],
            candidates=config.candidates,
            local_candidates=config.local_candidates,
            workers=config.workers,
            cache=output / "local_features",
        )
    return runs


def _verification_facts(config: ReproduceConfig) -> dict[str, str]:
    """Describe the list of the row `verified`, which is shorter than those of the other rows."""
    if not config.verify:
        return {}
    local = config.local_candidates
    lists = f"{config.candidates} by embeddings, {local} by SIFT and {local} by learned features"
    return {"verified": f"candidates of every query: {lists}"}


def _print(
    config: ReproduceConfig,
    benchmark: Benchmark,
    protocol: Protocol,
    evaluations: dict[str, Evaluation],
    output: Path,
) -> None:
    from asl.report.headline_table import rich_table
    from asl.report.published import published_table

    console, lines = Console(), PlainConsole()
    title = f"{benchmark.name}, {config.model}, {protocol}"
    console.print(rich_table(evaluations, title=title))
    for name, fact in _verification_facts(config).items():
        lines.say(f"{name}: {fact}")
    rows = published_table(config.benchmark)
    if rows is not None:
        console.print(rows)
    lines.say(f"report: {output / 'report.html'}")


main = EntryPoint("reproduce", run)

if __name__ == "__main__":
    main()
