"""Thirty-six pairs of a tool and a target that the policy denies, as shell commands, each with the target of its control."""
# SPDX-License-Identifier: GPL-3.0-or-later

from dataclasses import dataclass

DENIED, ALLOWED = "denied.test", "allowed.test"
DENIED_ADDRESS, ALLOWED_ADDRESS = "45.33.32.66", "45.33.32.10"
PRIVATE = "inside.test"  # allowed by name, and its address is private
PORTS = (22, 3000, 4873, 5000, 5432, 6379, 8080, 8443)

POLICY = f"domains: [{ALLOWED}, {PRIVATE}]\n"
# For controls: whatever a tool asks of the allowed host passes.
CONTROL_POLICY = f"""\
{POLICY}endpoints:
  - {{cidr: {ALLOWED_ADDRESS}/32, port: 80}}
  - {{cidr: {ALLOWED_ADDRESS}/32, port: 443}}
""" + "".join(f"  - {{host: {ALLOWED}, port: {port}}}\n" for port in PORTS)


@dataclass(frozen=True)
class Tool:
    """`script` reads the target's host from $H. `needs`: programs that must be installed."""

    name: str
    target: str
    script: str
    needs: tuple = ()
    args: tuple = ()  # of `gateway run`
    host: str = DENIED
    control: str | None = ALLOWED  # None: there is no allowed counterpart, and `test_denials` says why
    lacks: tuple = ()  # what neither the tool nor a summary can tell the person
    asks_socket: bool = False

    @property
    def id(self):
        return f"{self.name} {self.target}".replace(" ", "-").replace("/", "")


_SSH = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10"
_NPM = "npm view demo --cache=$PWD/npm --no-update-notifier --fetch-retries=1 --fetch-retry-mintimeout=100 --registry"
_PIP = "/usr/bin/python3 -m pip --isolated --disable-pip-version-check --no-cache-dir download --no-deps --retries 1 -d $PWD/pip demo --index-url"
_NODE = "fetch(process.argv[1]).then((r) => { if (!r.ok) throw Error(`${r.status} ${r.statusText}`) }).catch((e) => { console.error(e); process.exit(1) })"
_REQUESTS = "import requests, sys; requests.get(sys.argv[1]).raise_for_status()"
_URLLIB = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"
_APT = """\
mkdir -p apt/lists/partial apt/cache/archives/partial
apt-get update -o Dir::State=$PWD/apt -o Dir::State::lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o Dir::Etc::sourcelist=$PWD/apt/list \
  -o Dir::Etc::sourceparts=- -o APT::Sandbox::User= -o Acquire::Retries=0 -o Acquire::Languages=none -o APT::Update::Error-Mode=any"""
_CHROMIUM = "chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir=$PWD/chromium --dump-dom"
_CARGO = """\
mkdir -p crate/src crate/.cargo && echo 'fn main() {}' >crate/src/main.rs
printf '[package]\\nname = "a"\\nversion = "0.1.0"\\n[dependencies]\\ndemo = "1"\\n' >crate/Cargo.toml
printf '[source.crates-io]\\nreplace-with = "mirror"\\n[source.mirror]\\nregistry = "https://%s/index"\\n[net]\\nretry = 0\\n' "$H" >crate/.cargo/config.toml
cd crate && CARGO_HOME=$PWD/.cargo cargo fetch"""
_GO_PROGRAM = "$PWD/goclient"


def tools():
    """In the order of docs/denials.md."""
    return [
        Tool("curl", "http", "curl -sS http://$H/", ("curl",)),
        Tool("curl", "https", "curl -sS https://$H/", ("curl",)),
        Tool("curl -f", "https", "curl -fsS https://$H/", ("curl",)),
        Tool("curl", "port 8080", "curl -sS http://$H:8080/", ("curl",)),
        Tool("curl", "port 3000", "curl -sS http://$H:3000/", ("curl",)),
        Tool("curl", "https on port 8443", "curl -sSk https://$H:8443/", ("curl",)),
        Tool("curl", "http to an address", "curl -sS http://$H/", ("curl",), host=DENIED_ADDRESS, control=ALLOWED_ADDRESS),
        Tool("curl", "https to an address", "curl -sSk https://$H/", ("curl",), host=DENIED_ADDRESS, control=ALLOWED_ADDRESS),
        Tool("curl -x", "CONNECT", "curl -sS -x http://gateway.internal:8080 https://$H/", ("curl",), args=("--explicit-proxy", "8080")),
        Tool("wget", "http", "wget -nv -O /dev/null http://$H/", ("wget",)),
        Tool("git", "https", "git clone https://$H/demo.git", ("git",)),
        Tool("git", "ssh", f"GIT_SSH_COMMAND='{_SSH}' git clone git@$H:demo.git", ("git", "ssh")),
        Tool("npm", "https", f"{_NPM} https://$H/npm/", ("npm",)),
        Tool("npm", "port 4873", f"{_NPM} http://$H:4873/", ("npm",)),
        Tool("npm", "an allowed name with a private address", f"{_NPM} https://$H/npm/", ("npm",), host=PRIVATE),
        Tool("pip", "https", f"{_PIP} https://$H/simple", ("/usr/bin/python3",)),
        Tool("node fetch", "https", f"node -e '{_NODE}' https://$H/", ("node",)),
        Tool("node fetch", "port 3000", f"node -e '{_NODE}' http://$H:3000/", ("node",)),
        Tool("requests", "https", f"/usr/bin/python3 -c '{_REQUESTS}' https://$H/", ("/usr/bin/python3",)),
        Tool("requests", "CONNECT", f"HTTPS_PROXY=http://gateway.internal:8080 /usr/bin/python3 -c '{_REQUESTS}' https://$H/", ("/usr/bin/python3",),
             args=("--explicit-proxy", "8080")),
        Tool("urllib", "https", f"/usr/bin/python3 -c '{_URLLIB}' https://$H/", ("/usr/bin/python3",)),
        Tool("cargo", "https", _CARGO, ("/usr/bin/cargo",)),
        Tool("go mod download", "https", "mkdir -p m && cd m && go mod init a.test >/dev/null 2>&1; "
             "GOPATH=$PWD/../gopath GOCACHE=$PWD/../gocache GOFLAGS=-modcacherw GONOSUMDB=* GOPROXY=https://$H go mod download demo.test/demo@v1.0.0", ("go",)),
        Tool("Go program", "https", f"{_GO_PROGRAM} https://$H/", ("go",)),
        Tool("Go program", "port 5432", f"{_GO_PROGRAM} http://$H:5432/", ("go",)),
        Tool("apt-get", "http", f"mkdir -p apt; echo \"deb [trusted=yes] http://$H/debian stable main\" >apt/list; {_APT}", ("apt-get",)),
        Tool("Java HttpClient", "https", "java -cp $PWD Client https://$H/", ("javac",)),
        Tool("Java URL", "https", "java -cp $PWD OldClient https://$H/", ("javac",)),
        Tool("Chromium", "http", f"{_CHROMIUM} http://$H/", ("chromium",)),
        Tool("Chromium", "https", f"{_CHROMIUM} https://$H/", ("chromium",)),
        Tool("openssl s_client", "port 443", "openssl s_client -connect $H:443 -servername $H </dev/null", ("openssl",), lacks=("fix",)),
        Tool("dig", "a name", "dig $H", ("dig",), lacks=("fix",)),
        Tool("psql", "port 5432", "psql \"host=$H dbname=demo connect_timeout=10\" -c 'select 1'", ("psql",)),
        Tool("redis-cli", "port 6379", "redis-cli -h $H ping", ("redis-cli",)),
        Tool("nc", "port 22", "nc -v -w 5 $H 22 </dev/null", ("nc",)),
        Tool("nc -u", "port 5000", "echo demo | nc -u -v -w 1 $H 5000", ("nc",), control=None, lacks=("cause", "fix")),
        Tool("ping", "a host", "ping -c 1 -W 2 $H", ("ping",), control=None, lacks=("fix",)),
        Tool("ssh-add", "the agent's socket", "ssh-add -l", ("ssh-add",), host="agent.sock", control=None, asks_socket=True),
    ]
