"""Find, for every query, the references that it may have been made from.

Examples:
  asl search queries=NEW references=LIBRARY output=pairs.csv
  asl search queries=NEW references=store model=runs/mine score=strict k=5 output=pairs.parquet
  asl search queries=NEW references=LIBRARY precision=0.9 output=pairs.csv       sure pairs only
  asl search queries=NEW references=LIBRARY score=verified output=pairs.csv      compare pixels too
  asl search queries=NEW references=LIBRARY regions=fine output=pairs.csv        small crops too
  asl search queries=NEW references=store background=TRAIN normalize=subtract output=pairs.csv
  asl search queries=new.a+new.b references=lib.a+lib.b output=pairs.csv         two models as one

queries, references and background are images (a folder, a list, a tar, a Parquet table), a feature
store of asl extract, or an index of it, which is memory-mapped. Stores joined by + are searched as
one by the mean of their cosines. Images are embedded first, into OUTPUT.features/, where a second
run resumes. The output has one line per pair: query_id, reference_id, score (higher = surer),
cosine, both log-norms, a probability where the model is calibrated, and a direction from the
original to the copy: reference->query or query->reference where one norm is four times the other,
else unclear; with score=verified, which is a probability, pixels and files decide the direction as
in asl scan (none: no copy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import (
    Engine,
    IdStyle,
    Machine,
    PairScore,
    Postprocessing,
    Regions,
    ScoreConstants,
)
from asl.shared_defaults import (
    LOCAL_CANDIDATES,
    MODEL,
    NEIGHBOURS,
    NPROBE,
    RECALL_QUERIES,
    SEARCH_MEMORY,
)


@dataclass(kw_only=True)
class SearchInputs:
    """Images.

    Attributes:
        queries: images, a feature store or an index.
        references: images, a feature store, an index, or milvus+ADDRESS (#NAME of a collection).
        output: pairs as .csv or .parquet.
        model: embeds images; not needed where everything is a store.
        background: training images or a store of them, never references; for normalize, whiten and
            negatives.
        regions: regions of the references to search as well: none, coarse (6) or fine (15, for
            small crops).
        query_regions: regions of the queries to search as well (pictures in pictures; but a photo
            also finds what was cropped from it).
        id_style: ids of images are paths, or file names without suffix (stem).
        check_files: compare every file of stores and indexes with its checksum first.
    """

    queries: str
    references: str
    output: str
    model: str = MODEL
    background: str | None = None
    regions: Regions = "none"
    query_regions: Regions = "none"
    id_style: IdStyle = "path"
    check_files: bool = False


@dataclass(kw_only=True)
class SearchScore(ScoreConstants):
    """Score and number of pairs.

    Attributes:
        score: score to search by; verified compares the pixels of the best candidates.
        k: references per query; null: as many as most and above allow.
        most: keep only the best pairs over all queries, this many (500,000 in ISC 2021); null: all.
        above: keep only pairs with at least this score (verified: this probability); null: all.
        precision: keep only pairs from the score on at which this share was right in the model's
            calibration; null: all.
        clip: range of log-norms in soft, as [low, high]; null: as calibrated for the model, else
            the middle 98 % of the references'.
    """

    score: Literal["cosine", "paper", "strict", "soft", "hinge", "verified"] = "hinge"
    k: int | None = NEIGHBOURS
    most: int | None = None
    above: float | None = None
    precision: float | None = None
    clip: list[float] | None = None


@dataclass(kw_only=True)
class SearchVerification:
    """Verification (score=verified).

    Attributes:
        candidate_score: score that retrieves the candidates.
        local_candidates: candidates per query by SIFT features, and as many by learned ones,
            beside the k; 0: none.
        pairs: most pairs to verify; null: all.
        seconds: time after which no new query is verified; null: no limit.
        query_images: the images of a store of queries.
        reference_images: the images of a store, an index or a Milvus collection of references.
        local_index: folder that keeps the references' local features, filled by the first search;
            null: beside their store, index or milvus-lite file.
    """

    candidate_score: PairScore = "hinge"
    local_candidates: int = LOCAL_CANDIDATES
    pairs: int | None = None
    seconds: float | None = None
    query_images: str | None = None
    reference_images: str | None = None
    local_index: str | None = None


@dataclass(kw_only=True)
class SearchEngine:
    """Engine.

    Attributes:
        engine: exact engine.
        factory: FAISS factory string instead, such as IVF4096,SQ8: approximate; its recall is
            measured and reported.
        nprobe: lists of an inverted file to visit per query (factory, Milvus); for graphs a quarter
            of ef.
        recall_queries: queries on which the recall of an approximate search is measured, which
            reads all references; 0: not measured.
        memory: GiB that the search may take beside the embeddings.
    """

    engine: Engine = "auto"
    factory: str | None = None
    nprobe: int = NPROBE
    recall_queries: int = RECALL_QUERIES
    memory: float = SEARCH_MEMORY


@dataclass(kw_only=True)
class SearchConfig(
    SearchInputs,
    SearchScore,
    SearchVerification,
    Postprocessing,
    SearchEngine,
    Machine,
    CheckedChoices,
):
    """Keys of ``asl search``."""
