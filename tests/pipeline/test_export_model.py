"""Hold exported files equal to the model for any batch; a wrong file is not left behind."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import torch

from asl.cli import compose
from asl.models import Embedder, build_embedder, load_embedder, model_hash, save_embedder
from asl.pipeline import export_model
from asl.types import AslError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters about themselves


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Embedder, Path]:
    torch.manual_seed(0)
    embedder = build_embedder(backbone="mobilenetv3_small_050", neck="sqrt", size=64).eval()
    path = tmp_path_factory.mktemp("export") / "m.safetensors"
    save_embedder(embedder, path, card={})
    return embedder, path


def exported(path: Path, output: Path, *more: str) -> int:
    return export_model.export_model(
        compose("export", [f"model={path}", f"output={output}", *more])
    )


@pytest.mark.parametrize("count", [1, 5])
def test_torch_export_takes_any_batch(
    model: tuple[Embedder, Path], tmp_path: Path, count: int
) -> None:
    embedder, path = model
    assert exported(path, tmp_path / "m.pt2") == 0
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
    extra = {export_model.FACTS: ""}
    loaded = torch.export.load(tmp_path / "m.pt2", extra_files=extra).module()
    torch.testing.assert_close(loaded(images), embedder(images), rtol=1e-4, atol=1e-5)
    facts = json.loads(extra[export_model.FACTS])
    assert facts["preprocessing"]["size"] == 64
    assert facts["model"]


@pytest.mark.slow
def test_onnx_takes_any_batch_and_carries_its_facts(
    model: tuple[Embedder, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    import onnx
    import onnxruntime as runtime

    embedder, path = model
    odd = tmp_path / ("\udcff" if sys.platform == "linux" else "x")  # a name that is not UTF-8
    assert exported(path, odd / "m.onnx") == 0
    (odd / "m.onnx").rename(tmp_path / "m.onnx")
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 4):
        images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
        (answer,) = session.run(["features"], {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(answer), embedder(images), rtol=1e-3, atol=1e-4)
    facts = {item.key: item.value for item in onnx.load(str(tmp_path / "m.onnx")).metadata_props}
    assert json.loads(facts["preprocessing"])["size"] == 64
    assert "INTER_LINEAR" in facts["resampling"]
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]
    assert session.get_outputs()[0].shape == ["batch", embedder.dim]
    assert not [record for record in caplog.records if "onnx" in record.name], (
        "the optimiser's steps are nobody's news"
    )


@pytest.mark.slow
def test_the_axes_of_a_model_of_any_size_are_named(tmp_path: Path) -> None:
    import onnxruntime as runtime

    torch.manual_seed(0)
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=64, resize="short").eval()
    path = tmp_path / "m.safetensors"
    save_embedder(embedder, path, card={})
    assert exported(path, tmp_path / "m.onnx") == 0
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert "[B, 3, H, W]" in export_model.describe(embedder)["input"]


def test_a_file_that_differs_is_not_left(
    model: tuple[Embedder, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = build_embedder(backbone="mobilenetv3_small_050", neck="sqrt", size=64).eval()
    right = export_model.WRITERS["torch_export"]
    monkeypatch.setitem(
        export_model.WRITERS, "torch_export", lambda _, path, facts: right(wrong, path, facts)
    )
    with pytest.raises(AslError, match="differs by"):
        exported(model[1], tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_an_unknown_format_is_refused(model: tuple[Embedder, Path], tmp_path: Path) -> None:
    for key, said in (
        ("format=tflite", "^format: expected one of onnx, torch_export"),
        (f"output={tmp_path / 'm.bin'}", r"^output: must end in \.onnx"),
    ):
        with pytest.raises(UsageError, match=said):
            exported(model[1], tmp_path / "m.bin", key)


def test_the_facts_say_how_to_use_the_file(model: tuple[Embedder, Path]) -> None:
    embedder, _ = model
    facts = export_model.describe(embedder)
    assert facts["model"] == model_hash(embedder)
    assert f"[B, {embedder.dim}]" in facts["output"]
    assert facts["preprocessing"]["size"] == 64


def test_the_difference_is_a_share_of_the_largest_component(model: tuple[Embedder, Path]) -> None:
    embedder, _ = model
    assert export_model.compare(embedder, embedder) == 0
    assert export_model.compare(embedder, lambda images: 1.01 * embedder(images)) == pytest.approx(
        0.01, rel=0.01
    )


def test_a_file_of_this_package_is_the_same_model(
    model: tuple[Embedder, Path], tmp_path: Path
) -> None:
    assert exported(model[1], tmp_path / "again.safetensors") == 0
    assert model_hash(load_embedder(tmp_path / "again.safetensors")) == model_hash(model[0])
