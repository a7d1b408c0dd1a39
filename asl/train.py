"""``python -m asl.train``: train a copy detector, and score it where there is a benchmark.

The keys and their explanation are in :mod:`asl.console.schemas.train_config`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.entry import EntryPoint
from asl.console.schemas.train_config import TrainConfig

if TYPE_CHECKING:
    from asl.data.training_sources import Sources
    from asl.models import Embedder


def check(config: TrainConfig) -> None:
    """Check the data keys and the groups with a ``_target_`` without building anything.

    Raises:
        UsageError: naming the key.
    """
    from asl.data.training_sources import check_keys
    from asl.training.parts import check_parts

    check_keys(config.data)
    check_parts(config)


def run(config: TrainConfig) -> int:
    """Train, save, and score where there is a benchmark.

    Raises:
        AslError: another training writes into the same output.
    """
    from contextlib import nullcontext

    from asl.data.training_sources import check_paths
    from asl.storage import exclusive_lock
    from asl.training.distributed import is_first_process

    check_paths(config.data)  # before a folder is made for nothing
    output = Path(str(config.output))
    busy = f"{output}: another training writes into it; wait for it, or choose another output"
    # The workers of a killed training notice after up to five seconds.
    lock = exclusive_lock(output / ".lock", busy=busy, wait=8.0)
    with lock if is_first_process() else nullcontext():
        return _train_and_score(config, output)


def _train_and_score(config: TrainConfig, output: Path) -> int:
    from rich.console import Console

    from asl.console.plain_console import PlainConsole
    from asl.training.run_training import train

    trained = train(config)
    if trained is None:
        return 0
    embedder, sources, card = trained
    lines = PlainConsole()
    if sources.benchmark is None:
        return 0
    if not (config.data.evaluate or config.data.benchmark):
        command = reproduction(config, sources, output)
        lines.say(f"not scored (data.evaluate=false): {command}")
        return 0
    from asl.pipeline.benchmark_run import Protocol, every_mode
    from asl.pipeline.reporting import score_benchmark
    from asl.report.headline_table import rich_table
    from asl.training.parts import build_score

    score = build_score(config)
    _drop_stale(output / "features", embedder)
    protocol = Protocol()
    evaluations = score_benchmark(
        sources.benchmark,
        embedder.eval(),
        lambda inputs: every_mode(inputs, score),
        output=output,
        protocol=protocol,
        context=card,
    )
    Console().print(rich_table(evaluations, title=f"{sources.benchmark.name}, {protocol}"))
    lines.say(f"report: {output / 'report.html'}")
    return 0


def reproduction(config: TrainConfig, sources: Sources, output: Path) -> str:
    """Return the command that scores the training on the benchmark that its data came with."""
    data = config.data
    published = sources.benchmark is not None and data.name in ("ndec", "disc21")
    name = sources.benchmark.name if sources.benchmark and published else data.name
    root = f" root={data.root}" if data.root else ""
    return f"python -m asl.reproduce benchmark={name}{root} model={output}"


def _drop_stale(features: Path, embedder: Embedder) -> None:
    """Delete features of the weights that this output had before it was trained on."""
    import shutil

    from asl.features.feature_store import FeatureStore
    from asl.models import model_hash

    for manifest in features.glob("*/manifest.json"):
        if FeatureStore.open(manifest.parent).manifest["model"] != model_hash(embedder):
            shutil.rmtree(manifest.parent)


main = EntryPoint("train", run, check)

if __name__ == "__main__":
    main()
