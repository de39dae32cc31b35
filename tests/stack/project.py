"""A project as a user has it: a folder, what `gateway init` writes into it, and the two commands of the README."""
# SPDX-License-Identifier: GPL-3.0-or-later

import itertools
import json
import os
import re
import select
import shutil
import subprocess

from engine import DOCKER
from lab import gateway as gateways
from lab import wait

_networks = itertools.count(1)

POLICY = """\
domains:
  - allowed.test
  - "*.wild.test"
"""

# An agent of the project's own: the base image, with its cache kept.
BARE = """\
name: bare
title: The base image
package: {npm: none, version: 0.0.0}
command: zsh
state: [.cache]
"""


class Shell:
    """Runs commands in a container, one after another, from one `exec`: starting that takes most of the time.

    `enter` is the command line that runs what is added to it in the container, with its standard input.
    """

    _SOURCE = """
import json, subprocess, sys
for line in sys.stdin:
    command, timeout = json.loads(line)
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, stdin=subprocess.DEVNULL)
        answer = [done.returncode, done.stdout, done.stderr]
    except FileNotFoundError as error:
        answer = [127, "", str(error)]
    except subprocess.TimeoutExpired:
        answer = [124, "", "timed out"]
    print(json.dumps(answer), flush=True)
"""

    def __init__(self, enter, environment):
        self._process = subprocess.Popen([*enter, "python3", "-c", self._SOURCE], env=environment, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def alive(self):
        return self._process.poll() is None

    def run(self, command, timeout):
        command = [str(part) for part in command]
        self._process.stdin.write(json.dumps([command, timeout]) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], timeout + 60)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self.close()
            raise AssertionError(f"the agent's container did not answer: {command}")
        return subprocess.CompletedProcess(command, *json.loads(line))

    def close(self):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait(10)


class Agent:
    """Commands in the agent's container, whoever runs it. Subclasses say how to `_enter` it."""

    def __init__(self):
        self._shells = {}

    def _enter(self, user):
        raise NotImplementedError

    def forget_shells(self):
        """To be called where the agent's container ends."""
        for shell in self._shells.values():
            shell.close()
        self._shells = {}

    def agent(self, *command, user="dev", check=True, timeout=60):
        """In the agent's container, as `docker compose exec` starts it: no shell start-up, the image's environment."""
        if user not in self._shells or not self._shells[user].alive():
            self._shells[user] = Shell(*self._enter(user))
        done = self._shells[user].run(command, timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done

    def python(self, source, *arguments, user="dev"):
        """A probe, in the agent's container; what it prints as JSON."""
        return json.loads(self.agent("python3", "-c", source, *arguments, user=user).stdout)


class Project(Agent):
    """`net` is the first three numbers of its agents' network; `up` waits for what Compose waits for.

    `agents` are those of `init --agent`; with `policy` None it is the one that `init` writes. `options` are further ones
    of `init`.
    """

    compose_program = None  # its engine's

    def __init__(self, engine, images, folder, agents="bare", agent_image="soleroute/base:0.1.0", policy=POLICY, options=()):
        super().__init__()
        self.engine = engine
        self.folder = folder
        number = next(_networks)
        self.name = f"p{os.getpid()}n{number}"
        self.net = f"10.213.{number}"
        self.gateway = f"{self.net}.2"
        self.bridge = f"{self.net}.1"
        folder.mkdir(exist_ok=True)
        if agents == "bare":
            (folder / ".devcontainer/agents").mkdir(parents=True)
            (folder / ".devcontainer/agents/bare.yaml").write_text(BARE)
        subprocess.run([gateways.binary(), "init", "--agent", agents, "--name", self.name, "--network", f"{self.net}.0/24",
                        "--image", agent_image, *options, folder], check=True, capture_output=True, env=engine.environment)
        folder.chmod(0o777)  # whoever the agent's user is on this machine
        if policy is not None:
            self.set_policy(policy)

    # --- Files ---

    def set_policy(self, text):
        (self.folder / ".devcontainer/policy.yaml").write_text(text)

    def set_environment(self, **values):
        path = self.folder / ".env"
        text = path.read_text()
        for name, value in values.items():
            text, count = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
            assert count == 1, f"{name} is not in .env"
        path.write_text(text)

    # --- Commands ---

    def compose(self, *arguments, **options):
        return self.engine.compose(self.folder, *arguments, program=self.compose_program, **options)

    def up(self, *arguments):
        try:
            self.compose("up", "-d", *arguments)
            self.wait_for_agent()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from error

    def down(self, *arguments):
        self.forget_shells()
        self.compose("down", "-t", "3", *arguments, check=False)

    def _enter(self, user):
        return [DOCKER, "exec", "-i", "--user", user, self.container("agent")], self.engine.environment

    def logs(self, *services):
        return self.compose("logs", "--no-color", *services, check=False).stdout[-6000:]

    def container(self, service):
        """Its identity, by the labels that Compose gives it: Compose itself takes a second and more to say."""
        labels = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in (("project", self.name), ("service", service))]
        return self.engine.docker("ps", "-aq", "--no-trunc", *labels).stdout.strip()

    def containers(self):
        """Identities of all of the project's containers: they change when one is made again."""
        return sorted(self.engine.docker("ps", "-aq", "--no-trunc", f"--filter=label=com.docker.compose.project={self.name}").stdout.split())

    def health(self, service):
        return self.engine.inspect(self.container(service))["State"].get("Health", {}).get("Status")

    def wait_for_agent(self, timeout=90):
        """Until the entry point has proved the network and become the command."""
        def ready():
            state = self.engine.inspect(self.container("agent"))["State"]
            assert state["Running"] or state.get("Restarting"), f"the agent ended with {state['ExitCode']}: {self.logs()}"
            return self.engine.docker("exec", self.container("agent"), "proved", check=False).returncode == 0
        wait.until(ready, "the agent's entry point", timeout, step=0.2)

    def gateway_trusts_origins(self):
        """The same for the gateway, which verifies the origins of inspected hosts. To be called before up()."""
        shutil.copy(self.engine.world.ca.certificate, self.folder / ".devcontainer/world.crt")
        (self.folder / ".devcontainer/trust.yaml").write_text("services: {proxy: {environment: {GATEWAY_TRUST: /etc/soleroute/world.crt}}}\n")
        self.set_environment(COMPOSE_FILE=".devcontainer/compose.yaml:.devcontainer/trust.yaml")

    def trust_origins(self):
        """What a public certificate authority would be: the agent's container trusts the world's origins."""
        place = "/usr/local/share/ca-certificates/world.crt"
        self.engine.docker("cp", self.engine.world.ca.certificate, f"{self.container('agent')}:{place}")
        self.agent("update-ca-certificates")

    def decisions(self):
        """The gateway's log, as objects."""
        lines = self.engine.docker("logs", self.container("proxy")).stdout.splitlines()
        return [json.loads(line) for line in lines]
