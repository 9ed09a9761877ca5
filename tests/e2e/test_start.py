"""What a server does before it answers."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT
from tests.e2e.conftest import Server, free_port


def test_a_second_server_on_the_same_data_folder_is_refused_and_says_why(server: Server):
    command = [sys.executable, str(ROOT / "server.py"), "--port", str(free_port()), "--no-browser"]
    ended = subprocess.run([*command, "--data-dir", str(server.data_dir)], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert str(server.data_dir) in ended.stderr
    assert "--data-dir" in ended.stderr
    assert server.get("/healthz")["engine"] == "ready"
