"""Writes models to files: merged and patched weights in the original single-file layout, one tensor at a time."""
