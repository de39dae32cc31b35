"""compose/kubernetes, run by Podman: the pod's agent is held, its rules stand before the gateway does and after it is gone.

What only a cluster has (probes, NetworkPolicy, native sidecars) is read from the manifests.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import secrets
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

import images as image_builds
import probes
from lab import addresses as at
from lab import wait
from project import POLICY, Agent

threat = pytest.mark.threat
_MANIFESTS = Path(__file__).resolve().parents[2] / "compose/kubernetes"
BRIDGE = "10.88.0.1"  # of Podman's default network


def manifest(name):
    return yaml.safe_load((_MANIFESTS / name).read_text())


def for_podman():
    """pod.yaml as the documented command makes it, with the image that the tests have."""
    done = subprocess.run(["sed", "-f", _MANIFESTS / "podman.sed", _MANIFESTS / "pod.yaml"], check=True, capture_output=True, text=True)
    return done.stdout.replace("soleroute/claude:", "soleroute/base:")


class Pod(Agent):
    def __init__(self, podman, folder, name, pod):
        super().__init__()
        self.podman, self.name = podman, name
        self._policy = folder / "policy.yaml"
        config = manifest("policy.yaml")
        config["data"]["policy.yaml"] = POLICY
        self._policy.write_text(yaml.safe_dump(config))
        pod = yaml.safe_load(pod)
        pod["metadata"]["name"] = name
        self._pod = yaml.safe_dump(pod)

    def play(self):
        self.podman.podman("kube", "play", "--configmap", self._policy, "-", input=self._pod)
        return self

    def remove(self):
        self.forget_shells()
        self.podman.podman("pod", "rm", "-f", "-t", "0", self.name)
        self.podman.podman("volume", "prune", "-f")

    def container(self, name):
        return f"{self.name}-{name}"

    def logs(self, name):
        return self.podman.podman("logs", self.container(name), check=False).stdout

    def wait_for_agent(self):
        def ready():
            done = self.podman.podman("logs", self.container("agent"), check=False)
            return " passed, " in done.stdout + done.stderr
        wait.until(ready, "the agent's entry point", 60)

    def _enter(self, user):
        return self.podman.command("exec", "-i", "--user", user, self.container("agent")), self.podman.environment


@pytest.fixture(scope="module")
def pod(podman, tmp_path_factory):
    one = Pod(podman, tmp_path_factory.mktemp("pod"), "agent", for_podman()).play()
    one.wait_for_agent()
    yield one
    one.remove()


@pytest.fixture(params=["dev", "root"])
def user(request):
    return request.param


def outside(podman, source, *arguments):
    """A probe in an ordinary container of the same network, which no gateway holds."""
    command = ["run", "--rm", "--network", "podman", "--entrypoint", "python3", image_builds.BASE, "-c", source, *arguments]
    return json.loads(podman.podman(*command).stdout)


def works(pod):
    done = pod.agent("curl", "-sS", "-m", "5", "http://allowed.test/", check=False)
    return (done.returncode, done.stdout) == (0, "AL\n")


def test_an_allowed_host_answers_and_a_denied_one_is_refused(pod):
    assert works(pod)
    answer = pod.agent("curl", "-sS", "-w", "%{http_code}", "http://denied.test/").stdout
    assert answer.startswith("Blocked by proxy policy: denied.test") and answer.endswith("403")
    # Over https the page comes with a certificate of the gateway's CA, which the pod's volume brought to the agent.
    assert pod.agent("curl", "-sS", "https://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")


@threat("T001", "T002", "T013", "T020")
def test_the_agent_is_held(pod, podman, world, host_service, user):
    before = host_service.connections
    mark, canary = world.ev.mark(), secrets.token_hex(8)
    targets = json.dumps([[host, port, canary] for host in (at.EV, at.AL, BRIDGE) for port in (22, 853, 8080, 8888, 9999)])
    assert set(pod.python(probes.TCP, targets, user=user)) == {"refused"}
    assert "answered" not in pod.python(probes.UDP, json.dumps([[at.EV, port, canary] for port in (80, 123, 443, 9999)]), user=user)
    said = pod.python(probes.RAW, json.dumps([at.EV, canary]), user=user)
    assert said["mark"] == said["packet"] == said["icmp"] == said["gre"] == "PermissionError1"
    assert world.ev.since(mark) == [] and host_service.connections == before
    assert works(pod)
    # The control: what is refused here is reached from a container beside it.
    reached = outside(podman, probes.TCP, json.dumps([[at.EV, 22, "control"], [BRIDGE, 8888, ""]]))
    assert reached == ["connected", "connected"]
    wait.until(lambda: world.ev.since(mark) and host_service.connections == before + 1, "the control to arrive")


@threat("T012")
@pytest.mark.parametrize("command", [
    f"ip route replace default via {BRIDGE}", "ip addr add 10.88.77.77/16 dev eth0", "ip link set eth0 down", "nft flush ruleset",
    "sysctl -w net.ipv4.ip_forward=1", f"unshare -rn curl -sS -m 3 http://{at.AL}/",
])  # fmt: skip
def test_the_network_cannot_be_changed_from_inside(pod, user, command):
    assert pod.agent(*command.split(), user=user, check=False).returncode != 0
    assert works(pod)


@threat("T012")
def test_no_process_of_the_agent_has_or_can_gain_a_capability(pod, user):
    powers = pod.python(probes.POWERS, user=user)
    assert powers.pop("NoNewPrivs") == "1"
    assert set(powers.values()) == {"0" * 16}, powers


@threat("T110")
def test_the_key_of_the_ca_is_not_in_the_agents_volumes(pod):
    assert pod.agent("ls", "/etc/mitmproxy").stdout.split() == ["ca.crt", "mitmproxy-ca-cert.pem"]
    assert pod.agent("touch", "/etc/mitmproxy/x", user="root", check=False).returncode != 0


def leaks(pod, world):
    """What of the agent's arrives where the policy allows nothing, whether the gateway runs or not."""
    mark = world.ev.mark()
    tcp = pod.python(probes.TCP, json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (22, 8080, 9999)]))
    udp = pod.python(probes.UDP, json.dumps([[at.EV, 443, "leak"], [at.EV, 123, "leak"]]))
    return [outcome for outcome in tcp + udp if outcome in ("connected", "answered")] + world.ev.since(mark)


@threat("T030")
def test_an_edited_config_map_is_in_force_after_a_reload(pod, podman, user):
    """The file that the cluster would update; nothing in the pod is restarted."""
    def reload():
        return podman.podman("exec", pod.container("gateway"), "gateway", "reload", check=False)

    file = Path(podman.podman("volume", "inspect", "-f", "{{.Mountpoint}}", "agent-policy").stdout.strip()) / "policy.yaml"
    file.write_text("domains: [a.wild.test]\n")
    assert works(pod), "not before it is asked for"
    assert pod.agent("gateway", "reload", user=user, check=False).returncode == 3, "the agent has nobody to ask"
    done = reload()
    assert done.returncode == 0 and ": 1 host, revision " in done.stdout, done.stderr
    assert not works(pod) and pod.agent("curl", "-sS", "http://a.wild.test/").stdout == "WILD\n"
    file.write_text("domains: 7\n")
    done = reload()
    assert done.returncode == 2 and "/etc/soleroute/policy.yaml:1:" in done.stderr
    assert not works(pod), "the policy from before holds"
    file.write_text(POLICY)
    assert reload().returncode == 0 and works(pod)


@threat("T027", "T028")
def test_without_the_gateway_nothing_passes_until_it_is_back(pod, podman, world):
    podman.podman("stop", "-t", "5", pod.container("gateway"))
    assert not works(pod) and not leaks(pod, world)
    podman.podman("start", pod.container("gateway"))
    wait.until(lambda: works(pod), "the network to come back", 30)
    os.kill(podman.inspect(pod.container("gateway"))["State"]["Pid"], signal.SIGKILL)  # its rules stay; it is started again
    assert not leaks(pod, world)
    wait.until(lambda: works(pod), "the network to come back", 30)


def without_gateway(*removed):
    """The pod with an agent that does not wait, and without what is named."""
    pod = yaml.safe_load(for_podman())
    spec = pod["spec"]
    spec["initContainers"] = [container for container in spec["initContainers"] if container["name"] not in removed]
    spec["containers"] = [container for container in spec["containers"] if container["name"] == "agent"]
    spec["containers"][0]["command"] = ["sleep", "infinity"]
    return yaml.safe_dump(pod)


@threat("T024", "T025")
def test_the_rules_stand_before_there_is_a_gateway(podman, world, tmp_path):
    early = Pod(podman, tmp_path, "early", without_gateway()).play()
    assert not works(early) and not leaks(early, world)
    early.remove()
    # The control: without the init container it is open.
    control = Pod(podman, tmp_path, "control", without_gateway("close")).play()
    assert works(control) and leaks(control, world)
    control.remove()


# --- The manifests ---


def test_the_gateway_is_a_native_sidecar_behind_the_closed_rules():
    spec = manifest("pod.yaml")["spec"]
    close, gateway = spec["initContainers"]
    assert close["args"] == ["--topology", "sidecar", "--close"] and "restartPolicy" not in close
    assert gateway["restartPolicy"] == "Always"
    for probe, options in (("startupProbe", []), ("livenessProbe", ["--alive"]), ("readinessProbe", [])):
        assert gateway[probe]["exec"]["command"] == ["/usr/bin/gateway", "status", *options], probe
    assert [container["name"] for container in spec["containers"]] == ["agent"]


def test_podmans_variant_differs_in_the_gateways_place_alone():
    ours, theirs = manifest("pod.yaml"), yaml.safe_load(for_podman())
    moved = ours["spec"]["initContainers"].pop()
    del moved["restartPolicy"]
    ours["spec"]["containers"].insert(0, moved)
    ours["spec"]["containers"][1]["image"] = image_builds.BASE
    assert ours == theirs


def test_the_agent_is_restricted_and_the_gateway_has_one_capability():
    """The agent's container meets what Kubernetes calls "restricted"; the gateway's one exception is NET_ADMIN."""
    spec = manifest("pod.yaml")["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(spec)
    assert spec["automountServiceAccountToken"] is False
    agent = spec["containers"][0]["securityContext"]
    assert agent["allowPrivilegeEscalation"] is False and agent["capabilities"] == {"drop": ["ALL"]} and agent["runAsUser"] != 0
    for container in spec["initContainers"]:
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]} and context["readOnlyRootFilesystem"]
    mounts = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert not mounts & {"ca-private", "policy", "control"}


def test_the_network_policy_is_for_this_pod_and_admits_no_private_address():
    policy, pod = manifest("network-policy.yaml")["spec"], manifest("pod.yaml")
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"} and policy["ingress"] == []
    blocks = [peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]
    assert len(blocks) == 1 and {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(blocks[0]["except"])
    assert [port["port"] for port in policy["egress"][-1]["ports"]] == [80, 443]
    assert manifest("policy.yaml")["metadata"]["name"] in json.dumps(pod)
