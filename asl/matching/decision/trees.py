"""Map evidence to a probability by gradient-boosted trees, stored as JSON, evaluated in numpy.

The trees are fitted by ``scripts/train_verifier.py`` with scikit-learn
(``HistGradientBoostingClassifier`` with monotone constraints) and written as plain numbers:
nothing is unpickled, and the answer does not depend on the installed version of scikit-learn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from asl.matching.align.lazy_property import LazyProperty
from asl.matching.values import EVIDENCE
from asl.storage import sealed, without_seal
from asl.types import F64, I64, AslError

_FORMAT = "asl-verifier-trees-1"


Model = TypeVar("Model", bound="TreeModel")


@dataclass(frozen=True, eq=False)
class TreeModel:
    """Boosted trees over named evidence; arrays are ``[T, nodes]``, padded.

    Attributes:
        names: evidence columns that the trees split on.
        feature: int64, column of the split, -1 at a leaf.
        threshold: float64, the left child is taken where value <= threshold.
        left: int64, node number of the left child.
        right: int64, node number of the right child.
        value: float64, log-odds that a leaf adds.
        baseline: log-odds before the first tree.
        slope: Platt calibration: factor on the log-odds.
        offset: Platt calibration: constant added afterwards.
        card: provenance and measurements, for people.
        COLUMNS: evidence that the trees may split on; a subclass may have its own.

    Raises:
        AslError: unknown evidence, inconsistent shapes, branches out of a tree, infinite leaves.
    """

    names: tuple[str, ...]
    feature: I64
    threshold: F64
    left: I64
    right: I64
    value: F64
    baseline: float
    slope: float = 1.0
    offset: float = 0.0
    card: dict[str, Any] = field(default_factory=dict)
    COLUMNS: ClassVar[tuple[str, ...]] = EVIDENCE

    def __post_init__(self) -> None:
        unknown = [name for name in self.names if name not in self.COLUMNS]
        if unknown:
            raise AslError(
                f"verifier model: unknown evidence {unknown}; "
                "refit it with scripts/train_verifier.py"
            )
        nodes = self.feature.shape[1] if self.feature.ndim == 2 else 0
        arrays = (self.feature, self.threshold, self.left, self.right, self.value)
        if nodes == 0 or any(array.shape != self.feature.shape for array in arrays):
            raise AslError(
                "verifier model: expected tree arrays of one shape [trees, nodes], "
                f"got {[array.shape for array in arrays]}"
            )
        if self.feature.max() >= len(self.names) or not np.all(np.isfinite(self.value)):
            raise AslError(
                "verifier model: damaged (a split names a missing column, or a leaf is not "
                "finite); restore or refit it"
            )
        if (
            min(self.left.min(), self.right.min()) < 0
            or max(self.left.max(), self.right.max()) >= nodes
        ):
            raise AslError(
                "verifier model: damaged (a branch leads out of its tree); restore or refit it"
            )

    def log_odds(self, evidence: F64) -> F64:
        """Compute uncalibrated log-odds.

        Args:
            evidence: float64 ``[N, E]`` in the order of ``COLUMNS``.

        Returns:
            float64 ``[N]``, higher = surer.

        Raises:
            AslError: ``evidence`` has another shape.
        """
        count = len(self.COLUMNS)
        if evidence.ndim != 2 or evidence.shape[1] != count:
            raise AslError(f"evidence: expected shape [N, {count}], got {evidence.shape}")
        column, threshold, left, right = self._branches
        rows = np.arange(len(evidence))[:, None]
        node = np.tile(np.arange(0, self.feature.size, self.feature.shape[1]), (len(evidence), 1))
        for _ in range(self.feature.shape[1]):
            low = evidence[rows, column[node]] <= threshold[node]
            following = np.where(low, left[node], right[node])
            if np.array_equal(following, node):
                break
            node = following
        return np.asarray(self.value.ravel()[node].sum(axis=1) + self.baseline)

    @LazyProperty
    def _branches(self) -> tuple[I64, F64, I64, I64]:
        """Column, threshold and children of the nodes of all trees in a row; a leaf is its own."""
        leaf = self.feature < 0
        own = np.arange(self.feature.size).reshape(self.feature.shape)
        root = own[:, :1]
        columns = np.array([self.COLUMNS.index(name) for name in self.names], dtype=np.int64)
        return (
            columns[np.maximum(self.feature, 0)].ravel(),
            self.threshold.ravel(),
            np.where(leaf, own, root + self.left).ravel(),
            np.where(leaf, own, root + self.right).ravel(),
        )

    def probability(self, evidence: F64) -> F64:
        """Compute the calibrated probability that the query is a copy of the reference.

        Args:
            evidence: float64 ``[N, E]``, as for :meth:`log_odds`.

        Returns:
            float64 ``[N]``, 0..1.
        """
        return np.asarray(
            1.0
            / (1.0 + np.exp(-np.clip(self.slope * self.log_odds(evidence) + self.offset, -50, 50)))
        )

    def to_json(self) -> str:
        """Serialise the model; :func:`parse_model` reads it back."""
        trees = [
            {
                "feature": f.tolist(),
                "threshold": t.tolist(),
                "left": lo.tolist(),
                "right": hi.tolist(),
                "value": v.tolist(),
            }
            for f, t, lo, hi, v in zip(
                self.feature, self.threshold, self.left, self.right, self.value, strict=True
            )
        ]
        whole = {
            "format": _FORMAT,
            "evidence": list(self.names),
            "baseline": self.baseline,
            "slope": self.slope,
            "offset": self.offset,
            "card": self.card,
            "trees": trees,
        }
        return json.dumps(sealed(whole), separators=(",", ":"))


def load_model(path: Path | None = None) -> TreeModel:
    """Read a verifier model; without a path, the packaged one.

    Raises:
        AslError: the file cannot be read, or is no consistent verifier model.
    """
    if path is None:
        return packaged_model("verifier.json")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise AslError(
            f"verifier model {path}: cannot be read ({error.strerror}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise AslError(f"verifier model {path}: damaged ({error}); copy or fit it again") from error
    return parse_model(text, name=str(path))


def moment_model() -> TreeModel:
    """Read the packaged model that tells two shots of one moment from all other pairs."""
    return packaged_model("same_moment.json")


@lru_cache
def packaged_model(file: str) -> TreeModel:
    """Read a model of the package by the name of its file.

    Raises:
        AslError: the file is no consistent model.
    """
    text = resources.files("asl.matching").joinpath(file).read_text(encoding="utf-8")
    return parse_model(text, name=f"the packaged model {file}")


def parse_model(text: str, *, name: str) -> TreeModel:
    """Parse a verifier model from its JSON text; see :func:`parse_trees`."""
    return parse_trees(text, name=name, kind=TreeModel)


def parse_trees(text: str, *, name: str, kind: type[Model]) -> Model:
    """Parse a model from its JSON text.

    Args:
        text: written by :meth:`TreeModel.to_json`.
        name: named in error messages.
        kind: class of the model.

    Raises:
        AslError: the text is no consistent verifier model.
    """
    try:
        raw = without_seal(json.loads(text))
        if raw.get("format") != _FORMAT:
            raise AslError(f"{name}: its format is {raw.get('format')!r}, expected {_FORMAT!r}")
        trees = raw["trees"]
        deepest = max(len(tree["feature"]) for tree in trees)
        return kind(
            tuple(raw["evidence"]),
            _padded(trees, "feature", deepest, -1).astype(np.int64),
            _padded(trees, "threshold", deepest, 0.0),
            _padded(trees, "left", deepest, 0).astype(np.int64),
            _padded(trees, "right", deepest, 0).astype(np.int64),
            _padded(trees, "value", deepest, 0.0),
            float(raw["baseline"]),
            float(raw["slope"]),
            float(raw["offset"]),
            dict(raw["card"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise AslError(
            f"{name}: is not a verifier model ({type(error).__name__}: {error}); "
            "restore or refit it"
        ) from error


def _padded(trees: list[dict[str, list[float]]], key: str, length: int, fill: float) -> F64:
    """Stack one array of every tree, padded with ``fill`` to ``length``."""
    return np.array(
        [tree[key] + [fill] * (length - len(tree[key])) for tree in trees], dtype=np.float64
    )
