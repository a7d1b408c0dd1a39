"""Values exchanged between the parts of the package: frozen, validated, numpy only.

``Embeddings`` -> (``asl.scoring``) -> engine -> ``ScoredPairs`` + ``TruthPairs`` ->
``asl.metrics``. An id is a string; its role (query, reference, background) is in the type that
holds it: a function that takes ``QueryEmbeddings`` refuses references. Scores are *query ->
reference* and higher always means surer; a score may be negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from asl.counts import counted
from asl.errors import AslError as AslError  # re-exported
from asl.errors import UsageError as UsageError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]
StrArray = npt.NDArray[np.str_]
Progress = Callable[[int, int], None]  # (done, to do)
_Value = TypeVar("_Value")
_BLOCK_ROWS = 65536  # rows that are converted or checked at once
_UNIT_TOLERANCE = 1e-3  # of a squared norm


def as_ids(ids: Sequence[str] | StrArray, *, name: str, unique: bool = True) -> StrArray:
    """Check ids and return them as a 1-D unicode array.

    Args:
        ids: N ids.
        name: argument or file that they belong to, for messages.
        unique: refuse duplicates.

    Raises:
        AslError: an id is empty, or (where ``unique``) duplicate.
    """
    array = np.asarray(ids, dtype=np.str_) if len(ids) else np.empty(0, dtype="<U1")
    if array.ndim != 1:
        raise AslError(f"{name}: must be a flat list of ids, got an array of shape {array.shape}")
    if np.any(array == ""):
        number = int(np.flatnonzero(array == "")[0])
        raise AslError(f"{name}: id number {number} is empty; give every image an id")
    if unique:
        values, counts = np.unique(array, return_counts=True)
        duplicates = values[counts > 1]
        if len(duplicates):
            raise AslError(
                f"{name}: {counted(len(duplicates), 'duplicate id')} (first: "
                f"{str(duplicates[0])!r}); give every image an id of its own"
            )
    return array


def _check_length(name: str, array: npt.NDArray[Any], expected: int) -> None:
    if array.shape != (expected,):
        raise AslError(f"{name}: must have shape ({expected},), got {array.shape}")


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        raise AslError(
            f"{name}: must be finite: {counted(int(bad.sum()), 'value is', 'values are')} not, "
            f"the first at row {first}"
        )


def _checked(kind: type[_Value], parts: Mapping[str, Any]) -> _Value:
    """Build a value from parts that were checked before: a million ids take a second to check."""
    value = object.__new__(kind)
    value.__dict__.update(parts)
    return value


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Features of N images, split into direction and norm.

    Attributes:
        ids: ``[N]`` unique strings.
        vectors: ``[N, D]`` float32, unit rows: u = f / |f|.
        log_norms: ``[N]`` float32, n = ln |f| of the un-normalised feature f.
    """

    ids: StrArray
    vectors: F32
    log_norms: F32

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name=f"{type(self).__name__}.ids"))
        # A memory-mapped array stays mapped.
        object.__setattr__(self, "vectors", np.asarray(self.vectors, dtype=np.float32))
        object.__setattr__(self, "log_norms", np.asarray(self.log_norms, dtype=np.float32))
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.ids):
            raise AslError(
                f"vectors: must have shape ({len(self.ids)}, D), one row per id, "
                f"got {self.vectors.shape}"
            )
        _check_length("log_norms", self.log_norms, len(self.ids))
        _check_finite("log_norms", self.log_norms)
        _check_unit(self.vectors)

    @classmethod
    def from_features(cls, ids: Sequence[str] | StrArray, features: npt.ArrayLike) -> Self:
        """Split un-normalised features into unit vectors and log-norms.

        Args:
            ids: ``[N]`` unique strings.
            features: ``[N, D]``.

        Raises:
            AslError: the shape is wrong, or a row is zero or not finite.

        >>> photo = Embeddings.from_features(["photo"], [[3.0, 4.0]])
        >>> f"{photo.log_norms[0]:.3f} = ln 5"
        '1.609 = ln 5'
        """
        raw = np.asarray(features, dtype=np.float32)
        if raw.ndim != 2:
            raise AslError(f"features: must have shape [N, D], got {raw.shape}")
        # In blocks and in place: a million rows of 8,192 dimensions are 66 GB in float64.
        starts = range(0, max(1, len(raw)), _BLOCK_ROWS)
        blocks = (raw[low : low + _BLOCK_ROWS].astype(np.float64) for low in starts)
        norms = np.concatenate([np.linalg.norm(block, axis=1) for block in blocks])
        undefined = ~np.isfinite(norms) | (norms == 0)
        if undefined.any():
            row = int(np.flatnonzero(undefined)[0])
            raise AslError(
                f"features: row {row} ({str(ids[row])!r}) has norm {norms[row]}, so its direction "
                "is undefined; remove the image"
            )
        vectors = np.empty(raw.shape, dtype=np.float32)
        np.divide(raw, norms[:, None], out=vectors, dtype=np.float64, casting="same_kind")
        return cls(
            ids=np.asarray(ids, dtype=np.str_),
            vectors=vectors,
            log_norms=np.log(norms).astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """D, the number of dimensions of a vector."""
        return int(self.vectors.shape[1])

    def units(self, rows: I64) -> F32:
        """Return float32 ``[m, D]``, the vectors of some rows."""
        return self.vectors[rows]

    def take(self, rows: npt.ArrayLike) -> Self:
        """Return the embeddings of some rows, in the order given."""
        index = np.asarray(rows)
        return type(self)(
            ids=self.ids[index], vectors=self.vectors[index], log_norms=self.log_norms[index]
        )

    def as_queries(self) -> QueryEmbeddings:
        """Return the same values in the role of queries (no copy)."""
        return _checked(QueryEmbeddings, self.__dict__)

    def as_references(self) -> ReferenceEmbeddings:
        """Return the same values in the role of references (no copy)."""
        return _checked(ReferenceEmbeddings, self.__dict__)

    def as_background(self) -> BackgroundEmbeddings:
        """Return the same values in the role of background images (no copy)."""
        return _checked(BackgroundEmbeddings, self.__dict__)


def _check_unit(vectors: F32) -> None:
    # In blocks: a memory-mapped million rows must not be copied into memory to be checked.
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS]
        squared = np.einsum("nd,nd->n", block, block)
        bad = ~(np.abs(squared - 1.0) < _UNIT_TOLERANCE)
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            norm = float(np.sqrt(squared[first]))
            raise AslError(
                f"vectors: row {start + first} must have norm 1: has {norm:.4g}; "
                "use Embeddings.from_features for un-normalised features"
            )


class QueryEmbeddings(Embeddings):
    """Embeddings of the images that may be copies."""


class ReferenceEmbeddings(Embeddings):
    """Embeddings of the images that a query may be a copy of."""


class BackgroundEmbeddings(Embeddings):
    """Embeddings of unrelated images (training images, never references) to normalise scores."""


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """P predictions (query, reference, score); every id is stored once, pairs are indices.

    Attributes:
        queries: vocabulary of query ids, unique.
        references: vocabulary of reference ids, unique.
        query_index: ``[P]`` int64 into ``queries``.
        reference_index: ``[P]`` int64 into ``references``.
        scores: ``[P]`` float32 or float64, finite, higher = surer that the query is a copy of the
            reference.
    """

    queries: StrArray
    references: StrArray
    query_index: I64
    reference_index: I64
    scores: npt.NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        for name in ("queries", "references"):
            object.__setattr__(self, name, as_ids(getattr(self, name), name=f"ScoredPairs.{name}"))
        scores = np.asarray(self.scores)
        if scores.dtype not in (np.float32, np.float64):
            scores = scores.astype(np.float64)
        object.__setattr__(self, "scores", scores)
        _check_finite("scores", scores)
        for name, size in (
            ("query_index", len(self.queries)),
            ("reference_index", len(self.references)),
        ):
            index = np.asarray(getattr(self, name), dtype=np.int64)
            object.__setattr__(self, name, index)
            _check_length(name, index, len(scores))
            if len(index) and (index.min() < 0 or index.max() >= size):
                raise AslError(
                    f"{name}: must be in 0..{size - 1}, got {index.min()}..{index.max()}; "
                    "give rows of the vocabulary"
                )

    @classmethod
    def from_ids(
        cls,
        query_ids: Sequence[str] | StrArray,
        reference_ids: Sequence[str] | StrArray,
        scores: npt.ArrayLike,
    ) -> Self:
        """Build from the query id, the reference id and the score of each of P pairs.

        >>> pairs = ScoredPairs.from_ids(["crop", "crop"], ["photo", "sky"], [0.9, 0.2])
        >>> pairs.queries.tolist(), pairs.query_index.tolist()
        (['crop'], [0, 0])
        """
        queries, query_index = _factorize(query_ids, "query_ids")
        references, reference_index = _factorize(reference_ids, "reference_ids")
        return cls(queries, references, query_index, reference_index, np.asarray(scores))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def query_ids(self) -> StrArray:
        """``[P]`` query id of every pair."""
        return self.queries[self.query_index]

    @property
    def reference_ids(self) -> StrArray:
        """``[P]`` reference id of every pair."""
        return self.references[self.reference_index]

    def take(self, rows: npt.ArrayLike) -> Self:
        """Return some of the pairs, in the order given; the vocabularies stay whole."""
        index = np.asarray(rows)
        per_pair = ("query_index", "reference_index", "scores")
        return _checked(
            type(self), self.__dict__ | {name: getattr(self, name)[index] for name in per_pair}
        )

    def with_scores(self, scores: npt.ArrayLike) -> Self:
        """Return the same pairs with other scores ``[P]``."""
        return type(self)(
            self.queries,
            self.references,
            self.query_index,
            self.reference_index,
            np.asarray(scores),
        )

    @classmethod
    def between(
        cls,
        queries: Embeddings,
        references: Embeddings,
        query_index: I64,
        reference_index: I64,
        scores: F32,
    ) -> Self:
        """Build P pairs of embeddings from rows, which the caller has checked to be in range."""
        _check_finite("scores", scores)
        ids = {"queries": queries.ids, "references": references.ids}
        return _checked(
            cls,
            ids
            | {"query_index": query_index, "reference_index": reference_index, "scores": scores},
        )


def _factorize(ids: Sequence[str] | StrArray, name: str) -> tuple[StrArray, I64]:
    vocabulary, index = np.unique(as_ids(ids, name=name, unique=False), return_inverse=True)
    return vocabulary, index.astype(np.int64)


@dataclass(frozen=True, eq=False)
class TruthPairs:
    """Ground truth: the (query, reference) pairs whose query is a copy of the reference.

    Attributes:
        query_ids: ``[T]`` one per true pair.
        reference_ids: ``[T]`` one per true pair.
        queries: every query of the benchmark, also those with no match (distractors, hard
            negatives).
        kinds: query id -> kind of the query: an edit type (``crop``, ``overlay`` ...),
            ``distractor`` or ``hard:<kind>`` (``hard:reverse_crop``, ``hard:video`` ...). Empty
            where unknown.
    """

    query_ids: StrArray
    reference_ids: StrArray
    queries: StrArray
    kinds: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("query_ids", "reference_ids"):
            object.__setattr__(
                self, name, as_ids(getattr(self, name), name=f"TruthPairs.{name}", unique=False)
            )
        object.__setattr__(self, "queries", as_ids(self.queries, name="TruthPairs.queries"))
        _check_length("reference_ids", self.reference_ids, len(self.query_ids))
        pairs = list(zip(self.query_ids.tolist(), self.reference_ids.tolist(), strict=True))
        if len(set(pairs)) < len(pairs):
            duplicate = next(pair for pair, count in Counter(pairs).items() if count > 1)
            raise AslError(f"truth: duplicate pair {duplicate}; list every pair once")
        unknown = np.setdiff1d(self.query_ids, self.queries)
        if len(unknown):
            raise AslError(
                f"truth: {counted(len(unknown), 'query id is', 'query ids are')} not in queries "
                f"(first: {str(unknown[0])!r}); list every query of a true pair"
            )
        unlisted = set(self.kinds) - set(self.queries.tolist())
        if unlisted:
            raise AslError(
                f"kinds: {counted(len(unlisted), 'id is', 'ids are')} no query of this truth "
                f"(first: {min(unlisted)!r}); do both files use the same id format?"
            )

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[str, str]],
        *,
        other_queries: Iterable[str] = (),
        kinds: Mapping[str, str] | None = None,
    ) -> Self:
        """Build from (query, reference) tuples.

        Args:
            pairs: true pairs.
            other_queries: ids of the queries without a match.
            kinds: query id -> kind.

        >>> truth = TruthPairs.from_pairs([("crop", "photo")], other_queries=["noise"])
        >>> truth.queries.tolist(), len(truth)
        (['crop', 'noise'], 1)
        """
        listed = list(pairs)
        queries = dict.fromkeys([q for q, _ in listed] + list(other_queries))
        return cls(
            query_ids=as_ids([q for q, _ in listed], name="query_ids", unique=False),
            reference_ids=as_ids([r for _, r in listed], name="reference_ids", unique=False),
            queries=as_ids(list(queries), name="queries"),
            kinds=dict(kinds or {}),
        )

    def __len__(self) -> int:
        return len(self.query_ids)
