"""Engine protocol: exact top-m inner-product search. Directional scoring is built on top."""

from __future__ import annotations

from typing import Protocol

from asl.types import F32, I64

# Largest difference between an engine's float32 inner product of unit vectors and the float64 one:
# sums of a few thousand products of float32 stay well below it.
ROUNDING = 4e-6

# Cost of starting one more list entry in FAISS, in multiplications: measured on two cores.
LIST_ENTRY_COST = 12_800


class HeldReferences(Protocol):
    """References that an engine keeps on its own device, in the order they were given in."""

    @property
    def borders(self) -> I64 | None:
        """Rows at which a searched range may begin or end, from 0 to R; None: at any row."""
        ...

    def top(self, queries: F32, m: int, *, low: int, high: int) -> tuple[F32, I64]:
        """Search the held rows low..high-1.

        Args:
            queries: float32 ``[Q, D]`` contiguous.
            m: neighbours per query, at most high - low.
            low: first row, one of :attr:`borders`.
            high: row after the last one, one of :attr:`borders`.

        Returns:
            float32 ``[Q, m]`` inner products, descending, and int64 ``[Q, m]`` rows counted from
            ``low``.
        """
        ...


class Engine(Protocol):
    """Inner-product search over fixed vectors.

    Attributes:
        name: for people and result files, with the device (``faiss (CPU)``).
        rounding: largest error of a returned inner product of unit vectors.
        exact: no member of the top m is ever missing; otherwise no list can be certified.
        list_entry_cost: cost of starting one more entry of a list, in its own multiplications; the
            dearer it is, the fewer strips the references are cut into.
        on_device: references are copied to a device of the engine's own before they are searched,
            and :meth:`hold` keeps them there.
    """

    name: str
    rounding: float
    exact: bool
    list_entry_cost: int
    on_device: bool

    def hold(self, references: F32, order: I64 | None = None) -> HeldReferences | None:
        """Copy references to the engine's device once, for all searches while the array lives.

        Args:
            references: float32 ``[R, D]`` contiguous; must not be written to while it is held.
            order: int64 ``[R]`` rows in the order in which they are held; None: as they are.

        Returns:
            The held references; None where the engine reads them in place or the device has no room
            for them.
        """
        ...

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Find the m references with the largest inner products.

        Args:
            queries: float32 ``[Q, D]`` contiguous.
            references: float32 ``[R, D]`` contiguous, R >= m >= 1.
            m: neighbours per query.

        Returns:
            float32 ``[Q, m]`` inner products, descending, and int64 ``[Q, m]`` rows of the
            references.
        """
        ...
