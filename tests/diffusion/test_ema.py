from __future__ import annotations

from diffusion.ema import ema_names, flattened, restore_dots
from tests.reference.recipes import layout


def test_every_name_of_the_public_unet_survives_flattening():
    names = [name for name in layout("sd15") if name.startswith("model.diffusion_model.")]
    assert [restore_dots(flattened(name)) for name in names] == names


def test_two_digit_blocks_are_told_from_their_layers():
    assert restore_dots("model_ema.diffusion_modelinput_blocks110in_layers0weight") == (
        "model.diffusion_model.input_blocks.11.0.in_layers.0.weight"
    )


def test_names_of_other_things_are_left_alone():
    names = {"model_ema.decay": 1, "model_ema.num_updates": 1, "model_ema.diffusion_model???": 1}
    assert ema_names(names) == {}
