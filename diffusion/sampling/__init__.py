"""From noise to a latent: schedules of noise levels, samplers that walk down them, and guidance of the model.

`ksampler.sample` is the way in. Importing this package or `names` loads no torch.
"""
