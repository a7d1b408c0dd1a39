"""Train the norm head of a model on frozen features, by every form of the norm-ratio loss.

  python scripts/train_norm_head.py MODEL.safetensors PHOTOS [PHOTOS ...] --features FEATURES.npz \
      --output MODEL_WITH_NORM.safetensors

The direction of the embedding stays as it is; the head predicts the log-norm from the pooled
feature and the statistics of the last stages (arXiv 2205.12358 trains direction and norm together).
Prints, for every form of the loss and every measure of content beside the chosen ones, the share of
pairs of held-out photographs whose norms are in order, and saves the head of --form and --content.

`both` sums the losses by the visible area and by detail, so that a pair counts where they agree.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

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
TARGETS = {kind: (kind,) for kind in CONTENTS} | {"both": ("visible", "detail")}
FORMS = get_args(Form)
HELD_OUT = 5  # every so many-th photograph is never trained on
GAP = 0.05  # difference of content from which on the order of two views counts
# Of a photograph; of a head; photographs a step. After more steps the order on photographs of
# another kind gets worse.
VIEWS, STEPS, BATCH = 8, 300, 64
SCALE = 1.0  # of log_ratio: clear pairs grow apart, so that the size of a difference says how sure


@dataclass(frozen=True, eq=False)
class Pooled:
    """What the head reads of K views of N photographs.

    Attributes:
        features: float32 ``[N, K, W]``.
        content: float32 ``[3, N, K]`` by the measures of :data:`CONTENTS`.
    """

    features: Tensor
    content: Tensor


class PooledViews:
    """Make the views of a photograph and pool their features, in a process of its own."""

    def __init__(self, photos: Photos, options: ViewOptions, stages: int) -> None:
        self._views, self._model = EditedViews(photos, options, prefix="norm/"), options.model
        self._stages = stages
        self._embedder: Embedder | None = None

    def __call__(self, row: int) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
        if self._embedder is None:
            torch.set_num_threads(1)
            embedder = with_norm_head(load_embedder(self._model), self._stages)
            self._embedder = embedder.eval().to(memory_format=torch.channels_last)
        views = self._views(row)
        with torch.inference_mode():
            pooled = torch.cat(self._embedder.pooled(pixels_of(views))[:-1], dim=1)
        content = [[content_of(view, kind) for view in views] for kind in CONTENTS]
        return pooled.half().numpy(), np.array(content, np.float32)


def pool_all(options: argparse.Namespace) -> Pooled:
    """Pool the views of photographs, and of drawn pictures where there are some."""
    sets = [(Photos.open(options.photos), options.edits, options.features)]
    if options.drawn:
        path = options.features.with_name(f"{options.features.stem}-drawn.npz")
        sets.append((Photos.open(options.drawn), "drawn", path))
    parts = [pool_views(options, *each) for each in sets]
    return Pooled(
        torch.cat([part.features for part in parts]),
        torch.cat([part.content for part in parts], dim=1),
    )


def pool_views(options: argparse.Namespace, photos: Photos, edits: str, kept: Path) -> Pooled:
    """Read the features of views, or make them first.

    Raises:
        AslError: those that are there are of another model or other options.
    """
    made_by = ViewOptions(
        model=str(options.model),
        edits=edits,
        views=VIEWS,
        size=load_embedder(options.model).preprocessing.size,
        seed=options.seed,
    )
    facts = {**made_by.facts(photos), "limit": options.limit, "norm_stages": options.stages}
    if not kept.exists():
        rows = np.random.default_rng(options.seed).permutation(len(photos))[: options.limit]
        maker = PooledViews(photos, made_by, options.stages)
        made = []
        with progress_bar("views", unit="photographs") as progress:
            for part in spawned_map(maker, rows.tolist(), processes=options.workers):
                made.append(part)
                progress(len(made), len(rows))
        with atomic_path(kept) as path, path.open("wb") as file:
            np.savez(
                file,
                features=np.stack([part[0] for part in made]),
                content=np.stack([part[1] for part in made], axis=1),
                facts=json.dumps(facts),
            )
    found = np.load(kept)
    check_same(kept, json.loads(str(found.get("facts", "{}"))), facts)
    return Pooled(torch.from_numpy(found["features"]).float(), torch.from_numpy(found["content"]))


def train_head(neck: NormHead, pooled: Pooled, rows: Tensor, form: Form, target: str) -> None:
    """Train the head of a neck by an entry of :data:`TARGETS`; its weights are drawn anew."""
    torch.manual_seed(0)
    for layer in neck.head:
        if isinstance(layer, nn.Linear | nn.BatchNorm1d):
            layer.reset_parameters()
    loss = NormRatio(form=form, scale=SCALE)
    optimizer = torch.optim.AdamW(neck.head.parameters(), lr=1e-3)
    neck.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / STEPS)
        chosen = rows[torch.randperm(len(rows))[:BATCH]]
        norms = neck.log_norm(pooled.features[chosen].flatten(0, 1)).exp()
        source = torch.arange(len(chosen)).repeat_interleave(VIEWS)
        contents = [pooled.content[CONTENTS.index(kind)][chosen] for kind in TARGETS[target]]
        value = torch.stack(
            [loss(LossInputs(norms, source, content.flatten())) for content in contents]
        ).sum()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    neck.eval()


@torch.inference_mode()
def in_order(neck: NormHead, pooled: Pooled, rows: Tensor, content: int) -> float:
    """Share of pairs of views of held-out photographs whose norms are ordered as their content."""
    norms = neck.log_norm(pooled.features[rows].flatten(0, 1))[:, 0]
    source = torch.arange(len(rows)).repeat_interleave(VIEWS)
    pairs = ordered_pairs(pooled.content[content][rows].flatten(), source, gap=GAP)
    return float((norms[pairs[:, 0]] > norms[pairs[:, 1]]).float().mean())


def with_norm_head(start: Embedder, stages: int) -> Embedder:
    """Copy an embedder, with a new norm head on its neck that reads the last stages, too."""
    plan = replace(start.recipe, norm_head=True, detach_norm=True, norm_stages=stages)
    embedder = assemble(create_backbone(plan), plan, start.preprocessing)
    inside = "" if isinstance(start.neck, NormHead) else "neck."
    state = {
        k.replace("neck.", f"neck.{inside}", 1) if k.startswith("neck.") else k: v
        for k, v in start.state_dict().items()
        if not k.startswith("neck.head.")
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
        "--drawn", nargs="*", type=Path, default=[], help="folders of scripts/draw_material.py"
    )
    parser.add_argument(
        "--features", type=Path, required=True, help="features, kept for a next run"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--form", choices=FORMS, default="log_ratio")
    parser.add_argument("--content", choices=TARGETS, default="both")
    parser.add_argument("--stages", type=int, default=1, help="last stages that the head reads")
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
    embedder = with_norm_head(load_embedder(options.model), options.stages)
    pooled = pool_all(options)
    rows = torch.arange(len(pooled.features))
    trained, held = rows[rows % HELD_OUT != 0], rows[rows % HELD_OUT == 0]
    neck = cast(NormHead, embedder.neck)
    print(f"in order by the content of     {'  '.join(f'{kind:>8}' for kind in CONTENTS)}")
    tried = {(form, options.content): None for form in FORMS}
    tried |= {(options.form, kind): None for kind in TARGETS}
    for form, kind in tried:
        train_head(neck, pooled, trained, form, kind)
        shares = [in_order(neck, pooled, held, place) for place in range(len(CONTENTS))]
        print(f"{form:>10} trained on {kind:<8} {'  '.join(f'{share:8.3f}' for share in shares)}")
        if (form, kind) == (options.form, options.content):
            facts = {
                "form": form,
                "content": kind,
                "pictures": len(rows),
                "edits": options.edits,
            }
            card = {**read_card(options.model), "norm": facts}
            save_embedder(embedder, options.output, card=card)


if __name__ == "__main__":
    sys.exit(main())
