"""How batches of different sizes meet."""

from __future__ import annotations

import torch

from diffusion.ops.batches import repeat_to


def test_items_are_repeated_in_turn_or_cut() -> None:
    two = torch.tensor([[1.0], [2.0]])
    assert repeat_to(two, 5).flatten().tolist() == [1, 2, 1, 2, 1]
    assert repeat_to(two, 1).flatten().tolist() == [1]
