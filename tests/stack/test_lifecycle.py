"""What happens to a stack in its life: policies edited, parts restarted, ended, made anew. Closed unless proven open."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest

import probes
from lab import addresses as at
from lab import wait
from project import POLICY, Project

threat = pytest.mark.threat


@pytest.fixture(scope="module")
def mine(engine, images, tmp_path_factory):
    """A stack that these tests may break; each leaves it running."""
    one = Project(engine, images, tmp_path_factory.mktemp("lifecycle"))
    one.up()
    yield one
    one.down("-v")


def http(project, host):
    """(exit status of curl, status, body)."""
    done = project.agent("curl", "-sS", "-m", "5", "-w", "\n%{http_code}", f"http://{host}/", check=False)
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, status, body


def works(project, host="allowed.test"):
    return http(project, host) == (0, "200", "AL\n")


def wait_until_open(project, seconds=60):
    wait.until(lambda: works(project), "the agent's network to come back", seconds)


def test_restarting_the_proxy_applies_an_edited_policy(mine):
    assert http(mine, "allowed.test")[1] == "200" and http(mine, "a.wild.test")[1] == "200"
    mine.set_policy("domains: [allowed.test]\n")
    mine.compose("restart", "-t", "5", "proxy")
    wait_until_open(mine)
    assert http(mine, "a.wild.test")[1] == "403"
    mine.set_policy(POLICY)
    mine.compose("restart", "-t", "5", "proxy")
    wait_until_open(mine)
    assert http(mine, "a.wild.test")[1] == "200"


def test_a_signal_applies_it_without_a_break(mine):
    mine.set_policy("domains: [allowed.test, denied.test]\n")
    mine.compose("kill", "-s", "HUP", "proxy")
    wait.until(lambda: any(record["type"] == "reload" for record in mine.decisions()[-20:]), "the reload")
    assert works(mine)
    mine.set_policy(POLICY)
    mine.compose("kill", "-s", "HUP", "proxy")
    wait.until(lambda: http(mine, "denied.test")[1] == "403", "the reload, which ends what runs and is no longer allowed")


def test_a_reload_is_asked_for_and_says_what_came_of_it(mine):
    def reload():
        return mine.compose("exec", "-T", "proxy", "gateway", "reload", check=False)

    assert http(mine, "denied.test")[1] == "403"
    mine.set_policy("domains: [a.wild.test]\n")
    done = reload()
    assert done.returncode == 0 and done.stdout.startswith("reloaded /etc/soleroute/policy.yaml: 1 host, revision "), done
    assert http(mine, "allowed.test")[1] == "403" and http(mine, "a.wild.test")[1] == "200"
    mine.set_policy("domans: [allowed.test]\n")
    done = reload()
    assert done.returncode == 2 and "/etc/soleroute/policy.yaml:1:1: " in done.stderr and "is still active" in done.stderr
    assert http(mine, "allowed.test")[1] == "403" and http(mine, "a.wild.test")[1] == "200"
    mine.set_policy(POLICY)
    assert reload().returncode == 0 and works(mine)


@threat("T030")
@pytest.mark.parametrize("user", ["dev", "root"])
def test_the_agent_finds_nobody_to_ask(mine, user):
    """It has the same program; the sockets are in file systems of the other two containers."""
    refused = mine.agent("gateway", "reload", user=user, check=False)
    assert refused.returncode == 3 and "no gateway is running here" in refused.stderr
    unix = mine.agent("cat", "/proc/net/unix", user=user).stdout
    assert "control.sock" in unix, "it sees the guard's, which shares its network"
    assert mine.agent("find", "/", "-xdev", "-name", "control.sock", user=user, check=False).stdout == ""


def test_an_invalid_policy_keeps_the_network_closed_and_says_why(mine):
    mine.set_policy("domans: [allowed.test]\n")
    mine.compose("restart", "-t", "5", "proxy", check=False)
    wait.until(lambda: "did you mean 'domains'" in mine.logs("proxy"), "the reason in the log", 30)
    assert not works(mine)
    mine.set_policy(POLICY)
    mine.compose("restart", "-t", "5", "proxy")
    wait_until_open(mine)


@threat("T024", "T027", "T028")
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_without_the_proxy_nothing_passes_until_it_is_back(mine, world, how):
    mark = world.ev.mark()
    mine.compose(how, "proxy")
    assert not works(mine)
    targets = json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (22, 80, 443)])
    assert "connected" not in mine.python(probes.TCP, targets)
    assert "answered" not in mine.python(probes.UDP, json.dumps([[at.NS, 53, "leak"], [mine.gateway, 53, "leak"]]))
    assert world.ev.since(mark) == []
    mine.compose("start", "proxy")
    wait_until_open(mine)


def test_the_agent_restarted_finds_its_state_and_proves_the_network_again(mine):
    mine.agent("sh", "-c", "echo kept > ~/.cache/state && echo kept > /commandhistory/history")
    mine.forget_shells()
    mine.compose("restart", "-t", "1", "agent")
    mine.wait_for_agent()
    assert works(mine)
    mine.forget_shells()
    mine.compose("up", "-d", "--force-recreate", "--no-deps", "agent")  # what a rebuilt image leads to
    mine.wait_for_agent()
    assert mine.agent("sh", "-c", "cat ~/.cache/state /commandhistory/history").stdout == "kept\nkept\n"
    assert works(mine)


def test_down_and_up_keep_the_state(mine):
    mine.agent("sh", "-c", "echo again > ~/.cache/state")
    mine.down()
    mine.up()
    assert mine.agent("sh", "-c", "cat ~/.cache/state").stdout == "again\n"
    assert works(mine)


@threat("T032")
def test_rules_removed_from_the_agents_namespace_are_put_back(mine, engine):
    process = engine.inspect(mine.container("agent-net"))["State"]["Pid"]
    engine.nsenter(process, "nft", "delete", "table", "inet", "soleroute")
    wait.until(lambda: "table inet soleroute" in engine.nsenter(process, "nft", "list", "ruleset"), "the rules", 15)
    assert "nftables rules were changed by another program" in mine.logs("agent-guard")
    assert mine.python(probes.TCP, json.dumps([[mine.bridge, 22, ""]])) == ["refused"] and works(mine)


@threat("T032")
def test_a_flush_of_everything_leaves_it_closed_and_doctor_says_what_to_do(mine, engine, world):
    """The guard puts its own rules back; those of the engine's resolver are the engine's, which makes them at a start."""
    assert "refuses queries" not in mine.agent("gateway", "doctor", check=False).stdout
    process, mark = engine.inspect(mine.container("agent-net"))["State"]["Pid"], world.ev.mark()
    engine.nsenter(process, "nft", "flush", "ruleset")
    wait.until(lambda: "table inet soleroute" in engine.nsenter(process, "nft", "list", "ruleset"), "the rules", 15)
    assert not works(mine)
    assert set(mine.python(probes.TCP, json.dumps([[host, 22, "leak"] for host in (at.EV, mine.bridge)]))) == {"refused"}
    assert world.ev.since(mark) == []
    said = mine.agent("gateway", "doctor", check=False)
    assert said.returncode == 1 and "127.0.0.11:53 refuses queries" in said.stdout
    assert "docker compose restart agent-net" in said.stdout
    assert "docker compose restart agent-net" in mine.logs("agent-guard")
    mine.forget_shells()
    mine.compose("restart", "-t", "1", "agent-net")
    wait_until_open(mine)


def test_dotfiles_are_linked_and_protected_paths_are_not(engine, images, tmp_path):
    home = tmp_path / "home"
    for name, text in ((".vimrc", "set number\n"), (".claude/settings.json", "{}\n"), (".config/tool/rc", "x\n")):
        path = home / ".config/agent-sandbox/dotfiles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shell = home / ".config/agent-sandbox/shell.d/mine.sh"
    shell.parent.mkdir(parents=True)
    shell.write_text("export FROM_SHELL_D=yes\n")
    one = Project(engine, images, tmp_path / "project")
    try:
        one.compose("up", "-d", env={"HOME": str(home)})
        one.wait_for_agent()
        assert one.agent("cat", "/home/dev/.vimrc", "/home/dev/.config/tool/rc").stdout == "set number\nx\n"
        assert one.agent("test", "-e", "/home/dev/.claude/settings.json", check=False).returncode == 1
        assert one.agent("zsh", "-ic", "echo $FROM_SHELL_D").stdout.strip() == "yes"
        assert one.agent("sh", "-c", "echo x >> ~/.vimrc", check=False).returncode != 0
    finally:
        one.down("-v")


def test_an_agent_on_a_network_that_is_not_held_does_not_start(engine, images):
    """The entry point alone, on the engine's ordinary network: what must not pass does, so there is no agent."""
    done = engine.docker("run", "--rm", "-e", "SOLEROUTE_VERIFY_SECONDS=1", "soleroute/base:0.1.0", "echo", "started", check=False)
    assert done.returncode == 1 and "started" not in done.stdout
    assert "no firewall rules in this network" in done.stderr
