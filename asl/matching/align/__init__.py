"""Align an image pair: SIFT features, robust fits, dense correlation, homographies."""
