"""The decorator turns signatures into specs, and refuses those that can't work with a sentence that helps."""

from __future__ import annotations

import math
import pickle
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.sdk import (
    Advanced,
    Catalogue,
    Choices,
    Context,
    DeclarationError,
    Help,
    InputFile,
    InputImage,
    Keys,
    Label,
    Mask,
    Mentions,
    ModelFile,
    Multiline,
    NodeSpec,
    Range,
    Seed,
    definition_of,
    node,
)
from nodes.sdk.types import WIDENING, connects


class Model:
    type_id = "MODEL"


class Loaded(NamedTuple):
    model: Model
    picture_mask: Mask


def spec_of(function: object) -> NodeSpec:
    definition = definition_of(function)
    assert definition is not None
    return definition.spec


def declare(function):
    return node(title="T", category="c")(function)


def test_a_function_becomes_a_spec_and_stays_callable():
    @node(title="Add", category="math", aliases=("Plus",), output=True, version=3)
    def Add(a: int, b: Annotated[int, Range(0, 9, slider=True), Help("How much.")] = 2) -> int:
        """Adds.

        Really.
        """
        return a + b

    spec = spec_of(Add)
    assert Add(1, 2) == 3
    assert (spec.id, spec.title, spec.category, spec.aliases) == ("Add", "Add", "math", ("Plus",))
    assert (spec.version, spec.output, spec.pure) == (3, True, True)
    assert spec.description == "Adds.\n\nReally."
    b = spec.input("b")
    assert b is not None
    assert (b.type, b.min, b.max, b.default, b.widget, b.help) == ("INT", 0, 9, 2, "slider", "How much.")
    assert spec.input("c") is None


def test_each_annotation_gives_its_widget():
    @declare
    def Everything(
        model: Model,
        seed: Annotated[int, Seed()],
        strength: float = 1.0,
        on: bool = True,
        name: str = "x",
        text: Annotated[str, Multiline(), Label("Words")] = "",
        mode: Literal["fast", "slow"] = "slow",
        picked: Annotated[str, Choices(("a", "b"))] = "a",
        ckpt: Annotated[str, ModelFile("checkpoints"), Advanced()] = "",
        image: Annotated[str, InputImage()] = "",
        latent: Annotated[str, InputFile((".latent",))] = "",
        mask: Mask | None = None,
    ) -> None: ...

    spec = spec_of(Everything)
    shapes = {each.name: (each.type, each.widget) for each in spec.inputs}
    assert shapes == {
        "model": ("MODEL", None),
        "seed": ("INT", "seed"),
        "strength": ("FLOAT", "number"),
        "on": ("BOOLEAN", "toggle"),
        "name": ("STRING", "text"),
        "text": ("STRING", "multiline"),
        "mode": ("COMBO", "choice"),
        "picked": ("COMBO", "choice"),
        "ckpt": ("COMBO", "model"),
        "image": ("COMBO", "image"),
        "latent": ("COMBO", "model"),
        "mask": ("MASK", None),
    }
    assert spec.outputs == ()
    by_name = {each.name: each for each in spec.inputs}
    assert by_name["mode"].choices == ("fast", "slow")
    assert by_name["seed"].max == 2**64 - 1
    assert by_name["ckpt"].model_kind == "checkpoints"
    assert by_name["ckpt"].advanced
    assert all(by_name[name].is_file for name in ("ckpt", "image", "latent"))
    assert by_name["latent"].endings == (".latent",)
    assert NodeSpec.from_json(spec.to_json()) == spec
    assert not by_name["mask"].required
    assert by_name["text"].label == "Words"


def test_a_named_tuple_names_the_outputs():
    @declare
    def Load(context: Context) -> Loaded: ...

    spec = spec_of(Load)
    assert [(each.name, each.type) for each in spec.outputs] == [("MODEL", "MODEL"), ("picture_mask", "MASK")]
    assert spec.context == "context"
    assert spec.inputs == ()


def refused(function) -> str:
    with pytest.raises(DeclarationError) as caught:
        declare(function)
    return str(caught.value)


def test_keys_make_an_input_of_each_name_in_its_place():
    @declare
    def Many(a: int = 0, **parts: Annotated[float, Keys(("in.0.", "out"), 0.5), Range(0.0, 1.0, 0.1)]) -> None: ...

    spec = spec_of(Many)
    assert [each.name for each in spec.inputs] == ["a", "in.0.", "out"]
    part = spec.inputs[1]
    assert (part.type, part.widget, part.default, part.max, part.required) == ("FLOAT", "number", 0.5, 1.0, True)

    @declare
    def Named(**parts: Annotated[float, Keys(("in.0.", "out"), 0.5, ("first", None))]) -> None: ...

    assert [each.label for each in spec_of(Named).inputs] == ["first", None]

    def Unnamed(**parts: float) -> None: ...

    assert "with Keys(...)" in refused(Unnamed)


def test_bad_declarations_are_refused_with_what_to_write_instead():
    def Bare(a) -> None: ...
    def Star(*a: int) -> None: ...
    def NoReturn(a: int): ...
    def Unknown(a: bytes) -> None: ...
    def Wide(a: Annotated[int, Range(0, 3)] = 4) -> None: ...
    def TextRange(a: Annotated[str, Range(0, 3)] = "") -> None: ...
    def NumberModel(a: Annotated[int, ModelFile("vae")] = 0) -> None: ...
    def BadChoice(a: Annotated[str, Choices(("x",))] = "y") -> None: ...
    def NoChoice(a: Annotated[str, Choices(())]) -> None: ...
    def Either(a: Model | Mask) -> None: ...
    def OptionalWithout(a: Model | None) -> None: ...
    def Classy(a: Annotated[int, Range]) -> None: ...
    def TwoContexts(a: Context, b: Context) -> None: ...
    def Returns() -> bytes: ...

    assert "annotate the input" in refused(Bare)
    assert "plain named parameter" in refused(Star)
    assert "-> None" in refused(NoReturn)
    assert "type_id" in refused(Unknown)
    assert "outside 0 to 3" in refused(Wide)
    assert "Range is for int and float" in refused(TextRange)
    assert "ModelFile is for str" in refused(NumberModel)
    assert "not among the choices" in refused(BadChoice)
    assert "at least one choice" in refused(NoChoice)
    assert "X | None" in refused(Either)
    assert "default None" in refused(OptionalWithout)
    assert "write it as an instance" in refused(Classy)
    assert "takes one Context" in refused(TwoContexts)
    assert "NamedTuple" in refused(Returns)


@pytest.mark.parametrize(
    ("hint", "default", "says"),
    [
        (int, "20", "'20' is not a whole number"),
        (int, 2.0, "2.0 is not a whole number"),
        (int, True, "True is not a whole number"),
        (int, None, "None is not a whole number"),
        (float, "1", "'1' is not a number"),
        (float, math.inf, "no finite number"),
        (bool, 3, "3 is not True or False"),
        (str, 3, "3 is not a text"),
        (Model, "x", "no default but None"),
        (Literal[1, 2], 1, "not all texts"),
        (Annotated[int, Range(10, 1)], 5, "write the smaller limit first"),
        (Annotated[int, Range(0, 10, 0)], 5, "a step of 0"),
        (Annotated[int, Range(0.5, 10)], 5, "write whole numbers"),
        (Annotated[int, Range(0, 64, 8, multiple=True)], 12, "12 is no multiple of 8"),
        (Annotated[float, Range(0.0, 1.0, 0.1, multiple=True)], 0.5, "`multiple` is for int"),
        (Annotated[int, Range(0, 3), Range(0, 4)], 1, "write Range once"),
        (Annotated[str, Seed()], "", "Seed is for int"),
        (Annotated[float, Seed()], 0.0, "Seed is for int"),
        (Annotated[int, Seed(), Range(0, 9)], 0, "leave Range out"),
        (Annotated[int, Multiline()], 0, "Multiline is for str"),
        (Annotated[bool, Range(0, 1)], True, "Range is for int and float"),
        (Annotated[Model, Mentions("embeddings")], None, "Mentions is for str"),
        (Annotated[Literal["a"], Choices(("b",))], "a", "Choices is for str"),
        (Annotated[str, ModelFile("vae"), InputImage()], "", "ModelFile and InputImage exclude each other"),
        (Annotated[str, Choices(("a",)), InputFile((".txt",))], "a", "exclude each other"),
        (Annotated[str, InputImage(), Multiline()], "", "InputImage and Multiline exclude each other"),
        (Annotated[str, Choices(("a",)), Mentions("embeddings")], "a", "exclude each other"),
        (Annotated[str, InputFile(())], "", "write them with a dot"),
        (Annotated[str, InputFile((".TXT",))], "", "in small letters"),
        (Annotated[str, Choices((1, 2))], 1, "not a text"),  # pyright: ignore[reportArgumentType]
        (Annotated[int, Keys(("a",), 0)], 0, "Keys is for a `**` parameter"),
        (list[int], 0, "only come by a link"),
    ],
)
def test_what_could_never_work_is_refused_at_the_declaration(hint: Any, default: Any, says: str):
    def Bad(a=default) -> None: ...

    Bad.__annotations__["a"] = hint
    told = refused(Bad)
    assert says in told
    assert told.startswith("Bad(a): ")


def test_as_many_labels_as_keys_are_asked_for():
    def Named(**parts: Annotated[float, Keys(("in", "out"), 0.5, ("first",))]) -> None: ...

    assert "2 names and 1 labels" in refused(Named)


def test_specs_and_catalogues_survive_json_and_pickle():
    @node(title="A", category="c", aliases=("Alpha",))
    def A(mode: Literal["x", "y"] = "x", n: Annotated[float, Range(0, 1, 0.1)] = 0.5) -> Loaded: ...

    spec = spec_of(A)
    assert NodeSpec.from_json(spec.to_json()) == spec
    assert pickle.loads(pickle.dumps(spec)).input("n") == spec.input("n")
    catalogue = Catalogue.from_json(Catalogue((spec,)).to_json())
    assert catalogue["Alpha"] == catalogue["A"] == spec
    assert "Beta" not in catalogue
    assert list(catalogue) == ["A"]
    assert catalogue.names() == ("A", "Alpha")


def test_two_nodes_may_not_share_a_name():
    first, second = NodeSpec("A", "A", "c"), NodeSpec("B", "B", "c", aliases=("X",))
    with pytest.raises(ValueError, match="two nodes are called 'A'"):
        Catalogue((first, first))
    with pytest.raises(ValueError, match="both claim the alias 'X'"):
        Catalogue((second, NodeSpec("C", "C", "c", aliases=("X",))))


@given(st.text(min_size=1), st.text(min_size=1))
def test_only_equal_types_connect_but_for_any_and_whole_numbers(left: str, right: str):
    expected = left == right or "*" in (left, right) or right in WIDENING.get(left, ())
    assert connects(left, right) == expected


def test_a_whole_number_feeds_a_fraction_but_not_the_reverse():
    assert connects("COMBO", "STRING")
    assert connects("INT", "FLOAT")
    assert not connects("FLOAT", "INT")
    assert connects("*", "MODEL")
    assert not connects("IMAGE", "MODEL")
