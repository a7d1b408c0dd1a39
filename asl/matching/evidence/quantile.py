"""Quantile of many values, several times as fast as that of numpy."""

from __future__ import annotations

import numpy as np

from asl.types import F32


def quantile(values: F32, share: float) -> float:
    """Interpolate linearly between the two values next to a share of the sorted values.

    ``numpy.quantile`` selects several places at a time, for which numpy has no vectorised code.

    Args:
        values: float32 ``[N]``, N at least 1, without NaN.
        share: 0..1; 0.5 for the median.

    >>> import numpy as np
    >>> quantile(np.float32([4, 1, 3, 2]), 0.5)
    2.5
    """
    place = share * (len(values) - 1)
    below = int(place)
    ordered = np.partition(values, below)
    low = float(ordered[below])
    if below + 1 == len(values):
        return low
    return low + (float(ordered[below + 1 :].min()) - low) * (place - below)
