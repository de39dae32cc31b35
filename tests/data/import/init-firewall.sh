#!/bin/bash
set -euo pipefail
iptables -A OUTPUT -p udp --dport 53 -j ACCEPT
iptables -A OUTPUT -p tcp --dport 22 -j ACCEPT
gh_ranges=$(curl -s https://api.github.com/meta)
for domain in \
    "registry.example.org" \
    "api.example.com"; do
    ipset add allowed-domains "$(dig +short A "$domain")"
done
HOST_NETWORK=$(ip route | grep default)
