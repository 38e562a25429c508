"""Read an address the way a browser does: which host it asks, at which port, under which path."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

_EDGE = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_SLASHES = re.compile(r"[/\\]*")
_AUTHORITY = re.compile(r"[^/\\?#]*")
_PORT = re.compile(r":(\d*)\Z")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|\d+")
# Code points that UTS 46 maps to nothing, with the joiners: dropping too many can only gate too much.
_IGNORED = re.compile(
    "[\u00ad\u034f\u180b-\u180f\u200b-\u200d\u2060\u2064\ufe00-\ufe0f\ufeff\U0001bca0-\U0001bca3\U000e0100-\U000e01ef]"
)
_DOTS = re.compile("[\u3002\uff0e\uff61]")
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "ftp": 21}
_MAX_HOST = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Hold what of an address decides its owner.

    `host` is empty where the address names none: it is then relative (`scheme` empty, `path` as written) or local to
    the browser (`data:`, `javascript:`, `blob:`, with what follows the colon in `rest`). `port` is None where the
    address leaves it to the scheme, and `ports` holds the ones that it may then be.
    """

    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    rest: str = ""

    @property
    def relative(self) -> bool:
        """Tell whether the address takes its host from the page or from the page's `base`."""
        return not self.scheme and not self.host

    @property
    def ports(self) -> tuple[int, ...]:
        """Return the ports this address may ask: one, or both web ports where the scheme is the page's."""
        if self.port is not None:
            return (self.port,)
        return (_PORTS[self.scheme],) if self.scheme in _PORTS else (80, 443)


def read(text: str, *, base: Address | None = None) -> Address:
    """Return what `text` means on a page, resolved against `base` where one is given.

    Follows the URL Standard (https://url.spec.whatwg.org/#concept-basic-url-parser) wherever that decides the host.
    `http:name/path` without slashes is read as naming a host: whether it does depends on the page's own scheme.
    """
    text = text.strip(_EDGE).translate(_REMOVED)
    match = _SCHEME.match(text)
    if match is None:
        slashes = _SLASHES.match(text)
        if slashes is not None and slashes.end() >= 2:
            return _with_host("", text[slashes.end() :])
        return _against(base, text) if base is not None and (base.host or base.path) else Address(path=text)
    scheme = match[1].lower()
    rest = text[match.end() :]
    if scheme not in _PORTS:
        return Address(scheme=scheme, rest=rest)
    slashes = _SLASHES.match(rest)
    return _with_host(scheme, rest[slashes.end() if slashes else 0 :])


def _with_host(scheme: str, rest: str) -> Address:
    match = _AUTHORITY.match(rest)
    authority = match[0] if match else ""
    path = rest[len(authority) :]
    host = authority.rpartition("@")[2]
    port = None
    found = _PORT.search(host)
    if found:
        host = host[: found.start()]
        digits = found[1].lstrip("0")
        port = int(digits) if digits and len(digits) < 6 else 0 if found[1] else None
        if port == _PORTS.get(scheme):
            port = None
    return Address(scheme=scheme, host=normal_host(host), port=port, path=normal_path(path))


def _against(base: Address, text: str) -> Address:
    if text[:1] in ("/", "\\"):
        path = text
    elif not text or text[0] in "?#":
        path = base.path
    else:
        path = base.path.rpartition("/")[0] + "/" + text
    return Address(scheme=base.scheme, host=base.host, port=base.port, path=normal_path(path))


def normal_host(host: str) -> str:
    """Return a host in the one spelling that all its spellings share: lower case, ASCII, no trailing dot.

    Percent-encoding is undone, full-width and other compatibility letters are folded, international labels become
    punycode, and an IPv4 number in any notation becomes four decimals. What no browser accepts comes back as it is.
    """
    if len(host) > _MAX_HOST:
        return host[:_MAX_HOST].lower()
    if "%" in host:
        host = unquote(host).translate(_REMOVED)
    if not host.isascii():
        host = _IGNORED.sub("", host).replace("\u1e9e", "ss")
        host = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", host).lower()).lower()
        host = ".".join(map(_label, _DOTS.sub(".", host).split(".")))
    host = host.lower().rstrip(".")
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host.strip('[]')).compressed}]"
        except ValueError:
            return host
    return _number(host) if host and (host[-1].isdigit() or "0x" in host) else host


def _label(label: str) -> str:
    if label.isascii():
        return label
    try:
        return "xn--" + label.encode("punycode").decode("ascii")
    except UnicodeError:
        return label


def _number(host: str) -> str:
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 20 for part in parts):
        return host
    try:
        values = [_digits(part) for part in parts]
    except ValueError:
        return host
    last = values.pop()
    if any(value > 255 for value in values) or last >= 256 ** (4 - len(values)):
        return host
    total = last + sum(value * 256 ** (3 - place) for place, value in enumerate(values))
    return str(ipaddress.IPv4Address(total))


def _digits(part: str) -> int:
    if part[:2] in ("0x", "0X"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part[0] == "0" and len(part) > 1 else int(part)


def normal_path(path: str) -> str:
    """Return a path for comparing: no query, percent-encoding undone, no dot or empty segments, lower case."""
    path = re.split(r"[?#]", path, maxsplit=1)[0]
    if "%" in path:
        path = unquote(path)
    segments: list[str] = []
    for segment in path.replace("\\", "/").lower().split("/"):
        if segment == "..":
            if segments:
                segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    return "/" + "/".join(segments) + ("/" if segments and path[-1:] in "/\\" else "")
