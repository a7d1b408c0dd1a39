"""Reproduce a benchmark's table from its raw images, beside the published rows.

Examples:
  asl reproduce benchmark=ndec root=NDEC model=runs/mine
  asl reproduce benchmark=disc21_dev2 root=DISC21 model=asl_lite0 normalize=subtract
  asl reproduce benchmark=sample model=lite0
  asl reproduce benchmark=folder root=BENCH verify=true output=runs/bench

Embeds queries and references, and training images where whitening, subtraction or score
normalisation need them; searches in every score mode, each with score normalisation as well where
it is on (paper+SN is ASL as published); verifies candidate pairs; evaluates; reports. Every stage
is kept under OUTPUT and reused when the same command is started again; features belong to the
model's hash, so another model starts afresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import Machine, Postprocessing, Regions, ScoreConstants
from asl.shared_defaults import (
    BACKGROUND_IMAGES,
    BOOTSTRAP,
    CANDIDATES,
    LOCAL_CANDIDATES,
    MODEL,
    NEIGHBOURS,
)


@dataclass(kw_only=True)
class ReproduceInputs:
    """Benchmark and model.

    Attributes:
        benchmark: benchmark to reproduce; folder is one of your own, sample a generated one.
        root: folder of the benchmark; not needed for sample.
        model: asl_lite0, asl_lite1, lite0 or the path of a saved embedder; several joined by +
            count as one (the mean of their cosines).
        sizes: sides of the images in pixels instead of the model's own; several count as one.
        output: folder of every stage; null: outputs/reproduce-BENCHMARK-MODELHASH.
        background: most training images to embed, evenly over their list, for post-processing; 0:
            all.
        regions: regions of the references to embed and search as well.
        query_regions: regions of the queries, for the candidates of verify (pictures in pictures).
        bootstrap: replicates of the confidence intervals; 0: no intervals.
        check_files: compare every file of the stores under OUTPUT with its checksum first.
    """

    benchmark: Literal[
        "ndec", "disc21_dev1", "disc21_dev2", "disc21_final", "copydays", "folder", "sample"
    ]
    root: str | None = None
    model: str = MODEL
    sizes: list[int] | None = None
    output: str | None = None
    background: int = BACKGROUND_IMAGES
    regions: Regions = "none"
    query_regions: Regions = "none"
    bootstrap: int = BOOTSTRAP
    check_files: bool = False


@dataclass(kw_only=True)
class ReproduceScore(ScoreConstants):
    """Score and verification.

    Attributes:
        k: references per query that are evaluated, where most is not given.
        most: best pairs over all queries instead of k per query, this many (500,000 in ISC 2021).
        verify: verify candidate pairs by their pixels.
        candidates: candidates per query by embedding to verify.
        local_candidates: candidates per query by SIFT features to verify, and as many by learned
            ones; 0: none.
    """

    k: int = NEIGHBOURS
    most: int | None = None
    verify: bool = False
    candidates: int = CANDIDATES
    local_candidates: int = LOCAL_CANDIDATES


@dataclass(kw_only=True)
class ReproduceConfig(ReproduceInputs, ReproduceScore, Postprocessing, Machine, CheckedChoices):
    """Keys of ``asl reproduce``."""
