"""Everything a node pack may import: the decorator, the input annotations, the context and the errors."""

from nodes.sdk.context import Context, OutputFile, OutputPath, PreviewFrame
from nodes.sdk.declare import DeclarationError, NodeDefinition, definition_of, node
from nodes.sdk.errors import Cancelled, NodeError
from nodes.sdk.fields import (
    Advanced,
    Choices,
    Help,
    InputFile,
    InputImage,
    Keys,
    Label,
    Mentions,
    ModelFile,
    Multiline,
    Range,
    Seed,
)
from nodes.sdk.packs import PackReport, Packs, load_packs
from nodes.sdk.spec import Catalogue, InputSpec, LiteralValue, NodeSpec, OutputSpec
from nodes.sdk.types import Any, Image, Mask

__all__ = [
    "Advanced",
    "Any",
    "Cancelled",
    "Catalogue",
    "Choices",
    "Context",
    "DeclarationError",
    "Help",
    "Image",
    "InputFile",
    "InputImage",
    "InputSpec",
    "Keys",
    "Label",
    "LiteralValue",
    "Mask",
    "Mentions",
    "ModelFile",
    "Multiline",
    "NodeDefinition",
    "NodeError",
    "NodeSpec",
    "OutputFile",
    "OutputPath",
    "OutputSpec",
    "PackReport",
    "Packs",
    "PreviewFrame",
    "Range",
    "Seed",
    "definition_of",
    "load_packs",
    "node",
]
