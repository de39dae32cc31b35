"""The three commands that docs/compose.md begins with, as they are written there, on an engine that has never built anything.

Given beforehand: Debian's and Node's own images, which no registry is asked for here, and a program that is compiled
already (tests/stack/compile_stage.py has the compiling). The base image is without its tools, which are 450 MB of packages.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

import base_image
import debian13
import engine as engines
import images as image_builds
from build_relay import BuildRelay
from lab import gateway as gateways

_ROOT = Path(__file__).resolve().parents[2]
_KEPT = Path(os.environ.get("SOLEROUTE_STACK_FOLDER", _ROOT / "build" / "stack"))
LIMIT_SECONDS = {"init": 5, "up": 420, "exec": 20}


def documented():
    """The commands of the page's first block."""
    page = (_ROOT / "docs/compose.md").read_text()
    block = page.split("\n## ", 1)[0].split("```console\n", 1)[1].split("```", 1)[0]
    return [line.removeprefix("$ ") for line in block.splitlines()]


@pytest.fixture(scope="module")
def clean_engine(world, tmp_path_factory):
    clients, reason = debian13.clients(_KEPT)
    if not clients:
        pytest.skip(reason)
    one = engines.Engine(world, tmp_path_factory.mktemp("engine"))
    configuration = Path(one.environment["HOME"]) / ".docker"
    configuration.mkdir()
    (configuration / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(clients.plugins)]}))
    one.environment["PATH"] = f"{clients.docker.parent}:{Path(gateways.binary()).parent}:{one.environment['PATH']}"
    yield one
    one.close()


@pytest.fixture(scope="module")
def folder(clean_engine, tmp_path_factory):
    """A project's folder with a clone beside it, and the images of others."""
    place = tmp_path_factory.mktemp("home")
    image_builds.context(place, Path(gateways.binary())).rename(place / "soleroute")
    debian = base_image.provide(clean_engine, _KEPT)
    node = base_image.provide_node(clean_engine, debian, place)
    for made, name in ((debian, "debian:bookworm-20250520-slim"), (node, "node:24-bookworm-slim")):
        clean_engine.docker("tag", made, name)
    project = place / "website"
    project.mkdir()
    os.chown(project, 501, 501)
    return project


def timed(name, run):
    begin = time.monotonic()
    done = run()
    seconds = time.monotonic() - begin
    print(f"{name}: {seconds:.1f} s")
    assert seconds < LIMIT_SECONDS[name]
    return done


def on_a_terminal(command, lines, engine, folder):
    """What a person sees who runs the command and types these lines."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["sh", "-c", command], cwd=folder, env={**engine.environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs,
                               stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 60
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 1)
        try:
            piece = os.read(ours, 65536) if ready else b""
        except OSError:  # the terminal's other end is closed
            break
        seen += piece
    os.close(ours)
    assert process.wait(10) == 0, seen.decode(errors="replace")
    return seen.decode(errors="replace")


def test_three_commands_are_all_that_it_takes(clean_engine, folder):
    init, up, enter = documented()
    assert init.startswith("gateway init") and up.startswith("docker compose up") and enter == "docker compose exec agent zsh"

    def run(command):
        return subprocess.run(["sh", "-c", command], cwd=folder, env=clean_engine.environment, check=False, text=True,
                              capture_output=True, timeout=900)

    done = timed("init", lambda: run(init))
    assert done.returncode == 0, done.stderr

    # What this machine lacks and a user's has: a registry, and a way to package mirrors from the engine's network.
    relay = BuildRelay(clean_engine.world.host)
    override = folder / ".devcontainer/build.yaml"
    arguments = {"http_proxy": relay.url, "https_proxy": relay.url, "PREBUILT": "dist/gateway", "TOOLS": "", "NODE": "no"}
    lines = "".join(f"        {name}: {json.dumps(value)}\n" for name, value in arguments.items())
    text = override.read_text()
    text = text.replace("      target: gateway-image\n", f"      target: gateway-image\n      network: host\n      args:\n{lines}", 1)
    text = text.replace("      args:\n        AGENTS", f"      network: host\n      args:\n{lines}        AGENTS", 1)
    override.write_text(text)
    policy = folder / ".devcontainer/policy.yaml"
    policy.write_text(policy.read_text() + "\ndomains:\n  - allowed.test\n")
    try:
        done = timed("up", lambda: run(up))
    finally:
        relay.close()
    assert done.returncode == 0, done.stderr[-4000:]

    typed = ["claude --version", "curl -sS http://allowed.test/ | sed 's/^/allowed: /'", "curl -sS http://denied.test/ | head -n 1", "exit"]
    seen = timed("exec", lambda: on_a_terminal(enter, typed, clean_engine, folder))
    assert re.search(r"\d+\.\d+\.\d+ \(Claude Code\)", seen), seen
    assert "allowed: AL" in seen, seen
    assert "Blocked by proxy policy: denied.test" in seen, seen
    run("docker compose down -t 1 -v")
