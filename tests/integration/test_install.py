"""What `cmake --install` and `cpack -G DEB` put in place, from the build that made the program under test."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import subprocess
from pathlib import Path

import pytest

_DEB = Path(__file__).resolve().parents[2] / "tools/deb"
COMMANDS = ("run", "check", "explain", "test", "verify", "services", "status")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=240,
                          **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def build(gateway_binary):
    folder = Path(gateway_binary).parents[1]
    assert (folder / "CMakeCache.txt").exists(), f"{gateway_binary} was not made by a build of this project"
    run("cmake", "--build", folder, "--target", "gateway", "man")
    if "SOLEROUTE_STATIC_LIBS:BOOL=ON" in (folder / "CMakeCache.txt").read_text():
        run("cmake", "--build", folder, "--target", "gateway_shared")
    return folder


@pytest.fixture(scope="module")
def installed(build, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix


@pytest.fixture(scope="module")
def package(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    made = run(_DEB, "--build", build, "--output", folder).strip()
    (deb,) = folder.glob("*.deb")
    assert str(deb) == made
    return deb


def help_of(program, *command):
    return run(program, *command, "--help")


def test_installs_the_program_its_page_and_the_policy_files(installed):
    assert run(installed / "bin/gateway", "--version").startswith("gateway ")
    share = installed / "share/soleroute/policy"
    assert (share / "policy.schema.json").is_file()
    assert (share / "services/github.yaml").is_file()
    assert list((share / "examples").glob("*.yaml"))
    for name in ("share/man/man1/gateway.1.gz", "share/bash-completion/completions/gateway", "share/zsh/site-functions/_gateway",
                 "share/fish/vendor_completions.d/gateway.fish", "share/soleroute/apparmor/soleroute"):  # fmt: skip
        assert (installed / name).stat().st_size > 0, name


def test_installed_examples_are_valid_policies(installed):
    for example in (installed / "share/soleroute/policy/examples").glob("*.yaml"):
        run(installed / "bin/gateway", "check", "--policy", example)


def test_man_page_is_sound_and_says_what_the_help_says(installed):
    page = installed / "share/man/man1/gateway.1.gz"
    shown = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=False,
                           env={"PATH": "/usr/bin:/bin", "MANWIDTH": "400", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
    assert shown.returncode == 0 and not shown.stderr, shown.stderr
    text = re.sub(r".\x08", "", shown.stdout)
    program = installed / "bin/gateway"
    options = set(re.findall(r"--[a-z][a-z-]+", help_of(program)))
    for command in COMMANDS:
        assert f"gateway {command}" in text
        options |= set(re.findall(r"--[a-z][a-z-]+", help_of(program, command)))
    assert len(options) > 15
    assert [option for option in sorted(options) if option not in text] == []


def test_package_depends_on_the_libraries_that_the_program_needs(package):
    control = run("dpkg-deb", "--field", package)
    depends = re.search(r"^Depends: (.*)$", control, re.MULTILINE).group(1)
    for library in ("libc6", "libstdc++6", "libyaml-cpp", "libfmt", "libmnl0", "libnftnl11", "libpsl5", "libidn2-0"):
        assert library in depends, depends
    assert re.search(r"^Section: net$", control, re.MULTILINE)
    assert re.search(r"^Maintainer: .+ <.+@.+>$", control, re.MULTILINE)


def test_package_installs_into_an_empty_root_and_runs(package, tmp_path):
    run("dpkg-deb", "--extract", package, tmp_path)
    assert run(tmp_path / "usr/bin/gateway", "--version").startswith("gateway ")
    assert (tmp_path / "usr/share/doc/soleroute/copyright").is_file()
    for name in ("share/man/man1/gateway.1.gz", "share/bash-completion/completions/gateway", "share/zsh/vendor-completions/_gateway",
                 "share/fish/vendor_completions.d/gateway.fish", "share/soleroute/apparmor/soleroute"):  # fmt: skip
        assert (tmp_path / "usr" / name).stat().st_size > 0, name
    listing = run("dpkg-deb", "--contents", package)
    assert all(line.split()[1] == "root/root" for line in listing.splitlines())
    names = [line.split(maxsplit=5)[5] for line in listing.splitlines()]
    assert not [name for name in names if not name.startswith("./usr/") and name != "./"]
