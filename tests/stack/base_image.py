"""The Debian base of the images, where no image registry is reached: made from Debian's packages and imported.

Package mirrors, certificate authorities and npm are the machine's, read from its own configuration when this runs.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import hashlib
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
IMAGE = "soleroute-test/debian"
NODE_IMAGE = "soleroute-test/node"
SECONDS = 900

# What the images install with apt, put in here already: one installation instead of one an image, and beside it what the
# tests run as the agent. The images still say what they need; their apt-get finds it done.
PACKAGES = """
ca-certificates curl fzf gh git iproute2 jq less libcap2-bin libfmt9 libidn2-0 libmnl0 libnetfilter-queue1 libnftnl11
libnghttp2-14 libpsl5 libssl3 libyaml-cpp0.7 nftables nodejs openssh-client procps python3 python3-pip ripgrep tmux vim-tiny zsh
""".split()


def mirrors():
    """Addresses from which this machine takes the main part of its Debian, as apt understands its configuration."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(SUITE) $(COMPONENT)", "Created-By: Packages"],
        check=True, capture_output=True, text=True).stdout
    found = set()
    for line in listed.splitlines():
        uri, codename, suite, component = line.split()
        if SUITE in (codename, suite) and component == "main":
            found.add(uri)
    return sorted(found)


def _sources():
    return [f"deb {uri} {SUITE} main" for uri in mirrors()]


def unavailable():
    if not shutil.which("mmdebstrap"):
        return "the base image is made with mmdebstrap: apt-get install mmdebstrap"
    return "" if _sources() else f"apt on this machine knows no source of Debian {SUITE}"


def provide(engine, folder):
    """Imports the base into the engine, made once and kept in `folder`; returns the name of the image."""
    recipe = hashlib.sha256("\n".join([SUITE, *PACKAGES, *_sources()]).encode()).hexdigest()[:12]
    name = f"{IMAGE}:{recipe}"
    if engine.docker("image", "inspect", name, check=False).returncode == 0:
        return name
    archive = folder / f"base-{recipe}.tar"
    if not archive.exists():
        _make(archive)
    engine.docker("import", archive, name, timeout=SECONDS)
    return name


def bare(folder):
    """The archive of a system with apt and nothing more, made once and kept in `folder`."""
    recipe = hashlib.sha256("\n".join([SUITE, *_sources()]).encode()).hexdigest()[:12]
    archive = folder / f"bare-{recipe}.tar"
    if not archive.exists():
        _make(archive, "--variant=apt")
    return archive


def _make(archive, *options):
    part = archive.with_suffix(".part")
    options = options or ("--variant=minbase", f"--include={','.join(PACKAGES)}")
    subprocess.run(["mmdebstrap", "--quiet", *options, "--format=tar", SUITE, str(part), *_sources()], check=True, timeout=SECONDS,
                   stdin=subprocess.DEVNULL)
    part.rename(archive)


_DEBIANS_MODULES = Path("/usr/share/nodejs")


def copy_npm(root):
    """The machine's own npm and the node that runs it, to where they belong below `root`, a container's root folder."""
    node, npm = Path(shutil.which("node")).resolve(), Path(shutil.which("npm")).resolve()  # …/npm/bin/npm-cli.js
    programs = root / "usr/local/bin"
    programs.mkdir(parents=True)
    if npm.is_relative_to(_DEBIANS_MODULES):  # needs the packages beside it, and Debian's node, which the base has
        modules = _DEBIANS_MODULES
    else:
        modules = npm.parents[1]
        shutil.copy(node, programs / "node")
    shutil.copytree(modules, root / modules.relative_to("/"), symlinks=False, ignore_dangling_symlinks=True)
    (programs / "npm").symlink_to(npm)


def provide_node(engine, base, folder):
    """An image with the machine's own npm, for the stage that fetches an agent from the npm registry."""
    context = folder / "node"
    shutil.rmtree(context, ignore_errors=True)
    copy_npm(context / "root")
    trusted = context / "authorities"
    trusted.mkdir()
    for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):  # registries may be behind the machine's own
        shutil.copy(file, trusted)
    (context / "Dockerfile").write_text(
        f"FROM {base}\nCOPY root /\nCOPY authorities /usr/local/share/ca-certificates\nRUN update-ca-certificates\n"
        "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n")
    engine.docker("build", "-q", "-t", NODE_IMAGE, context, timeout=SECONDS)
    return NODE_IMAGE
