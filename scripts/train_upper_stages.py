"""Fine-tune the later stages of a packaged model on cached views of photographs.

  python scripts/train_upper_stages.py PHOTOS [PHOTOS ...] --cache CACHE --output MODEL.safetensors

1. Edited views are made once, as the output of the first stages (scripts/cached_views.py).
2. The neck starts as a closed form: square roots, whitened by how the views of one photograph
   scatter around their mean, then the first principal components of the whole.
3. Later stages and neck are trained: each view finds its original among all of them, pairs of
   views stand above one common limit (scripts/view_losses.py), and KoLeo spreads the embeddings.
   Half of a batch are photographs that look alike; those that may be the same photograph are no
   negatives of each other. The result is the average of the last steps, mixed with the start
   (--mix): what was learned of strong edits is kept, and of mild ones nothing is lost (Wortsman
   et al., CVPR 2022).

A kill loses five minutes: the same command goes on. The norm head is trained afterwards
(scripts/train_norm_head.py), and scripts/ship_model.py calibrates the scores.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from cached_views import SHARES, CachedViews, Photos, ViewOptions, cache_views, check_same
from pair_whitening import WhitenedNeck, pair_whitening
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch.nn import functional as F
from view_losses import nce_of_originals, pooled_nce

from asl.losses.contrastive import KoLeo
from asl.losses.loss_inputs import LossInputs
from asl.models import Embedder, load_embedder, save_embedder
from asl.models.assemble import assemble, create_backbone
from asl.models.recipe import Preprocessing, Recipe
from asl.storage import atomic_path
from asl.training.schedule import WarmupCosine
from asl.types import AslError

NEIGHBOURS = 10  # look-alikes of a photograph
GROUP = 4  # photographs that look alike, side by side in a batch
HELD_OUT = 11  # every so many-th photograph is never trained on
SAVE_EVERY, SAY_EVERY = 100, 20  # steps; the originals are embedded anew with each save
RESUMED = ("steps", "sources", "each", "lr", "temperature", "pooled", "koleo", "dim", "seed")
Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]


class LaterStages(nn.Module):
    """What follows the cached stages: maps -> pooled features -> embedding."""

    def __init__(self, embedder: Embedder, stages: int) -> None:
        super().__init__()
        self.embedder = embedder
        self._stages = stages

    def pooled(self, maps: Tensor) -> Tensor:
        """Pool ``[B, C, h, w]`` to ``[B, 1280]``."""
        network: Any = self.embedder.backbone
        for stage in network.blocks[self._stages :]:
            maps = stage(maps)
        features: Tensor = self.embedder.pool(network.bn2(network.conv_head(maps)))  # type: ignore[misc]
        return features

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``[B, D]``, un-normalised."""
        result: Tensor = self.embedder.neck(self.pooled(maps))
        return result

    def trained(self) -> list[nn.Parameter]:
        """List the weights of the later stages and of the neck's last layer."""
        network: Any = self.embedder.backbone
        neck: Any = self.embedder.neck
        parts = [*network.blocks[self._stages :], network.conv_head, network.bn2, neck.turn]
        return [weight for part in parts for weight in part.parameters()]


def with_linear_neck(start: Embedder, dim: int) -> Embedder:
    """Copy an embedder, with a new neck of ``dim`` dimensions and without a norm head."""
    plan = Recipe(
        start.recipe.backbone,
        dict(start.recipe.options),
        p=start.recipe.p,
        neck="sqrt_linear",
        dim=dim,
    )
    pixels: Preprocessing = replace(start.preprocessing, resampling="linear")  # of the views
    embedder = assemble(create_backbone(plan), plan, pixels)
    state = {k: v for k, v in start.state_dict().items() if not k.startswith("neck.")}
    embedder.load_state_dict(state, strict=False)
    return embedder


@torch.inference_mode()
def apply(network: Any, cache: CachedViews, rows: Rows, views: Rows) -> Matrix:
    """Apply a function of maps to a view of each row."""
    parts = [
        network(cache.batch(rows[at : at + 128], views[at : at + 128]))
        for at in range(0, len(rows), 128)
    ]
    result: Matrix = torch.cat(parts).numpy()
    return result


@dataclass(frozen=True, eq=False)
class LookAlikes:
    """Photographs that look alike, by the embedding that the training starts from.

    Attributes:
        nearest: int64 ``[N, 10]`` of each photograph, in any order.
        groups: int64 ``[N]``; photographs of one group may be one photograph.
    """

    nearest: Rows
    groups: Rows

    @classmethod
    def find(cls, unit: Matrix) -> LookAlikes:
        """Find them among unit vectors ``[N, D]``; one in thirty counts as a duplicate."""
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -1)
        nearest = np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        limit = max(0.8, float(np.quantile(cosine.max(axis=1), 0.97)))
        _, groups = connected_components(csr_matrix(cosine > limit), directed=False)
        print(f"photographs with a cosine above {limit:.3f} may be one", flush=True)
        return cls(nearest.astype(np.int64), groups.astype(np.int64))


def draw_rows(rng: np.random.Generator, pool: Rows, alike: LookAlikes, count: int) -> list[int]:
    """Draw the photographs of a batch, half of them in groups of look-alikes."""
    usable, chosen = set(pool.tolist()), dict[int, None]()
    while len(chosen) < count // 2:
        first = int(rng.choice(pool))
        others = [int(row) for row in rng.permutation(alike.nearest[first]) if int(row) in usable]
        chosen |= dict.fromkeys([first, *others[: GROUP - 1]])
    while len(chosen) < count:
        chosen[int(rng.choice(pool))] = None
    return list(chosen)[:count]


def draw_views(
    rng: np.random.Generator, rows: list[int], known: int, views: int
) -> tuple[Rows, Rows]:
    """Draw the original and ``views - 1`` edited views of each photograph."""
    edited = [1 + rng.permutation(known - 1)[: views - 1] for _ in rows]
    return np.repeat(rows, views), np.concatenate([np.r_[0, part] for part in edited])


@torch.inference_mode()
def recall(network: LaterStages, cache: CachedViews, held: Rows) -> dict[str, float]:
    """Search for views of held-out photographs among all originals."""
    views = np.array([view for view in (1, 4, 7, 10, 13) if view < cache.maps.shape[1]])
    rows = np.repeat(held, len(views))

    def unit(rows: Rows, views: Rows) -> Matrix:
        return apply(lambda maps: F.normalize(network(maps)), cache, rows, views)

    everything = np.arange(len(cache.maps))
    cosine = unit(rows, np.tile(views, len(held))) @ unit(everything, everything * 0).T
    own = cosine[np.arange(len(rows)), rows]
    rank = (cosine > own[:, None]).sum(axis=1)
    cosine[np.arange(len(rows)), rows] = -1
    other = np.quantile(cosine.max(axis=1), 0.98)
    return {
        "R@1": float((rank < 1).mean()),
        "R@10": float((rank < 10).mean()),
        "above 98 % of the others": float((own > other).mean()),
    }


def embed_originals(network: LaterStages, cache: CachedViews, rows: Rows) -> Matrix:
    """Return the unit embeddings of un-edited photographs, ``[N, D]``."""
    return apply(lambda maps: F.normalize(network(maps)), cache, rows, rows * 0)


class Training:
    """The state of a training: network, average, optimiser."""

    def __init__(self, network: LaterStages, average: LaterStages, options: argparse.Namespace):
        self.network, self.average = network.train(), average
        self.step = 0
        self.options = {name: getattr(options, name) for name in RESUMED}
        self.koleo = KoLeo()
        weights = network.trained()
        groups = [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": 1e-4},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99))
        self.schedule = WarmupCosine(warmup=0.04, final=0.01, flat=0.0).attach(
            self.optimizer, steps=options.steps
        )

    def advance(self, maps: Tensor, rows: Tensor, bank: Tensor, groups: Tensor) -> list[float]:
        """Take a step on maps of views; return the three losses.

        Args:
            maps: float32 ``[B, C, h, w]``.
            rows: int64 ``[B]`` rows of their photographs in the bank.
            bank: float32 ``[N, D]`` unit rows of all originals.
            groups: int64 ``[N]``; photographs of one group may be one photograph.
        """
        features = self.network(maps)
        unit, t = F.normalize(features), self.options["temperature"]
        losses = [
            nce_of_originals(unit, rows, bank, groups, temperature=t),
            pooled_nce(unit, rows, groups[rows], temperature=t),
            self.koleo(LossInputs(features=features, source=rows, groups=groups)),
        ]
        loss = losses[0] + self.options["pooled"] * losses[1] + self.options["koleo"] * losses[2]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.trained(), 5.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        decay = min(0.995, 1 - 1 / (self.step + 1))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                mean = self.average.state_dict()[name]
                mean.lerp_(value, 1 - decay) if value.is_floating_point() else mean.copy_(value)
        return [float(part.detach()) for part in losses]

    def state(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        return {
            "options": self.options,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, path: Path) -> None:
        """Go on from a file of :meth:`state`.

        Raises:
            AslError: it was written with other options.
        """
        state = torch.load(path, weights_only=True)
        check_same(path, state.get("options", {}), self.options)
        self.step = state["step"]
        for name in ("network", "average", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--start", default="asl_lite0", help="model that the training starts from")
    parser.add_argument("--edits", default="strong", choices=SHARES, help="mixture of edits")
    parser.add_argument("--views", type=int, default=16, help="cached views of each photograph")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--stages", type=int, default=3, help="first stages that stay as they are")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--sources", type=int, default=40, help="photographs of a batch")
    parser.add_argument("--each", type=int, default=4, help="views of each photograph in a batch")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--temperature", type=float, default=0.03)
    parser.add_argument("--pooled", type=float, default=0.5, help="weight of the common limit")
    parser.add_argument("--koleo", type=float, default=1.0)
    parser.add_argument("--mix", type=float, default=0.7, help="share of what was trained")
    parser.add_argument("--views-seed", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        run(options)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def open_cache(options: argparse.Namespace) -> CachedViews:
    """Open the cache, or make it.

    Raises:
        AslError: it was made otherwise, or there are too few photographs for a batch.
    """
    count = len(Photos.open(options.photos))
    trained = sum(row % HELD_OUT != 0 for row in range(count))
    least = max(options.sources, NEIGHBOURS + 1)
    if trained < least:
        raise AslError(
            f"--sources: a batch needs {least} photographs to draw from, {trained} are there "
            f"(one in {HELD_OUT} is held out); name more photographs or ask for fewer sources"
        )
    made = ViewOptions(
        model=options.start,
        edits=options.edits,
        views=options.views,
        size=options.size,
        seed=options.views_seed,
        stages=options.stages,
    )
    return cache_views(options.photos, options.cache, made, workers=options.workers)


def started(options: argparse.Namespace, cache: CachedViews, pool: Rows) -> LaterStages:
    """Build the network, its neck a whitening of views of the photographs trained on."""
    embedder = with_linear_neck(load_embedder(options.start), options.dim).eval()
    embedder.neck = neck = WhitenedNeck(1280, options.dim)
    network = LaterStages(embedder, options.stages).to(memory_format=torch.channels_last)
    rng = np.random.default_rng(options.seed)
    known = cache.maps.shape[1]
    rows, views = draw_views(rng, rng.permutation(pool)[:1500].tolist(), known, min(8, known))
    roots = apply(lambda maps: neck.white.root(network.pooled(maps)), cache, rows, views)
    weight, bias = pair_whitening(roots, rows, options.dim)
    with torch.no_grad():
        neck.white.linear.weight.copy_(torch.from_numpy(weight))
        neck.white.linear.bias.copy_(torch.from_numpy(bias))
    for part in embedder.parameters():
        part.requires_grad_(False)
    for part in network.trained():
        part.requires_grad_(True)
    return network


def batches(
    options: argparse.Namespace, cache: CachedViews, pool: Rows, alike: LookAlikes
) -> Iterator[tuple[Rows, Rows]]:
    """Draw the batches of a training, the same in a resumed one."""
    rng = np.random.default_rng([options.seed, 1])
    while True:
        rows = draw_rows(rng, pool, alike, options.sources)
        yield draw_views(rng, rows, cache.maps.shape[1], options.each)


def run(options: argparse.Namespace) -> None:
    """Make the views, train, save."""
    torch.manual_seed(options.seed)
    cache = open_cache(options)
    rows = np.arange(len(cache.maps))
    pool, held = rows[rows % HELD_OUT != 0], rows[rows % HELD_OUT == 0]
    network = started(options, cache, pool)
    alike = LookAlikes.find(embed_originals(network, cache, rows))
    print("whitened", recall(network, cache, held), flush=True)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    training = Training(network, copy.deepcopy(network), options)
    saved = options.output.with_suffix(".checkpoint")
    if saved.exists():
        training.restore(saved)
    # originals that were held out are nobody's negatives: no row of theirs is in the bank
    place = np.full(len(rows), -1)
    place[pool] = np.arange(len(pool))
    groups, losses = torch.from_numpy(alike.groups[pool]), []
    for step, (source, views) in enumerate(batches(options, cache, pool, alike)):
        if step < training.step:
            continue
        if step >= options.steps:
            break
        if step % SAVE_EVERY == 0:
            bank = torch.from_numpy(embed_originals(training.average, cache, pool))
        maps, own = cache.batch(source, views), torch.from_numpy(place[source])
        losses.append(training.advance(maps, own, bank, groups))
        if training.step % SAY_EVERY == 0:
            means = [f"{value:.4f}" for value in np.mean(losses[-SAY_EVERY:], axis=0)]
            print(f"step {training.step}: originals, pairs, KoLeo {', '.join(means)}", flush=True)
        if training.step % SAVE_EVERY == 0 or training.step == options.steps:
            with atomic_path(saved) as path:
                torch.save(training.state(), path)
        if training.step % (3 * SAVE_EVERY) == 0:
            print(f"step {training.step}", recall(training.average, cache, held), flush=True)
    print("trained", recall(training.average, cache, held))
    card = {
        "data": [folder.name for folder in options.photos],
        "views": cache.facts,
        "training": {**training.options, "mix": options.mix},
    }
    with torch.no_grad():
        for name, value in training.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 1 - options.mix)
    print("mixed", recall(training.average, cache, held))
    embedder = training.average.embedder
    embedder.neck = cast(WhitenedNeck, embedder.neck).folded()
    save_embedder(embedder, options.output, card=card)


if __name__ == "__main__":
    sys.exit(main())
