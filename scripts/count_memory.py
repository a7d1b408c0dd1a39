"""Estimate the GPU memory of a training step of every experiment on NDEC, and write the table.

  python scripts/count_memory.py            print the table
  python scripts/count_memory.py --write    put it into docs/ndec.md

Nothing of the class weights is allocated. Counted: class weights, their logits, the network with
gradient and optimiser state, and what autograd keeps of the backbone, in the precision of
trainer=gpu. Not counted: CUDA's own memory, a teacher, fragmentation; the card is the smallest with
a tenth to spare.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from asl.cli import compose
from asl.console.configuration import config_dir
from asl.training.memory_estimate import step_bytes, step_plan
from asl.training.parts import build_model, build_optimizer, loss_factory
from asl.training.schedule import fused_factory

PAGE = Path(__file__).parents[1] / "docs" / "ndec.md"
BEGIN, END = "<!-- memory: scripts/count_memory.py -->\n", "<!-- /memory -->"
CARDS = (16, 24, 40, 48, 80, 141, 192)  # GB
SPLIT = 4  # GPUs of the rows with split classes, as D2LV had
# Training images of NDEC by data.every and whether hard pairs are left out; docs/ndec.md counts.
IMAGES = {(10, True): 100_000, (10, False): 290_000, (1, False): 1_100_000}


def experiments() -> list[str]:
    return sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


def needed(name: str, *, processes: int = 1) -> tuple[int, dict[str, int]]:
    """Return the number of training images, and part -> bytes on one GPU."""
    words = ["data=ndec", "data.root=NDEC", f"experiment={name}", "trainer=gpu"]
    words += ["model.pretrained=false", f"trainer.shard_classes={str(processes > 1).lower()}"]
    config = compose("train", words)
    images = IMAGES[config.data.every, config.data.hard_pairs_as == "none"]
    embedder = build_model(config)
    trainer = config.trainer
    optimizer = fused_factory(
        build_optimizer(config),
        cuda=True,
        clips=trainer.gradient_clip_val > 0,
        mixed=trainer.precision.endswith("-mixed"),
    )
    plan = step_plan(config, images=images, processes=processes)
    loss = loss_factory(config, classes=images, dim=embedder.dim)
    return images, step_bytes(embedder, loss, optimizer, plan)


def row(name: str, *, processes: int = 1) -> str:
    images, parts = needed(name, processes=processes)
    total = sum(parts.values())
    card = next((str(size) for size in CARDS if 0.9 * size * 1e9 >= total), "none")
    label = f"`{name}`, `trainer.shard_classes=true`" if processes > 1 else f"`{name}`"
    sizes = " | ".join(f"{size / 2**30:.1f}" for size in (*parts.values(), total))
    return f"| {label} | {processes} | {images:,} | {sizes} | {card} GB |"


def table() -> str:
    """Return the table in Markdown, GiB on each GPU."""
    parts = "class weights | logits | network | activations"
    head = f"| experiment | GPUs | images | {parts} | all | GPU |"
    lines = [head, "|---" * 9 + "|"]
    for name in experiments():
        lines.append(row(name))
        if needed(name)[1]["class weights"]:
            lines.append(row(name, processes=SPLIT))
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/ndec.md")
    made = table()
    if parser.parse_args(words).write:
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}{made}{END}{after}", encoding="utf-8")
    print(made, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
