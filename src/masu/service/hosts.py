"""Who reaches a server, by the address that it serves on."""

from __future__ import annotations

import ipaddress

LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
"""What this computer calls itself."""


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches a server there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def names_of(host: str) -> frozenset[str] | None:
    """Names under which a server there may be called; None: any, where other computers reach it."""
    return LOOPBACK | {host} if is_loopback(host) else None
