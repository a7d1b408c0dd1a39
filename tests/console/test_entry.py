"""The contract of every command: exit codes, help, wrong keys, configuration found anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from asl import reproduce
from asl.console.entry import compose
from asl.data.catalog import open_catalog
from asl.data.scenes import render_scene
from asl.models import build_embedder, model_hash, save_embedder
from asl.pipeline.features import thin_background
from asl.types import UsageError

ENTRIES = ["train", "extract", "search", "evaluate", "reproduce", "edit", "export"]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ}
    )


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_teaches(entry: str, tmp_path: Path) -> None:
    done = run(f"asl.{entry}", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"  asl {entry} " in done.stdout, "help shows an example"
    assert "Exit code: 0" in done.stdout


@pytest.mark.parametrize("override", ["data.sizes=[1,a(b", "=3", "data.train"])
def test_a_value_that_cannot_be_read_is_one_line(override: str, tmp_path: Path) -> None:
    done = run("asl.train", override, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_misspelt_key_fails_and_says_what_is_near(tmp_path: Path) -> None:
    done = run("asl.train", "data.trian=x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: unknown key 'data.trian'; did you mean data.train?"
    assert not any(tmp_path.iterdir()), "wrong use leaves nothing behind"


def test_a_missing_value_is_wrong_use(tmp_path: Path) -> None:
    done = run("asl.extract", "model=lite0", cwd=tmp_path)
    assert done.returncode == 2
    assert "images" in done.stderr


def test_an_unknown_option_lists_the_known_ones(tmp_path: Path) -> None:
    done = run("asl.train", "data=smaple", cwd=tmp_path)
    assert done.returncode == 2
    assert "sample" in done.stderr


@pytest.mark.parametrize("keys", [["local_candidates=-1"], ["candidates=0"], ["background=-1"]])
def test_reproduce_names_a_wrong_number_of_candidates_before_it_embeds(keys: list[str]) -> None:
    name, _, value = keys[0].partition("=")
    with pytest.raises(UsageError, match=f"{name}: must be . or more, got {value}"):
        reproduce.run(compose("reproduce", ["benchmark=sample", *keys]))


def test_without_an_output_the_results_get_a_folder_of_their_own(tmp_path: Path) -> None:
    for role, seeds in (("queries", (0, 1)), ("references", (0, 1, 2))):
        (tmp_path / "bench" / role).mkdir(parents=True)
        for seed in seeds:
            image = render_scene(seed, height=64, width=80)
            cv2.imwrite(str(tmp_path / "bench" / role / f"{role[0]}{seed}.png"), image[..., ::-1])
    (tmp_path / "bench" / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,r1\n")
    embedder = build_embedder(backbone="mobilenetv3_small_050", neck="none", size=64).eval()
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    keys = ["benchmark=folder", "root=bench", "model=m.safetensors", "bootstrap=0"]
    done = run("asl.reproduce", *keys, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench", "m.safetensors", "outputs"]
    output = tmp_path / "outputs" / f"reproduce-folder-{model_hash(embedder)}"
    assert (output / "metrics.json").is_file()
    assert done.stdout.replace("\n", "").endswith(
        f"report: {output.relative_to(tmp_path)}/report.html"
    )


def test_a_background_is_thinned_evenly(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"t{number}.jpg").touch()
    catalog = open_catalog(tmp_path, id_style="stem")
    assert thin_background(catalog, 3).ids.tolist() == ["t0", "t4", "t8"]
    assert len(thin_background(catalog, 0)) == len(thin_background(catalog, 50)) == 9
