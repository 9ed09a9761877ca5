from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffusion.errors import UnknownModel
from diffusion.library import ModelLibrary
from tests.conftest import ROOT


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints" / "sd").mkdir(parents=True)
    (tmp_path / "checkpoints" / "tiny.safetensors").write_bytes(b"one")
    (tmp_path / "checkpoints" / "sd" / "Big.ckpt").write_bytes(b"two")
    (tmp_path / "checkpoints" / "readme.txt").write_text("no model")
    (tmp_path / "secret.safetensors").write_bytes(b"secret")
    return tmp_path


def test_models_are_listed_by_name_with_their_folders(models: Path):
    assert [entry.name for entry in ModelLibrary(models).list("checkpoints")] == ["sd/Big.ckpt", "tiny.safetensors"]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path):
    assert ModelLibrary(tmp_path / "nothing").list("loras") == ()


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("clip", "text_encoders", "clip"),
        ("diffusion_models", "unet", "diffusion_models"),
        ("controlnet", "controlnet", "t2i_adapter"),
    ],
)
def test_kinds_with_two_folders_list_both_and_the_first_wins(tmp_path: Path, kind: str, first: str, second: str):
    for folder, names in ((first, ("a", "both")), (second, ("b", "both"))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.safetensors").write_text(folder)
    library = ModelLibrary(tmp_path)
    assert [entry.name for entry in library.list(kind)] == ["a.safetensors", "b.safetensors", "both.safetensors"]
    assert Path(library.resolve(kind, "b.safetensors").path).read_text() == second
    assert Path(library.resolve(kind, "both.safetensors").path).read_text() == first


def test_a_name_resolves_to_its_file(models: Path):
    ref = ModelLibrary(models).resolve("checkpoints", "sd/Big.ckpt")
    assert Path(ref.path).read_bytes() == b"two"
    assert (ref.kind, ref.name) == ("checkpoints", "sd/Big.ckpt")


def test_an_unknown_name_gives_the_nearest(models: Path):
    with pytest.raises(UnknownModel) as caught:
        ModelLibrary(models).resolve("checkpoints", "tinny.safetensors")
    assert caught.value.code == "missing_file"
    assert "tiny.safetensors" in str(caught.value.hint)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors",
        "sd/../../secret.safetensors",
        "/etc/passwd.safetensors",
        "C:\\x.safetensors",
        "..\\secret.safetensors",
        "sd//Big.ckpt",
        "./tiny.safetensors",
        "",
        "a\0.safetensors",
        "x" * 2000,
    ],
)
def test_a_name_never_leaves_its_folder(models: Path, name: str):
    with pytest.raises(UnknownModel):
        ModelLibrary(models).resolve("checkpoints", name)


def test_only_files_of_the_kind_can_be_named(models: Path):
    with pytest.raises(UnknownModel):
        ModelLibrary(models).resolve("checkpoints", "readme.txt")


def test_the_sidecar_has_the_same_stem(models: Path):
    library = ModelLibrary(models)
    file = library.resolve("checkpoints", "tiny.safetensors")
    assert library.sidecar(file) is None
    (models / "checkpoints" / "tiny.yaml").write_text("model: {}")
    config = library.sidecar(file)
    assert config is not None
    assert config.name == "tiny.yaml"


def test_the_content_id_follows_the_content_and_the_sidecar(models: Path):
    library = ModelLibrary(models)
    path = models / "checkpoints" / "tiny.safetensors"
    first = library.resolve("checkpoints", "tiny.safetensors").content_id
    assert library.resolve("checkpoints", "tiny.safetensors").content_id == first
    path.write_bytes(b"eno")
    os.utime(path, ns=(1, 1))
    second = library.resolve("checkpoints", "tiny.safetensors").content_id
    (models / "checkpoints" / "tiny.yaml").write_text("model: {}")
    third = library.resolve("checkpoints", "tiny.safetensors").content_id
    assert len({first, second, third}) == 3


def test_the_content_id_of_a_large_file_is_quick_and_notices_a_change(tmp_path: Path):
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)
    library = ModelLibrary(tmp_path)
    first = library.content_id(path)
    with path.open("r+b") as file:
        file.seek(12345)
        file.write(b"x")
    os.utime(path, ns=(2, 2))
    assert library.content_id(path) != first


def test_links_that_lead_in_circles_end(models: Path):
    (models / "checkpoints" / "loop").symlink_to(models / "checkpoints", target_is_directory=True)
    assert len(ModelLibrary(models).list("checkpoints")) == 2


def test_neither_the_library_nor_the_nodes_load_torch():
    code = (
        "import sys; import diffusion.library, diffusion.worker_resources, diffusion.values;"
        "from nodes.sdk import load_packs; packs = load_packs();"
        "assert all(report.ok for report in packs.reports), packs.reports;"
        "assert 'KSampler' in packs.nodes;"
        "print(sorted({'torch', 'diffusers', 'transformers', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
