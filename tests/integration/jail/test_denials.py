"""Whether a denial reaches the person who runs a common tool: cause, host and fix, in what the tool prints or in the summary after it.

docs/denials.md is the table of what was seen; `SOLEROUTE_UPDATE_GOLDEN=1` writes it anew.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import denied_tools
import pytest
from denied_tools import DENIED_ADDRESS, tools

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/denials.md"
UPDATE = "SOLEROUTE_UPDATE_GOLDEN"
SECONDS = 90
CAUSE = re.compile(r"blocked|policy|does not allow|not allowed|private address|sockets are hidden", re.IGNORECASE)
FIX = re.compile(r"domains:|endpoints:|addresses:|--allow ")
SOCKET_FIX = re.compile("--unix-socket")
PARTS = ("cause", "host", "fix")

CLIENTS = {
    "Client.java": """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

public class Client {
    public static void main(String[] urls) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(urls[0])).build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        System.out.println(answer.statusCode() + " " + answer.body());
        System.exit(answer.statusCode() < 400 ? 0 : 1);
    }
}
""",
    "OldClient.java": """
public class OldClient {
    public static void main(String[] urls) throws Exception {
        System.out.println(new String(new java.net.URL(urls[0]).openStream().readAllBytes()));
    }
}
""",
    "client.go": """
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(answer.Status)
	if answer.StatusCode >= 400 {
		os.Exit(1)
	}
}
""",
}


@dataclass
class Seen:
    """What one tool and the gateway printed."""

    status: int
    printed: str
    summary: str

    def reaches(self, tool, text=None):
        """Which of cause, host and fix are in `text`, by default in all that was printed."""
        text = self.printed + self.summary if text is None else text
        fix = SOCKET_FIX if tool.asks_socket else FIX
        found = {"cause": CAUSE.search(text), "host": tool.host in text, "fix": fix.search(text)}
        return {part for part in PARTS if found[part]}


@pytest.fixture(scope="module")
def clients(world):
    """A folder with the clients that must be compiled first."""
    place = world / "clients"
    place.mkdir()
    for name, text in CLIENTS.items():
        (place / name).write_text(text)
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GOCACHE": str(place / "gocache"), "GO111MODULE": "off"}
    if shutil.which("javac"):
        subprocess.run(["javac", "Client.java", "OldClient.java"], cwd=place, check=True, capture_output=True)
    if shutil.which("go"):
        subprocess.run(["go", "build", "-o", "goclient", "client.go"], cwd=place, check=True, capture_output=True, env=env)
        shutil.rmtree(place / "gocache")
    return place


@pytest.fixture
def run_tool(lab, jail_of, folder, clients):
    """run_tool(tool, host, policy): the tool asks for this host, as an ordinary user, in a jail with no terminal."""
    lab.dns.set(denied_tools.PRIVATE, a=["10.1.2.3"])
    jail = jail_of("user", policy=None)
    (folder / "lab-ca.pem").write_bytes(Path(lab.ca.certificate).read_bytes())
    for path in clients.iterdir():
        shutil.copy(path, folder / path.name)

    sockets = []

    def run(tool, host, policy=denied_tools.POLICY):
        (folder / "policy.yaml").write_text(policy)
        script = f"{{ {tool.script}\n}} >printed 2>&1"
        env = {"H": host, "HOME": str(folder)}
        if tool.asks_socket:
            env["SSH_AUTH_SOCK"] = str(folder / "agent.sock")
            listen(folder / "agent.sock")
        done = jail.run("bash", "-c", script, args=["--trust", str(folder / "lab-ca.pem"), *tool.args], env=env, timeout=SECONDS)
        printed = (folder / "printed").read_text(errors="replace")
        return Seen(done.returncode, printed, "\n".join(line for line in done.stderr.splitlines() if not line.startswith("policy: ")))

    def listen(path):
        agent = socket.socket(socket.AF_UNIX)
        sockets.append(agent)
        agent.bind(str(path))
        path.chmod(0o777)
        agent.listen()

    yield run
    for agent in sockets:
        agent.close()
    lab.dns.forget(denied_tools.PRIVATE)


RESULTS = {}


def needs(tool):
    for program in tool.needs:
        if not shutil.which(program):
            pytest.skip(f"needs {program}")


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.id)
def test_a_tool_that_is_denied(tool, run_tool):
    needs(tool)
    seen = run_tool(tool, tool.host)
    RESULTS[tool.id] = (tool, seen)
    assert set(PARTS) - seen.reaches(tool) == set(tool.lacks), seen


@pytest.mark.parametrize("tool", [tool for tool in tools() if tool.control], ids=lambda tool: tool.id)
def test_the_control_says_nothing_of_a_policy(tool, run_tool):
    """The same tool at an allowed host: whatever its origin answers, neither the tool nor a summary speaks of a denial."""
    needs(tool)
    seen = run_tool(tool, tool.control, denied_tools.CONTROL_POLICY)
    assert not CAUSE.search(seen.printed), seen
    assert not CAUSE.search(seen.summary), seen


def one_line(text):
    text = re.sub(r"\b(?:100\.6[4-9]|100\.[7-9]\d|100\.1[01]\d|100\.12[0-7])\.\d+\.\d+\b", "ADDRESS", text)
    text = re.sub(r"\bfd73:[0-9a-f:]+", "ADDRESS", text)
    text = re.sub(r"/tmp/[\w./-]+", "DIR", text)
    text = re.sub(r"<[^>]*>", "", text)  # a browser's page
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", text)
    text = re.sub(r"\d+(?:\.\d+)? ?ms\b", "N ms", text)
    text = re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("`", "'")
    return text if len(text) <= 150 else text[:147] + "…"


def telling_line(printed, host):
    """The line that a reader would look at: with the cause, else with the host, else the last."""
    lines = [line for line in printed.splitlines() if line.strip()]
    for wanted in (CAUSE.search, lambda line: host in line):
        for line in lines:
            if wanted(line):
                return line
    return lines[-1] if lines else ""


def row_of(tool, seen):
    message = one_line(telling_line(seen.printed, tool.host))
    own, both = seen.reaches(tool, seen.printed), seen.reaches(tool)
    marks = ["tool" if part in own else "summary" if part in both else "no" for part in PARTS]
    return f"| {tool.name} | {tool.target} | {f'`{message}`' if message else 'nothing'} | {' | '.join(marks)} |"


def test_the_fix_reaches_the_person():
    """The last of this file: what all tools together showed, held against the promise and the page."""
    assert len(tools()) >= 34
    missing = [tool.id for tool in tools() if tool.id not in RESULTS]
    if missing:
        pytest.skip(f"not all tools were run: {', '.join(missing)}")
    reached = {part: {name for name, (tool, seen) in RESULTS.items() if part in seen.reaches(tool)} for part in PARTS}
    informed = reached["cause"] & reached["host"]
    helped = informed & reached["fix"]
    rows = "\n".join(row_of(tool, seen) for tool, seen in RESULTS.values())
    if os.environ.get(UPDATE):
        head, begin, _ = PAGE.read_text().partition("<!-- table -->\n")
        PAGE.write_text(head + begin + "\n| tool | asks for | what it prints | cause | host | fix |\n| --- | --- | --- | --- | --- | --- |\n" + rows + "\n")
    everything = set(RESULTS)
    assert len(informed) >= len(everything) - 4, everything - informed
    assert len(helped) >= len(everything) - 6, everything - helped
    documented = {row.split(" | ")[0] + row.split(" | ")[1]: verdicts(row) for row in PAGE.read_text().splitlines() if row.startswith("| ")}
    for row in rows.splitlines():
        assert documented.get(row.split(" | ")[0] + row.split(" | ")[1]) == verdicts(row), f"docs/denials.md says otherwise: {row}"


def verdicts(row):
    """Which parts reach the person at all; which program prints them differs with the versions of tools."""
    return [cell.strip(" |") != "no" for cell in row.rsplit(" | ", 3)[1:]]
