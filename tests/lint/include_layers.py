# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on an include against the layers: base <- {policy, sniffer, netrules} <- gateway, and inside the gateway
netlink <- net, audit, secrets <- dns, http2, queue, inspect, host <- flow <- http <- ingress <- workers <- serve <- {jail, project, importers, watch} <- commands
<- main. Also on heavy headers in headers.

`--self-test` shows that each rule can fail.
"""

import re
import sys

from source_tree import ROOT, files

LAYERS = {"base": 0, "policy": 1, "sniffer": 1, "netrules": 1, "gateway": 2}
GATEWAY_LAYERS = {"netlink": 0, "net": 0, "audit": 0, "secrets": 0, "dns": 1, "http2": 1, "queue": 1, "inspect": 1, "host": 1, "flow": 2,
                  "http": 3, "ingress": 4, "workers": 5, "serve": 6, "jail": 7, "project": 7, "importers": 7, "watch": 7, "commands": 8}
# Exceptions: includes within one layer of the gateway.
SIDEWAYS = {("net", "netlink"), ("queue", "dns"), ("host", "inspect")}
# Only in the .cpp that needs them. Asio's executors are part of the interfaces of the flow code, so its small
# headers may be named there; openssl/types.h declares names and no more.
HEAVY = re.compile(r"^(CLI/|nlohmann/json\.hpp|yaml-cpp/|boost/asio\.hpp|boost/beast|openssl/(?!types\.h)|libnftnl/|libmnl/)")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def area(path):
    """("gateway", "dns") for gateway/dns/cache.h, ("policy", "") for policy/rule.cpp."""
    parts = path.split("/")
    sub = parts[1] if parts[0] == "gateway" and len(parts) > 2 else ""
    return parts[0], sub


def gateway_problem(sub, included_sub):
    if not sub or not included_sub or sub == included_sub:  # main.cpp may include all
        return None
    mine, theirs = GATEWAY_LAYERS.get(sub), GATEWAY_LAYERS.get(included_sub)
    if mine is None or theirs is None:
        return f"gateway/{sub if mine is None else included_sub} has no layer in tests/lint/include_layers.py"
    if theirs > mine:
        return f"gateway/{sub} must not include the higher layer gateway/{included_sub}"
    if theirs == mine and (sub, included_sub) not in SIDEWAYS:
        return f"gateway/{sub} and gateway/{included_sub} are in the same layer"
    return None


def problem(path, included):
    """Why `path` must not include the project's file `included`; None if it may."""
    (layer, sub), (included_layer, included_sub) = area(path), area(included)
    if included_layer not in LAYERS or layer not in LAYERS:
        return None
    if LAYERS[included_layer] > LAYERS[layer]:
        return f"{layer} must not include the higher layer {included_layer}"
    if LAYERS[included_layer] == LAYERS[layer] and layer != included_layer:
        return f"{layer} and {included_layer} must not include each other"
    return gateway_problem(sub, included_sub) if layer == "gateway" else None


def http_problem(path, included):
    """Inside gateway/http: its own files know no version, and h1 is used by h2, which leads from one to the other."""
    parts = [file.split("/")[2] if file.startswith("gateway/http/") and file.count("/") > 2 else "" for file in (path, included)]
    if not path.startswith("gateway/http/") or not included.startswith("gateway/http/"):
        return None
    if parts[1] and parts[0] != parts[1] and parts != ["h2", "h1"]:
        return f"gateway/http/{parts[0]} must not include gateway/http/{parts[1]}"
    return None


def check(path, text):
    found = []
    for quoted, angled in INCLUDE.findall(text):
        if quoted and "/" not in quoted:
            found.append(f'{path}: "{quoted}" must be a path from the root')
        elif quoted and (reason := problem(path, quoted) or http_problem(path, quoted)):
            found.append(f'{path}: includes "{quoted}": {reason}')
        elif path.endswith(".h") and HEAVY.match(angled):
            found.append(f"{path}: includes <{angled}>: include a heavy header only in a .cpp")
    return found


def self_test():
    bad = [
        ("base/a.h", '#include "policy/policy.h"'),
        ("policy/a.cpp", '#include "sniffer/parsed.h"'),
        ("netrules/a.cpp", '#include "gateway/net/listen.h"'),
        ("gateway/net/a.cpp", '#include "gateway/workers/runtime.h"'),
        ("gateway/netlink/a.cpp", '#include "gateway/net/listen.h"'),
        ("gateway/dns/a.cpp", '#include "gateway/flow/relay.h"'),
        ("gateway/serve/a.h", '#include "gateway/commands/command.h"'),
        ("gateway/http/h1/a.h", '#include "gateway/http/h2/request.h"'),
        ("gateway/http/a.h", '#include "gateway/http/h1/io.h"'),
        ("gateway/flow/a.h", '#include "gateway/http/page.h"'),
        ("gateway/http/a.h", '#include "gateway/ingress/entrances.h"'),
        ("gateway/unknown/a.h", '#include "gateway/net/listen.h"'),
        ("policy/a.h", "#include <yaml-cpp/yaml.h>"),
        ("gateway/serve/a.cpp", '#include "options.h"'),
    ]
    good = [
        ("policy/a.cpp", '#include "base/result.h"\n#include <yaml-cpp/yaml.h>'),
        ("gateway/flow/a.cpp", '#include "gateway/dns/resolver.h"\n#include "sniffer/parsed.h"'),
        ("gateway/main.cpp", '#include "gateway/commands/command.h"'),
        ("gateway/commands/a.cpp", '#include "gateway/jail/jail.h"'),
    ]
    wrong = [case for case in bad if not check(*case)] + [case for case in good if check(*case)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    sources = [name for name in files(".h", ".cpp") if name.split("/")[0] in LAYERS]
    if not sources:
        print("no sources found")
        return 1
    found = [line for name in sources for line in check(name, (ROOT / name).read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"{len(sources)} files keep to their layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
