"""Extract features in order and resumably, into a store on disk."""

from asl.features.extraction import extract
from asl.features.feature_store import FeatureStore

__all__ = ["FeatureStore", "extract"]
