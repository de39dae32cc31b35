"""A router gateway that inspects, for a module's cases: the laboratory's root as --trust, `ca_certificate` what clients trust."""
# SPDX-License-Identifier: GPL-3.0-or-later

from pathlib import Path

from lab import gateway as gateways

INSPECTED = """\
domains:
  - {host: allowed.test, tls: inspect}
  - {host: "*.wild.test", tls: inspect}
  - {host: cdn-allowed.test, tls: inspect}
"""


def inspecting(lab, folder, policy, arguments=()):
    """One not yet started."""
    gateway = gateways.Gateway(lab, folder, policy=policy, arguments=("--trust", str(lab.ca.certificate), *arguments))
    gateway.ca_certificate = str(lab.folder / "gateway-ca.pem")
    return gateway


def publish(gateway):
    """The CA's folder is the gateway's alone: a copy of its certificate, for clients of any user."""
    public = Path(gateway.ca_certificate)
    public.write_bytes((gateway.folder / "ca" / "mitmproxy-ca-cert.pem").read_bytes())
    public.chmod(0o644)


def inspecting_router(lab, tmp_path_factory, policy):
    """The generator of a module's `router` fixture."""
    gateway = inspecting(lab, tmp_path_factory.mktemp("inspecting"), policy)
    lab.router = gateway
    try:
        gateway.start()
        publish(gateway)
        yield gateway
    finally:
        lab.router = None
        try:
            gateway.stop()
        finally:
            lab.reset_gateway_namespace()
