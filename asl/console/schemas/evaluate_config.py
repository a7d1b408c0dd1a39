"""Score predictions against ground truth: µAP, recall at 90 % precision, and more.

Examples:
  asl evaluate predictions=pairs.csv truth=truth.csv output=scores
  asl evaluate compare=[a.csv,b.csv] truth=truth.csv output=scores          is the difference sure?
  asl evaluate queries=storeQ references=storeR truth=truth.csv score=all output=scores
  asl evaluate queries=dev.h5 truth=truth.csv score=cosine most=500000 output=scores
  asl evaluate benchmark=BENCH model=runs/mine output=scores                from images to a report

predictions is a CSV (query_id,reference_id,score; higher = surer; header optional) or Parquet.
truth is a CSV (query_id,reference_id; an empty reference for a query without a match; a column kind
adds a breakdown). queries, references and background are feature stores of asl extract or HDF5
descriptors of ISC 2021, which are searched. OUTPUT gets metrics.json (uap, recall_at_p90,
threshold_at_p90 (null: never reached), recall_at_1, recall_at_10 ...), report.md, report.html and
precision_recall.csv (the curve of every run: recall, precision, score). Ties count against the
ranking, recall divides by all true pairs, a duplicate pair is an error. docs/evaluation.md has
every definition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import (
    Engine,
    IdStyle,
    Postprocessing,
    ScoreConstants,
    Workers,
)
from asl.shared_defaults import BOOTSTRAP, MODEL, NEIGHBOURS


@dataclass(kw_only=True)
class EvaluateInputs:
    """Predictions (give one of the first four) and truth.

    Attributes:
        predictions: CSV or Parquet of scored pairs.
        compare: two or more files of predictions; the others are compared with the first.
        queries: feature store or ISC HDF5 descriptors of the queries, to search and evaluate.
        benchmark: folder of a benchmark, to embed, search, evaluate and report.
        references: the references of queries=; an ISC submission holds both and needs none.
        background: training images of queries=, for normalize, whiten and negatives.
        truth: ground truth CSV (a benchmark brings its own).
        groups: CSV of query_id,group for one more breakdown.
        query_images: images of the queries, for the thumbnails of the report.
        reference_images: images of the references, for the thumbnails of the report.
        id_style: ids of these images are paths, or file names without suffix (stem).
        check_files: compare every file of stores, and the tables that asl wrote, with their
            checksums first.
    """

    predictions: str | None = None
    compare: list[str] = field(default_factory=list)
    queries: str | None = None
    benchmark: str | None = None
    references: str | None = None
    background: str | None = None
    truth: str | None = None
    groups: str | None = None
    query_images: str | None = None
    reference_images: str | None = None
    id_style: IdStyle = "path"
    check_files: bool = False


@dataclass(kw_only=True)
class EvaluateSearch(ScoreConstants):
    """Search (queries= and benchmark=).

    Attributes:
        layout: layout of the benchmark; auto detects it.
        model: model that embeds the benchmark, and holds the calibration of the scores.
        score: score to search by, or all.
        k: references per query that are evaluated, where most is not given.
        most: best pairs over all queries instead of k per query, this many (500,000 in ISC 2021).
        engine: exact engine.
    """

    layout: str = "auto"
    model: str = MODEL
    score: Literal["cosine", "paper", "strict", "soft", "hinge", "all"] = "hinge"
    k: int = NEIGHBOURS
    most: int | None = None
    engine: Engine = "auto"


@dataclass(kw_only=True)
class EvaluateReport:
    """Report.

    Attributes:
        output: folder of metrics.json, report.md, report.html and precision_recall.csv.
        precision: precision whose lowest threshold the breakdowns and false-match rates use.
        bootstrap: replicates of the confidence intervals; 0: no intervals.
        seed: seed of the bootstrap.
    """

    output: str
    precision: float = 0.9
    bootstrap: int = BOOTSTRAP
    seed: int = 0


@dataclass(kw_only=True)
class EvaluateConfig(
    EvaluateInputs, EvaluateSearch, Postprocessing, EvaluateReport, Workers, CheckedChoices
):
    """Keys of ``asl evaluate``."""
