"""Debian 13's Docker client and Compose v2, which run on Debian 12 as they are, and its Docker Engine, which does not.

apt fetches them and checks their signatures, from the mirror that this machine takes its own Debian from. They are unpacked
below a folder and not installed.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import subprocess
from pathlib import Path

import base_image

SUITE = "trixie"
SECONDS = 300
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ENGINE = ("docker.io", "iptables")
_CLIENTS = ("docker-cli", "docker-compose", "docker-buildx")


def sources():
    """One-line sources of Debian 13, where this machine's Debian comes from."""
    return [f"deb [signed-by={_KEYRING}] {uri} {SUITE} main" for uri in base_image.mirrors()]


def _apt(folder, *arguments):
    """apt-get with lists, cache and sources of its own below `folder`; the machine's way to its mirror is kept."""
    for name in ("lists/partial", "cache/archives/partial", "packages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    listed = folder / "sources.list"
    listed.write_text("\n".join(sources()) + "\n")
    options = {"Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache", "Dir::Etc::SourceList": listed,
               "Dir::Etc::SourceParts": "/dev/null", "Dir::State::status": "/dev/null", "APT::Sandbox::User": "root"}  # fmt: skip
    return subprocess.run(["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items()), *arguments],
                          cwd=folder / "packages", check=False, text=True, capture_output=True, timeout=SECONDS)


class Clients:
    """`docker` and Compose v2 as programs."""

    def __init__(self, folder):
        self.docker = folder / "usr/bin/docker"
        self.plugins = folder / "usr/libexec/docker/cli-plugins"
        self.compose = self.plugins / "docker-compose"


def _no_mirror():
    """Why Debian 13 cannot be asked for, or an empty string."""
    if not _KEYRING.exists():
        return f"the keys of Debian {SUITE} are not here: apt-get install debian-archive-keyring"
    return "" if sources() else "apt on this machine knows no mirror of Debian"


def engine(folder):
    """(root folder of a system that has Docker Engine, "") below `folder`, made once; or (None, why there is none).

    Unpacked only: the scripts of its packages do not run, so what they would set up and the engine needs is done here.
    """
    kept = folder / f"{SUITE}-engine"
    if kept.exists():
        return kept, ""
    if reason := _no_mirror():
        return None, reason
    part = kept.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    done = subprocess.run(["mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(_ENGINE)}", "--format=directory", SUITE, part,
                           *sources()], check=False, text=True, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)  # fmt: skip
    if done.returncode != 0:
        return None, f"the mirror of this machine's Debian gives no {', '.join(_ENGINE)} of {SUITE}: {done.stderr.strip()[-300:]}"
    for program in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            (part / f"usr/sbin/{program}{suffix}").symlink_to("xtables-nft-multi")
    part.rename(kept)
    return kept, ""


def unpacked(folder, name, packages):
    """(folder that holds what these packages do, "") below `folder`, fetched once for all runs; or (None, why there is none)."""
    kept = folder / f"{SUITE}-{name}"
    if kept.exists():
        return kept, ""
    if reason := _no_mirror():
        return None, reason
    work, part = folder / f"{SUITE}-{name}-apt", kept.with_suffix(".part")
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(part, ignore_errors=True)
    for arguments in (["--error-on=any", "update"], ["download", *packages]):
        done = _apt(work, *arguments)
        if done.returncode != 0:
            return None, f"the mirror of this machine's Debian gives no {', '.join(packages)} of {SUITE}: {done.stderr.strip()[-300:]}"
    for package in (work / "packages").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, part], check=True, timeout=SECONDS)
    part.rename(kept)
    shutil.rmtree(work)
    return kept, ""


def clients(folder):
    """(the clients, "") or (None, why there are none)."""
    kept, reason = unpacked(folder, "clients", _CLIENTS)
    return (Clients(kept) if kept else None), reason
