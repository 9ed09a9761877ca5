"""Changes to how a model samples that need no change to its weights: each is made anew for a run, from the options of
a `ModelRef`, and hooks into the network only while a pass of that run goes through it."""
