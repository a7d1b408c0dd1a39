"""Align a pair of images: local features, dense search, homographies, smooth bends."""
