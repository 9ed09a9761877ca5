"""Batches divided into others, alone and in a graph whose later nodes run once for each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffusion.values import Latent
from executor.bare import BareResources
from executor.cache import Cache
from executor.events import JobDone, JobEvent, NodeStarted
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.image_ops import RebatchImages
from nodes.latent_batches import RebatchLatents
from nodes.sdk import load_packs
from tests.executor.conftest import text
from tests.nodes.test_operations_graph import Graph


def numbered(count: int, first: int = 0, size: int = 2) -> torch.Tensor:
    return torch.arange(first, first + count).float()[:, None, None, None].expand(count, 4, size, size).contiguous()


def test_items_keep_their_order_and_go_on_counting_their_noise():
    made = RebatchLatents([Latent(numbered(3)), Latent(numbered(2, first=3))], 2)
    assert [each.samples[:, 0, 0, 0].tolist() for each in made] == [[0, 1], [2, 3], [4]]
    assert [each.batch_index for each in made] == [(0, 1), (2, 3), (4,)]
    assert all(each.noise_mask is None for each in made)


def test_set_noise_and_masks_go_along():
    mask = torch.zeros(1, 16, 16)
    made = RebatchLatents([Latent(numbered(2), mask, (7, 9)), Latent(numbered(1))], 2)
    assert [each.batch_index for each in made] == [(7, 9), (2,)]
    assert made[0].noise_mask is not None
    assert made[0].noise_mask.shape == (2, 16, 16)
    assert not made[0].noise_mask.any()
    assert made[1].noise_mask is None


def test_masks_keep_their_own_size_and_are_scaled_only_to_be_joined_with_others():
    mask = torch.arange(20.0).reshape(1, 4, 5) / 20
    (kept,) = RebatchLatents([Latent(numbered(2), mask)], 2)
    assert kept.noise_mask is not None
    assert torch.equal(kept.noise_mask, mask.repeat(2, 1, 1))
    (joined,) = RebatchLatents([Latent(numbered(1), mask), Latent(numbered(1))], 2)
    assert joined.noise_mask is not None
    assert joined.noise_mask.shape == (2, 16, 16)
    assert joined.noise_mask[1].min() == 1


def test_a_batch_ends_where_the_size_changes():
    made = RebatchLatents([Latent(numbered(3)), Latent(numbered(1, size=4)), Latent(numbered(1))], 2)
    assert [tuple(each.samples.shape) for each in made] == [(2, 4, 2, 2), (1, 4, 2, 2), (1, 4, 4, 4), (1, 4, 2, 2)]
    pictures = RebatchImages([torch.zeros(3, 8, 8, 3), torch.zeros(1, 8, 16, 3)], 2)
    assert [tuple(each.shape) for each in pictures] == [(2, 8, 8, 3), (1, 8, 8, 3), (1, 8, 16, 3)]


@pytest.fixture
def services(tmp_path: Path) -> Services:
    packs, folders = load_packs(), Folders.below(tmp_path)
    folders.create()
    files, cache = Files(None, folders), Cache(1 << 26, folders.stamp)
    return Services(packs.nodes, packs.catalogue, files, cache, folders, OutputNames(folders), BareResources())


def test_what_follows_runs_for_each_batch_and_can_be_put_together_again(services: Services):
    graph = Graph()
    parts = graph.add(
        "RebatchLatents", latents=graph.add("EmptyLatent", width=64, height=64, batch_size=5), batch_size=2
    )
    bright = graph.add("LatentMultiply", samples=parts, multiplier=2.0)
    graph.add("SaveLatent", samples=bright, filename_prefix="part")
    graph.add("SaveLatent", samples=graph.add("RebatchLatents", latents=bright, batch_size=8), filename_prefix="whole")
    events: list[JobEvent] = []
    end = run_job(JobRequest("job", text(graph.nodes)), services, events.append, lambda: False)
    assert isinstance(end, JobDone), end
    sizes = {node: [load_file(services.folders.path(file))["latent_tensor"].shape[0] for file in files]
             for node, files in end.outputs.items()}  # fmt: skip
    assert sizes == {"4": [2, 2, 1], "6": [5]}
    assert max(Counter(event.node for event in events if isinstance(event, NodeStarted)).values()) == 1
    again = run_job(JobRequest("again", text(graph.nodes)), services, events.append, lambda: False)
    assert isinstance(again, JobDone)
    assert again.outputs == end.outputs
