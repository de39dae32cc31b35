"""What real clients fetch: a git repository, an npm registry, a Python index and an apt repository, each mounted on an Origin."""
# SPDX-License-Identifier: GPL-3.0-or-later

import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

from lab.origin import read_body, response

GIT_BACKEND = Path("/usr/lib/git-core/git-http-backend")
CONTENT = "the file that was asked for\n"
_GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.test", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.test",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip


def _not_found(connection):
    connection.send(response(b"not here\n", "404 Not Found"))
    return True


# --- git, over its smart protocol ---


def mount_git(origin, folder, prefix="/git", name="demo", authorization=None):
    """`prefix`/`name`.git with one commit that holds README; takes pushes.

    With `authorization`, a function that gives the value of the header that must be sent; others get 401.
    """
    root, work = Path(folder) / f"git-{name}", Path(folder) / f"git-work-{name}"
    environment = {**os.environ, **_GIT_IDENTITY}

    def git(*args, where):
        subprocess.run(["git", *args], cwd=where, env=environment, check=True, capture_output=True)

    work.mkdir(parents=True)
    git("init", "-q", "-b", "main", where=work)
    (work / "README").write_text(CONTENT)
    git("add", ".", where=work)
    git("commit", "-q", "-m", "first", where=work)
    root.mkdir()
    git("clone", "-q", "--bare", str(work), str(root / f"{name}.git"), where=folder)
    git("config", "http.receivepack", "true", where=root / f"{name}.git")

    def serve(connection, request, rest):
        if authorization and request.headers.get("authorization") != authorization():
            read_body(connection, request)
            connection.send(response(b"who are you?\n", "401 Unauthorized", ['WWW-Authenticate: Basic realm="git"']))
            return True
        return _git_backend(connection, request, rest, root)

    origin.mount(prefix, serve)
    return root / f"{name}.git"


def _git_backend(connection, request, rest, root):
    body = read_body(connection, request)
    environment = {
        **os.environ, **_GIT_IDENTITY, "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": rest,
        "REQUEST_METHOD": request.method, "QUERY_STRING": request.target.partition("?")[2], "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_USER": "t", "CONTENT_TYPE": request.headers.get("content-type", ""), "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""), "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
    }  # fmt: skip
    done = subprocess.run([str(GIT_BACKEND)], input=body, env=environment, capture_output=True, check=False)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    status = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("Status:")), "200 OK")
    connection.send(response(content, status, [line for line in lines if line and not line.startswith("Status:")]))
    return True


# --- npm ---


def mount_npm(origin, base_url):
    """/npm/: a registry with the package `demo` in version 1.2.3."""
    files = {
        "package/package.json": json.dumps({"name": "demo", "version": "1.2.3", "main": "index.js"}),
        "package/index.js": "module.exports = 'demo'\n",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    tarball = packed.getvalue()
    version = {
        "name": "demo", "version": "1.2.3",
        "dist": {"tarball": f"{base_url}/npm/demo/-/demo-1.2.3.tgz", "shasum": hashlib.sha1(tarball).hexdigest()},
    }  # fmt: skip
    document = json.dumps({"name": "demo", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": version}}).encode()

    def serve(connection, request, rest):
        read_body(connection, request)
        found = {"/demo": document, "/demo/-/demo-1.2.3.tgz": tarball}.get(rest)
        if found is None:
            return _not_found(connection)
        connection.send(response(found, headers=["Content-Type: application/json"]))
        return True

    origin.mount("/npm", serve)


# --- pip ---


def mount_pypi(origin):
    """/simple/: an index with the package `demo` in version 1.2.3."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr("demo.py", "answer = 'demo'\n")
        wheel.writestr("demo-1.2.3.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.2.3\n")
        wheel.writestr("demo-1.2.3.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("demo-1.2.3.dist-info/RECORD", "")
    name = "demo-1.2.3-py3-none-any.whl"
    page = f'<!DOCTYPE html><a href="{name}">{name}</a>'.encode()

    def serve(connection, request, rest):
        read_body(connection, request)
        if rest == "/demo/":
            connection.send(response(page, headers=["Content-Type: text/html"]))
            return True
        if rest != f"/demo/{name}":
            return _not_found(connection)
        connection.send(response(packed.getvalue()))
        return True

    origin.mount("/simple", serve)


# --- apt ---


def mount_apt(origin, folder):
    """/apt/: a flat repository with the package soleroute-demo in version 1.0."""
    root, build = Path(folder) / "apt", Path(folder) / "apt-build"
    (build / "DEBIAN").mkdir(parents=True)
    root.mkdir()
    (build / "DEBIAN" / "control").write_text(
        "Package: soleroute-demo\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@example.test>\nDescription: a test\n"
    )
    package = root / "soleroute-demo_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(build), str(package)], check=True, capture_output=True)
    data = package.read_bytes()
    control = (build / "DEBIAN" / "control").read_text()
    listing = f"{control}Filename: ./{package.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    (root / "Packages").write_text(listing)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    (root / "Release").write_text(f"Suite: demo\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {len(listing)} Packages\n")

    def serve(connection, request, rest):
        path = root / rest.strip("/").removeprefix("./")
        if not path.is_file():
            return _not_found(connection)
        connection.send(response(path.read_bytes()))
        return True

    origin.mount("/apt", serve)
