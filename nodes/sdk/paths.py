"""The rule for names of inputs, results, workflows and pages: resolved, they must lie inside their folder.

Names of models have another, in `diffusion.library`: links there may lead outside, for whoever made them owns the disk.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath


class OutsideFolder(ValueError):
    """A name that would leave its folder, or that no file may have."""


def resolve_inside(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`, symbolic links resolved.

    Args:
        folder: the folder that may not be left.
        name: a relative path with forward slashes, as it came from a workflow or a request.

    Raises:
        OutsideFolder: the name is empty, absolute, holds `..`, a NUL or a drive, or a link leads outside.
    """
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    if not parts or "\0" in name or PurePosixPath(plain).is_absolute() or PureWindowsPath(name).drive or ".." in parts:
        raise OutsideFolder(f"{name!r} is not a name inside {folder.name}/")
    root = folder.resolve()
    path = (root / plain).resolve()
    if root != path and root not in path.parents:
        raise OutsideFolder(f"{name!r} leads outside {folder.name}/")
    return path
