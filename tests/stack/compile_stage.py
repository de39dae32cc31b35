"""Builds docker/gateway as users do, compiling inside, and runs what comes out. By hand, before a release: it takes minutes.

/usr/bin/python3 -B tests/stack/compile_stage.py
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "tests" / "support"), str(Path(__file__).resolve().parent)]

import base_image  # noqa: E402
from build_relay import BuildRelay  # noqa: E402
from engine import Engine  # noqa: E402
from world import World  # noqa: E402

_KEPT = _ROOT / "build" / "stack"
_SECONDS = 3600
_BASE, _IMAGE = "soleroute-test/compile-base", "soleroute-test/compiled"


def sources(folder):
    """What is committed, and nothing of this machine."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", _ROOT, "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def base(engine, debian, folder):
    """Debian with the machine's own certificate authorities, should its package mirror be behind them."""
    folder.mkdir()
    for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(file, folder)
    (folder / "Dockerfile").write_text(f"FROM {debian}\nCOPY . /usr/local/share/ca-certificates\nRUN update-ca-certificates\n")
    engine.docker("build", "-q", "-t", _BASE, folder)


def compile_and_run(engine, folder):
    base(engine, base_image.provide(engine, _KEPT), folder / "base")
    context = sources(folder / "source")
    relay = BuildRelay(engine.world.host)
    begin = time.monotonic()
    try:
        proxies = [f"--build-arg={name}={relay.url}" for name in ("http_proxy", "https_proxy")]
        engine.docker("build", "-q", "--network", "host", "-f", context / "docker/gateway/Dockerfile", "--build-arg", f"BASE_IMAGE={_BASE}",
                      *proxies, "-t", _IMAGE, context, timeout=_SECONDS)
    finally:
        relay.close()
    print(f"built in {time.monotonic() - begin:.0f} s")
    run = ["run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", _IMAGE]
    print(engine.docker(*run, "--version").stdout, engine.docker(*run, "doctor", "--in", "gateway").stdout, sep="")
    engine.docker("rmi", _IMAGE)


def main():
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        world = World(folder)
        try:
            engine = Engine(world, _KEPT)
            try:
                compile_and_run(engine, folder)
            finally:
                engine.close()
        finally:
            world.close()


if __name__ == "__main__":
    main()
