"""Only public addresses may be connected to, in whatever form a name or a URL hides another one."""

from __future__ import annotations

import ipaddress

import pytest

from streammon.errors import SourceForbidden
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.resolver import look_up

PUBLIC = AddressPolicy()
SPECIAL = [
    # IPv4 (IANA, "IPv4 Special-Purpose Address Registry"), first and last of each
    *("0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0", "172.31.255.255"),
    *("192.0.0.0", "192.0.0.192", "192.0.2.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255"),
    # services of clouds
    *("100.100.100.200", "168.63.129.16", "fd00:ec2::254"),
    # IPv6
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fdff::1", "ff02::1", "ff0e::1", "100::1"),
    *("2001::1", "2001:db8::1", "4000::1", "5f00::1"),
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64 (well-known and local), 6to4, Teredo
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::10.0.0.1"),
    *("64:ff9b:1::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
]


@pytest.mark.parametrize("address", SPECIAL)
def test_what_is_not_public_is_not_allowed(address: str) -> None:
    assert not PUBLIC.allows(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
        *("172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255"),
        *("2606:4700::1111", "2a00:1450:4001::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"),
    ],
)
def test_what_is_public_is_allowed(address: str) -> None:
    assert PUBLIC.allows(address)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.0.0/16", ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"], ["10.2.0.0", "10.0.0.1"]),
        ("127.0.0.1/32", ["127.0.0.1"], ["127.0.0.2", "::1", "0.0.0.0"]),
        ("fd00::/8", ["fd12::1"], ["fc00::1", "10.0.0.1"]),
        ("fe80::/10", ["fe80::1%eth0"], ["fd00::1"]),
        ("0.0.0.0/0", ["127.0.0.1", "10.0.0.1"], ["::1", "fd00::1"]),
    ],
)
def test_a_network_that_is_configured_is_allowed_and_no_other(
    network: str, inside: list[str], outside: list[str]
) -> None:
    policy = AddressPolicy(allow=(ipaddress.ip_network(network),))
    assert [address for address in inside if not policy.allows(address)] == []
    assert [address for address in outside if policy.allows(address)] == []
    assert policy.allows("1.1.1.1")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "0"),
        *("::1", "::ffff:127.0.0.1", "⑫7.0.0.1", "１２７.０.０.１", "169.254.169.254", "2852039166"),
    ],
)
def test_a_host_in_any_form_is_checked_by_the_address_it_stands_for(host: str) -> None:
    with pytest.raises(SourceForbidden, match="allow_networks") as caught:
        PUBLIC.only_allowed(look_up(host))
    assert host not in str(caught.value)
    assert caught.value.code == "forbidden_address"


def test_an_integer_is_connected_to_as_the_address_it_stands_for() -> None:
    policy = AddressPolicy(allow=(ipaddress.ip_network("127.0.0.0/8"),))
    assert policy.only_allowed(look_up("2130706433")) == ["127.0.0.1"]


def test_of_a_name_s_addresses_only_the_allowed_ones_are_left() -> None:
    found = ["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]
    assert PUBLIC.only_allowed(found) == ["1.1.1.1", "2606:4700::1111"]


@pytest.mark.parametrize("url", ["http://h/a", "HTTPS://h/a", "rtmp://h/a", "rtmps://h/a"])
def test_the_schemes_of_streams_are_allowed(url: str) -> None:
    PUBLIC.check_scheme(url)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "/etc/passwd", "etc/passwd", "", "data:video/mp2t,x", "concat:/etc/passwd|http://h/"),
        *("ftp://h/a", "gopher://h/", "tcp://h:1", "subfile,,start,0,,:/etc/passwd", "crypto:http://h/a", " file:///a"),
    ],
)
def test_other_schemes_are_not(url: str) -> None:
    with pytest.raises(SourceForbidden, match="allowed are http, https, rtmp, rtmps"):
        PUBLIC.check_scheme(url)
