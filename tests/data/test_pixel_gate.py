"""Threads wait where their pictures together have too many pixels."""

from __future__ import annotations

import threading

from asl.data.pixel_gate import PixelGate


def test_the_pixels_of_all_threads_stay_below_the_limit() -> None:
    gate = PixelGate(100)
    most = []

    def decode(pixels: int) -> None:
        for _ in range(50):
            with gate.hold(pixels):
                most.append(gate.inside)

    threads = [threading.Thread(target=decode, args=(pixels,)) for pixels in (40, 40, 60, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 200
    assert max(most) <= 100
    assert gate.inside == 0


def test_a_picture_beyond_the_limit_is_let_in_alone() -> None:
    gate = PixelGate(100)
    entered = threading.Event()

    def decode() -> None:
        with gate.hold(500):
            entered.set()

    thread = threading.Thread(target=decode)
    with gate.hold(1):
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(10)
    thread.join()


def test_a_thread_that_is_inside_passes_again() -> None:
    gate = PixelGate(100)
    with gate.hold(80), gate.hold(80):
        assert gate.inside == 80
    gate.inside = 7
    gate.reset()
    assert gate.inside == 0
