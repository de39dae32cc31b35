"""A run that is killed leaves no process, mount, control group, network namespace or folder of its engine."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import subprocess
import sys
from pathlib import Path

import pytest

import debian13
from lab import wait

_HERE = Path(__file__).resolve().parent
_IMAGE = "soleroute-test/sleeper"

# A run with a container, which kills itself.
RUN = """
import json, os, signal, sys
from pathlib import Path
support, here, folder, archive, image, system = sys.argv[1:]
sys.path[:0] = [support, here]
from engine import Engine
from world import World
world = World(Path(folder))
engine = Engine(world, Path(folder) / "engine", Path(system) if system else None)
engine.docker("import", archive, image)
container = engine.docker("run", "-d", "--restart", "always", image, "/sleeper").stdout.strip()
process = engine.inspect(container)["State"]["Pid"]
print(json.dumps([str(engine.run_folder), engine.group, world.host.name, process]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An image as small as can be: one static program that waits."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "sleeper.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    subprocess.run(["gcc", "-static", "-O1", "-o", folder / "sleeper", folder / "sleeper.c"], check=True)
    subprocess.run(["tar", "-cf", folder / "image.tar", "-C", folder, "sleeper"], check=True)
    return folder / "image.tar"


@pytest.mark.parametrize("which", ["this machine's", "26.1"])
def test_a_killed_run_leaves_nothing(engine, archive, tmp_path, which):
    """`engine` shows that engines run here; the one that is killed has a machine and a folder of its own."""
    system = ""
    if which == "26.1":
        system, reason = debian13.engine(engine.folder)
        if reason:
            pytest.skip(reason)
    killed = subprocess.run([sys.executable, "-B", "-c", RUN, _HERE.parent / "support", _HERE, tmp_path, archive, _IMAGE, system],
                            check=False, text=True, capture_output=True, timeout=180)  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    folder, group, namespace, process = json.loads(killed.stdout)

    def left():
        found = [path for path in (Path(folder), Path("/run/netns") / namespace, Path(f"/proc/{process}")) if path.exists()]
        found += [path for path in Path("/sys/fs/cgroup").glob(f"*/{group}")] + [path for path in Path("/sys/fs/cgroup").glob(group)]
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        return found + [line for line in mounts if folder in line or str(tmp_path) in line]

    wait.until(lambda: not left(), "everything to be gone", 60, step=0.1)
    assert subprocess.run(["pgrep", "-f", folder], check=False, capture_output=True, text=True).stdout == ""
