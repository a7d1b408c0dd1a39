"""Find, for every query, the references that it may have been made from.

  python -m asl.search queries=NEW references=LIBRARY output=pairs.csv
  python -m asl.search queries=NEW references=store model=runs/mine score=strict k=5 output=pairs.parquet
  python -m asl.search queries=NEW references=LIBRARY precision=0.9 output=pairs.csv      only the sure ones
  python -m asl.search queries=NEW references=LIBRARY score=verified output=pairs.csv     looks at the pixels, too
  python -m asl.search queries=NEW references=LIBRARY regions=fine output=pairs.csv       small crops, too
  python -m asl.search queries=NEW references=store background=TRAIN beta=1 output=pairs.csv
  python -m asl.search queries=new.a+new.b references=lib.a+lib.b output=pairs.csv      stores of several models as one

queries, references, background: images (a folder, a list, a tar, a Parquet table) or a feature store of asl.extract;
references may be an index, too. Stores joined by + are searched as one: the mean of their cosines.
Images are embedded first, into OUTPUT.features/, which a second run goes on with. The output has one line a pair:
query_id, reference_id, score (higher = surer), cosine, both log-norms, a probability where the model is calibrated, and
a direction: `reference->query` where the reference holds at least as much of the original as the query, else
`query->reference`; with score=verified, which is a probability, what the pixels show (`none`: no copy).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING
from rich.console import Console

from asl.app.thresholds import threshold_for
from asl.candidates import add_local, check_limits, images_of, verify_candidates
from asl.data.pairs import write_pairs
from asl.entry import entry_point
from asl.features.regions import regions_of
from asl.features.store import check_models
from asl.index.engine import Engine
from asl.index.factory import Factory
from asl.index.regions import search_regions
from asl.index.saved import SavedIndex
from asl.index.search import make_engine
from asl.index.served import is_served, open_served
from asl.matching import Budget
from asl.pipeline import find_calibrations
from asl.report.progress import progress_bar
from asl.scoring.calibration import Calibration, score_of
from asl.scoring.normalization import normalization_of
from asl.scoring.postprocess import PostProcess
from asl.scoring.score import Score, describe_pairs, usual_clip
from asl.sides import Opener, Side, postprocessed, say_decoding, say_recall
from asl.types import AslError, ScoredPairs, UsageError


@dataclass
class SearchConfig:
    """Keys of ``python -m asl.search``.

    Attributes:
        queries: images or a feature store.
        references: images, a feature store, an index (``asl.extract index=``), or ``milvus+ADDRESS``.
        output: ``.csv`` or ``.parquet``.
        model: embeds images; not needed where everything is a store.
        score: ``cosine``, ``paper``, ``strict``, ``soft``, ``hinge``, ``verified``.
        k: references per query; null: as many as ``most`` and ``above`` allow.
        most: only the so many best pairs over all queries (500,000 in the ISC 2021 challenge); null for all.
        above: only pairs with at least this score (``verified``: this probability); null for all.
        memory: GiB that the search may take beside the embeddings.
        regions: parts of the references that are searched, too: ``none``, ``coarse`` (6) or ``fine`` (15, small crops).
        query_regions: parts of the queries (pictures in pictures; but a photo finds what was cropped from it, too).
        lam: weight of the log-norm difference (``soft``, ``hinge``); null: as calibrated for the model.
        tau: log-norm difference that is free (``paper``, ``strict``, ``hinge``); null: as calibrated for the model.
        precision: keep only the pairs from the score on at which this share of them was right in the model's
            calibration; null keeps all.
        clip: range of log-norms in ``soft``, as [low, high]; null takes the middle 98 % of the references'.
        background: training images or a store of them (never references), for the next keys; null: none of them.
        normalize: score normalisation: ``subtract``, ``stretch`` (descriptor stretching) or ``none``.
        beta: weight of score normalisation.
        first: rank of its first neighbour, 0 = nearest.
        last: rank of its last neighbour.
        whiten: dimensions to whiten to, fitted on the background; 0: no whitening.
        negatives: weight of negative embedding subtraction with the background (0.35 in its paper); 0: none.
        candidates: the score whose candidates ``verified`` looks at.
        local: references that local features propose to ``verified`` for each query beside the ``k``; 0: none.
        pairs: most pairs that ``verified`` looks at; null for all.
        seconds: time after which ``verified`` begins no new query; null for no limit.
        query_images: the images behind a store of queries, for ``verified``.
        reference_images: the images behind a store or an index of references, for ``verified``.
        engine: ``auto``, ``faiss``, ``tensorcore``, ``exact``.
        factory: a FAISS factory string instead (``'"IVF4096,SQ8"'``): approximate, its recall is measured and said.
        nprobe: lists of an inverted file that a query looks into.
        id_style: ids of images are paths (``path``) or file names without suffix (``stem``).
        batch_size: images per forward pass.
        workers: processes that decode or verify; null: one a core, but none that decode beside a model on the CPU.
        device: ``auto``, ``cpu``, ``cuda``.
    """

    queries: str = MISSING
    references: str = MISSING
    output: str = MISSING
    model: str = "asl_lite0"
    score: str = "hinge"
    k: int | None = 10
    most: int | None = None
    above: float | None = None
    memory: float = 4.0
    regions: str = "none"
    query_regions: str = "none"
    lam: float | None = None
    tau: float | None = None
    precision: float | None = None
    clip: list[float] | None = None
    background: str | None = None
    normalize: str = "subtract"
    beta: float = 1.0
    first: int = 0
    last: int = 2
    whiten: int = 0
    negatives: float = 0.0
    candidates: str = "hinge"
    local: int = 3
    pairs: int | None = None
    seconds: float | None = None
    query_images: str | None = None
    reference_images: str | None = None
    engine: str = "auto"
    factory: str | None = None
    nprobe: int = 16
    id_style: str = "path"
    batch_size: int = 64
    workers: int | None = None
    device: str = "auto"


def run(config: SearchConfig) -> int:
    """Embed what is not embedded yet, search, write pairs."""
    build_score(config)  # wrong values are refused before anything is embedded
    _check(config)
    return _run_served(config) if is_served(config.references) else _run_here(config)


def _check(config: SearchConfig) -> None:
    regions_of(config.regions), regions_of(config.query_regions, key="query_regions")
    if not config.background:
        PostProcess.fit(None, whiten=config.whiten, negatives=config.negatives)
    if Path(config.output).suffix not in (".csv", ".parquet"):
        raise UsageError(f"output: expected a name that ends in .csv or .parquet, got {config.output}")
    if config.precision is not None and not 0 < config.precision <= 1:
        raise UsageError(f"precision: must be in 0..1, got {config.precision}")
    if config.score == "verified":
        _threshold(config, None)
        limits: dict[str, Any] = {"most": config.most, "pairs": config.pairs, "seconds": config.seconds}
        check_limits(config.k, local=config.local, **limits)


def _run_here(config: SearchConfig) -> int:
    engine = _engine(config)
    left, right, background = _open(config)
    behind = background.model if background else ""
    check_models({"queries": left.model, "references": right.model, "background": behind})
    say_decoding([side.fast_decode for side in (left, right, background) if side])
    left, right, background = postprocessed(left, right, background, whiten=config.whiten, negatives=config.negatives)
    calibration = find_calibrations(config.model, left.model).get(_mode(config))
    score = build_score(config, calibration)
    if score.mode == "soft" and score.clip is None:
        score = replace(score, clip=usual_clip(right.embeddings.log_norms))
    # The best of regions, or of changed features, is another score than was calibrated; that of pixels needs nothing.
    plain = not (left.regions or right.regions or config.whiten or config.negatives or config.score == "verified")
    calibrated = calibration if plain and calibration and calibration.score == score else None
    least = _threshold(config, calibrated)
    if config.score == "verified":
        images_of(left, right)  # where there are none, better said before the search
    pairs = _search(config, left, right, background, score=score, engine=engine)
    if not engine.exact:
        plainly = config.most is None and config.above is None
        say_recall(pairs, left, right, background, score=score, k=config.k if plainly else None)
    if config.score == "verified" and config.local:
        pairs = add_local(pairs, left, right, background, score=score, k=config.local, workers=config.workers)
    columns = describe_pairs(pairs, left.embeddings.as_queries(), right.embeddings.as_references())
    if calibrated:
        columns["probability"] = calibrated.probability(pairs.scores).astype(np.float32)
    if config.score == "verified":
        how: dict[str, Any] = {"budget": Budget(config.pairs, config.seconds), "workers": config.workers}
        pairs, columns = verify_candidates(pairs, left, right, columns, k=config.k, most=config.most, **how)
    found = f"{len(left.embeddings)} queries and {len(right.embeddings)} references ({config.score}, {engine.name})"
    return _write(config, pairs, columns, least, found)


def _run_served(config: SearchConfig) -> int:
    """The references are in Milvus, which finds candidates; what needs all of them here is refused."""
    keys = ("regions", "query_regions", "whiten", "negatives", "factory", "engine", "most", "clip")
    refused = [key for key in keys if getattr(config, key) != getattr(SearchConfig, key)]
    if refused or config.k is None or config.score == "verified":
        what = f"{refused[0]}= does not go" if refused else "a number k= and a score of features go"
        raise UsageError(f"references: with a collection in Milvus {what}; use an index of asl.extract for the others")
    opener = _opener(config)
    left = opener.open("queries", config.queries)
    background = opener.open("background", config.background) if config.background else None
    index = open_served(config.references)
    try:
        if {side.model for side in (left, background) if side} != {index.model}:
            raise AslError(f"search: {config.references} holds features of another model ({index.model})")
        say_decoding([left.fast_decode, index.fast_decode])
        calibration = find_calibrations(config.model, left.model).get(_mode(config))
        score = build_score(config, calibration)
        score = replace(score, clip=index.clip) if score.mode == "soft" else score
        calibrated = calibration if calibration and calibration.score == score else None
        least = _threshold(config, calibrated)
        behind = background.embeddings.as_background() if background else None
        pairs = index.search(left.embeddings.as_queries(), score=score, k=config.k, background=behind)
        if config.above is not None:
            pairs = pairs.take(np.flatnonzero(pairs.scores >= config.above))
        columns = describe_pairs(pairs, left.embeddings.as_queries(), index.references(pairs.references))
        found = f"{len(left.embeddings)} queries, {len(index)} references ({config.score}, milvus {index.index_type})"
    finally:
        index.close()
    if calibrated:
        columns["probability"] = calibrated.probability(pairs.scores).astype(np.float32)
    return _write(config, pairs, columns, least, found)


def _write(config: SearchConfig, pairs: ScoredPairs, columns: dict[str, Any], least: float | None, found: str) -> int:
    if least is not None:
        kept = np.flatnonzero(pairs.scores >= least)
        pairs, columns = pairs.take(kept), {name: np.asarray(values)[kept] for name, values in columns.items()}
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
    return Factory(config.factory, nprobe=config.nprobe, cache=cache)


def _opener(config: SearchConfig) -> Opener:
    options = {"batch_size": config.batch_size, "workers": config.workers, "device": config.device}
    return Opener(config.model, Path(f"{config.output}.features"), id_style=config.id_style, **options)


def _open(config: SearchConfig) -> tuple[Side, Side, Side | None]:
    opener = _opener(config)
    left = opener.open("queries", config.queries, images=config.query_images, regions=config.query_regions)
    right = opener.open("references", config.references, images=config.reference_images, regions=config.regions)
    return left, right, opener.open("background", config.background) if config.background else None


def _search(config: SearchConfig, left: Side, right: Side, background: Side | None, **how: Any) -> ScoredPairs:
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


def _mode(config: SearchConfig) -> str:
    return config.candidates if config.score == "verified" else config.score


def _threshold(config: SearchConfig, calibrated: Calibration | None) -> float | None:
    """The least score that is written, by ``precision`` or, where it is a probability, by ``above``."""
    if config.score == "verified":
        wanted = config.above, None if config.precision is None else threshold_for(config.precision)
        return max((value for value in wanted if value is not None), default=None)
    if config.precision is None:
        return None
    if calibrated is None:
        raise UsageError(
            f"precision: model={config.model} has no calibration of {config.score} with these constants; "
            "use the model that made the features, leave lam, tau and clip alone, or take score=verified"
        )
    return calibrated.threshold(config.precision).threshold


def build_score(config: SearchConfig, calibration: Calibration | None = None) -> Score:
    """The score of a configuration; for ``verified`` that of its candidates."""
    kind = config.normalize if config.background else "none"
    rule = normalization_of(kind, beta=config.beta, first=config.first, last=config.last)
    given: dict[str, Any] = {"lam": config.lam, "tau": config.tau, "clip": config.clip, "calibration": calibration}
    try:
        return replace(score_of(_mode(config), **given), normalization=rule)
    except AslError as error:
        raise UsageError(str(error)) from error


main = entry_point("search", SearchConfig, run)

if __name__ == "__main__":
    main()
