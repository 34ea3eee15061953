"""What a code's payload is for, and whether a policy allows it. Pure.

Sources: EMV QR Code Specification for Payment Systems (merchant-presented mode, 1.1), NPCI's UPI linking specification,
BIP 21 and EIP-681, RFC 6350 (vCard), RFC 3966 (tel), RFC 6068 (mailto), and ZXing's "Barcode Contents" for the rest.
"""

from __future__ import annotations

import re

from streammon.entities import CodeKind
from streammon.judge.domains import host_of, lies_in, names_one_of

_PAYMENT_SCHEMES = (
    "wxp", "alipay", "alipays", "alipayqr", "upi", "bitcoin", "bitcoincash", "lightning", "ethereum", "litecoin",
    "dogecoin", "monero", "solana", "tron", "tether", "ripple", "ton", "paypal", "payto",
)  # fmt: skip
_CONTACT_SCHEMES = (
    "tel", "sms", "smsto", "mms", "mmsto", "mailto", "matmsg", "mecard", "bizcard", "weixin", "wechat", "mqqapi",
    "mqq", "tencent", "tg", "whatsapp", "line", "viber", "skype", "facetime", "xmpp", "sip",
)  # fmt: skip
_PAYMENT_HOSTS = (
    "qr.alipay.com", "render.alipay.com", "ds.alipay.com", "mobilecodec.alipay.com", "wx.tenpay.com",
    "payapp.weixin.qq.com", "qr.95516.com", "paypal.me", "cash.app", "venmo.com", "buy.stripe.com", "i.qianbao.qq.com",
)  # fmt: skip
_CONTACT_HOSTS = (
    "u.wechat.com", "weixin.qq.com", "work.weixin.qq.com", "qm.qq.com", "t.me", "telegram.me", "telegram.dog", "wa.me",
    "chat.whatsapp.com", "api.whatsapp.com", "line.me", "lin.ee", "qr.kakao.com", "open.kakao.com", "discord.gg",
    "signal.me", "signal.group", "m.me", "invite.viber.com", "zalo.me",
)  # fmt: skip
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30}):", re.IGNORECASE)
_CARD = re.compile(r"BEGIN:(?:VCARD|VEVENT)\b", re.IGNORECASE)
# The payload format indicator comes first and is 01, the CRC last: tag 63 of four hexadecimal digits.
_EMV = re.compile(r"000201.*6304[0-9A-F]{4}", re.IGNORECASE | re.DOTALL)
# Bare addresses of wallets: Bitcoin (base58 and bech32), Ethereum, Tron.
_WALLET = re.compile(
    r"[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{11,71}|0x[0-9a-fA-F]{40}|T[1-9A-HJ-NP-Za-km-z]{33}"
)


def kind_of(payload: str) -> CodeKind:
    """What a payload asks of who scans it. Linear in its length."""
    text = payload.strip()
    if _EMV.fullmatch(text) or _WALLET.fullmatch(text):
        return CodeKind.PAYMENT
    if _CARD.match(text):
        return CodeKind.CONTACT
    scheme = _SCHEME.match(text)
    return CodeKind.TEXT if scheme is None else _kind_by_scheme(scheme[1].lower(), text)


def allowed(payload: str, allow_domains: tuple[str, ...], deny_domains: tuple[str, ...]) -> bool:
    """Whether a payload is a web address on an allowed domain and nothing in it names a denied one."""
    host = host_of(payload)
    return host is not None and lies_in(host, allow_domains) and not names_one_of(payload, deny_domains)


def _kind_by_scheme(scheme: str, text: str) -> CodeKind:
    if scheme in ("http", "https"):
        return _kind_by_host(host_of(text))
    if scheme in _PAYMENT_SCHEMES or text.lower().startswith("weixin://wxpay/"):
        return CodeKind.PAYMENT
    if scheme == "wifi":
        return CodeKind.WIFI
    if scheme in _CONTACT_SCHEMES:
        return CodeKind.CONTACT
    return CodeKind.URL if "://" in text[: len(scheme) + 3] else CodeKind.TEXT


def _kind_by_host(host: str | None) -> CodeKind:
    if host is not None and lies_in(host, _PAYMENT_HOSTS):
        return CodeKind.PAYMENT
    if host is not None and lies_in(host, _CONTACT_HOSTS):
        return CodeKind.CONTACT
    return CodeKind.URL
