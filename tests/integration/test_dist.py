"""The release's tarball, as tools/dist makes it of the build under test: what is in it, what it needs, that it runs with that alone."""
# SPDX-License-Identifier: GPL-3.0-or-later

import functools
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_DIST, _SBOM = _ROOT / "tools/dist", _ROOT / "tools/sbom"
_EPOCH = 1767225600
_ALLOWED = {"libc.so.6", "libm.so.6", "libmnl.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
_IDN_POLICY = "services: [github]\ndomains:\n  - bücher.example\n  - host: '*.example.org'\n    rules: [{schemes: [https]}]\n"


def run(*command, check=True, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=240, **options)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def build(gateway_binary):
    folder = Path(gateway_binary).parents[1]
    cache = folder / "CMakeCache.txt"
    assert cache.exists(), f"{gateway_binary} was not made by a build of this project"
    if "SOLEROUTE_STATIC_LIBS:BOOL=ON" not in cache.read_text():
        pytest.skip(f"{folder} is not a release build: SOLEROUTE_STATIC_LIBS is off")
    run("cmake", "--build", folder, "--target", "gateway", "man")
    return folder


def dist(build, output, **environment):
    done = run(_DIST, "--build", build, "--output", output, env={**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), **environment})
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def archive(build, tmp_path_factory):
    return dist(build, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    run("tar", "-xzf", archive, "-C", folder)
    return folder / archive.name.removesuffix(".tar.gz")


@functools.cache
def needed(program):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program).stdout))


def test_is_named_for_version_and_machine_and_holds_what_a_user_needs(archive, unpacked):
    machine = run("dpkg", "--print-architecture").stdout.strip()
    assert re.fullmatch(rf"soleroute-\d+\.\d+\.\d+-linux-{machine}\.tar\.gz", archive.name)
    for name in ("bin/gateway", "share/man/man1/gateway.1.gz", "share/bash-completion/completions/gateway",
                 "share/zsh/site-functions/_gateway", "share/fish/vendor_completions.d/gateway.fish",
                 "share/soleroute/apparmor/soleroute", "share/soleroute/policy/policy.schema.json", "LICENSE", "README.md",
                 "INSTALL.md", "SHA256SUMS", "share/doc/soleroute/libraries/libssl-dev"):  # fmt: skip
        assert (unpacked / name).stat().st_size > 0, name
    assert (unpacked / "bin/gateway").stat().st_size < 16e6


def test_the_same_build_gives_the_same_bytes(build, archive, tmp_path):
    again = dist(build, tmp_path, TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert again.read_bytes() == archive.read_bytes()
    assert sbom_of(again) == sbom_of(archive)
    other = dist(build, tmp_path / "other", SOURCE_DATE_EPOCH=str(_EPOCH + 1))  # the control
    assert other.read_bytes() != archive.read_bytes()


def test_entries_are_sorted_and_belong_to_root_at_one_time(archive):
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, _EPOCH)}
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {oct(member.mode) for member in members} == {"0o755", "0o644"}
    assert all(member.isdir() or member.isfile() for member in members)


def test_checksums_cover_every_file_and_tell_a_changed_one(unpacked, tmp_path):
    listed = {line.split("  ./", 1)[1] for line in (unpacked / "SHA256SUMS").read_text().splitlines()}
    files = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert listed == files - {"SHA256SUMS"}
    copy = tmp_path / "copy"
    shutil.copytree(unpacked, copy)
    check = ["sha256sum", "--quiet", "-c", "SHA256SUMS"]
    run(*check, cwd=copy)
    (copy / "README.md").write_text("changed")
    assert run(*check, cwd=copy, check=False).returncode == 1


def test_the_program_needs_glibc_and_libmnl_alone(build, unpacked):
    program = unpacked / "bin/gateway"
    assert {"libc.so.6", "libmnl.so.0"} <= needed(program) <= _ALLOWED
    dynamic = run("readelf", "-d", program).stdout
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    assert "BIND_NOW" in dynamic and "GNU_RELRO" in run("readelf", "-lW", program).stdout
    assert str(_ROOT).encode() not in program.read_bytes(), "the program names the folder that it was built in"
    # The control, and the Debian package's program: the same objects with Debian's libraries.
    run("cmake", "--build", build, "--target", "gateway_shared")
    assert {"libssl.so.3", "libyaml-cpp.so.0.7", "libfmt.so.9", "libstdc++.so.6"} <= needed(build / "gateway/shared/gateway")


def test_the_program_asks_for_no_newer_glibc_than_debian_12_and_ubuntu_24_04_have(unpacked):
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([\d.]+)", run("readelf", "-VW", unpacked / "bin/gateway").stdout)}
    assert versions and max(versions) <= (2, 36)


def test_makes_no_tarball_of_a_program_that_needs_more(tmp_path):
    (tmp_path / "gateway").mkdir()
    shutil.copy(shutil.which("curl"), tmp_path / "gateway/gateway")
    done = run(_DIST, "--build", tmp_path, "--output", tmp_path / "out", check=False, env={**os.environ, "SOURCE_DATE_EPOCH": "1"})
    assert done.returncode == 1 and "needs libraries that a release must not need" in done.stderr and "libcurl" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def bare(unpacked, tmp_path_factory):
    """A root folder with the program and what it may need, and nothing else: no certificate, no configuration, no other library."""
    root = tmp_path_factory.mktemp("bare")
    program = unpacked / "bin/gateway"
    (root / "bin").mkdir()
    shutil.copy(program, root / "bin/gateway")
    for line in run("ldd", program).stdout.splitlines():
        if path := re.search(r"(/\S+) \(0x", line):
            target = root / path.group(1).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path.group(1), target)
    (root / "policy.yaml").write_text(_IDN_POLICY)

    def command(*arguments, check=True):
        return run("unshare", "-r", "chroot", root, "/bin/gateway", *arguments, check=check)

    return command


def test_runs_where_nothing_else_is(bare):
    assert bare("--version").stdout.startswith("gateway ")
    assert bare("services", "github").stdout.startswith("github:")
    assert bare("check", "--policy", "/policy.yaml").returncode == 0
    assert bare("check", "--policy", "/missing.yaml", check=False).returncode != 0


def test_has_idn_yaml_and_openssl_inside(bare):
    def explained(url):
        return bare("explain", "--policy", "/policy.yaml", url, check=False)

    assert explained("https://xn--bcher-kva.example/").returncode == 0
    assert explained("https://buecher.example/").returncode == 1
    created = bare("ca", "create", "--ca-dir", "/ca")
    assert created.returncode == 0
    assert "BEGIN CERTIFICATE" in bare("ca", "show", "--ca-dir", "/ca", "--format", "pem").stdout


def denied_over_tls(program, folder, **environment):
    """Status and body of a denied https request in a jail: TLS with a certificate that the program makes for the name."""
    policy = folder / "policy.yaml"
    policy.write_text(_IDN_POLICY)
    done = run(program, "run", "--policy", policy, "--", "curl", "-sS", "-w", "%{http_code}", "https://denied.example/", check=False,
               env={**os.environ, **environment})
    return done.stdout[-3:], done.stdout[:-3], done.stderr


def test_runs_a_jail_and_speaks_tls_in_it(unpacked, tmp_path):
    program = unpacked / "bin/gateway"
    assert run(program, "run", "--", "true", check=False).returncode == 0
    assert run(program, "run", "--", "false", check=False).returncode == 1
    status, page, errors = denied_over_tls(program, tmp_path)
    assert status == "403" and "denied.example" in page, errors


@pytest.mark.parametrize("section", ["[providers]\ndefault = on\nlegacy = on\n[on]\nactivate = 1\n",
                                     "[providers]\ndefault = on\nmissing = on\n[on]\nactivate = 1\nmodule = /nowhere/missing.so\n"])
def test_a_provider_that_openssls_configuration_names_does_no_harm(unpacked, tmp_path, section):
    """A module of the system's OpenSSL is linked with the system's libcrypto, of which the program has its own."""
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(f"openssl_conf = init\n[init]\nproviders = providers\n{section}")
    status, page, errors = denied_over_tls(unpacked / "bin/gateway", tmp_path, OPENSSL_CONF=str(configuration))
    assert status == "403" and "denied.example" in page, errors


# --- The bill of materials ---


def sbom_of(archive):
    return json.loads(Path(str(archive).removesuffix(".tar.gz") + ".spdx.json").read_text())


def faults(document):
    """What SPDX 2.3 asks of a document like ours, and this one lacks."""
    found = []
    if document.get("spdxVersion") != "SPDX-2.3" or document.get("dataLicense") != "CC0-1.0":
        found.append("version or licence of the data")
    if not re.fullmatch(r"https://[^#\s]+", document.get("documentNamespace", "")):
        found.append("documentNamespace")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"].get("created", "")):
        found.append("created")
    if not all(re.match(r"(Tool|Person|Organization): \S", creator) for creator in document["creationInfo"]["creators"]):
        found.append("creators")
    names = [package["SPDXID"] for package in document["packages"]]
    found += [f"identifier {name}" for name in names if not re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name)]
    found += [f"twice: {name}" for name in set(names) if names.count(name) > 1]
    found += [f"{key} of {package['name']}" for package in document["packages"]
              for key in ("name", "versionInfo", "downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText")
              if not package.get(key)]
    known = {*names, "SPDXRef-DOCUMENT"}
    related = [(link["spdxElementId"], link["relatedSpdxElement"]) for link in document["relationships"]]
    found += [f"unknown: {pair}" for pair in related if not set(pair) <= known]
    found += [f"no relationship: {name}" for name in names if name not in {second for _, second in related}]
    if not any(link["relationshipType"] == "DESCRIBES" for link in document["relationships"]):
        found.append("DESCRIBES nothing")
    return found


def test_the_sbom_is_sound_and_a_broken_one_is_told(archive):
    document = sbom_of(archive)
    assert faults(document) == []
    for change in (lambda d: d.update(spdxVersion="2.3"), lambda d: d["packages"].append(d["packages"][0]),
                   lambda d: d["relationships"].pop(), lambda d: d["packages"][1].pop("versionInfo"),
                   lambda d: d["packages"][1].update(SPDXID="SPDXRef-a_b"), lambda d: d.update(relationships=[])):  # fmt: skip
        broken = json.loads(json.dumps(document))
        change(broken)
        assert faults(broken)


def test_the_sbom_has_every_archive_of_the_link(build, archive):
    ninja = (build / "build.ninja").read_text()
    link = re.search(r"^build gateway/gateway:.*?(?=^\n|^build )", ninja, re.MULTILINE | re.DOTALL).group(0)
    archives = set(re.findall(r"(?<=\s)(/\S+\.a)(?=\s)", link))
    assert any(path.endswith("libcrypto.a") for path in archives)
    owners = {line.split(":")[0] for line in run("dpkg", "-S", *archives).stdout.splitlines()}
    listed = {package["name"] for package in sbom_of(archive)["packages"]}
    assert owners <= listed
    assert {package["name"] for package in sbom_of(archive)["packages"]} >= {"libc6", "libmnl0", "libstdc++-12-dev"}


def test_the_sbom_names_the_versions_that_dpkg_has(archive):
    versions = {package["name"]: package["versionInfo"] for package in sbom_of(archive)["packages"]}
    assert versions["libssl-dev"] == run("dpkg-query", "-W", "-f", "${Version}", "libssl-dev").stdout


def test_the_sbom_of_a_container_lists_what_is_installed_there(tmp_path):
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text("".join(f"Package: {name}\nStatus: install ok {state}\nArchitecture: amd64\nVersion: 1.0+b1\nMaintainer: x <x@y.z>\nDescription: x\n\n"
                              for name, state in (("one", "installed"), ("two", "config-files"))))
    document = json.loads(run(_SBOM, "--root", tmp_path, "--name", "image", "--version", "1").stdout)
    assert [package["name"] for package in document["packages"]] == ["image", "one"] and faults(document) == []
    assert run(_SBOM, "--root", tmp_path / "nowhere", check=False).returncode == 1
