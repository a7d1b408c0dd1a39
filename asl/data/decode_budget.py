"""Decode within a budget: cheap pictures here, the others in a process that can be ended."""

from __future__ import annotations

import os

from asl.data.endable_process import Budget, EndablePool, OutOfBudgetError, Parts, Task
from asl.data.images import ImageError
from asl.data.picture_bounds import examined
from asl.data.pixel_gate import IN_FLIGHT
from asl.types import AslError

SECONDS = 8.0  # of processor time for 50 megapixels
# Of the decoding process: Pillow's 4, the result's 3, and some in between; 460 MB for 50
# megapixels, so that an upload of 32 MB stays within 500.
BYTES_PER_PIXEL = 9.2
_LEAST_SECONDS = 5.0
_LEAST_BYTES = 300 * 2**20
_POOL = EndablePool(os.cpu_count() or 1)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def within_budget(task: Task, data: bytes, *, max_pixels: int, isolate: bool = False) -> Parts:
    """Decode a picture by ``task`` within a budget of time and memory.

    A picture whose structure proves that it is cheap is decoded in this thread, any other one in a
    process of its own that is ended where it takes too much.

    Args:
        task: encoded bytes -> text and arrays; picklable.
        data: the encoded bytes.
        max_pixels: largest picture, which sets the budget.
        isolate: use the process for cheap pictures, too.

    Raises:
        ImageError: no usable image, or too costly.
    """
    with (
        examined(data) as bounds,
        IN_FLIGHT.hold(min(bounds.pixels or max_pixels, max_pixels)),
    ):
        if bounds.excess or (bounds.cheap and not isolate):
            return task(data)
        budget = budget_for(max_pixels)
        if max_pixels >= bounds.pixels and not bounds.halves and bounds.memory > budget.memory:
            raise ImageError(f"too costly: {budget.memory_reason}")
        try:
            return _POOL.run(task, data, budget)
        except OutOfBudgetError as error:
            raise ImageError(f"too costly: {error}") from error
        except AslError as error:
            raise ImageError(str(error)) from error


def budget_for(max_pixels: int) -> Budget:
    """Return the limits of one picture: 8 s and 460 MB for 50 megapixels."""
    return Budget(
        seconds=max(_LEAST_SECONDS, SECONDS * max_pixels / 50e6),
        memory=max(_LEAST_BYTES, round(BYTES_PER_PIXEL * max_pixels)),
    )


def keep_warm(processes: int) -> None:
    """Start processes before the first picture needs one."""
    _POOL.warm(min(processes, os.cpu_count() or 1))
