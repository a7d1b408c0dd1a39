"""Steps between extraction and search: whitening, then negative embedding subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from asl.scoring.negative_subtraction import average_neighbours, subtract_negatives
from asl.scoring.whitening import Whitening
from asl.types import BackgroundEmbeddings, Embeddings, UsageError

Role = TypeVar("Role", bound=Embeddings)
_NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class PostProcess:
    """Steps fitted on background images and applied to queries and references alike.

    Attributes:
        whitening: applied first; None: no whitening.
        negatives: background vectors, averaged with their neighbours, that are subtracted from
            features; None: no subtraction.
        weight: weight of the subtraction.
        background: the background after whitening, for score normalisation; None where there is
            none.
    """

    whitening: Whitening | None
    negatives: BackgroundEmbeddings | None
    weight: float
    background: BackgroundEmbeddings | None

    @classmethod
    def fit(
        cls, background: BackgroundEmbeddings | None, *, whiten: int = 0, negatives: float = 0.0
    ) -> PostProcess:
        """Fit on background images.

        Args:
            background: training images, never references.
            whiten: dimensions to whiten to; 0: no whitening.
            negatives: weight of negative embedding subtraction; 0: none.

        Raises:
            UsageError: a step is asked for and there is no background.
            AslError: the background is too small.

        >>> features = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.5, -1.0]]
        >>> background = BackgroundEmbeddings.from_features(["a", "b", "c", "d"], features)
        >>> steps = PostProcess.fit(background, whiten=2)
        >>> steps.apply(background).dim
        2
        """
        if not (whiten or negatives):
            return cls(None, None, 0.0, background)
        if background is None:
            raise UsageError(
                "whiten, negatives: are fitted on training images, got no background; "
                "give background=, or leave both out"
            )
        whitening = Whitening.fit(background, dim=whiten) if whiten else None
        background = whitening.apply(background) if whitening else background
        averaged = None
        if negatives:
            averaged = average_neighbours(background, neighbours=min(_NEIGHBOURS, len(background)))
        return cls(whitening, averaged, negatives, background)

    def apply(self, embeddings: Role) -> Role:
        """Apply all steps to queries or references ``[N, D]``."""
        if self.whitening is not None:
            embeddings = self.whitening.apply(embeddings)
        if self.negatives is not None:
            count = min(_NEIGHBOURS, len(self.negatives))
            embeddings = subtract_negatives(
                embeddings, self.negatives, weight=self.weight, neighbours=count
            )
        return embeddings
