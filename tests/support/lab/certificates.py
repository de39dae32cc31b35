"""A certificate authority for one run, made with the openssl command."""
# SPDX-License-Identifier: GPL-3.0-or-later

import datetime
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

    def issue_odd(self, name, names=None, days=20, begin=-1, issuer="", usage="serverAuth", basic="CA:FALSE", digest="sha256", rsa=0):
        """One with something wrong. `issuer`: None signs itself, "stranger" is another root; `begin`, `days`: of validity."""
        self._odd = getattr(self, "_odd", 0) + 1
        stem = self._folder / f"odd{self._odd}"
        certificate, key, request, extensions = (stem.with_suffix(s) for s in (".crt", ".key", ".csr", ".ext"))
        names = f"DNS:{name}" if names is None else names
        extensions.write_text((f"subjectAltName={names}\n" if names else "") + f"extendedKeyUsage={usage}\nbasicConstraints={basic}\n")
        kind = ["-newkey", f"rsa:{rsa}", "-nodes"] if rsa else _KEY
        _openssl("req", "-new", *kind, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        root, root_key = self.certificate, self._key
        if issuer == "stranger":
            root, root_key = self._folder / "stranger.pem", self._folder / "stranger.key"
            _openssl("req", "-x509", *_KEY, "-keyout", root_key, "-out", root, "-subj", "/CN=A stranger")
        signer = ["-selfsign", "-keyfile", key] if issuer is None else ["-cert", root, "-keyfile", root_key]
        when = [(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in (min(begin, days - 1), days)]
        database = stem.with_suffix(".db")
        database.write_text("")
        settings = stem.with_suffix(".cnf")
        settings.write_text(
            f"[ca]\ndefault_ca=c\n[c]\ndatabase={database}\nrand_serial=yes\nnew_certs_dir={self._folder}\npolicy=p\n[p]\ncommonName=supplied\n"
        )
        _openssl("ca", "-batch", "-notext", "-config", settings, *signer, "-in", request, "-out", certificate, "-md", digest,
                 "-startdate", when[0], "-enddate", when[1], "-extfile", extensions)
        return certificate, key
