"""Names that a key takes beside paths or other text: offered to a shell, not checked.

Keys of finitely many values have them in their schema (:attr:`asl.console.schema_groups.Key`).
"""

from __future__ import annotations

from asl.console.configuration import config_dir
from asl.shared_defaults import MODELS

_DEVICES = ("auto", "cpu", "cuda")
# Of the verbs that take every model of the package; the others need a calibrated one.
_ALL_MODELS = ("extract", "search", "evaluate", "reproduce", "export")
RULES = ("keep-original", "keep-largest", "keep-oldest", "keep-folder")
LAYOUTS = (
    "folder",
    "ndec",
    "disc21",
    "disc21_dev1",
    "disc21_dev2",
    "disc21_final",
    "copydays",
)
_TRAIN = {
    "data.layout": ("auto", *LAYOUTS[1:]),
    "data.hard_pairs_as": ("classes", "negatives", "positives", "none"),
    "data.content": ("detail", "visible", "area"),
    "trainer.select": ("last", "best"),
    "trainer.accelerator": ("auto", "cpu", "gpu"),
    "trainer.logger": ("csv", "tensorboard", "wandb", "mlflow", "none"),
}


def offered_values(verb: str, key: str) -> tuple[str, ...]:
    """List the names that a key of a verb takes; empty for keys of paths and numbers.

    >>> offered_values("scan", "model"), offered_values("train", "trainer.select")
    (('asl_lite0', 'asl_lite1'), ('last', 'best'))
    """
    if verb == "train":
        recipes = ("original", "edited", *_recipes()) if key == "data.first_view" else ()
        return _TRAIN.get(key, recipes)
    return {
        "device": _DEVICES,
        "model": (*MODELS, "lite0") if verb in _ALL_MODELS else MODELS,
        "layout": ("auto", *LAYOUTS),
        "rule": RULES,
        "edits": (*_recipes(), "kinds", "every") if key == "edits" else (),
    }.get(key, ())


def _recipes() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (config_dir() / "edits").glob("*.yaml")))
