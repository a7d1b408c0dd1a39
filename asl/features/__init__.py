"""Ordered, resumable extraction of features, and the store on disk that holds them."""

from asl.features.extraction import extract
from asl.features.feature_store import FeatureStore

__all__ = ["FeatureStore", "extract"]
