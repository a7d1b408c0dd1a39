"""Image copy detection: train, search and score, in the right direction (query -> reference)."""

import os

# albumentations asks the network for its newest version at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"
