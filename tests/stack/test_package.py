"""The Debian package on a bare Debian system: apt installs it with what it needs, it runs, and nothing of it stays behind."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import base_image
import debian13
from conftest import _KEPT
from lab import gateway as gateways

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 600
_PROFILE = "etc/apparmor.d/soleroute"

# A root of its own by pivot_root, not by chroot: in a chroot the kernel makes no user namespace. What it needs of the
# machine: devices, and the way to the package mirror. A bare system has no umount: the machine stays visible at /.machine.
_ENTER = """
  mount --bind "$1" "$1" && cd "$1" && mount -t proc proc proc && mount --rbind /dev dev && mkdir -p .machine &&
  pivot_root . .machine && cd / && shift && exec "$@"
"""


class System:
    def __init__(self, root):
        self.root = root
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copyfile(name, root / name.lstrip("/"))
        trusted = root / "etc/ssl/certs/ca-certificates.crt"  # the mirror may be behind the machine's own authority
        if not trusted.exists() and Path("/etc/ssl/certs/ca-certificates.crt").exists():
            trusted.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", trusted)

    def run(self, *command, check=True):
        environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                       "DEBIAN_FRONTEND": "noninteractive"}  # fmt: skip
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-ec", _ENTER, "enter", self.root, *command],
                              capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def apt(self, *arguments):
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", "-o", "APT::Sandbox::User=root", *arguments)

    def files(self):
        """Paths of all files but those by which apt and dpkg keep their own books."""
        found = self.run("find", "/", "(", "-path", "/.machine", "-o", "-path", "/var/lib/apt", "-o", "-path", "/var/lib/dpkg", "-o", "-path", "/var/cache", "-o",
                         "-path", "/var/log", "-o", "-path", "/tmp", "-o", "-path", "/proc", "-o", "-path", "/dev", ")", "-prune", "-o", "-print")  # fmt: skip
        return set(found.stdout.splitlines())


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    program = gateways.binary()
    if not program:
        pytest.skip(f"the program is not built: set {gateways.BINARY_VARIABLE} to its path")
    build = Path(program).parents[1]
    targets = ["gateway", "man"]
    if "SOLEROUTE_STATIC_LIBS:BOOL=ON" in (build / "CMakeCache.txt").read_text():
        targets.append("gateway_shared")
    subprocess.run(["cmake", "--build", build, "--target", *targets], check=True, capture_output=True, timeout=_SECONDS)
    made = subprocess.run([_ROOT / "tools/deb", "--build", build, "--output", tmp_path_factory.mktemp("deb")], check=True, capture_output=True, text=True)
    return Path(made.stdout.strip())


@pytest.fixture
def system(package, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to create a root file system")
    if reason := base_image.unavailable():
        pytest.skip(reason)
    _KEPT.mkdir(parents=True, exist_ok=True)
    archive = base_image.bare(_KEPT)
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-x", "--numeric-owner", "-f", archive, "-C", root], check=True, timeout=_SECONDS)
    shutil.copy(package, root / "tmp/soleroute.deb")
    return System(root)


def test_apt_installs_it_on_a_bare_system_and_removes_all_of_it(system):
    assert system.run("sh", "-c", "command -v gateway || test -e /usr/lib/*/libyaml-cpp.so.0.7", check=False).returncode != 0
    system.apt("update")
    before = system.files()
    system.apt("install", "/tmp/soleroute.deb")

    assert system.run("gateway", "--version").stdout.startswith("gateway ")
    assert system.run("gateway", "services", "github").stdout.startswith("github:")
    (system.root / "tmp/policy.yaml").write_text("domains: [bücher.example]\n")
    system.run("gateway", "check", "--policy", "/tmp/policy.yaml")
    assert system.run("gateway", "explain", "--policy", "/tmp/policy.yaml", "https://xn--bcher-kva.example/").returncode == 0
    assert system.run("gateway", "run", "--", "true", check=False).returncode == 0
    assert system.run("gateway", "run", "--", "false", check=False).returncode == 1
    for name in ("share/man/man1/gateway.1.gz", "share/bash-completion/completions/gateway", "share/zsh/vendor-completions/_gateway",
                 "share/fish/vendor_completions.d/gateway.fish"):  # fmt: skip
        # Debian's minimal images leave manual pages out.
        assert (system.root / "usr" / name).exists() or (name.startswith("share/man") and list((system.root / "etc/dpkg/dpkg.cfg.d").iterdir()))
    # AppArmor older than 4.0, or none: a profile that it cannot read is not put there.
    assert (system.root / "usr/share/soleroute/apparmor/soleroute").exists() and not (system.root / _PROFILE).exists()
    assert system.files() - before, "the control: there is something to remove"

    system.apt("purge", "soleroute")
    system.apt("autoremove", "--purge")
    left = system.files() - before
    assert left == set()
    assert not list((system.root / "var/lib/dpkg/info").glob("soleroute*"))


def test_the_profile_comes_and_goes_where_apparmor_can_read_it(system):
    abi = system.root / "etc/apparmor.d/abi/4.0"
    abi.parent.mkdir(parents=True)
    abi.write_text("")
    system.run("dpkg", "--force-depends", "-i", "/tmp/soleroute.deb")
    profile = (system.root / _PROFILE).read_text()
    assert re.search(r"^profile soleroute /usr/\{,local/\}bin/gateway flags=\(unconfined\) \{\n  userns,$", profile, re.MULTILINE)
    system.run("dpkg", "--force-depends", "-i", "/tmp/soleroute.deb")  # an update keeps it
    assert (system.root / _PROFILE).exists()
    system.run("dpkg", "--remove", "soleroute")
    assert not (system.root / _PROFILE).exists() and abi.exists()


@pytest.fixture(scope="module")
def parse():
    """parse(text) compiles a profile with the parser of AppArmor 4, run with the libraries that it was made for."""
    if reason := base_image.unavailable():
        pytest.skip(reason)
    _KEPT.mkdir(parents=True, exist_ok=True)
    root, reason = debian13.unpacked(_KEPT, "apparmor", ("apparmor", "libapparmor1", "libc6"))
    if not root:
        pytest.skip(reason)
    (loader,) = [path for path in root.glob("usr/lib*/ld-linux-*.so.*") if not path.is_symlink()] or list(root.glob("usr/lib/*/ld-linux-*.so.*"))[:1]
    (libraries,) = {path.parent for path in root.glob("usr/lib/*/libc.so.6")}
    options = ["--skip-kernel-load", "--skip-cache", "--skip-read-cache", "--base", root / "etc/apparmor.d", "--kernel-features",
               root / "etc/apparmor.d/abi/4.0", "--debug"]  # fmt: skip

    def compiled(text):
        return subprocess.run([loader, "--library-path", libraries, root / "usr/sbin/apparmor_parser", *options], input=text, text=True,
                              capture_output=True, check=False, timeout=60)

    return compiled


def test_apparmor_reads_the_profile(parse):
    profile = (_ROOT / "packaging/apparmor").read_text()
    done = parse(profile)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Name:\s+soleroute$", done.stdout + done.stderr, re.MULTILINE) and "userns" in done.stdout + done.stderr
    assert parse(profile.replace("userns,", "user_names,")).returncode != 0  # the control
