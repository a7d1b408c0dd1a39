"""Check keys of a verb before anything is embedded: values, and keys that nothing would read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.counts import counted
from asl.errors import UsageError

if TYPE_CHECKING:
    from asl.scoring.normalization import ScoreNormalization

# Constants that each score mode reads.
_CONSTANTS: Mapping[str, frozenset[str]] = {
    "cosine": frozenset(),
    "paper": frozenset({"tau"}),
    "strict": frozenset({"tau"}),
    "soft": frozenset({"lam", "clip"}),
    "hinge": frozenset({"lam", "tau"}),
}
NORMALIZATION_KEYS = ("sn_weight", "sn_first", "sn_last")


def refuse_unused(config: Any, keys: Iterable[str], *, reason: str) -> None:
    """Refuse keys of a schema instance whose value is not their default.

    Args:
        config: an instance of a dataclass schema.
        keys: that nothing reads.
        reason: completes "has no effect ...".

    Raises:
        UsageError: naming the first such key and its value.
    """
    defaults = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(config)
    }
    for key in keys:
        value = getattr(config, key)
        if value != defaults[key]:
            raise UsageError(f"{key}: has no effect {reason}, got {key}={value}; leave it out")


def refuse_other_constants(config: Any, mode: str) -> None:
    """Refuse constants (lam, tau, clip) that a score mode does not read; ``all`` reads every one.

    Raises:
        UsageError: naming the key.
    """
    present = {field.name for field in fields(config)} & {"lam", "tau", "clip"}
    unread = present - _CONSTANTS.get(mode, present)
    refuse_unused(config, sorted(unread), reason=f"with score {mode}")


def refuse_normalization(config: Any) -> None:
    """Refuse settings of score normalisation where it is off.

    Raises:
        UsageError: naming the key.
    """
    if config.normalize == "none":
        refuse_unused(config, NORMALIZATION_KEYS, reason="with normalize=none")


def score_normalization(config: Any) -> ScoreNormalization | None:
    """Build the score normalisation of a configuration; None where it is off.

    Raises:
        UsageError: a value is out of range; the key is named.
    """
    from asl.scoring.normalization import normalization_of

    return normalization_of(
        config.normalize, beta=config.sn_weight, first=config.sn_first, last=config.sn_last
    )


def check_background_use(config: Any) -> None:
    """Refuse a background path that nothing uses, and steps that have no background.

    Raises:
        UsageError: naming the keys.
    """
    steps = uses_background(config)
    if steps and not config.background:
        raise UsageError(
            f"background: needed for {', '.join(steps)}; "
            "give training images or their store (never references)"
        )
    if config.background and not steps:
        raise UsageError(
            "background: has no effect without normalize=, whiten= or negatives=, "
            f"got {config.background}; leave it out or give one of them"
        )


def uses_background(config: Any) -> list[str]:
    """List the keys of a configuration that need background images."""
    used = {
        "normalize": config.normalize != "none",
        "whiten": bool(config.whiten),
        "negatives": bool(config.negatives),
    }
    return [key for key, on in used.items() if on]


def check_least(config: Any, least: Mapping[str, float]) -> None:
    """Refuse numbers below their least value; None is allowed.

    Raises:
        UsageError: naming key, least value and value.
    """
    for key, low in least.items():
        value = getattr(config, key)
        if value is not None and not value >= low:
            raise UsageError(f"{key}: must be {low:g} or more, got {value:g}")


def check_scan_keys(config: Any) -> None:
    """Refuse wrong values of the keys that ``scan`` and ``leaks`` share.

    Raises:
        UsageError: naming the key.
    """
    from asl.matching.decision.thresholds import threshold_for

    check_least(config, {"neighbours": 1, "local_candidates": 0})
    threshold_for(config.precision)
    if not 0 < config.effort < math.inf:
        raise UsageError(f"effort: must be above 0 and finite, got {config.effort:g}")
    if not 0 <= config.max_failure_rate <= 1:
        raise UsageError(f"--max-failure-rate must be in 0..1, got {config.max_failure_rate:g}")
    if config.cache is not None and (config.cache == Path() or config.cache.is_dir()):
        raise UsageError(f"--cache must be a file, got {str(config.cache)!r}; name one, or null")
    if not 0 < config.max_megapixels < 1e6:
        raise UsageError(f"--max-megapixels must be above 0, got {config.max_megapixels:g}")


def check_background_size(
    count: int, dim: int, *, whiten: int, rule: ScoreNormalization | None
) -> None:
    """Refuse whitening and normalisation that a background is too small for.

    Args:
        count: background images.
        dim: D, dimensions of an embedding.
        whiten: dimensions to whiten to; 0: no whitening.
        rule: score normalisation; None: none.

    Raises:
        UsageError: naming the key, the largest value and the value.
    """
    most = min(dim, count - 1)
    if whiten > most:
        raise UsageError(
            f"whiten: must be at most {most} with {counted(count, 'background image')} of {dim} "
            "dimensions, "
            f"got {whiten}"
        )
    if rule is not None and rule.last >= count:
        raise UsageError(
            f"sn_last: rank {rule.last} needs {rule.last + 1} background images, got {count}"
        )
