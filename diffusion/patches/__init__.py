"""Changes to weights: LoRAs and their kin, and merges of whole models, computed in float32 from kept weights."""
