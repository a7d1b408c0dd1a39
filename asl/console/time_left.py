"""Estimate the time that several stages of work need, without jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLOWER = 0.5  # seconds by which the shown time may grow in a second
FASTER = 0.4  # share of the gap by which it may shrink in a second
_TRUSTED = 0.1  # share of a stage from which its own rate counts alone
_SETTLED = 0.1  # share of costs in seconds from which the shown time follows slowly
# Seconds that the costs are trusted for at most: the first stage of long work shows how fast this
# machine is, and a slow start of it does not matter.
_MOST_PRIOR = 10.0
_KNOWN_BEFORE = 0.2  # of its cost: a quicker stage found its results there, and says nothing


@dataclass(frozen=True)
class Stage:
    """A stage of some work.

    Attributes:
        label: in words.
        cost: expected time of the whole stage, in any unit that is the same for all stages.
        unit_cost: of one of its units (image, pair): their number, once it is known, replaces the
            cost. 0: it stays.
    """

    label: str
    cost: float
    unit_cost: float = 0.0


class TimeLeft:
    """Time left over all stages.

    What is done tells how long a unit of the expected costs takes; the stage that runs is judged by
    its own rate as soon as that is known. A stage that took next to nothing, because an earlier run
    left its results, tells nothing of the others. The time that is shown follows the estimate
    slowly: it grows by at most :data:`SLOWER` in a second, and what is gained arrives bit by bit.
    Where the costs are seconds, it follows at once in the first tenth: a busy machine shows there.
    """

    def __init__(self, stages: Sequence[Stage], now: float, *, prior: float = 0.0) -> None:
        """Begin before the first stage.

        Args:
            stages: in their order.
            now: seconds on any clock.
            prior: trust in costs that are seconds, as a share of them: so much, and ten seconds at
                most, counts as if it had been done in the expected time. 0 for costs in another
                unit.
        """
        self._stages = stages
        self._costs = [stage.cost for stage in stages]
        self._prior = min(prior * sum(self._costs), _MOST_PRIOR)
        self._telling_cost = self._telling_seconds = 0.0
        self._began = self._stage_began = now
        self._current, self._share = -1, 0.0
        self._target: float | None = None
        self._shown: float | None = None
        self._known_at = self._shown_at = now

    @property
    def done(self) -> float:
        """Share of the expected costs that is done, 0..1."""
        return min(1.0, self._done_cost() / max(sum(self._costs), 1e-9))

    def begin(self, stage: int, now: float) -> None:
        """Begin a stage; those before it are done, or were not needed."""
        self._current_tells(now, add=True)
        self._current = stage
        self._share = 0.0
        self._stage_began = now

    def update(self, share: float, now: float, *, units: int = 0) -> None:
        """Take the share of the current stage that is done.

        Args:
            share: 0..1.
            now: seconds on the clock.
            units: of the stage; 0 where they are not known.
        """
        self._share = min(max(share, 0.0), 1.0)
        if units and self._stages[self._current].unit_cost:
            self._costs[self._current] = units * self._stages[self._current].unit_cost
        self._target, self._known_at = self._estimate(now), now

    def shown(self, now: float) -> float | None:
        """Return the seconds left to show; None while nothing is known."""
        if self._target is None:
            return None
        target = max(0.0, self._target - (now - self._known_at))
        passed, self._shown_at = max(0.0, now - self._shown_at), now
        if self._shown is None or (self._prior and self.done < _SETTLED):
            self._shown = target
            return target
        expected = max(0.0, self._shown - passed)
        gap = target - expected
        if gap > 0:
            gap = min(gap, (1.0 + SLOWER) * passed)
        else:
            gap *= min(1.0, FASTER * passed)
        self._shown = expected + gap
        return self._shown

    def _done_cost(self) -> float:
        if self._current < 0:
            return 0.0
        return sum(self._costs[: self._current]) + self._share * self._costs[self._current]

    def _current_tells(self, now: float, *, add: bool = False) -> tuple[float, float]:
        """Return (cost, seconds) of what is done and tells how long a unit of costs takes."""
        cost, seconds = self._telling_cost, self._telling_seconds
        if self._current >= 0:
            done = self._share * self._costs[self._current]
            passed = now - self._stage_began
            if not self._prior or passed >= _KNOWN_BEFORE * done:
                cost, seconds = cost + done, seconds + passed
        if add:
            self._telling_cost, self._telling_seconds = cost, seconds
        return cost, seconds

    def _estimate(self, now: float) -> float | None:
        cost, seconds = self._current_tells(now)
        cost, seconds = cost + self._prior, seconds + self._prior
        if cost <= 0 or now <= self._began:
            return None
        per_cost = seconds / cost
        here = (1 - self._share) * self._costs[self._current] * per_cost
        if self._share > 0:
            own = (now - self._stage_began) * (1 - self._share) / self._share
            trust = min(1.0, self._share / _TRUSTED)
            here = trust * own + (1 - trust) * here
        return here + sum(self._costs[self._current + 1 :]) * per_cost
