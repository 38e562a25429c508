"""Find out in which encoding a browser reads a page, and bring the few that are not ASCII-compatible to the scanner."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from typing import Protocol

DEFAULT = "windows-1252"
_PRESCAN = 1024
_WIDE = {b"<\0?\0": "utf-16le", b"\0<\0?": "utf-16be"}
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))

# https://encoding.spec.whatwg.org/#names-and-labels: name, Python codec, labels beside the name.
_TABLE = """
utf-8 utf-8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 x-unicode20utf8
ibm866 cp866 866 cp866 csibm866
iso-8859-2 iso8859-2 csisolatin2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
iso-8859-3 iso8859-3 csisolatin3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3
iso-8859-4 iso8859-4 csisolatin4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4
iso-8859-5 iso8859-5 csisolatincyrillic cyrillic iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988
iso-8859-6 iso8859-6 arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i \
iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
iso-8859-7 iso8859-7 csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso8859-7 iso88597 iso_8859-7 \
iso_8859-7:1987 sun_eu_greek
iso-8859-8 iso8859-8 csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 \
iso_8859-8:1988 visual
iso-8859-8-i iso8859-8 csiso88598i logical
iso-8859-10 iso8859-10 csisolatin6 iso-ir-157 iso8859-10 iso885910 l6 latin6
iso-8859-13 iso8859-13 iso8859-13 iso885913
iso-8859-14 iso8859-14 iso8859-14 iso885914
iso-8859-15 iso8859-15 csisolatin9 iso8859-15 iso885915 iso_8859-15 l9
iso-8859-16 iso8859-16
koi8-r koi8-r cskoi8r koi koi8 koi8_r
koi8-u koi8-u koi8-ru
macintosh mac-roman csmacintosh mac x-mac-roman
windows-874 cp874 dos-874 iso-8859-11 iso8859-11 iso885911 tis-620
windows-1250 cp1250 cp1250 x-cp1250
windows-1251 cp1251 cp1251 x-cp1251
windows-1252 cp1252 ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 \
iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii x-cp1252
windows-1253 cp1253 cp1253 x-cp1253
windows-1254 cp1254 cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 \
latin5 x-cp1254
windows-1255 cp1255 cp1255 x-cp1255
windows-1256 cp1256 cp1256 x-cp1256
windows-1257 cp1257 cp1257 x-cp1257
windows-1258 cp1258 cp1258 x-cp1258
x-mac-cyrillic mac-cyrillic x-mac-ukrainian
gbk gb18030 chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 iso-ir-58 x-gbk
gb18030 gb18030
big5 big5hkscs big5-hkscs cn-big5 csbig5 x-x-big5
euc-jp euc_jp cseucpkdfmtjapanese x-euc-jp
iso-2022-jp iso2022_jp_ext csiso2022jp
shift_jis cp932 csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis
euc-kr cp949 cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949
replacement latin-1 csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr
utf-16be utf-16-be unicodefffe
utf-16le utf-16-le csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16
x-user-defined latin-1
"""
_CODECS: dict[str, str] = {}
LABELS: dict[str, str] = {}
"""Every label of the Encoding Standard, with the name of its encoding."""
for _line in _TABLE.strip().splitlines():
    _name, _codec, *_others = _line.split()
    _CODECS[_name] = _codec
    LABELS.update(dict.fromkeys((_name, *_others), _name))

_TRANSCODED = frozenset(("utf-16le", "utf-16be", "iso-2022-jp"))
_PARAMETER = re.compile(r""";\s*charset\s*=\s*(?:"([^"]*)"?|([^;\s"]*))""", re.IGNORECASE)
_XML = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*(?:"([^">]*)"|'([^'>]*)')""")
_TOKEN = re.compile(
    rb"<!--(?:>|->|.*?--!?>|.*)|<meta(?=[\t\n\f\r /])((?:[^>\"']|\"[^\"]*\"|'[^']*')*+)>?"
    rb"|</?[a-z](?:[^>\"']|\"[^\"]*\"|'[^']*')*+>?|<[!/?][^>]*>?",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    rb"([^\t\n\f\r />=][^\t\n\f\r />=]*+)"
    rb"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r "'>]*+)))?+"""
)
_CONTENT = re.compile(
    rb"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^"'\t\n\f\r ;][^\t\n\f\r ;]*))""", re.I
)


class Kind(StrEnum):
    """Say how the scanner reads an encoding."""

    BYTES = "bytes"
    TRANSCODE = "transcode"


def named(label: str) -> str | None:
    """Return the encoding a label stands for, or None where the Encoding Standard knows none."""
    return LABELS.get(label.strip("\t\n\f\r ").lower())


def decodable(charset: str) -> Kind:
    """Tell whether pages of a charset can be scanned as bytes, or have to be brought to UTF-8 and back.

    Only UTF-16 and ISO-2022-JP give ASCII bytes another meaning. An unknown label is read as windows-1252.
    """
    return Kind.TRANSCODE if (named(charset) or DEFAULT) in _TRANSCODED else Kind.BYTES


def codec(charset: str) -> str:
    """Return the Python codec that comes nearest to what a browser does with this label."""
    return _CODECS[named(charset) or DEFAULT]


def sniff(content_type: str | None, first_bytes: bytes) -> str:
    """Return the name of the encoding a browser reads a page in.

    Follows https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding: byte-order mark,
    the header's charset, `meta` within the first 1024 bytes, windows-1252.
    """
    return announced(content_type, first_bytes) or _prescan(first_bytes[:_PRESCAN]) or DEFAULT


def sniff_xml(content_type: str | None, first_bytes: bytes) -> str:
    """Return the name of the encoding a browser reads XML in.

    Byte-order mark, the header's charset, what the declaration's own bytes show, what it says, UTF-8.
    Source: RFC 7303 §3, XML appendix F, seen in Chromium.
    """
    name = announced(content_type, first_bytes)
    if name is None and first_bytes[:4] in _WIDE:
        return _WIDE[first_bytes[:4]]
    match = _XML.match(first_bytes)
    said = named((match[1] or match[2] or b"").decode("latin-1")) if match else None
    return name or (_declared(said) if said else "utf-8")


def announced(content_type: str | None, first_bytes: bytes) -> str | None:
    """Return the encoding that a byte-order mark or, without one, the header's charset names."""
    for mark, marked in _BOMS:
        if first_bytes.startswith(mark):
            return marked
    match = _PARAMETER.search(content_type or "")
    return named(match[1] if match[1] is not None else match[2]) if match else None


def _prescan(head: bytes) -> str | None:
    match = _XML.match(head)
    if match:
        name = named((match[1] or match[2] or b"").decode("latin-1"))
        if name:
            return _declared(name)
    for token in _TOKEN.finditer(head):
        if token[1] is not None:
            name = _meta(token[1])
            if name:
                return _declared(name)
    return None


def _meta(raw: bytes) -> str | None:
    first: dict[bytes, bytes] = {}
    for match in _ATTRIBUTE.finditer(raw):
        value = next((value for value in match.groups()[1:] if value is not None), b"")
        first.setdefault(match[1].lower(), value)
    if b"charset" in first:
        return named(first[b"charset"].decode("latin-1"))
    if first.get(b"http-equiv", b"").lower() != b"content-type":
        return None
    found = _CONTENT.search(first.get(b"content", b""))
    label = next((value for value in found.groups() if value is not None), b"") if found else b""
    return named(label.decode("latin-1"))


def _declared(name: str) -> str:
    """Return what a declaration inside the page means: it was read as ASCII, so it cannot be UTF-16."""
    return {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": DEFAULT}.get(name, name)


class Stream(Protocol):
    """Take bytes in chunks and give bytes back, as `consent.gate.html.Gate` does."""

    def feed(self, chunk: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class Transcoder:
    """Feed a gate for UTF-8 with a page of another charset, and give the page back in that charset.

    What is invalid in the page comes back as U+FFFD, so that the browser reads exactly what was scanned.
    """

    def __init__(self, gate: Stream, *, charset: str) -> None:
        """Wrap `gate`, which must be for `utf-8`, around a page of `charset`."""
        name = codec(charset)
        self._escapes = "" if name.startswith("utf-16") else "\x1b"
        wide = decodable(charset) is Kind.TRANSCODE and name.startswith("utf-16")
        # A lone surrogate has bytes of its own in UTF-16, which come back as they were.
        self._errors = "surrogatepass" if wide else "replace"
        self._gate = gate
        self._in = codecs.getincrementaldecoder(name)("replace" if not wide else "consent.gate.lone")
        self._middle = codecs.getincrementaldecoder("utf-8")(self._errors)
        self._back = codecs.getincrementalencoder(name)(self._errors if wide else "xmlcharrefreplace")

    def feed(self, chunk: bytes) -> bytes:
        """Take in the next bytes of the page and return those that are ready to be sent."""
        return self._encode(self._gate.feed(self._read(chunk, False)), False)

    def end(self) -> bytes:
        """Return what was still held."""
        return self._encode(self._gate.feed(self._read(b"", True)) + self._gate.end(), True)

    def _read(self, chunk: bytes, final: bool) -> bytes:
        text = self._in.decode(chunk, final)
        if self._escapes:
            # Written back as it is, an escape that began nothing could begin something for the browser.
            text = text.replace(self._escapes, "\ufffd")
        return text.encode("utf-8", self._errors)

    def _encode(self, data: bytes, final: bool) -> bytes:
        return self._back.encode(self._middle.decode(data, final), final)


def _lone(error: UnicodeError) -> tuple[str | bytes, int]:
    """Keep a lone surrogate, replace anything else that UTF-16 cannot mean."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


codecs.register_error("consent.gate.lone", _lone)
