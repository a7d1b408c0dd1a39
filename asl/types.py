"""The values that travel between rooms: frozen, validated, numpy only.

``Embeddings`` -> (``asl.scoring``) -> engine -> ``ScoredPairs`` + ``TruthPairs`` ->
``asl.metrics``. An id is a string; its role (query, reference, background) is in the type that
holds it: what takes ``QueryEmbeddings`` refuses references. Scores are *query -> reference* and
higher always means surer; a score may be negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
StrArray = npt.NDArray[np.str_]
_Value = TypeVar("_Value")


class AslError(Exception):
    """Something that the user can act on; entry points print its text without a traceback and exit with 1."""


class UsageError(AslError):
    """The command itself was wrong (a key, a value, a missing path); entry points exit with 2."""


def as_ids(ids: Sequence[str] | StrArray, *, name: str, unique: bool = True) -> StrArray:
    """Check ids and return them as a 1-D unicode array.

    Raises:
        AslError: an id is empty, or (where ``unique``) stands twice; the id is named.
    """
    array = np.asarray(ids, dtype=np.str_) if len(ids) else np.empty(0, dtype="<U1")
    if array.ndim != 1:
        raise AslError(f"{name}: expected a flat list of ids, got an array of shape {array.shape}")
    if np.any(array == ""):
        raise AslError(
            f"{name}: id number {int(np.flatnonzero(array == '')[0])} is empty; every image needs an id"
        )
    if unique:
        values, counts = np.unique(array, return_counts=True)
        twice = values[counts > 1]
        if len(twice):
            raise AslError(
                f"{name}: {len(twice)} id(s) stand more than once, the first is {str(twice[0])!r}"
            )
    return array


def _check_length(name: str, array: npt.NDArray[Any], expected: int) -> None:
    if array.shape != (expected,):
        raise AslError(f"{name}: expected shape ({expected},), got {array.shape}")


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        raise AslError(
            f"{name}: {int(bad.sum())} value(s) are not finite, the first at row {first}"
        )


def _checked(kind: type[_Value], parts: Mapping[str, Any]) -> _Value:
    """A value of parts that were checked before: a million ids would take a second each time."""
    made = object.__new__(kind)
    made.__dict__.update(parts)
    return made


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Features of N images, split into direction and length.

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
        object.__setattr__(
            self, "vectors", np.asarray(self.vectors, dtype=np.float32)
        )  # what is mapped stays so
        object.__setattr__(self, "log_norms", np.asarray(self.log_norms, dtype=np.float32))
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.ids):
            raise AslError(
                f"vectors: expected shape ({len(self.ids)}, D), got {self.vectors.shape}"
            )
        _check_length("log_norms", self.log_norms, len(self.ids))
        _check_finite("log_norms", self.log_norms)
        _check_unit(self.vectors)

    @classmethod
    def from_features(cls, ids: Sequence[str] | StrArray, features: npt.ArrayLike) -> Self:
        """Split un-normalised features ``[N, D]`` into unit vectors and log-norms (a zero row is an error)."""
        raw = np.asarray(features, dtype=np.float32)
        if raw.ndim != 2:
            raise AslError(f"features: expected shape [N, D], got {raw.shape}")
        # In pieces and in place: a million rows of 8,192 dimensions are 66 GB in float64.
        pieces = [raw[low : low + 65536] for low in range(0, max(1, len(raw)), 65536)]
        norms = np.concatenate(
            [np.linalg.norm(piece.astype(np.float64), axis=1) for piece in pieces]
        )
        if not np.all(np.isfinite(norms)) or np.any(norms == 0):
            row = int(np.flatnonzero(~np.isfinite(norms) | (norms == 0))[0])
            raise AslError(
                f"features: row {row} ({str(ids[row])!r}) has norm {norms[row]}; a direction is undefined"
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
        """float32 ``[m, D]`` the vectors of some rows."""
        return self.vectors[rows]

    def take(self, rows: npt.ArrayLike) -> Self:
        """The embeddings of some rows, in the order given."""
        index = np.asarray(rows)
        return type(self)(
            ids=self.ids[index], vectors=self.vectors[index], log_norms=self.log_norms[index]
        )

    def as_queries(self) -> QueryEmbeddings:
        """The same values in the role of queries (no copy)."""
        return _checked(QueryEmbeddings, self.__dict__)

    def as_references(self) -> ReferenceEmbeddings:
        """The same values in the role of references (no copy)."""
        return _checked(ReferenceEmbeddings, self.__dict__)

    def as_background(self) -> BackgroundEmbeddings:
        """The same values in the role of background images, e.g. the training set (no copy)."""
        return _checked(BackgroundEmbeddings, self.__dict__)


def _check_unit(vectors: F32) -> None:
    # In blocks: a memory-mapped million rows must not be copied into memory to be checked.
    for start in range(0, len(vectors), 65536):
        squared = np.einsum(
            "nd,nd->n", vectors[start : start + 65536], vectors[start : start + 65536]
        )
        bad = ~(np.abs(squared - 1.0) < 1e-3)
        if bad.any():
            row = start + int(np.flatnonzero(bad)[0])
            raise AslError(
                f"vectors: row {row} has length {float(np.sqrt(squared[row - start])):.4g}, expected 1; "
                "use Embeddings.from_features for raw features"
            )


class QueryEmbeddings(Embeddings):
    """Embeddings of the images that are asked about."""


class ReferenceEmbeddings(Embeddings):
    """Embeddings of the images that a query may be a copy of."""


class BackgroundEmbeddings(Embeddings):
    """Embeddings of unrelated images (training images, never references) for score normalisation and whitening."""


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """P predictions (query, reference, score); ids are kept once, pairs point at them.

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
                    f"{name}: values must be in 0..{size - 1}, got {index.min()}..{index.max()}"
                )

    @classmethod
    def from_ids(
        cls,
        query_ids: Sequence[str] | StrArray,
        reference_ids: Sequence[str] | StrArray,
        scores: npt.ArrayLike,
    ) -> Self:
        """Build from one id per pair and side (``[P]`` each)."""
        queries, query_index = _factorize(query_ids, "query_ids")
        references, reference_index = _factorize(reference_ids, "reference_ids")
        return cls(queries, references, query_index, reference_index, np.asarray(scores))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def query_ids(self) -> StrArray:
        """``[P]`` the query id of every pair."""
        return self.queries[self.query_index]

    @property
    def reference_ids(self) -> StrArray:
        """``[P]`` the reference id of every pair."""
        return self.references[self.reference_index]

    def take(self, rows: npt.ArrayLike) -> Self:
        """Some of the pairs, in the order given; the vocabularies stay whole."""
        index, per_pair = np.asarray(rows), ("query_index", "reference_index", "scores")
        return _checked(
            type(self), self.__dict__ | {name: getattr(self, name)[index] for name in per_pair}
        )

    def with_scores(self, scores: npt.ArrayLike) -> Self:
        """The same pairs with other scores."""
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
        """Pairs of embeddings, whose ids were checked; that rows are in range is the caller's word."""
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
    """Ground truth: which query is a copy of which reference.

    Attributes:
        query_ids: ``[T]`` one per true pair.
        reference_ids: ``[T]`` one per true pair.
        queries: every query of the benchmark, also those with no match (distractors, hard
            negatives).
        kinds: query id -> what the query is: an edit type (``crop``, ``overlay`` ...),
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
            twice = next(pair for pair, count in Counter(pairs).items() if count > 1)
            raise AslError(f"TruthPairs: the pair {twice} stands twice")
        unknown = np.setdiff1d(self.query_ids, self.queries)
        if len(unknown):
            raise AslError(
                f"TruthPairs: {len(unknown)} query id(s) are not in queries, e.g. {str(unknown[0])!r}"
            )
        strangers = set(self.kinds) - set(self.queries.tolist())
        if strangers:
            raise AslError(
                f"kinds: {len(strangers)} id(s) are no query of this truth, e.g. {min(strangers)!r}"
            )

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[str, str]],
        *,
        other_queries: Iterable[str] = (),
        kinds: Mapping[str, str] | None = None,
    ) -> Self:
        """Build from (query, reference) tuples plus the queries that match nothing."""
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
