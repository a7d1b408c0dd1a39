"""Train the norm head of a model on frozen features, by every form of the norm-ratio loss.

  python scripts/train_norm_head.py MODEL.safetensors PHOTOS [PHOTOS ...] --features FEATURES.npz \
      --output MODEL_WITH_NORM.safetensors

The direction of the embedding stays as it is; the head predicts the log-norm from the pooled
feature (arXiv 2205.12358 trains both together). Prints, for every form of the loss and every
measure of content, the share of pairs of held-out photographs whose norms are in order, and saves
the head of --form and --content.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from cached_views import SHARES, EditedViews, Photos, ViewOptions, check_same, pixels_of
from torch import Tensor, nn

from asl.console.progress import progress_bar
from asl.data.training_set import Content, content_of
from asl.losses.loss_inputs import LossInputs
from asl.losses.norm_ratio import Form, NormRatio, ordered_pairs
from asl.models import Embedder, load_embedder, save_embedder
from asl.models.assemble import assemble, create_backbone
from asl.models.model_card import read_card
from asl.models.necks import NormHead
from asl.parallel import spawned_map
from asl.storage import atomic_path
from asl.types import AslError

CONTENTS = get_args(Content)
FORMS = get_args(Form)
HELD_OUT = 5  # every so many-th photograph is never trained on
GAP = 0.05  # difference of content from which on the order of two views counts
VIEWS, STEPS, BATCH = 8, 1500, 64  # of a photograph; of a head; photographs a step


@dataclass(frozen=True, eq=False)
class Pooled:
    """Pooled features of views.

    Attributes:
        features: float32 ``[N, K, W]``.
        content: float32 ``[3, N, K]`` by the measures of :data:`CONTENTS`.
    """

    features: Tensor
    content: Tensor


class PooledViews:
    """Make the views of a photograph and pool their features, in a process of its own."""

    def __init__(self, photos: Photos, options: ViewOptions) -> None:
        self._views, self._model = EditedViews(photos, options, prefix="norm/"), options.model
        self._embedder: Embedder | None = None

    def __call__(self, row: int) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
        if self._embedder is None:
            torch.set_num_threads(1)
            self._embedder = load_embedder(self._model).eval().to(memory_format=torch.channels_last)
        views = self._views(row)
        with torch.inference_mode():
            pool = cast(nn.Module, self._embedder.pool)
            pooled = pool(self._embedder.tokens(pixels_of(views))[1])
        content = [[content_of(view, kind) for view in views] for kind in CONTENTS]
        return pooled.half().numpy(), np.array(content, np.float32)


def pool_views(options: argparse.Namespace) -> Pooled:
    """Read the features of views, or make them first.

    Raises:
        AslError: those that are there are of another model or other options.
    """
    photos = Photos.open(options.photos)
    made_by = ViewOptions(
        model=str(options.model),
        edits=options.edits,
        views=VIEWS,
        size=load_embedder(options.model).preprocessing.size,
        seed=options.seed,
    )
    facts = {**made_by.facts(photos), "limit": options.limit}
    if not options.features.exists():
        rows = np.random.default_rng(options.seed).permutation(len(photos))[: options.limit]
        maker = PooledViews(photos, made_by)
        made = []
        with progress_bar("views", unit="photographs") as progress:
            for part in spawned_map(maker, rows.tolist(), processes=options.workers):
                made.append(part)
                progress(len(made), len(rows))
        with atomic_path(options.features) as path, path.open("wb") as file:
            np.savez(
                file,
                features=np.stack([part[0] for part in made]),
                content=np.stack([part[1] for part in made], axis=1),
                facts=json.dumps(facts),
            )
    found = np.load(options.features)
    check_same(options.features, json.loads(str(found.get("facts", "{}"))), facts)
    return Pooled(torch.from_numpy(found["features"]).float(), torch.from_numpy(found["content"]))


def train_head(neck: NormHead, pooled: Pooled, rows: Tensor, form: Form, content: int) -> None:
    """Train the head of a neck; its weights are drawn anew."""
    torch.manual_seed(0)
    for layer in neck.head:
        if isinstance(layer, nn.Linear | nn.BatchNorm1d):
            layer.reset_parameters()
    loss, optimizer = NormRatio(form=form), torch.optim.AdamW(neck.head.parameters(), lr=1e-3)
    neck.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / STEPS)
        chosen = rows[torch.randperm(len(rows))[:BATCH]]
        inputs = LossInputs(
            features=log_norms(neck, pooled.features[chosen].flatten(0, 1)).exp()[:, None],
            source=torch.arange(len(chosen)).repeat_interleave(VIEWS),
            content=pooled.content[content][chosen].flatten(),
        )
        value = loss(inputs)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    neck.eval()


def log_norms(neck: NormHead, pooled: Tensor) -> Tensor:
    """Predict log-norms ``[B]`` of pooled features, as the neck does."""
    result: Tensor = neck.bound * torch.tanh(neck.head(pooled)[:, 0] / neck.bound)
    return result


@torch.inference_mode()
def in_order(neck: NormHead, pooled: Pooled, rows: Tensor, content: int) -> float:
    """Share of pairs of views of held-out photographs whose norms are ordered as their content."""
    norms = log_norms(neck, pooled.features[rows].flatten(0, 1))
    source = torch.arange(len(rows)).repeat_interleave(VIEWS)
    pairs = ordered_pairs(pooled.content[content][rows].flatten(), source, gap=GAP)
    return float((norms[pairs[:, 0]] > norms[pairs[:, 1]]).float().mean())


def with_norm_head(start: Embedder) -> Embedder:
    """Copy an embedder, with a norm head on its neck."""
    values: dict[str, Any] = {**vars(start.recipe), "norm_head": True, "detach_norm": True}
    plan = type(start.recipe)(**values)
    embedder = assemble(create_backbone(plan), plan, start.preprocessing)
    inside = "" if isinstance(start.neck, NormHead) else "neck."
    state = {
        k.replace("neck.", f"neck.{inside}", 1) if k.startswith("neck.") else k: v
        for k, v in start.state_dict().items()
    }
    embedder.load_state_dict(state, strict=False)
    return embedder


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument(
        "--features", type=Path, required=True, help="features, kept for a next run"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--form", choices=FORMS, default="log_ratio")
    parser.add_argument("--content", choices=CONTENTS, default="detail")
    parser.add_argument("--limit", type=int, default=2000, help="photographs, drawn at random")
    parser.add_argument("--edits", default="strong", choices=SHARES, help="mixture of edits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        run(options)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Train every head, print the table, save one."""
    pooled = pool_views(options)
    rows = torch.arange(len(pooled.features))
    trained, held = rows[rows % HELD_OUT != 0], rows[rows % HELD_OUT == 0]
    embedder = with_norm_head(load_embedder(options.model))
    neck = cast(NormHead, embedder.neck)
    print(f"in order by the content of     {'  '.join(f'{kind:>8}' for kind in CONTENTS)}")
    for form, kind in product(FORMS, CONTENTS):
        train_head(neck, pooled, trained, form, CONTENTS.index(kind))
        shares = [in_order(neck, pooled, held, place) for place in range(len(CONTENTS))]
        print(f"{form:>10} trained on {kind:<8} {'  '.join(f'{share:8.3f}' for share in shares)}")
        if (form, kind) == (options.form, options.content):
            card = {**read_card(options.model), "norm": {"form": form, "content": kind}}
            save_embedder(embedder, options.output, card=card)


if __name__ == "__main__":
    sys.exit(main())
