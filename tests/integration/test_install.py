"""What `cmake --install` and `cpack -G DEB` put in place, from the build that made the program under test."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import subprocess
from pathlib import Path

import pytest

_DEB = Path(__file__).resolve().parents[2] / "tools/deb"


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
    for name in ("share/man/man1/gateway.1.gz", "share/man/man1/gateway-run.1.gz", "share/bash-completion/completions/gateway", "share/zsh/site-functions/_gateway",
                 "share/fish/vendor_completions.d/gateway.fish", "share/soleroute/apparmor/soleroute"):  # fmt: skip
        assert (installed / name).stat().st_size > 0, name


def test_installed_examples_are_valid_policies(installed):
    for example in (installed / "share/soleroute/policy/examples").glob("*.yaml"):
        run(installed / "bin/gateway", "check", "--policy", example)


def shown_page(page, width="80"):
    """What man shows of a page on a terminal, and its warnings."""
    done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/bin:/bin", "MANWIDTH": width, "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return re.sub(r".\x08", "", done.stdout), done.stderr


def commands_of(program):
    found = re.findall(r"^  ([a-z]+)  ", help_of(program).split("\nOptions:")[0], re.MULTILINE)
    assert {"run", "serve", "check"} <= set(found)
    return found


def test_every_command_has_a_man_page_with_the_standard_sections(installed):
    program = installed / "bin/gateway"
    folder = installed / "share/man/man1"
    commands = commands_of(program)
    assert {file.name for file in folder.iterdir()} == {"gateway.1.gz", *(f"gateway-{command}.1.gz" for command in commands)}
    for name in ("gateway", *(f"gateway-{command}" for command in commands)):
        text, warnings = shown_page(folder / f"{name}.1.gz")
        assert not warnings, (name, warnings)
        sections = re.findall(r"^([A-Z][A-Z ]+)$", text, re.MULTILINE)
        wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
        assert [section for section in sections if section in wanted] == wanted, name
        assert [line for line in text.splitlines() if len(line) > 80] == [], name
        assert not re.search(r"[\u2010\u2018\u2019]", text), f"{name}: what is copied must be what is typed"
        assert not re.search(r"\w-$", text, re.MULTILINE), f"{name}: a name is broken over two lines"


def test_man_pages_say_what_the_help_says(installed):
    program = installed / "bin/gateway"
    for command in commands_of(program):
        page = help_of(program, command)
        text, _ = shown_page(installed / f"share/man/man1/gateway-{command}.1.gz", "400")
        names = set(re.findall(r"--[a-z][a-z-]+|GATEWAY_[A-Z_]*[A-Z]", page))
        assert names and [name for name in sorted(names) if name not in text] == [], command
        assert (installed / "share/man/man1/gateway.1.gz").exists() and f"gateway-{command}(1)" in shown_page(
            installed / "share/man/man1/gateway.1.gz", "400")[0]


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
    for name in ("share/man/man1/gateway.1.gz", "share/man/man1/gateway-run.1.gz", "share/bash-completion/completions/gateway", "share/zsh/vendor-completions/_gateway",
                 "share/fish/vendor_completions.d/gateway.fish", "share/soleroute/apparmor/soleroute"):  # fmt: skip
        assert (tmp_path / "usr" / name).stat().st_size > 0, name
    listing = run("dpkg-deb", "--contents", package)
    assert all(line.split()[1] == "root/root" for line in listing.splitlines())
    names = [line.split(maxsplit=5)[5] for line in listing.splitlines()]
    assert not [name for name in names if not name.startswith("./usr/") and name != "./"]
