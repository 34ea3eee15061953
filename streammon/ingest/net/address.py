"""Which hosts a room's stream may come from: schemes, and addresses after resolution. Checked at every hop."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from streammon.errors import SourceForbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All of IPv6 that is given out to the public (IANA, "IPv6 Global Unicast Address Assignments"). Outside of it are forms
# that carry an IPv4 address (`::127.0.0.1`, 64:ff9b:1::/48) and site-local ones, which `is_global` lets through.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# Metadata and agent services of clouds (Oracle, Azure), at addresses that count as public.
_SERVICES = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What may be connected to. Public addresses always; others only where a network in `allow` holds them."""

    schemes: frozenset[str] = frozenset({"rtmp", "rtmps", "http", "https"})
    allow: tuple[Network, ...] = ()

    def check_scheme(self, url: str) -> None:
        """Raises SourceForbidden where the URL's scheme is not allowed."""
        scheme = url.partition(":")[0].lower()
        if scheme not in self.schemes:
            allowed = ", ".join(sorted(self.schemes))
            raise SourceForbidden(f"a stream may not be fetched by that scheme; allowed are {allowed}")

    def only_allowed(self, addresses: Iterable[str]) -> list[str]:
        """Those of a host's addresses that may be connected to, in their order, at least one.

        The caller connects to one of them, not to the name, so that a name cannot change in between. Raises
        SourceForbidden where none is allowed.
        """
        allowed = [address for address in addresses if self.allows(address)]
        if not allowed:
            raise SourceForbidden(
                "the host's address is not public; if it is meant, allow its network: `ingest.allow_networks` in the"
                " configuration, `--allow-network` on the command line"
            )
        return allowed

    def allows(self, address: str) -> bool:
        """Whether this literal address may be connected to."""
        plain = _plain(ipaddress.ip_address(address.partition("%")[0]))
        if any(plain.version == network.version and plain in network for network in self.allow):
            return True
        return _public(plain)


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    if any(address in network for network in _SERVICES):
        return False
    return address.is_global and not address.is_multicast


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one: it is what a packet would reach."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
