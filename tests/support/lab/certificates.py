"""A certificate authority for one run, made with the openssl command."""
# SPDX-License-Identifier: GPL-3.0-or-later

import subprocess
from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*args, text=None):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, input=text, text=True)


class Authority:
    """Issues certificates into a folder. `certificate` is what clients must trust."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self._folder / "ca.pem"
        self._key = self._folder / "ca.key"
        _openssl("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate, "-days", "30",
                 "-subj", "/CN=Soleroute test authority", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.certificate.chmod(0o644)

    def issue(self, *names):
        """(certificate file, key file) for these DNS names."""
        stem = self._folder / names[0].replace("*", "any")
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        certificate, key = Path(f"{stem}.crt"), Path(f"{stem}.key")
        extensions.write_text(
            "subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\nextendedKeyUsage=serverAuth\n"
            "basicConstraints=CA:FALSE\n"
        )
        _openssl("req", "-new", *_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={names[0]}")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                 "-out", certificate, "-days", "20", "-extfile", extensions)
        return certificate, key
