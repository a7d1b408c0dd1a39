"""Tell before a comparison whether a pair can match, from what a scan knows already.

A rule is fitted to the cosines of one packaged model; other models have none. A pair of a high
cosine is compared. Of the others the votes of their local features and a quick test
(:mod:`asl.app.pairs.agreement_counts`) decide. ``scripts/fit_prospects.py`` fits and measures it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.counts import counted
from asl.storage import read_json
from asl.types import F32, AslError, Bools

FILE = "pair_prospects.json"
FORMAT = "asl-pair-prospects-3"


@dataclass(frozen=True)
class PairProspects:
    """Rule for the pairs that are worth a comparison; more of any cue never speaks against one.

    Attributes:
        model: hash of the embedder of the cosines.
        compared_cosine: cosine from which a pair is compared whatever its features say.
        least_agreeing: agreeing local features from which a pair is compared.
        untold_cosine: cosine from which a pair is compared whose images have too few features to
            tell.
        tested_cosine: cosine from which the features of a pair are tested.
        tested_votes: votes from which they are tested whatever the cosine.
    """

    model: str
    compared_cosine: float
    least_agreeing: int
    untold_cosine: float
    tested_cosine: float
    tested_votes: float

    def is_tested(self, cosines: F32, votes: F32) -> Bools:
        """Select pairs that are not hopeless by their cosine and votes alone, bool ``[P]``."""
        return np.asarray((cosines >= self.tested_cosine) | (votes >= self.tested_votes))

    def is_sure(self, cosines: F32) -> Bools:
        """Select pairs that are compared without a test, bool ``[P]``."""
        return np.asarray(cosines >= self.compared_cosine)

    def is_compared(self, cosines: F32, agreeing: npt.NDArray[np.floating]) -> Bools:
        """Select pairs that are compared, bool ``[P]``.

        Args:
            cosines: float32 ``[P]``.
            agreeing: number of agreeing features, ``[P]``; NaN where there are too few to tell.
        """
        untold = np.isnan(agreeing) & (cosines >= self.untold_cosine)
        return np.asarray(self.is_sure(cosines) | untold | (agreeing >= self.least_agreeing))

    def to_plain(self) -> dict[str, object]:
        """Return the values for the file."""
        return asdict(self)


@cache
def packaged_prospects() -> dict[str, PairProspects]:
    """Read the packaged rules: name of a model -> its rule.

    Raises:
        AslError: the file is missing or damaged.
    """
    with as_file(files(__package__).joinpath(FILE)) as path:
        rules = read_rules(path)
    try:
        return {
            name: PairProspects(
                str(raw["model"]),
                float(raw["compared_cosine"]),
                int(raw["least_agreeing"]),
                float(raw["untold_cosine"]),
                float(raw["tested_cosine"]),
                float(raw["tested_votes"]),
            )
            for name, raw in rules.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise AslError(f"{FILE}: damaged ({error}); reinstall asl") from error


def read_rules(path: Path) -> dict[str, Any]:
    """Read the rules of a file as they are written: name of a model -> values and card.

    Raises:
        AslError: the file is missing or damaged.
    """
    raw = read_json(path, remedy="reinstall asl")
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise AslError(f"{FILE}: damaged or of another version; reinstall asl")
    rules = raw.get("rules")
    if not isinstance(rules, dict):
        raise AslError(f"{FILE}: damaged (it has no rules); reinstall asl")
    return rules


def prospects_of(model: str) -> PairProspects | None:
    """Return the rule for the cosines of a model, by its hash; None for a model without one."""
    return next((rule for rule in packaged_prospects().values() if rule.model == model), None)


def hopeless_text(pairs: int) -> str:
    """Say how many candidate pairs were skipped, and how to compare them."""
    what = counted(pairs, "candidate pair has", "candidate pairs have")
    return f"{what} too little in common to match: skipped (--compare all compares all)"
