"""Reads architectures from the names and shapes of tensors, one module for each component."""
