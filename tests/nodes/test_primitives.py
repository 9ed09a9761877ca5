"""Nodes that hand on one value."""

from __future__ import annotations

import torch

from nodes import primitives


def test_primitives_give_their_value():
    assert primitives.PrimitiveInt(-3) == -3
    assert primitives.PrimitiveFloat(0.5) == 0.5
    assert primitives.PrimitiveString("a") == "a"
    assert primitives.PrimitiveStringMultiline("a\nb") == "a\nb"
    assert primitives.PrimitiveBoolean(True) is True


def test_texts_are_joined_with_what_stands_between_them():
    assert primitives.StringConcatenate("a", "b", ", ") == "a, b"
    assert primitives.StringConcatenate("a", "", ", ") == "a, "


def test_a_size_is_that_of_each_picture_and_their_number():
    assert primitives.GetImageSize(torch.zeros(2, 8, 16, 3)) == (16, 8, 2)
