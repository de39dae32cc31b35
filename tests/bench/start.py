#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the program takes to begin: tests/bench/start.py [PROGRAM] [REPEATS]. Medians, and the spread, in milliseconds."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "build/release/gateway/gateway"
REPEATS = int(sys.argv[2]) if len(sys.argv) > 2 else 15
LAYER = 15000  # names in one file: below the limit of 1 MiB


def policy_files(folder, names):
    files = []
    for start in range(0, names, LAYER):
        path = os.path.join(folder, "policy-%d-%d.yaml" % (names, start))
        with open(path, "w") as out:
            out.write("domains:\n")
            out.writelines("  - d%06d.bench.example\n" % n for n in range(start, min(start + LAYER, names)))
        files += ["--policy", path]
    return files


def seconds(arguments):
    begin = time.perf_counter()
    subprocess.run([PROGRAM] + arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def seconds_to_command(policy):
    """Until the command runs: it writes the time it sees."""
    begin = time.time()
    shown = subprocess.run([PROGRAM, "run"] + policy + ["--", "/bin/date", "+%s.%N"], check=True, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return float(shown) - begin


def seconds_to_healthy(folder, policy):
    """Serving by hand, without rules: until the control socket says so."""
    control = os.path.join(folder, "control.sock")
    arguments = ["--no-rules", "--inside", "lo", "--resolver", "127.0.0.1:5353", "--explicit-proxy", "off", "--control", control]
    begin = time.perf_counter()
    process = subprocess.Popen([PROGRAM] + arguments + policy, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in process.stdout:
            if json.loads(line).get("event") == "healthy":
                return time.perf_counter() - begin
        raise RuntimeError("the gateway ended before it was healthy")
    finally:
        process.terminate()
        process.wait()


def show(what, measure):
    times = sorted(1000 * measure() for _ in range(REPEATS))
    print("%-44s %7.1f   (%.1f to %.1f)" % (what, statistics.median(times), times[0], times[-1]), flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        few, many = policy_files(folder, 10), policy_files(folder, 100000)
        show("--version", lambda: seconds(["--version"]))
        show("--dry-run, 10 domains", lambda: seconds(["--dry-run"] + few))
        show("check, 100,000 domains", lambda: seconds(["check"] + many))
        show("run -- true, start to command", lambda: seconds_to_command(few))
        show("run -- true, all of it", lambda: seconds(["run"] + few + ["--", "/bin/true"]))
        show("serving, start to healthy, 10 domains", lambda: seconds_to_healthy(folder, few))
        show("serving, start to healthy, 100,000 domains", lambda: seconds_to_healthy(folder, many))


if __name__ == "__main__":
    main()
