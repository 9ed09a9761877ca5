"""The catalogue lists nodes, and the files that their inputs can choose from at this moment."""

from __future__ import annotations

from tests.api.conftest import Api
from tests.api.test_files import form, png


async def test_nodes_come_with_the_files_that_are_there_now(api: Api):
    async def choices(name: str) -> list[str]:
        nodes = (await api.json("GET", "/api/v1/nodes"))["nodes"]
        picture = next(node for node in nodes if node["id"] == "Picture")
        return next(each for each in picture["inputs"] if each["name"] == name)["choices"]

    assert await choices("image") == []
    await api.json("POST", "/api/v1/inputs", 201, data=form(png(), "a.png"))
    (api.services.settings.models_dir / "checkpoints" / "m.safetensors").write_bytes(b"x")
    assert await choices("image") == ["a.png"]
    assert await choices("model") == ["m.safetensors"]
    (api.services.folders.inputs / "more" / ".hidden").mkdir(parents=True)
    for name in ("words.txt", "more/WORDS.TXT", "more/.hidden/words.txt", ".words.txt"):
        (api.services.folders.inputs / name).write_text("a fox")
    assert await choices("words") == ["more/WORDS.TXT", "words.txt"]
    assert await choices("image") == ["a.png"]


async def test_models_are_listed_by_kind(api: Api):
    (api.services.settings.models_dir / "checkpoints" / "m.safetensors").write_bytes(b"xyz")
    everything = await api.json("GET", "/api/v1/models")
    (entry,) = everything["checkpoints"]
    assert (entry["name"], entry["size"]) == ("m.safetensors", 3)
    assert await api.json("GET", "/api/v1/models/checkpoints") == {"checkpoints": [entry]}
    assert (await api.json("GET", "/api/v1/models/nonsense", 404))["error"]["code"] == "unknown_kind"


async def test_packs_are_reported(api: Api):
    assert (await api.json("GET", "/api/v1/nodes"))["packs"] == [{"name": "test", "ok": True, "error": None}]
