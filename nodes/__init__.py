"""Node packs: one decorated function per node, grouped by what they work on.

`nodes.sdk` is the contract that every pack is written against. Importing any of this loads no torch: a node imports
the `diffusion` code it needs inside its function.
"""
