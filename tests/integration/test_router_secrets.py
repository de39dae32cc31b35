"""GitHub narrowed to a repository, and secrets that only the origin sees: real git and curl, through inspection."""
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import os
import shutil
import subprocess

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import http2_wire as h2
from lab import repositories, web
from lab.origin import Origin, read_body, response

threat = pytest.mark.threat

TOKEN = "ghp_s3cretTokenThatNobodySees"
OTHER = "ghp_theNextTokenThatNobodySees"
POLICY = """\
services:
  - name: github
    repos: [Owner/Repo]
    git: {access: readwrite, auth: {secret: github.token}}
    api: {access: read, auth: {secret: github.token, client_shim: {kind: env}}}
"""
READ_ONLY = POLICY.replace("readwrite", "read")
SET_ON_ALL = """\
domains:
  - {host: api.github.com, transform: {request: {headers: {Authorization: {secret: github.token, transform: {type: bearer}}}}}}
"""


def basic(token):
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


class Forge:
    """github.com and api.github.com with one repository that needs the token, and another that must not be reached."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.token = TOKEN
        names = ("github.com", "api.github.com")
        for name in names:
            lab.dns.set(name, a=[at.SPARE])
        self.origin = Origin(lab.up, "FORGE", [at.SPARE], lab.ca.issue(*names))
        self.repository = repositories.mount_git(self.origin, folder, "/owner", "repo", lambda: basic(self.token))
        repositories.mount_git(self.origin, folder, "/other", "repo2")
        self.origin.mount("/repos/", self._api)

    @staticmethod
    def _api(connection, request, rest):
        del rest
        read_body(connection, request)
        connection.send(response(b"[]\n", headers=["Content-Type: application/json"]))
        return True

    def authorizations(self, mark):
        """Of the requests since `mark`, each once."""
        return {request.headers.get("authorization") for request in self.origin.requests[mark:]}

    def close(self):
        self.origin.close()


@pytest.fixture(scope="module")
def forge(lab, tmp_path_factory):
    if not shutil.which("git") or not repositories.GIT_BACKEND.exists():
        pytest.skip("needs git and git-http-backend")
    made = Forge(lab, tmp_path_factory.mktemp("forge"))
    subprocess.run(["chmod", "-R", "a+rwX", str(made.repository)], check=True)
    yield made
    made.close()


class Secrets:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.write(TOKEN + "\n")

    def write(self, text):
        file = self.folder / "github.token"
        fresh = self.folder / "new"
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.replace(file)

    def remove(self):
        (self.folder / "github.token").unlink()


class Setting:
    """One gateway with its secrets, and how clients that trust its CA are run behind it."""

    def __init__(self, lab, forge, make_gateway, folder, policy, theirs=False):
        self.lab, self.forge = lab, forge
        forge.token = TOKEN
        self.secrets = Secrets(folder / "secrets")
        self.home = lab.folder / f"secrets-{folder.name}"
        self.home.mkdir()
        self.home.chmod(0o777)
        arguments = ["--trust", str(lab.ca.certificate), "--log", "debug"]
        if not theirs:
            arguments += ["--secrets-dir", str(self.secrets.folder)]
        # As agent-sandbox names the directory.
        environment = {"AGENTBOX_SECRET_SOURCE": f"file:{self.secrets.folder}"} if theirs else {}
        self.gateway = make_gateway(policy=policy, arguments=arguments, environment=environment).start()
        self.bundle = self.home / "ca.pem"
        self.bundle.write_bytes((self.gateway.folder / "ca" / "mitmproxy-ca-cert.pem").read_bytes())
        self.bundle.chmod(0o644)

    def run(self, *command, timeout=60):
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t",
            "GIT_SSL_CAINFO": str(self.bundle),
        }  # fmt: skip
        return subprocess.run(
            self.lab.client_command(*command), capture_output=True, text=True, timeout=timeout, check=False, cwd=self.home, env=environment
        )

    def git(self, *args):
        return self.run("git", "-c", "safe.directory=*", *args)

    def curl(self, *args, scheme="https", host="api.github.com", path="/repos/owner/repo/issues"):
        return self.run("curl", "-sS", "-w", "\n%{http_code}", "--cacert", str(self.bundle), *args, f"{scheme}://{host}{path}")

    def nothing_shows(self, *texts):
        """No secret, in no form, in anything that the gateway or a client wrote."""
        said = b"\n".join(self.gateway.log.lines + self.gateway.log.broken) + self.gateway.errors + "\n".join(texts).encode()
        for token in (TOKEN, OTHER):
            for form in (token, basic(token).removeprefix("Basic ")):
                assert form.encode() not in said


@pytest.fixture
def setting(lab, forge, make_gateway, tmp_path):
    return lambda policy=POLICY, **named: Setting(lab, forge, make_gateway, tmp_path, policy, **named)


@threat("T132")
@threat("C11")
def test_git_clones_fetches_and_pushes_with_a_token_that_it_never_sees(setting, forge):
    place = setting()
    mark = forge.origin.mark()
    there = place.home / "clone"
    done = place.git("clone", "-q", "https://github.com/owner/repo.git", str(there))
    assert done.returncode == 0, done.stderr
    assert (there / "README").read_text() == repositories.CONTENT
    (there / "more").write_bytes(os.urandom(1 << 20))
    for command in (["checkout", "-q", "-b", "branch"], ["add", "."], ["commit", "-q", "-m", "more"], ["push", "-q", "origin", "branch"],
                    ["fetch", "-q", "origin"]):  # fmt: skip
        done = place.git("-C", str(there), *command)
        assert done.returncode == 0, (command, done.stderr)
    heads = subprocess.run(["git", "-C", str(forge.repository), "-c", "safe.directory=*", "branch"], capture_output=True, text=True, check=True)
    assert "branch" in heads.stdout
    assert forge.authorizations(mark) == {basic(TOKEN)}
    # Owner and repository in other letters, and without .git.
    done = place.git("ls-remote", "https://github.com/OWNER/repo")
    assert done.returncode != 0 and "401" not in done.stderr and "403" not in done.stderr, "the forge's files know case; the policy none"
    assert place.git("ls-remote", "https://github.com/owner/repo").returncode == 0
    place.gateway.log.wait_for(0, reason="request_rule_matched", host="github.com", path="/owner/repo.git/git-receive-pack")
    place.nothing_shows(done.stderr, done.stdout)


@threat("C11")
def test_another_repository_is_denied_and_never_asked_for(setting, forge):
    place = setting()
    mark = forge.origin.mark()
    done = place.git("clone", "-q", "https://github.com/other/repo2.git", str(place.home / "no"))
    assert done.returncode == 128
    assert "403" in done.stderr
    assert not forge.origin.since(mark, "repo2")
    place.gateway.log.wait_for(0, action="blocked", reason="no_rule_matched", host="github.com")
    # The control: the forge has it, and gives it to whoever reaches it.
    assert place.git("ls-remote", "https://github.com/owner/repo.git").returncode == 0


def test_read_access_fetches_and_cannot_push(setting, forge):
    place = setting(READ_ONLY, theirs=True)
    there = place.home / "clone"
    assert place.git("clone", "-q", "https://github.com/owner/repo.git", str(there)).returncode == 0
    mark = forge.origin.mark()
    done = place.git("-C", str(there), "push", "-q", "origin", "HEAD:refs/heads/sneaky")
    assert done.returncode != 0
    assert "403" in done.stderr
    assert not forge.origin.since(mark, "receive-pack")


@threat("T132")
def test_a_request_with_a_header_of_its_own_is_refused_or_loses_it(setting, forge):
    place = setting()
    mark = forge.origin.mark()
    git_path = "/owner/repo.git/info/refs?service=git-upload-pack"
    refused = place.curl("-H", "Authorization: Basic bWluZTptaW5l", host="github.com", path=git_path)
    assert refused.stdout.endswith("\n403"), refused
    assert "header_not_permitted" in refused.stdout
    assert not forge.origin.requests[mark:], "nothing was sent"
    # `client_shim` says that clients hold a placeholder: whatever they send is replaced, in any spelling.
    for own in ("Authorization: Bearer placeholder", "AUTHORIZATION: placeholder"):
        replaced = place.curl("-H", own)
        assert replaced.stdout == "[]\n\n200", replaced
    assert forge.authorizations(mark) == {f"Bearer {TOKEN}"}
    assert all(b"placeholder" not in request.head for request in forge.origin.requests[mark:])
    place.nothing_shows(refused.stdout, replaced.stdout)


@threat("T132")
def test_a_trailer_cannot_stand_in_for_a_header_that_is_set(setting, forge, lab):
    place = setting(SET_ON_ALL)
    whole = []  # of each body: its lines, chunks and trailers

    def collect(connection, request):
        del request
        lines = [connection.until(b"\r\n")]
        while lines[-1] is not None and not (b"0\r\n" in lines and lines[-1] == b"\r\n"):
            lines.append(connection.until(b"\r\n"))
        if lines[-1] is None:
            return False
        whole.append(lines)
        connection.send(response(b"whole"))
        return True

    forge.origin.script("/trailed", collect)

    def over_http1(trailer):
        head = b"POST /trailed HTTP/1.1\r\nHost: api.github.com\r\nTransfer-Encoding: chunked\r\n\r\n"
        with web.tls(lab.agent, "api.github.com", place.bundle) as link:
            link.sendall(head + b"3\r\nabc\r\n0\r\n" + trailer + b"\r\n\r\n")
            return web.Reader(link).response().status

    assert [over_http1(trailer) for trailer in (b"Authorization: Bearer mine", b"AUTHORIZATION: mine", b"authorization:")] == [400] * 3
    assert not whole
    assert over_http1(b"X-Sum: 1") == 200
    assert whole.pop()[-2:] == [b"X-Sum: 1\r\n", b"\r\n"], "the control: other trailers pass"
    record = place.gateway.log.find(0, path="/trailed", status=400)[0]
    assert (record["action"], record["reason"]) == ("blocked", "malformed")

    with h2.linked(lab.agent, at.SPARE, "api.github.com", place.bundle) as link:
        link.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block("api.github.com", "/trailed", method="POST")))
        link.send(h2.frame(h2.DATA, 0, 1, b"abc"))
        trailers = h2.literal("authorization", "Bearer mine") + h2.literal("x-sum", "1")
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, trailers))
        assert link.end_of(1) == ("end", b"whole")
    assert whole.pop()[-3:] == [b"0\r\n", b"x-sum: 1\r\n", b"\r\n"], "left out over HTTP/2, the other passes"


@threat("T132")
def test_a_secret_never_travels_in_clear_text(setting, forge):
    place = setting()
    mark = forge.origin.mark()
    assert place.curl(scheme="http").stdout.endswith("\n403")
    assert place.curl("-H", "Authorization: Bearer x", scheme="http").stdout.endswith("\n403")
    assert not forge.origin.requests[mark:]
    assert place.curl().stdout.endswith("\n200"), "the control"


@threat("T132")
def test_a_secret_is_read_for_each_request_and_a_missing_one_is_a_502(setting, forge):
    place = setting()
    assert place.curl().stdout.endswith("\n200")
    mark = forge.origin.mark()
    place.secrets.write(OTHER)
    assert place.curl().stdout.endswith("\n200")
    assert forge.authorizations(mark) == {f"Bearer {OTHER}"}
    place.secrets.remove()
    mark = forge.origin.mark()
    gone = place.curl()
    assert gone.stdout.endswith("\n502"), gone
    assert "secret_unavailable" in gone.stdout
    assert "github.token" in gone.stdout
    assert not forge.origin.requests[mark:], "and nothing was sent without it"
    (place.secrets.folder / "github.token").symlink_to("/etc/hostname")
    assert place.curl().stdout.endswith("\n502"), "a link is not followed"
    place.secrets.write("two\nlines")
    bad = place.curl()
    assert bad.stdout.endswith("\n502")
    assert "two" not in bad.stdout
    place.secrets.write(TOKEN)
    assert place.curl().stdout.endswith("\n200")
    place.nothing_shows(gone.stdout, bad.stdout)


def test_a_policy_without_its_secrets_is_no_policy(setting, lab, tmp_path):
    place = setting()
    wanting = POLICY + "domains:\n  - {host: allowed.test, transform: {request: {headers: {X-Key: {secret: nowhere, transform: {type: raw}}}}}}\n"
    record = place.gateway.reload(wanting, accepted=False)
    assert "policy.yaml:7: secret nowhere: no such file" in str(record)
    assert place.curl().stdout.endswith("\n200"), "the old one holds"
    place.gateway.stop()
    lab.reset_gateway_namespace()
    begun = subprocess.run(
        lab.gw.command(gateways.binary(), *place.gateway.arguments), capture_output=True, text=True, timeout=30, check=False
    )
    assert begun.returncode == 2
    assert "policy.yaml:7: secret nowhere: no such file in the secrets directory" in begun.stderr
    place.nothing_shows(begun.stdout, begun.stderr, str(record), str(tmp_path))


@threat("T132")
def test_nothing_that_shows_the_policy_shows_a_secret(setting, lab):
    place = setting()
    place.curl()
    said = [place.curl(scheme="http", host="gateway.internal", path="/policy").stdout, str(place.gateway.status())]
    for command in (["--dry-run", *place.gateway.arguments], ["check", str(place.gateway.policy_file)],
                    ["explain", "--policy", str(place.gateway.policy_file), "https://api.github.com/repos/owner/repo"]):  # fmt: skip
        done = subprocess.run(lab.gw.command(gateways.binary(), *command), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done
        said += [done.stdout, done.stderr]
    assert "<secret github.token>" in said[-2]
    place.nothing_shows(*said)
