"""Runs every example and keeps its picture as the thumbnail that the editor's template list shows.

    python workflows/make_thumbnails.py

Run it again whenever an example or the embedded model changes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
SIDE = 256


def main() -> None:
    (FOLDER / "thumbnails").mkdir(exist_ok=True)
    for workflow in sorted(FOLDER.glob("*.json")):
        with tempfile.TemporaryDirectory() as data:
            command = [sys.executable, "-m", "executor", "run", str(workflow), "--data-dir", data, "--quiet"]
            shown = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=True).stdout
            with Image.open(shown.splitlines()[0]) as picture:
                small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        target = FOLDER / "thumbnails" / f"{workflow.stem}.webp"
        small.save(target, "WEBP", quality=88)
        print(target.relative_to(FOLDER.parent))


if __name__ == "__main__":
    main()
