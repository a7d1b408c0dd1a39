"""The keys of ``python -m asl.search``."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class SearchConfig:
    """Keys of ``python -m asl.search``.

    Attributes:
        queries: images, a feature store or an index.
        references: images, a feature store, an index (``asl.extract index=``), or
            ``milvus+ADDRESS``.
        output: file of the pairs, ``.csv`` or ``.parquet``.
        model: embeds images, and holds the calibration of the scores.
        score: ``cosine``, ``paper``, ``strict``, ``soft``, ``hinge`` or ``verified``.
        k: references per query; null: as many as ``most`` and ``above`` allow.
        most: number of best pairs over all queries (500,000 in the ISC 2021 challenge); null: all.
        above: lowest score of a pair (``verified``: lowest probability); null: all.
        memory: GiB that the search may use beside the embeddings.
        regions: parts of the references to search as well: ``none``, ``coarse`` (6) or ``fine``
            (15, small crops).
        query_regions: parts of the queries to search as well (pictures in pictures; a photo then
            also finds its own crops).
        lam: weight of the log-norm difference (``soft``, ``hinge``); null: calibrated for the
            model, else 0.1.
        tau: free log-norm difference (``paper``, ``strict``, ``hinge``); null: calibrated for the
            model, else 0.
        precision: keep pairs from the score at which this share of them was right in the model's
            calibration; null: all.
        clip: range of log-norms in ``soft``, [low, high]; null: calibrated for the model, else the
            middle 98 % of the references'.
        background: training images or a store of them (never references), for the next keys; null:
            none.
        normalize: score normalisation with the background: ``none``, ``subtract`` or ``stretch``
            (descriptor stretching).
        sn_weight: weight of score normalisation.
        sn_first: rank of its first background neighbour, 0 = nearest.
        sn_last: rank of its last background neighbour.
        whiten: dimensions to whiten to, fitted on the background; 0: no whitening.
        negatives: weight of negative embedding subtraction with the background (0.35 in its paper);
            0: none.
        candidate_score: score that ranks the ``k`` candidates of ``verified``.
        local_candidates: further candidates of ``verified`` per query, by local features; 0: none.
        pairs: most pairs that ``verified`` compares; null: all.
        seconds: time after which ``verified`` starts no new query; null: no limit.
        query_images: images of a store of queries, for ``verified``.
        reference_images: images of a store or an index of references, for ``verified``.
        engine: ``auto``, ``faiss``, ``tensorcore`` or ``exact``.
        factory: a FAISS factory string instead (``'"IVF4096,SQ8"'``): approximate, its recall is
            measured and printed.
        nprobe: lists of an inverted file that a query visits (``factory``, Milvus); for graphs a
            quarter of ``ef``.
        recall_queries: queries on which the recall of an approximate search is measured, which
            reads all references; 0: none.
        id_style: ids of images are paths (``path``) or file names without suffix (``stem``).
        batch_size: images per forward pass.
        workers: processes that decode or verify; null: one a core, but none that decode beside a
            model on the CPU.
        device: ``auto``, ``cpu`` or ``cuda``.
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
    normalize: str = "none"
    sn_weight: float = 1.0
    sn_first: int = 0
    sn_last: int = 2
    whiten: int = 0
    negatives: float = 0.0
    candidate_score: str = "hinge"
    local_candidates: int = 3
    pairs: int | None = None
    seconds: float | None = None
    query_images: str | None = None
    reference_images: str | None = None
    engine: str = "auto"
    factory: str | None = None
    nprobe: int = 16
    recall_queries: int = 100
    id_style: str = "path"
    batch_size: int = 64
    workers: int | None = None
    device: str = "auto"
