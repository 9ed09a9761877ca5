"""How the embedded model was made: renderer, captions, autoencoder, diffusion, judge.

Nothing else in the project imports this package at run time; the tests and `bench/default_model.py` use its judge.
"""
