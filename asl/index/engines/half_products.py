"""Exact inner products from 16-bit ones: a threshold finds candidates, float32 ranks them.

A 16-bit product with float32 sums takes a fraction of the time of a float32 one where the processor
has instructions for it. With q~ and r~ the rounded vectors and D additions in float32, the
Cauchy-Schwarz inequality bounds

    |q r - q~ r~| <= |q - q~| |r| + |q~| |r - r~| + 2 D 2^-23 |q~| |r~|

where the rounding errors |q - q~| and |r - r~| are measured, and the last term is doubled because
tensor cores truncate where processors round. The product v that arrives is rounded once more, by at
most u |v| (u is 2^-11 for float16, 2^-8 for bfloat16). So each v gives a lower and an upper bound
of its product. Whichever m references have been seen, the least of their lower bounds is a lower
bound of the m-th largest product of all; references whose upper bound is below it are left out for
good, and all others are ranked by float32 products. One pass over the references gives complete
lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_GROUPS = (128, 32, 8)  # columns whose maximum stands for them, most first
_HITS_AT_ONCE = 2**22  # candidates, or products of groups with candidates, that are held at once
_RANKED_AT_ONCE = 2**20  # numbers of vectors that are gathered for float32 products at once
_NORM_SLACK = 1 + 1e-5  # norms and bounds are computed in float32


def rounded(vectors: Any, dtype: Any) -> tuple[Any, Any]:
    """Round vectors to 16 bits, and bound what they lose.

    Args:
        vectors: float32 tensor ``[N, D]``.
        dtype: torch's ``float16`` or ``bfloat16``.

    Returns:
        16-bit ``[N, D']``, D' the next multiple of 8 (others are slower), with zeros after D; and
        float32 ``[N]``, at least the norm of each row's rounding error.

    >>> import torch
    >>> small, lost = rounded(torch.tensor([[1 / 3, 0.5]]), torch.float16)
    >>> small.shape, bool(0 < lost < 2.0**-11 / 3)
    (torch.Size([1, 8]), True)
    """
    from torch.nn.functional import pad

    small = vectors.to(dtype)
    lost = (vectors - small.float()).norm(dim=1) * _NORM_SLACK
    return pad(small, (0, -vectors.shape[1] % 8)), lost


def largest(values: Any) -> Any:
    """Return the largest 16-bit floats along the last dimension.

    As integers, which processors compare in a fraction of the time: the bits of floats that are not
    negative are in the order of their values.

    >>> import torch
    >>> values = torch.tensor([[-1.0, 0.5], [-2.0, -3.0]], dtype=torch.bfloat16)
    >>> largest(values).tolist()
    [0.5, -2.0]
    """
    import torch

    found = values.view(torch.int16).amax(dim=-1).view(values.dtype)
    negative = found.view(torch.int16) < 0
    if bool(negative.any()):
        found[negative] = values[negative].amax(dim=-1)
    return found


class HalfProducts:
    """One search: the m largest inner products of queries with references that come in tiles.

    >>> import torch
    >>> references, query = torch.eye(3), torch.tensor([[0.8, 0.6, 0.0]])
    >>> search = HalfProducts(query, torch.float16, references.__getitem__, 2)
    >>> small, lost = rounded(references, torch.float16)
    >>> search.add(0, small, 1.0, lost.max())
    >>> search.result()[1].tolist()
    [[0, 1]]
    """

    def __init__(
        self,
        queries: Any,
        dtype: Any,
        fetch: Callable[[Any], Any],
        m: int,
        *,
        block: int = 1024,
    ) -> None:
        """Prepare a search; then give each reference to :meth:`add` once.

        Args:
            queries: float32 tensor ``[Q, D]``.
            dtype: torch's ``float16`` or ``bfloat16``.
            fetch: returns the float32 vectors of some references, by an int64 tensor of rows.
            m: list length, at most R.
            block: queries that are multiplied with a tile at once.
        """
        import torch

        self._torch = torch
        self._queries = queries
        self._fetch = fetch
        self._m = m
        self._block = block
        self._small, self._lost = rounded(queries, dtype)
        # Of a value that is rounded already, with the rounding of the bounds themselves.
        self._unit = torch.finfo(dtype).eps / 2 * (1 + 2.0**-6) + 2.0**-21
        self._norms = self._small.float().norm(dim=1) * _NORM_SLACK
        device = queries.device
        # Lower bounds of m distinct references each, descending: the last one is that of the list.
        self._lower = torch.full((len(queries), m), -torch.inf, device=device)
        self._bound = torch.full((len(queries),), -torch.inf, device=device)
        self._pending: list[tuple[Any, Any, Any]] = []  # queries, rows, upper bounds
        self._pending_count = 0
        none = torch.empty(0, dtype=torch.int64, device=device)
        self._ranked = (none, none, torch.empty(0, device=device))  # queries, rows, products

    def add(self, low: int, tile: Any, norm: Any, lost: Any) -> None:
        """Search the references low, low + 1, ...

        Args:
            low: row of the tile's first reference.
            tile: their vectors as :func:`rounded` gives them, ``[W, D']``.
            norm: largest norm of one of them before it was rounded.
            lost: largest norm of what one of them lost.
        """
        error = self.margin(norm, lost)
        group = next((g for g in _GROUPS if len(tile) // g >= 4 * self._m), 1)
        whole = len(tile) - len(tile) % group
        for part, size in ((tile[:whole], group), (tile[whole:], 1)):
            for start in range(0, len(self._queries) if len(part) else 0, self._block):
                block = slice(start, min(start + self._block, len(self._queries)))
                products = (self._small[block] @ part.T).unflatten(1, (-1, size))
                self._add_products(block, products, low, error[block, None])
            low += len(part)

    def margin(self, norm: Any, lost: Any) -> Any:
        """Return float32 ``[Q]``, the largest error of products before they are rounded.

        Args:
            norm: largest norm of a reference.
            lost: largest norm of what a reference lost.
        """
        sums = 2 * self._queries.shape[1] * 2.0**-23 * self._norms * (norm + lost)
        return (self._lost * norm + self._norms * lost + sums) * _NORM_SLACK**2 + 1e-30

    def result(self) -> tuple[Any, Any]:
        """Return float32 ``[Q, m]`` products, descending, and int64 ``[Q, m]`` rows."""
        self._rank()
        _, rows, products = self._ranked  # m of each query, by query
        return products.view(-1, self._m), rows.view(-1, self._m)

    def _add_products(self, block: slice, products: Any, low: int, error: Any) -> None:
        """Keep what can be in a list of a block of queries.

        Args:
            block: rows of the queries.
            products: 16-bit ``[Q', W / G, G]``: groups of G neighbouring references.
            low: row of the first reference.
            error: float32 ``[Q', 1]``.
        """
        torch = self._torch
        maxima = largest(products).float()
        slack = self._unit * maxima.abs() + error
        together = torch.cat([self._lower[block], maxima - slack], dim=1)
        self._lower[block] = together.topk(self._m, dim=1).values
        bound = self._bound[block]  # a view
        torch.maximum(bound, self._lower[block, -1], out=bound)
        hits = (maxima + slack >= bound[:, None]).nonzero()
        for part in hits.split(max(1, _HITS_AT_ONCE // products.shape[2])):
            query, group = part[:, 0], part[:, 1]
            values = products[query, group].float()
            upper = values + self._unit * values.abs() + error[query]
            inside = (upper >= bound[query, None]).nonzero()
            found, place = inside[:, 0], inside[:, 1]
            rows = low + group[found] * products.shape[2] + place
            self._pending.append((query[found] + block.start, rows, upper[found, place]))
            self._pending_count += len(rows)
            if self._pending_count > _HITS_AT_ONCE:
                self._rank()

    def _rank(self) -> None:
        """Rank what is pending by float32 products; keep the m best of each query."""
        torch = self._torch
        if not self._pending:
            return
        queries, rows, upper = (torch.cat(part) for part in zip(*self._pending, strict=True))
        self._pending, self._pending_count = [], 0
        keep = upper >= self._bound[queries]  # which rose while candidates were found
        queries, rows = queries[keep], rows[keep]
        parts = zip(self._ranked, (queries, rows, self._products(queries, rows)), strict=True)
        queries, rows, products = (torch.cat(part) for part in parts)
        order = products.argsort(descending=True, stable=True)
        order = order[queries[order].argsort(stable=True)]
        queries, rows, products = (part[order] for part in (queries, rows, products))
        everyone = torch.arange(len(self._queries), device=queries.device)
        places = torch.arange(len(queries), device=queries.device)
        rank = places - torch.searchsorted(queries, everyone)[queries]
        last = rank == self._m - 1
        full, least = queries[last], products[last]
        dim = self._queries.shape[1]
        error = 2 * dim * 2.0**-23 * self._queries[full].norm(dim=1)
        error = error * self._fetch(rows[last]).norm(dim=1) * _NORM_SLACK
        self._bound[full] = torch.maximum(self._bound[full], least - error)
        keep = rank < self._m
        self._ranked = (queries[keep], rows[keep], products[keep])

    def _products(self, queries: Any, rows: Any) -> Any:
        """Return the float32 products of pairs.

        No matrix product: a training process may have set those to 10 bits
        (set_float32_matmul_precision).
        """
        products = self._torch.empty(len(rows), device=rows.device)
        step = max(1, _RANKED_AT_ONCE // self._queries.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            references = self._fetch(rows[part])
            products[part] = (self._queries[queries[part]] * references).sum(dim=1)
        return products
