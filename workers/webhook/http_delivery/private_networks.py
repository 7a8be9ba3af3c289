"""Which IP addresses a webhook may be delivered to, and the reason for each refusal.

The table has IANA's special-purpose registries and the metadata addresses of cloud providers:
Python's ``is_global`` calls NAT64-wrapped private addresses global, and differs between versions.
"""

import ipaddress
from collections.abc import Iterable

from common.config import Network
from common.remote.http.name_lookup import Address

_SPECIAL = {
    # IPv4
    "0.0.0.0/8": "of this host itself",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier's customers",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's metadata service",  # Azure; inside a public network
    "169.254.0.0/16": "link-local, where clouds serve metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for benchmarking",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    # IPv6, the narrower ones first
    "::/128": "of this host itself",
    "::1/128": "loopback",
    "::/96": "IPv4 inside IPv6 (compatible)",
    "::ffff:0:0/96": "IPv4 inside IPv6 (mapped)",
    "::ffff:0:0:0/96": "IPv4 inside IPv6 (translated)",
    "64:ff9b::/96": "IPv4 inside IPv6 (NAT64)",
    "64:ff9b:1::/48": "IPv4 inside IPv6 (NAT64)",
    "2001::/32": "IPv4 inside IPv6 (Teredo)",
    "2001:2::/48": "for benchmarking",
    "2001::/23": "reserved for protocols",
    "2001:db8::/32": "for documentation",
    "2002::/16": "IPv4 inside IPv6 (6to4)",
    "3fff::/20": "for documentation",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_REFUSED = {ipaddress.ip_network(network): reason for network, reason in _SPECIAL.items()}

# The only part of IPv6 that is assigned to hosts on the internet.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# The third quarter of an ISATAP address (RFC 5214) in any network; the masked bit shows whether
# the IPv4 address in the last quarter is globally unique.
_ISATAP, _ISATAP_MASK = 0x0000_5EFE, 0xFDFF_FFFF


def refusal(address: Address, allowed: Iterable[Network] = ()) -> str:
    """Why nothing may be delivered to this address, or '' if it is public or allowed."""
    if any(address in network for network in allowed):
        return ""
    for network, reason in _REFUSED.items():
        if address in network:
            return reason
    if isinstance(address, ipaddress.IPv6Address):
        if address not in _GLOBAL_UNICAST:
            return "not of a public network"
        if (int(address) >> 32) & _ISATAP_MASK == _ISATAP:
            return "IPv4 inside IPv6 (ISATAP)"
    return ""
