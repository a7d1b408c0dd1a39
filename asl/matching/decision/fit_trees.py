"""Fit the decision: monotone boosted trees from scikit-learn, exported to plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.matching.decision.trees import Model, TreeModel
from asl.matching.values import EVIDENCE
from asl.types import F64, AslError, Bools

# Evidence that can only raise (+1) or lower (-1) the probability; evidence that is not named is
# unconstrained.
MONOTONE: dict[str, int] = {
    "inliers": 1,
    "support": 1,
    "parallax": -1,
    "residual": -1,
    "corr_low": 1,
    "corr_quarter": 1,
    "corr_median": 1,
    "corr_coarse": 1,
    "corr_tiny": 1,
    "corr_fine": 1,
    "corr_inner": 1,
    "corr_kept": 1,
    "core_low": 1,
    "core_holes": -1,
    "bent_low": 1,
    "bent_quarter": 1,
    "bent_kept": 1,
    "gradient": 1,
    "tone": 1,
    "diffuse": -1,
    "seam_query": 1,
    "seam_reference": -1,
    "edge_query": 1,
    "edge_reference": -1,
    "join_query": -1,
    "join_reference": 1,
    "break_query": 1,
    "break_reference": -1,
    "learned_inliers": 1,
    "learned_support": 1,
}
_MAX_RESPONSE = 4.0  # largest working response of LogitBoost, as its authors advise


def fit_trees(
    evidence: F64,
    labels: Bools,
    *,
    weights: F64 | None = None,
    names: tuple[str, ...] = EVIDENCE,
    monotone: Mapping[str, int] = MONOTONE,
    trees: int = 240,
    leaves: int = 31,
    learning_rate: float = 0.05,
    seed: int = 0,
    card: dict[str, Any] | None = None,
) -> TreeModel:
    """Fit the decision on labelled pairs.

    Args:
        evidence: float64 ``[N, E]`` in the order of :data:`asl.matching.values.EVIDENCE`.
        labels: bool ``[N]``, True where the query is a copy of the reference.
        weights: float64 ``[N]`` sample weights.
        names: evidence columns that may be used.
        monotone: columns that can only raise (+1) or lower (-1) the probability.
        trees: number of boosting rounds.
        leaves: maximum number of leaves of a tree.
        learning_rate: shrinkage of each tree's contribution.
        seed: of the fit.
        card: provenance stored in the model, for people.

    Returns:
        The fitted trees, uncalibrated.

    Raises:
        AslError: wrong shapes, or only one kind of label.
    """
    # Imported here: slow to load, and only fitting needs it.
    from sklearn.ensemble import HistGradientBoostingClassifier

    if evidence.shape != (len(labels), len(EVIDENCE)):
        raise AslError(
            f"evidence: expected shape ({len(labels)}, {len(EVIDENCE)}), got {evidence.shape}"
        )
    if len(np.unique(labels)) != 2:
        raise AslError(
            "labels: expected copies and other pairs, got only one of the two; "
            "add pairs of the other kind"
        )
    classifier = HistGradientBoostingClassifier(
        max_iter=trees,
        max_leaf_nodes=leaves,
        learning_rate=learning_rate,
        min_samples_leaf=20,
        l2_regularization=1.0,
        monotonic_cst=[monotone.get(name, 0) for name in names],
        early_stopping=False,
        random_state=seed,
    )
    columns = evidence[:, [EVIDENCE.index(name) for name in names]]
    classifier.fit(columns, labels.astype(int), sample_weight=weights)
    return export_trees(classifier, names, card or {})


def refine_trees(
    base: TreeModel,
    evidence: npt.NDArray[np.float64],
    labels: npt.NDArray[np.bool_],
    *,
    weights: npt.NDArray[np.float64] | None = None,
    trees: int = 5,
    leaves: int = 12,
    learning_rate: float = 0.1,
    seed: int = 0,
    card: dict[str, Any] | None = None,
) -> TreeModel:
    """Append trees to a fitted model that correct it on further pairs.

    LogitBoost (Friedman, Hastie, Tibshirani 2000, algorithm 3), begun at the log-odds of ``base``:
    what the base gets right on these pairs it keeps. Far fewer pairs are needed than for a fit.

    Args:
        base: fitted and calibrated; its evidence and monotone constraints hold for the new trees.
        evidence: float64 ``[N, E]`` in the order of :data:`asl.matching.values.EVIDENCE`.
        labels: bool ``[N]``, True where the query is a copy of the reference.
        weights: float64 ``[N]`` sample weights.
        trees: number of trees that are appended; on a few thousand pairs the held-out loss is
            lowest after about five and rises soon after.
        leaves: maximum number of leaves of each.
        learning_rate: shrinkage of each tree's contribution.
        seed: of the fit.
        card: provenance stored in the model.

    Returns:
        The base and its corrections, uncalibrated.

    Raises:
        AslError: wrong shapes.
    """
    from sklearn.tree import DecisionTreeRegressor

    if evidence.shape != (len(labels), len(EVIDENCE)):
        raise AslError(
            f"evidence: expected shape ({len(labels)}, {len(EVIDENCE)}), got {evidence.shape}"
        )
    model = replace(
        base,
        value=base.slope * base.value,
        baseline=base.slope * base.baseline + base.offset,
        slope=1.0,
        offset=0.0,
        card=card or {},
    )
    columns = evidence[:, [EVIDENCE.index(name) for name in base.names]]
    odds, given = model.log_odds(evidence), np.ones(len(labels)) if weights is None else weights
    corrections = []
    for _ in range(trees):
        probability = 1 / (1 + np.exp(-odds))
        curvature = np.maximum(probability * (1 - probability), 1e-4)
        response = np.clip((labels - probability) / curvature, -_MAX_RESPONSE, _MAX_RESPONSE)
        tree = DecisionTreeRegressor(
            max_leaf_nodes=leaves,
            min_samples_leaf=20,
            monotonic_cst=[MONOTONE.get(name, 0) for name in base.names],
            random_state=seed,
        ).fit(columns, response, sample_weight=given * curvature)
        odds = odds + learning_rate * tree.predict(columns)
        corrections.append(tree.tree_)
    return _appended(model, corrections, learning_rate)


def _appended(model: TreeModel, corrections: list[Any], rate: float) -> TreeModel:
    """Append scikit-learn's single trees, whose leaves count ``rate`` times."""
    length = max(model.feature.shape[1], *(tree.node_count for tree in corrections))

    def joined(own: npt.NDArray[Any], added: list[npt.NDArray[Any]], fill: float) -> Any:
        rows = [*own, *added]
        return np.array(
            [np.pad(row, (0, length - len(row)), constant_values=fill) for row in rows],
            dtype=own.dtype,
        )

    leaves = [tree.children_left < 0 for tree in corrections]

    def split(name: str) -> list[npt.NDArray[Any]]:
        pairs = zip(corrections, leaves, strict=True)
        return [np.where(leaf, 0, getattr(tree, name)) for tree, leaf in pairs]

    values = [
        np.where(leaf, rate * tree.value[:, 0, 0], 0.0)
        for tree, leaf in zip(corrections, leaves, strict=True)
    ]
    features = [
        np.where(leaf, -1, tree.feature) for tree, leaf in zip(corrections, leaves, strict=True)
    ]
    return replace(
        model,
        feature=joined(model.feature, features, -1),
        threshold=joined(model.threshold, split("threshold"), 0.0),
        left=joined(model.left, split("children_left"), 0),
        right=joined(model.right, split("children_right"), 0),
        value=joined(model.value, values, 0.0),
    )


def export_trees(classifier: Any, names: tuple[str, ...], card: dict[str, Any]) -> TreeModel:
    """Export the trees of a verifier; see :func:`export_model`."""
    return export_model(classifier, names, card, TreeModel)


def export_model(
    classifier: Any, names: tuple[str, ...], card: dict[str, Any], kind: type[Model]
) -> Model:
    """Export a fitted binary ``HistGradientBoostingClassifier`` to plain arrays.

    Args:
        classifier: fitted with two classes.
        names: evidence column of each feature.
        card: provenance stored in the model.
        kind: class of the model.

    Returns:
        A model with the same log-odds.
    """
    nodes = [stage[0].nodes for stage in classifier._predictors]
    length = max(len(tree) for tree in nodes)

    def column(name: str, kind: type, fill: float) -> npt.NDArray[Any]:
        padded: npt.NDArray[Any] = np.full((len(nodes), length), fill, dtype=kind)
        for row, tree in zip(padded, nodes, strict=True):
            row[: len(tree)] = tree[name]
        return padded

    leaf = column("is_leaf", np.bool_, 1).astype(bool)
    threshold = np.where(leaf, 0.0, column("num_threshold", np.float64, 0.0))
    # Evidence has no missing values, so an infinite threshold means "always left".
    threshold = np.nan_to_num(threshold, posinf=np.finfo(np.float64).max)
    return kind(
        names=names,
        feature=np.where(leaf, -1, column("feature_idx", np.int64, 0)),
        threshold=threshold,
        left=np.where(leaf, 0, column("left", np.int64, 0)),
        right=np.where(leaf, 0, column("right", np.int64, 0)),
        value=np.where(leaf, column("value", np.float64, 0.0), 0.0),
        baseline=float(np.ravel(classifier._baseline_prediction)[0]),
        card=card,
    )


def calibrate(model: TreeModel, odds: F64, labels: Bools) -> TreeModel:
    """Calibrate the log-odds of a model on held-out pairs by Platt scaling (Platt 1999).

    Args:
        model: fitted trees.
        odds: float64 ``[N]`` log-odds of held-out pairs.
        labels: bool ``[N]``, True where the query is a copy of the reference.

    Returns:
        The same trees with a slope and an offset.
    """
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e3).fit(odds[:, None], labels.astype(int))
    return replace(model, slope=float(fitted.coef_[0, 0]), offset=float(fitted.intercept_[0]))


def average_trees(models: Sequence[TreeModel], *, card: dict[str, Any]) -> TreeModel:
    """Average the calibrated log-odds of several decisions in one model.

    Args:
        models: one or more, each calibrated, perhaps on fewer columns of the evidence than others.
        card: of the result.

    Returns:
        All trees, each model's log-odds counted equally; its slope is 1 and its offset 0.
    """
    share = 1.0 / len(models)
    names = tuple(name for name in EVIDENCE if any(name in model.names for model in models))
    nodes = max(model.feature.shape[1] for model in models)

    def joined(arrays: Iterable[npt.NDArray[Any]], fill: float) -> npt.NDArray[Any]:
        return np.concatenate(
            [
                np.pad(array, ((0, 0), (0, nodes - array.shape[1])), constant_values=fill)
                for array in arrays
            ]
        )

    def columns(model: TreeModel) -> npt.NDArray[np.int64]:
        place = np.array([names.index(name) for name in model.names], dtype=np.int64)
        return np.where(model.feature < 0, -1, place[model.feature])

    return TreeModel(
        names=names,
        feature=joined((columns(model) for model in models), -1),
        threshold=joined((model.threshold for model in models), 0),
        left=joined((model.left for model in models), 0),
        right=joined((model.right for model in models), 0),
        value=joined((share * model.slope * model.value for model in models), 0),
        baseline=sum(share * (model.slope * model.baseline + model.offset) for model in models),
        card=card,
    )
