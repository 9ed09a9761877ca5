"""The Stable Diffusion domain: find, load, encode, sample, decode. Knows nothing of graphs or HTTP.

Importing this package loads no torch; `values`, `errors`, `library` and `sampling.names` stay that way, so that the
server can list models and check graphs without it.
"""
