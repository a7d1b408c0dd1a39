"""Find, for every query, the references that it may have been made from.

  python -m asl.search queries=NEW references=LIBRARY output=pairs.csv
  python -m asl.search queries=NEW references=store model=runs/mine score=strict k=5
  output=pairs.parquet python -m asl.search queries=NEW references=LIBRARY precision=0.9
  output=pairs.csv      only the sure ones python -m asl.search queries=NEW references=LIBRARY
  score=verified output=pairs.csv looks at the pixels, too python -m asl.search queries=NEW
  references=LIBRARY regions=fine output=pairs.csv small crops, too python -m asl.search queries=NEW
  references=store background=TRAIN beta=1 output=pairs.csv python -m asl.search queries=new.a+new.b
  references=lib.a+lib.b output=pairs.csv stores of several models as one

queries, references, background: images (a folder, a list, a tar, a Parquet table), a feature store
of asl.extract or an index of it, which is memory-mapped. Stores joined by + are searched as one:
the mean of their cosines. Images are embedded first, into OUTPUT.features/, which a second run goes
on with. The output has
one line a pair: query_id, reference_id, score (higher = surer), cosine, both log-norms, a
probability where the model is calibrated, and
a direction: `reference->query` where the reference holds at least as much of the original as the
query, else `query->reference`; with score=verified, which is a probability, what the pixels show
(`none`: no copy).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from asl.console.entry import entry_point
from asl.console.progress import progress_bar
from asl.data.pairs import write_pairs
from asl.features.store_groups import check_models
from asl.index.engines.by_name import make_engine
from asl.index.engines.faiss_factory import FaissFactoryIndex
from asl.index.engines.protocol import Engine
from asl.index.exact.recall import measured_recall
from asl.index.exact.region_search import search_regions
from asl.index.milvus.address import is_served, open_served
from asl.index.saved_index import SavedIndex
from asl.matching import Budget
from asl.models.scores import find_calibrations
from asl.pipeline.candidates import add_local, images_of, verify_candidates
from asl.pipeline.search_input import InputLoader, SearchInput, postprocessed, say_decoding
from asl.pipeline.search_plan import SearchConfig, build_score, check_keys, least_score, mode_of
from asl.scoring.score import Score, describe_pairs, usual_clip
from asl.types import AslError, ReferenceEmbeddings, ScoredPairs, UsageError


def run(config: SearchConfig) -> int:
    """Embed what is not embedded yet, search, write pairs."""
    check_keys(config)
    return _run_served(config) if is_served(config.references) else _run_here(config)


def _run_here(config: SearchConfig) -> int:
    engine = _engine(config)
    left, right, background = _open(config)
    behind = background.model if background else ""
    check_models({"queries": left.model, "references": right.model, "background": behind})
    say_decoding([side.fast_decode for side in (left, right, background) if side])
    left, right, background = postprocessed(
        left, right, background, whiten=config.whiten, negatives=config.negatives
    )
    calibration = find_calibrations(config.model, left.model).get(mode_of(config))
    score = build_score(config, calibration)
    if score.mode == "soft" and score.clip is None:
        score = replace(score, clip=usual_clip(right.embeddings.log_norms))
    # The best of regions, or of changed features, is another score than was calibrated; that of
    # pixels needs nothing.
    plain = not (
        left.regions
        or right.regions
        or config.whiten
        or config.negatives
        or config.score == "verified"
    )
    calibrated = calibration if plain and calibration and calibration.score == score else None
    least = least_score(config, calibrated)
    if config.score == "verified":
        images_of(left, right)  # where there are none, better said before the search
    pairs = _search(config, left, right, background, score=score, engine=engine)
    if not engine.exact:
        whole = None if left.regions or right.regions else [right.embeddings.as_references()]
        _say_recall(config, pairs, left, whole, background, score=score)
    if config.score == "verified" and config.local:
        pairs = add_local(
            pairs, left, right, background, score=score, k=config.local, workers=config.workers
        )
    columns = describe_pairs(pairs, left.embeddings.as_queries(), right.embeddings.as_references())
    if calibrated:
        columns["probability"] = calibrated.probability(pairs.scores).astype(np.float32)
    if config.score == "verified":
        how: dict[str, Any] = {
            "budget": Budget(config.pairs, config.seconds),
            "workers": config.workers,
        }
        pairs, columns = verify_candidates(
            pairs, left, right, columns, k=config.k, most=config.most, **how
        )
    found = f"{len(left.embeddings)} queries and {len(right.embeddings)} references ({config.score}, {engine.name})"
    return _write(config, pairs, columns, least, found)


def _run_served(config: SearchConfig) -> int:
    """The references are in Milvus, which finds candidates; what needs all of them here is refused."""
    keys = ("regions", "query_regions", "whiten", "negatives", "factory", "engine", "most", "clip")
    refused = [key for key in keys if getattr(config, key) != getattr(SearchConfig, key)]
    if refused or config.k is None or config.score == "verified":
        what = f"{refused[0]}= does not go" if refused else "a number k= and a score of features go"
        raise UsageError(
            f"references: with a collection in Milvus {what}; use an index of asl.extract for the others"
        )
    opener = _opener(config)
    left = opener.open("queries", config.queries)
    background = opener.open("background", config.background) if config.background else None
    index = open_served(config.references)
    try:
        if {side.model for side in (left, background) if side} != {index.model}:
            raise AslError(
                f"search: {config.references} holds features of another model ({index.model})"
            )
        say_decoding([left.fast_decode, index.fast_decode])
        calibration = find_calibrations(config.model, left.model).get(mode_of(config))
        score = build_score(config, calibration)
        score = replace(score, clip=index.clip) if score.mode == "soft" else score
        calibrated = calibration if calibration and calibration.score == score else None
        least = least_score(config, calibrated)
        behind = background.embeddings.as_background() if background else None
        with progress_bar("searching", unit="queries") as progress:
            how: dict[str, Any] = {
                "background": behind,
                "nprobe": config.nprobe,
                "progress": progress,
            }
            pairs = index.search(left.embeddings.as_queries(), score=score, k=config.k, **how)
        if not index.kind.exact:
            with progress_bar("measuring the recall", unit="references") as progress:
                blocks = index.blocks(progress) if config.recall else None
                _say_recall(config, pairs, left, blocks, background, score=score)
        if config.above is not None:
            pairs = pairs.take(np.flatnonzero(pairs.scores >= config.above))
        columns = describe_pairs(
            pairs, left.embeddings.as_queries(), index.references(pairs.references)
        )
        found = f"{len(left.embeddings)} queries, {len(index)} references ({config.score}, milvus {index.kind})"
    finally:
        index.close()
    if calibrated:
        columns["probability"] = calibrated.probability(pairs.scores).astype(np.float32)
    return _write(config, pairs, columns, least, found)


def _say_recall(
    config: SearchConfig,
    pairs: ScoredPairs,
    left: SearchInput,
    references: Iterable[ReferenceEmbeddings] | None,
    background: SearchInput | None,
    *,
    score: Score,
) -> None:
    """A line with the measured recall of an approximate search; no ``references``: it cannot be measured."""
    limited = (config.most, config.above) != (None, None)
    if not config.recall or config.k is None or limited or references is None:
        why = "for searches with k= alone, without regions" if config.recall else "with recall=100"
        Console().print(f"[yellow]approximate; its recall is measured {why}")
        return
    behind = background.embeddings.as_background() if background else None
    how: dict[str, Any] = {
        "score": score,
        "k": config.k,
        "background": behind,
        "sample": config.recall,
    }
    share = measured_recall(pairs, left.embeddings.as_queries(), references, **how)
    Console().print(
        f"approximate: {100 * share:.1f} % of the exact {config.k} best (up to {config.recall} queries)"
    )


def _write(
    config: SearchConfig,
    pairs: ScoredPairs,
    columns: dict[str, Any],
    least: float | None,
    found: str,
) -> int:
    if least is not None:
        kept = np.flatnonzero(pairs.scores >= least)
        pairs, columns = (
            pairs.take(kept),
            {name: np.asarray(values)[kept] for name, values in columns.items()},
        )
    write_pairs(pairs, config.output, columns=columns)
    Console().print(f"{len(pairs)} pairs of {found}: {config.output}")
    return 0


def _engine(config: SearchConfig) -> Engine:
    if config.factory is None:
        return make_engine(config.engine)
    if config.engine != "auto":
        raise UsageError(f"factory: is an engine of its own; leave engine={config.engine} out")
    of_index = SavedIndex.is_index(config.references) and not (config.whiten or config.negatives)
    cache = SavedIndex.open(config.references).companion(config.factory) if of_index else None
    return FaissFactoryIndex(config.factory, nprobe=config.nprobe, cache=cache)


def _opener(config: SearchConfig) -> InputLoader:
    options = {"batch_size": config.batch_size, "workers": config.workers, "device": config.device}
    return InputLoader(
        config.model, Path(f"{config.output}.features"), id_style=config.id_style, **options
    )


def _open(config: SearchConfig) -> tuple[SearchInput, SearchInput, SearchInput | None]:
    opener = _opener(config)
    left = opener.open(
        "queries", config.queries, images=config.query_images, regions=config.query_regions
    )
    right = opener.open(
        "references", config.references, images=config.reference_images, regions=config.regions
    )
    return left, right, opener.open("background", config.background) if config.background else None


def _search(
    config: SearchConfig,
    left: SearchInput,
    right: SearchInput,
    background: SearchInput | None,
    **how: Any,
) -> ScoredPairs:
    with progress_bar("searching", unit="queries") as progress:
        return search_regions(
            left.embeddings.as_queries(),
            right.embeddings.as_references(),
            reference_regions=right.regions,
            query_regions=left.regions,
            k=config.k,
            most=None if config.score == "verified" else config.most,
            above=None if config.score == "verified" else config.above,
            memory=config.memory,
            background=background.embeddings.as_background() if background else None,
            progress=progress,
            **how,
        )


main = entry_point("search", SearchConfig, run)

if __name__ == "__main__":
    main()
