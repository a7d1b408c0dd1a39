"""Directional scores, score normalisation, whitening, calibration; formulas in ``score.py``."""
