"""Directional scores, score normalisation, whitening, calibration; see ``score.py`` for the formulas."""
