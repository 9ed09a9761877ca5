"""What can be done to pictures, masks and latents without a model: pasting, cutting, mixing, filtering, batching.

Every function takes values and returns new ones; nothing is changed in place. The results are those of ComfyUI's nodes
of the same names, so that a workflow file gives the same pixels.
"""
