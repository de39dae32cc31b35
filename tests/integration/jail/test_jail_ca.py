"""The CA of `gateway run`: trusted inside, its key nowhere that the command can see."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import subprocess

import pytest
from jail import KINDS

threat = pytest.mark.threat

ADDITIONS = "cat $NODE_EXTRA_CA_CERTS"


def certificates(text):
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)


def subject(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_each_run_has_a_ca_of_its_own_that_the_bundle_holds(jail_of, kind):
    jail = jail_of(kind)
    seen = []
    for _ in range(2):
        done = jail.run("sh", "-c", f"{ADDITIONS}; echo ===; cat $SSL_CERT_FILE")
        assert done.returncode == 0, done.stderr
        added, bundle = done.stdout.split("===")
        (mine,) = certificates(added)
        assert "Soleroute CA" in subject(mine)
        assert mine in bundle
        seen.append(mine)
    assert seen[0] != seen[1]


@threat("T110")
@pytest.mark.parametrize("kind", KINDS)
def test_the_kept_key_is_hidden_from_the_command(jail_of, kind, folder):
    jail = jail_of(kind)
    kept = folder / "kept"
    args = ["--ca-dir", str(kept)]
    added = jail.run("sh", "-c", ADDITIONS, args=args)
    assert (kept / "mitmproxy-ca.pem").exists(), added.stderr
    assert certificates(added.stdout) == certificates((kept / "mitmproxy-ca-cert.pem").read_text())
    assert certificates(jail.run("sh", "-c", ADDITIONS, args=args).stdout) == certificates(added.stdout), "it is kept"
    look = jail.run("sh", "-c", f"ls -A {kept} | wc -l; cat {kept}/mitmproxy-ca.pem; umount {kept}; cat {kept}/mitmproxy-ca.pem",
                    args=args)  # fmt: skip
    assert look.stdout.strip() == "0"
    assert "PRIVATE" not in look.stdout + look.stderr


def test_nothing_is_left_behind(jail, folder):
    before = sorted(path.name for path in folder.iterdir())
    assert jail.run("true").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == before


@threat("T111")
def test_a_doubtful_ca_is_an_error_before_the_command_runs(jail, folder):
    kept = folder / "kept"
    assert jail.run("true", args=["--ca-dir", str(kept)]).returncode == 0
    (kept / "mitmproxy-ca.pem").chmod(0o644)
    done = jail.run("echo", "ran", args=["--ca-dir", str(kept)])
    assert done.returncode == 2
    assert done.stdout == ""
    assert "chmod 600" in done.stderr
