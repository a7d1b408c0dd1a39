"""No configuration runs code: every target is resolved, by slot, before anything is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from asl.cli import compose
from asl.console.targets import MOVED_MODULES, build, check, resolve, trust, trusted_packages
from asl.edits.geometric import Flip
from asl.edits.recipes import EDITS, load_recipe
from asl.training.parts import LOSS, MODEL, OPTIM, SCORE, SLOTS, build_model, build_optimizer
from asl.types import UsageError

# Functions and classes that would run code, write or read files, or load what they are told to.
PAYLOADS = [
    "torch.utils.collect_env.run",
    "torch.utils.collect_env.get_pretty_env_info",
    "torch.hub.load",
    "torch.hub.download_url_to_file",
    "torch.load",
    "torch.save",
    "torch.jit.load",
    "torch.compile",
    "torch.package.PackageImporter",
    "torch.utils.cpp_extension.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.utils.data.DataLoader",
    "torch.multiprocessing.spawn",
    "torch.distributed.run.main",
    "torch.nn.Linear",
    "torch.nn.Module",
    "torch.optim.lr_scheduler.LambdaLR",
    "torch.optim.optimizer.register_optimizer_step_pre_hook",
    "torch.optim.adamw.cast",
    "torch.optim.swa_utils.AveragedModel",
    "timm.create_model",
    "timm.models.load_checkpoint",
    "timm.models.load_state_dict_from_hf",
    "timm.optim.create_optimizer",
    "timm.optim.create_optimizer_v2",
    "timm.utils.model.unwrap_model",
    "asl.cli.main",
    "asl.cli.runpy.run_path",
    "asl.console.entry.EntryPoint",
    "asl.console.targets.trust",
    "asl.console.targets.import_module",
    "asl.console.configuration.Path",
    "asl.storage.atomic_path",
    "asl.models.load_embedder",
    "asl.models.save_embedder",
    "asl.models.io.load_file",
    "asl.models.public_weights.load_public",
    "asl.models.initial_weights.create_backbone",
    "asl.models.embedder.Recipe",
    "asl.losses.loss_inputs.LossInputs",
    "asl.losses.weighted_sum.torch",
    "asl.edits.recipes.Path",
    "asl.edits.recipes.config_dir",
    "asl.edits.recipes._tree",
    "asl.edits.benchmark_kinds.benchmark_kinds",
    "asl.edits.engine.view.View",
    "asl.edits.engine.make_views.make_views",
    "asl.edits.filters.cv2",
    "asl.training.fit.fit",
    "asl.train.run",
    "asl.scoring.score.score_pairs",
    "asl.scoring.score.np.load",
    "os.system",
    "os.popen",
    "subprocess.run",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "builtins.__import__",
    "importlib.import_module",
    "runpy.run_path",
    "pickle.loads",
    "shutil.rmtree",
    "pathlib.Path",
    "functools.partial",
    "operator.methodcaller",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    "omegaconf.OmegaConf.load",
    "lightning.pytorch.Trainer",
    "numpy.load",
    "PIL.Image.open",
    "webbrowser.open",
    "socket.create_connection",
]
# Names that are no dotted name of a class.
NO_NAMES: list[Any] = [
    "",
    "asl",
    "asl..edits",
    "asl.edits.",
    ".asl.edits.Maybe",
    "asl.edits.Maybe ",
    "asl.edits.Maybe\n",
    "asl/edits/Maybe",
    "asl.edits.Maybe()",
    "asl.edits.Maybe.__init__",
    "asl.edits.__builtins__",
    "asl.edits.Maybe.__class__.__mro__",
    "asl.edíts.Maybe",
    "a." * 200 + "b",
    None,
    7,
    ["asl.edits.Maybe"],
    {"_target_": "asl.edits.Maybe"},
]
ARGUMENTS = {"command": "touch canary", "cmd": "touch canary", "name": "canary", "path": "canary"}


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run in an empty folder, which must stay empty but for the recipe."""
    monkeypatch.chdir(tmp_path)
    yield
    assert {path.name for path in tmp_path.iterdir()} <= {"recipe.yaml", "mine"}


def test_there_are_enough_payloads() -> None:
    assert len(set(PAYLOADS)) + len(NO_NAMES) >= 60


@pytest.mark.parametrize("target", PAYLOADS)
def test_no_slot_takes_a_payload(target: str) -> None:
    for slot in SLOTS:
        with pytest.raises(UsageError, match=rf"^{slot.key}\._target_: "):
            build({"_target_": target, **ARGUMENTS}, slot)
        nested = {"_target_": "asl.edits.Maybe", "p": 1.0, "edit": {"_target_": target}}
        with pytest.raises(UsageError, match=r"_target_: "):
            build(nested, slot)


@pytest.mark.parametrize("target", PAYLOADS)
def test_no_recipe_takes_a_payload(target: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"_target_: asl.edits.Sequence\nedits:\n  - {{_target_: {target}, command: touch canary}}\n"
    )
    with pytest.raises(UsageError, match=r"recipe\.yaml: edits\.edits\.0\._target_"):
        load_recipe(recipe)
    recipe.write_text(f"_target_: {target}\ncommand: touch canary\n")
    with pytest.raises(UsageError, match=r"recipe\.yaml: edits\._target_"):
        load_recipe(recipe)


@pytest.mark.parametrize("target", NO_NAMES, ids=repr)
def test_only_dotted_names_are_looked_up(target: object) -> None:
    with pytest.raises(UsageError, match=r"edits\._target_"):
        resolve(target, EDITS)


@pytest.mark.parametrize(
    "override",
    [
        "optim._target_=torch.hub.load",
        "model._target_=torch.utils.collect_env.run",
        "loss._target_=subprocess.run",
        "loss.parts.infonce._target_=os.system",
        "score._target_=asl.edits.Maybe",
        "edits._target_=torch.nn.Sequential",
        "loss.parts.more._target_=torch.load",
        "optim.more={_target_:torch.load,f:canary}",
    ],
)
def test_a_training_takes_no_payload(override: str) -> None:
    with pytest.raises(UsageError):
        compose("train", [override])


def test_a_node_too_deep_is_refused() -> None:
    node: Any = 0
    for _ in range(200):
        node = [node]
    with pytest.raises(UsageError, match="levels deep"):
        check({"_target_": "asl.edits.Sequence", "edits": node}, EDITS, "edit")


def test_what_is_allowed_is_built() -> None:
    assert isinstance(build({"_target_": "asl.edits.geometric.Flip"}, EDITS), Flip)
    config = compose("train", ["model.backbone=resnet10t", "model.pretrained=false", "model.dim=8"])
    assert build_model(config).dim == 8
    optimizer = build_optimizer(config)([{"params": [torch.nn.Parameter(torch.zeros(1))]}])
    assert isinstance(optimizer, torch.optim.AdamW)
    for slot, node in ((LOSS, config.loss), (SCORE, config.score), (MODEL, config.model)):
        check(node, slot, "train")
    assert resolve("timm.optim.Lars", OPTIM).__name__ == "Lars"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lrr=1", "unknown key 'optim.lrr'; did you mean optim.lr?"),
        ("model.dmi=64", "unknown key 'model.dmi'; did you mean model.dim?"),
        ("loss.parts.infonce.temprature=1", "did you mean loss.parts.infonce.temperature?"),
        ("score.lamm=1", "did you mean score.lam?"),
        ("trainer.extra.determinstic=true", "did you mean trainer.extra.deterministic?"),
        ("trainer.extra.max_epochs=3", "trainer.extra.max_epochs: has a key of its own"),
        ("trainer.extra.callbacks=[]", "is set by asl itself"),
        ("optim.lr=fast", "optim.lr: expected a number or Tensor, got 'fast'"),
        ("model.dim=6.5", "model.dim: expected a whole number, got 6.5"),
        ("model.norm_head=3", "model.norm_head: expected true or false, got 3"),
        ("loss.weights=3", "loss.weights: expected a mapping, got 3"),
        ("trainer.epochs=3", "trainer.epochs: was renamed; use trainer.max_epochs="),
        ("trainer.progress=false", "use trainer.enable_progress_bar="),
        ("trainer.logger=clearml", "trainer.logger: expected one of csv, tensorboard, wandb"),
        ("data.trian=x", "unknown key 'data.trian'; did you mean data.train?"),
        ("trainer.max_epoch=3", "did you mean trainer.max_epochs?"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_near(override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose("train", [override])
    assert message in str(caught.value)


def test_arguments_that_no_preset_sets_need_no_plus() -> None:
    config = compose(
        "train",
        ["model.detach_norm=true", "optim.betas=[0.9,0.99]", "trainer.extra.deterministic=true"],
    )
    assert config.model["detach_norm"] is True
    assert config.optim["betas"] == [0.9, 0.99]
    assert config.trainer.extra == {"deterministic": True}


@pytest.mark.parametrize("old", sorted(MOVED_MODULES))
def test_a_moved_module_exists(old: str) -> None:
    new = MOVED_MODULES[old]
    code = f"import importlib, pathlib; importlib.import_module({new!r})"
    assert not (Path(__file__).parents[2] / f"{old.replace('.', '/')}.py").exists()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_recipes_of_earlier_versions_still_resolve(tmp_path: Path) -> None:
    old = "asl.edits.local.ShufflePixels"
    (tmp_path / "recipe.yaml").write_text(f"_target_: {old}\nshare: [0.1, 0.2]\n")
    assert type(load_recipe(tmp_path / "recipe.yaml")).__name__ == "ShufflePixels"
    loss = resolve("asl.losses.hard_negative.PushApart", LOSS.inside("loss.parts"))
    assert loss.__name__ == "PushApart"


def test_further_packages_are_trusted_by_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "own_edits.py").write_text(
        "from asl.edits import Edit\nfrom os import system\n"
        "class Nothing(Edit):\n    def __call__(self, view, rng):\n        return view\n"
        "class NoEdit:\n    pass\n"
    )
    monkeypatch.setenv("ASL_TRUSTED_PACKAGES", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    target = "mine.own_edits.Nothing"
    with pytest.raises(UsageError, match="trusted="):
        resolve(target, EDITS)
    trust(["mine"])
    assert trusted_packages() == ("mine",)
    assert resolve(target, EDITS).__name__ == "Nothing"
    for wrong in ("mine.own_edits.NoEdit", "mine.own_edits.system", "mine.own_edits.os"):
        with pytest.raises(UsageError):
            resolve(wrong, EDITS)
    assert os.environ["ASL_TRUSTED_PACKAGES"] == "mine"


def test_a_file_cannot_trust_a_package() -> None:
    with pytest.raises(UsageError, match="unknown key"):
        compose("train", ["++trusted=[os]"])
