"""WaveBlock: one strip stays as it is, the other rows are amplified, in training alone."""

from __future__ import annotations

import torch
from torch import nn

from asl.models import build_embedder
from asl.models.waveblock import WaveBlock
from tests.models.small_model import images


def test_one_strip_stays_and_the_other_rows_are_amplified() -> None:
    torch.manual_seed(0)
    wave, stage = WaveBlock(share=0.3, rate=1.5), nn.Identity()
    tops = set()
    for _ in range(50):
        rows = wave(stage, None, torch.ones(2, 3, 10, 4))
        assert (rows == rows[:1, :1, :, :1]).all(), "one strip for the whole batch"
        strip = (rows[0, 0, :, 0] == 1.0).nonzero()[:, 0].tolist()
        assert strip == list(range(strip[0], strip[0] + 3))
        assert (rows[0, 0, :, 0] == 1.5).sum() == 7
        tops.add(strip[0])
    assert tops == set(range(8)), "every place for the strip is drawn"


def test_nothing_happens_in_evaluation_mode() -> None:
    features = torch.randn(1, 2, 5, 5)
    assert WaveBlock()(nn.Identity().eval(), None, features) is features


def test_a_recipe_puts_it_behind_a_stage() -> None:
    waved = build_embedder(backbone="resnet10t", neck="none", size=64, wave=["layer2"])
    plain = build_embedder(backbone="resnet10t", neck="none", size=64)
    plain.load_state_dict(waved.state_dict())
    torch.testing.assert_close(plain.eval()(images()), waved.eval()(images()))
    assert not torch.allclose(plain.train()(images()), waved.train()(images()), rtol=1e-3)
