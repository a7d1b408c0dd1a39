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

A score may add to the product of a pair a gain that never rises with the reference's row, such as a
penalty by norms where references are sorted by them. Of a group of neighbouring references, the
first then has the largest gain and the last the least, which bound the scores of the whole group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_GROUPS = (128, 32, 8)  # references whose maximum stands for them, most first
_PART = 32  # references of a group whose maximum is compared before they are
_HITS_AT_ONCE = 2**22  # candidates, or products of groups with candidates, that are held at once
_RANKED_AT_ONCE = 2**20  # numbers of vectors that are gathered for float32 products at once
_LOOSE = 4  # candidates per place of a list from which their own lower bounds are compared first
_NORM_SLACK = 1 + 1e-5  # norms and bounds are computed in float32

# float64 gains of pairs, by rows of queries and of references (int64 tensors that broadcast)
Gain = Callable[[Any, Any], Any]


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
    small = vectors.to(dtype)
    lost = (vectors - small.float()).norm(dim=1) * _NORM_SLACK
    return padded(small), lost


def padded(small: Any) -> Any:
    """Return 16-bit vectors with zeros up to the next multiple of 8 dimensions."""
    from torch.nn.functional import pad

    missing = -small.shape[1] % 8
    return pad(small, (0, missing)) if missing else small


def largest(values: Any) -> Any:
    """Return the largest 16-bit floats along the last dimension but one.

    As integers, which processors compare in a fraction of the time: the bits of floats that are not
    negative are in the order of their values.

    >>> import torch
    >>> values = torch.tensor([[-1.0, -2.0], [0.5, -3.0]], dtype=torch.bfloat16)
    >>> largest(values).tolist()
    [0.5, -2.0]
    """
    import torch

    found = values.view(torch.int16).amax(dim=-2).view(values.dtype)
    negative = found.view(torch.int16) < 0
    if bool(negative.any()):
        found[negative] = values.transpose(-1, -2)[negative].amax(dim=-1)
    return found


class HalfProducts:
    """One search: the m best references of each query, of references that come in tiles.

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
        gain: Gain | None = None,
    ) -> None:
        """Prepare a search; then give each reference to :meth:`add` once.

        Args:
            queries: float32 tensor ``[Q, D]``.
            dtype: torch's ``float16`` or ``bfloat16``.
            fetch: returns the float32 vectors of some references, by an int64 tensor of rows.
            m: list length, at most R.
            block: queries that are multiplied with a tile at once.
            gain: added to the product of a pair, never rising with the reference's row; -inf leaves
                the pair out. None: nothing is added.
        """
        import torch

        self._torch = torch
        self._queries = queries
        self._fetch = fetch
        self._m = m
        self._block = block
        self._gain = gain
        self._small, self._lost = rounded(queries, dtype)
        # Of a value that is rounded already, with the rounding of the bounds themselves.
        self._unit = torch.finfo(dtype).eps / 2 * (1 + 2.0**-6) + 2.0**-21
        self._norms = self._small.float().norm(dim=1) * _NORM_SLACK
        device = queries.device
        self._everyone = torch.arange(len(queries), device=device)
        # Lower bounds of m distinct references each, descending: the last one is that of the list.
        self._lower = torch.full((len(queries), m), -torch.inf, device=device)
        # Finite, so that a score of -inf never reaches it.
        least = torch.finfo(torch.float32).min
        self._bound = torch.full((len(queries),), least, device=device)
        self._seen = 0  # references
        # Queries, rows, lower and upper bounds of candidates.
        self._pending: list[tuple[Any, Any, Any, Any]] = []
        self._pending_count = 0
        none = torch.empty(0, dtype=torch.int64, device=device)
        self._ranked = (none, none, torch.empty(0, device=device))  # queries, rows, scores

    def add(self, low: int, tile: Any, norm: Any, lost: Any) -> None:
        """Search the references low, low + 1, ...

        Args:
            low: row of the tile's first reference.
            tile: their vectors as :func:`rounded` gives them, ``[W, D']``.
            norm: largest norm of one of them before it was rounded.
            lost: largest norm of what one of them lost.
        """
        queries, error, narrow = self._reached(low, low + len(tile) - 1, norm, lost)
        self._seen += len(tile)
        group = next((g for g in _GROUPS if self._seen // g >= 4 * self._m), 1)
        whole = len(tile) - len(tile) % group
        for part, size in ((tile[:whole], group), (tile[whole:], 1)):
            for block in queries.split(self._block) if len(part) else ():
                products = part @ self._small[block].T
                step = len(part) if narrow else size
                self._add_products(block, products, size, low, error[block, None], step)
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
        """Return float32 ``[Q, m]`` scores, descending, and int64 ``[Q, m]`` rows.

        Where gains leave a query fewer than m references, -inf and -1 follow them.
        """
        self._rank()
        queries, rows, scores = self._ranked
        shape, device = (len(self._queries), self._m), rows.device
        all_scores = self._torch.full(shape, -self._torch.inf, device=device)
        all_rows = self._torch.full(shape, -1, dtype=rows.dtype, device=device)
        places = self._places(queries)
        all_scores[queries, places], all_rows[queries, places] = scores, rows
        return all_scores, all_rows

    def _reached(self, low: int, last: int, norm: Any, lost: Any) -> tuple[Any, Any, bool]:
        """Bound what a tile can change, by its first and last row.

        Returns:
            int64 queries whose lists it can change, float32 ``[Q]`` errors, and True where gains
            differ less within the tile than products err.
        """
        error = self.margin(norm, lost)
        if self._gain is None:
            return self._everyone, error, True
        ends = self._gain(self._everyone[:, None], self._everyone.new_tensor([low, last]))
        most = (self._norms + self._lost) * norm * _NORM_SLACK + error + ends[:, 0].float()
        queries = (most >= self._bound).nonzero()[:, 0]
        finite = self._torch.where(ends.isfinite(), ends, ends[:, :1]).nan_to_num(neginf=0.0)
        narrow = bool((finite[:, 0] - finite[:, 1] <= error).all())
        # Gains are rounded to float32, and so are their sums.
        return queries, error + 2.0**-21 * finite.abs().amax(dim=1).float(), narrow

    def _add_products(
        self, block: Any, products: Any, size: int, low: int, error: Any, step: int
    ) -> None:
        """Keep what can be in a list of a block of queries.

        Args:
            block: int64 ``[Q']`` queries.
            products: 16-bit ``[W, Q']``.
            size: references in a group of neighbours, which divides W.
            low: row of the first reference.
            error: float32 ``[Q', 1]``.
            step: references whose gains are bounded together, ``size`` or W.
        """
        torch = self._torch
        rows = low + torch.arange(0, len(products), step, device=block.device)
        products = products.unflatten(0, (-1, min(size, _PART)))
        parts = largest(products).unflatten(0, (-1, max(1, size // _PART)))
        maxima = largest(parts).T.contiguous().float()
        rounding = self._unit * maxima.abs() + error
        lower, upper = maxima - rounding, maxima + rounding
        # Rounded, a product has to reach this for its pair to be a candidate.
        needed = -error
        if self._gain is not None:
            highest = self._gain(block[:, None], rows).float()
            upper += highest
            lower += self._gain(block[:, None], rows + (step - 1)).float()
            needed = needed - highest
        bound = self._merge_lower(block, lower)
        hits = (upper >= bound[:, None]).nonzero()
        needed = needed + bound[:, None]
        needed = torch.minimum(needed / (1 + self._unit), needed / (1 - self._unit))
        needed = needed.expand_as(upper)
        for some in hits.split(max(1, _HITS_AT_ONCE // size)):
            query, group = some[:, 0], some[:, 1]
            least = needed[query, group, None]
            found, part = (parts[group, :, query] >= least).nonzero().T
            query, least = query[found], least[found]
            part += group[found] * parts.shape[1]
            values = products[part, :, query]
            found, place = (values >= least).nonzero().T
            rows, query = low + part[found] * products.shape[1] + place, query[found]
            values = values[found, place].float()
            self._add_candidates(block[query], rows, values, error[query, 0])

    def _merge_lower(self, block: Any, lower: Any) -> Any:
        """Merge lower bounds ``[Q', n]`` of distinct references; return those of the lists."""
        torch = self._torch
        raised = (lower > self._lower[block, -1:]).any(dim=1).nonzero()[:, 0]
        queries = block[raised]
        together = torch.cat([self._lower[queries], lower[raised]], dim=1)
        best = self._lower[queries] = together.topk(self._m, dim=1).values
        self._raise_bound(queries, best[:, -1])
        return self._bound[block]

    def _add_candidates(self, queries: Any, rows: Any, values: Any, error: Any) -> None:
        """Keep pairs that can be in a list for float32 products; all arguments are ``[P]``."""
        rounding = self._unit * values.abs() + error
        if self._gain is not None:
            values = values + self._gain(queries, rows).float()
        upper = values + rounding
        keep = upper >= self._bound[queries]
        candidates = queries[keep], rows[keep], (values - rounding)[keep], upper[keep]
        self._pending.append(candidates)
        self._pending_count += len(candidates[0])
        if self._pending_count > _HITS_AT_ONCE:
            self._rank()

    def _rank(self) -> None:
        """Rank what is pending by float32 scores; keep the m best of each query."""
        torch = self._torch
        if not self._pending:
            return
        queries, rows, lower, upper = (torch.cat(part) for part in zip(*self._pending, strict=True))
        self._pending, self._pending_count = [], 0
        keep = upper >= self._bound[queries]  # which rose while candidates were found
        if int(keep.sum()) > _LOOSE * self._lower.numel():  # near-duplicates in one group
            queries, rows, lower, upper = (part[keep] for part in (queries, rows, lower, upper))
            order = self._order(queries, lower)
            last = order[self._places(queries[order]) == self._m - 1]
            self._raise_bound(queries[last], lower[last])
            keep = upper >= self._bound[queries]
        queries, rows = queries[keep], rows[keep]
        parts = zip(self._ranked, (queries, rows, self._scores(queries, rows)), strict=True)
        queries, rows, scores = (torch.cat(part) for part in parts)
        order = self._order(queries, scores)
        queries, rows, scores = (part[order] for part in (queries, rows, scores))
        places = self._places(queries)
        last = places == self._m - 1
        full, least = queries[last], scores[last]
        dim = self._queries.shape[1]
        error = 2 * dim * 2.0**-23 * self._queries[full].norm(dim=1)
        error = error * self._fetch(rows[last]).norm(dim=1) * _NORM_SLACK
        self._raise_bound(full, least - error - 2.0**-22 * least.abs())
        keep = places < self._m
        self._ranked = (queries[keep], rows[keep], scores[keep])

    def _order(self, queries: Any, scores: Any) -> Any:
        """Return the order of pairs by query, then by falling score."""
        order = scores.argsort(descending=True, stable=True)
        return order[queries[order].argsort(stable=True)]

    def _places(self, queries: Any) -> Any:
        """Return the places of pairs that are ordered by query, each within its query's."""
        places = self._torch.arange(len(queries), device=queries.device)
        return places - self._torch.searchsorted(queries, self._everyone)[queries]

    def _raise_bound(self, queries: Any, lower: Any) -> None:
        """Raise the bounds of some queries, each once."""
        self._bound[queries] = self._torch.maximum(self._bound[queries], lower)

    def _scores(self, queries: Any, rows: Any) -> Any:
        """Return the float32 scores of pairs.

        No matrix product: a training process may have set those to 10 bits
        (set_float32_matmul_precision).
        """
        scores = self._torch.empty(len(rows), device=rows.device)
        step = max(1, _RANKED_AT_ONCE // self._queries.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            references = self._fetch(rows[part])
            scores[part] = (self._queries[queries[part]] * references).sum(dim=1)
        if self._gain is not None:
            scores += self._gain(queries, rows)
        return scores
