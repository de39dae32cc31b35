"""Three clients that read HTTP/1 each in its own way: Python's http.client, Node and curl, run as programs of a namespace.

fetch() asks for each path and, behind it on the same connection where the client keeps it, for a control; it gives
{path: (status, body)}, with None for what the client calls an error and "page" for the gateway's own answer.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import json
import subprocess
from pathlib import Path

CLIENTS = ("python", "node", "curl")
SECONDS = 8

_PYTHON = """
import base64, http.client, json, sys
address, host, asked = json.loads(sys.stdin.read())
connection = http.client.HTTPConnection(address, 80, timeout=%d)
for method, path in asked:
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read()
        ours = answer.getheader("X-Soleroute-Reason") is not None
        print(json.dumps([path, "page" if ours else answer.status, base64.b64encode(body).decode()]))
    except Exception as error:
        connection.close()
        print(json.dumps([path, None, repr(error)]))
""" % SECONDS

_NODE = """
const http = require('http');
const [address, host, asked] = JSON.parse(require('fs').readFileSync(0));
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
const say = (...what) => process.stdout.write(JSON.stringify(what) + '\\n');
function one(method, path) {
  return new Promise((done) => {
    const end = (...what) => { say(path, ...what); done(); };
    const request = http.request({host: address, port: 80, method, path, agent, headers: {Host: host}}, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', (error) => end(null, String(error)));
      answer.on('end', () => {
        const ours = answer.headers['x-soleroute-reason'] !== undefined;
        end(ours ? 'page' : answer.statusCode, Buffer.concat(parts).toString('base64'));
      });
    });
    request.setTimeout(%d, () => request.destroy(new Error('timed out')));
    request.on('error', (error) => end(null, String(error)));
    request.end();
  });
}
process.on('uncaughtException', (error) => { say('uncaught', null, String(error)); process.exit(1); });
(async () => { for (const [method, path] of asked) await one(method, path); process.exit(0); })();
""" % (SECONDS * 1000)


def _said(lines):
    found = {}
    for line in lines.splitlines():
        path, status, body = json.loads(line)
        if path not in found:  # Node may report an error behind an end
            found[path] = None if status is None else (status, b"" if status == "page" else base64.b64decode(body))
    return found


def _curl(command, folder, address, host, asked):
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    found = {}
    for pair in zip(asked[::2], asked[1::2], strict=True):  # some errors end the program
        words = []
        for number, (method, path) in enumerate(pair):
            words += ["--next"] if number else []
            words += ["-sS", "-m", str(SECONDS), "--http1.1", "-H", f"Host: {host}", "-o", str(folder / str(number)), "-w", "%{exitcode} %{http_code} %header{x-soleroute-reason}\\n"]
            words += ["--head"] if method == "HEAD" else []
            words += [f"http://{address}{path}"]
        done = subprocess.run(command("curl", *words), capture_output=True, text=True, check=False)
        said = dict(enumerate(done.stdout.splitlines()))
        for number, (method, path) in enumerate(pair):
            code, status, ours = said.get(number, "1 0 ").split(" ", 2)
            body = folder / str(number)
            content = body.read_bytes() if body.exists() and method != "HEAD" else b""
            body.unlink(missing_ok=True)
            found[path] = None if code != "0" else ("page", b"") if ours else (int(status), content)
    return found


def fetch(client, command, folder, address, host, asked):
    """`asked`: (method, path) in order; `command`: makes a program's command line run where the client is."""
    if client == "curl":
        return _curl(command, Path(folder), address, host, asked)
    program = ("/usr/bin/python3", "-c", _PYTHON) if client == "python" else ("node", "-e", _NODE)
    done = subprocess.run(command(*program), input=json.dumps([address, host, asked]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return _said(done.stdout)
