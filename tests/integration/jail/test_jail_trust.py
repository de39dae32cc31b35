"""Programs with root stores apart from the system's trust the jail's CA: Java and Chromium see the page of a denied host."""
# SPDX-License-Identifier: GPL-3.0-or-later

import glob
import os
import shlex
import shutil
import subprocess

import pytest

from lab import page_examples

CLIENT = """import java.net.URI;
import java.net.http.*;
public class Get {
  public static void main(String[] a) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(a[0])).build();
    var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.statusCode() + " " + answer.body().lines().findFirst().orElse(""));
  }
}
"""
JAVAS = sorted({os.path.realpath(path) for path in glob.glob("/usr/lib/jvm/*/bin/java")})
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def java_class(world):
    source = world / "Get.java"
    source.write_text(CLIENT)
    subprocess.run(["javac", "--release", "17", "-d", str(world), str(source)], check=True)
    return str(world)


class TestRootOnBehalfOfAUser:
    def test_a_store_is_read_with_the_users_rights(self, jail_of, folder):
        store = folder / "store"
        store.write_bytes(bytes.fromhex("feedfeed0000000200000000") + b"KEYS" + bytes(20))
        (folder / "jdk/lib/security").mkdir(parents=True)
        (folder / "jdk/lib/security/cacerts").symlink_to(store)
        counts = []
        for mode in (0o600, 0o644):
            store.chmod(mode)
            done = jail_of("sudo").run("grep", "-acE", "KEYS.*soleroute-0", str(store), env={"JAVA_HOME": str(folder / "jdk")})
            counts.append(done.stdout)
        assert counts == ["", "1\n"], "the second is the control"

    def test_named_roots_are_read_with_the_users_rights(self, jail_of, folder, lab):
        roots = folder / "roots.pem"
        shutil.copy(lab.ca.certificate, roots)
        line = roots.read_text().splitlines()[2]
        counts = []
        for mode in (0o600, 0o644):
            roots.chmod(mode)
            done = jail_of("sudo").run("grep", "-cF", line, "/etc/ssl/certs/ca-certificates.crt", env={"NODE_EXTRA_CA_CERTS": str(roots)})
            counts.append(done.stdout)
        assert counts == ["0\n", "1\n"], "the second is the control"


GRPC = """
import grpc
channel = grpc.secure_channel("denied.test:443", grpc.ssl_channel_credentials())
try:
    channel.unary_unary("/service/method")(b"", timeout=10)
except grpc.RpcError as error:
    print(error.code().name, error.details())
"""


def test_grpc_trusts_the_bundle_and_shows_the_denial(jail):
    pytest.importorskip("grpc")
    done = jail.run("/usr/bin/python3", "-c", GRPC)
    assert done.stdout.startswith("PERMISSION_DENIED ") and "denied.test" in done.stdout, done.stdout + done.stderr


def test_the_example_of_the_page_trusts_a_private_ca(jail, lab):
    (line,) = page_examples.commands("docs/networks.md", "Private CAs")
    own = {"/etc/company/root.pem": str(lab.ca.certificate), "https://git.corp.example/": "https://allowed.test/"}
    words = [own.get(word, word) for word in shlex.split(line)]
    assert words[:2] == ["gateway", "run"] and set(own.values()) <= set(words)
    options, command = words[2 : words.index("--")], words[words.index("--") + 1 :]
    assert jail.run(*command, args=options).stdout == "AL\n"
    assert jail.run(*command).returncode == 60, "the control"


@pytest.mark.skipif(not shutil.which("javac") or not JAVAS, reason="needs a JDK")
class TestJava:
    def fetched(self, jail, java, classes, url, **options):
        return jail.run(java, "-cp", classes, "Get", url, **options)

    @pytest.mark.parametrize("java", JAVAS, ids=lambda path: path.split("/")[4])
    def test_it_sees_the_page_of_a_denied_host(self, jail, java_class, java):
        done = self.fetched(jail, java, java_class, "https://denied.test/")
        assert done.stdout.startswith("403 Blocked by proxy policy: denied.test ("), done.stderr[-400:]

    def test_every_kind_of_user_has_the_store(self, any_jail, java_class):
        done = self.fetched(any_jail, JAVAS[0], java_class, "https://denied.test/")
        assert done.stdout.startswith("403 Blocked by proxy policy: denied.test ("), done.stderr[-400:]

    def test_it_trusts_a_further_root_and_nothing_else(self, jail, java_class, lab):
        fetch = (JAVAS[0], java_class, "https://allowed.test/")
        assert "unable to find valid certification path" in self.fetched(jail, *fetch).stderr, "the control"
        assert self.fetched(jail, *fetch, args=["--trust", str(lab.ca.certificate)]).stdout == "200 AL\n"

    def test_the_store_is_whole_and_the_hosts_is_untouched(self, jail):
        store = os.path.realpath("/etc/ssl/certs/java/cacerts")
        before = open(store, "rb").read()
        listing = ["keytool", "-list", "-keystore", store, "-storepass", "changeit"]
        outside = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.count("trustedCertEntry")
        inside = jail.run(*listing)
        assert inside.returncode == 0, inside.stdout
        assert inside.stdout.count("trustedCertEntry") == outside + 1
        assert open(store, "rb").read() == before


@pytest.mark.skipif(not CHROMIUM or not os.path.isdir("/etc/chromium"), reason="needs Debian's Chromium")
class TestChromium:
    def dumped(self, jail, url, **options):
        profile = f"{jail.folder}/profile"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}", "--dump-dom"]
        return jail.run(CHROMIUM, *flags, url, env={"HOME": str(jail.folder)}, timeout=120, **options).stdout

    def test_it_sees_the_page_of_a_denied_host(self, jail):
        assert "Blocked by proxy policy: denied.test" in self.dumped(jail, "https://denied.test/")

    def test_it_trusts_a_further_root_and_nothing_else(self, jail, lab):
        trusted = self.dumped(jail, "https://allowed.test/", args=["--trust", str(lab.ca.certificate)])
        assert "AL\n" in trusted and "ERR_CERT" not in trusted
        assert "AL\n" not in self.dumped(jail, "https://allowed.test/"), "the control"

    def test_the_folder_of_policies_keeps_its_own_files(self, any_jail):
        before = sorted(os.listdir("/etc/chromium"))
        done = any_jail.run("sh", "-c", "ls /etc/chromium; cat /etc/chromium/policies/managed/soleroute.json")
        *names, policy = done.stdout.splitlines()
        assert sorted(names) == sorted({*before, "policies"})
        assert policy.startswith('{"CACertificates":["MII')
        assert sorted(os.listdir("/etc/chromium")) == before
