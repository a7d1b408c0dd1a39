"""Stages of a scan and the seconds that they take."""

from __future__ import annotations

from asl.app.scanning.pair_candidates import ALL_COMPARED, pair_budget
from asl.console.schemas.scan_config import ScanConfig
from asl.console.time_left import Stage
from asl.parallel import usable_cores
from asl.shared_defaults import MODELS

EMBED = "embedding images"
REGIONS = "embedding regions"
EXTRACT = "extracting local features"
VOTE = "matching local features"
TEST = "testing pairs"
COMPARE = "comparing pairs"
RELATIVES = "comparing relatives"
PARENTS = "weighing parents"
PRIOR = 0.05  # trust in the costs, as a share of them
# Processor seconds of an image or a pair, of 10,063 images on two cores that did other work, too.
_SECONDS = {
    EMBED: 0.022,
    REGIONS: 0.1,
    EXTRACT: 0.052,
    VOTE: 0.029,
    TEST: 0.007,
    COMPARE: 0.135,
    RELATIVES: 0.147,
    PARENTS: 0.032,
}
_CANDIDATES = 8.0  # pairs of an image, at most
_PROMISING = 1.2  # pairs of an image that are compared where hopeless ones are left out
_RELATIVES, _WEIGHED = 0.15, 0.3  # pairs of an image


def scan_stages(options: ScanConfig, photos: int, library: int = 0) -> list[Stage]:
    """Return the stages of a scan in their order.

    The costs are seconds on this machine if its cores are as fast and as busy as those on which
    they were measured (``scripts/bench_scan.py``).

    Args:
        options: of the scan.
        photos: number of files to look for.
        library: number of files of a library.
    """
    images = photos + library
    pairs = min(pair_budget(options, photos), round(_CANDIDATES * photos))
    is_few = options.compare == "auto" and photos <= ALL_COMPARED
    is_all = options.compare == "all" or is_few or options.model not in MODELS
    compared = pairs if is_all else min(pairs, _PROMISING * photos)
    stages = [_stage(EMBED, images)]
    stages += [_stage(REGIONS, images)] if options.regions != "none" else []
    stages += [_stage(EXTRACT, images)]
    stages += [_stage(VOTE, photos)] if options.local_candidates else []
    stages += [] if is_all else [_stage(TEST, pairs)]
    stages += [_stage(COMPARE, compared), _stage(RELATIVES, _RELATIVES * photos)]
    return stages if library else [*stages, _stage(PARENTS, _WEIGHED * photos)]


def _stage(label: str, units: float) -> Stage:
    seconds = _SECONDS[label] / usable_cores()
    return Stage(label, seconds * units, seconds)
