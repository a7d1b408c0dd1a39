"""Ordered, resumable extraction of features, and the store on disk that holds them."""

from asl.features.extract import extract
from asl.features.store import FeatureStore

__all__ = ["FeatureStore", "extract"]
