"""What is done to features between extraction and search: whitening, then negative embedding subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from asl.scoring.negative_subtraction import average_neighbours, subtract_negatives
from asl.scoring.whitening import Whitening
from asl.types import BackgroundEmbeddings, Embeddings, UsageError

Some = TypeVar("Some", bound=Embeddings)


@dataclass(frozen=True, eq=False)
class PostProcess:
    """Steps that were fitted on background images and are applied to queries and references alike.

    Attributes:
        whitening: applied first; None: not at all.
        negatives: background vectors, averaged with their neighbours, that features are freed of;
            None: not at all.
        weight: of the subtraction.
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
            AslError: there is too little of it.
        """
        if not (whiten or negatives):
            return cls(None, None, 0.0, background)
        if background is None:
            raise UsageError(
                "whiten, negatives: are fitted on training images (a background), and there are none"
            )
        whitening = Whitening.fit(background, dim=whiten) if whiten else None
        background = whitening.apply(background) if whitening else background
        near = (
            average_neighbours(background, neighbours=min(10, len(background)))
            if negatives
            else None
        )
        return cls(whitening, near, negatives, background)

    def apply(self, embeddings: Some) -> Some:
        """The embeddings after all steps."""
        if self.whitening is not None:
            embeddings = self.whitening.apply(embeddings)
        if self.negatives is not None:
            count = min(10, len(self.negatives))
            embeddings = subtract_negatives(
                embeddings, self.negatives, weight=self.weight, neighbours=count
            )
        return embeddings
