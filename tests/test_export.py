"""``asl export`` as a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.cli import start


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output=m.bin"], "output: must end in .onnx, .pt2, .safetensors, got 'm.bin'"),
        (
            ["output=m.pt2", "model=nowhere"],
            "model: expected asl_lite0, asl_lite1, lite0 or the path",
        ),
        (["output=m.pt2", "format=tflite"], "format: expected one of onnx, "),
        ([], "output: needed"),
    ],
)
def test_wrong_use_is_code_2_and_writes_nothing(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert start("export", words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_model_is_exported_and_the_difference_is_printed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "folder" / "m.safetensors"
    assert start("export", [f"model={model}", f"output={output}"]) == 0
    assert output.is_file()
    assert "as safetensors" in " ".join(capsys.readouterr().out.split())
