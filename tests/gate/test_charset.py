"""Find a page's encoding and carry the wide ones around the scanner."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.gate.charset import LABELS, Kind, Transcoder, codec, decodable, named, sniff, sniff_xml
from consent.gate.html import Gate
from tests.gate.example import NOBODY, gated


@pytest.mark.parametrize(
    ("content_type", "body", "name"),
    [
        ("text/html; charset=koi8-r", b"\xef\xbb\xbf<p>", "utf-8"),
        ("text/html; charset=utf-8", b"\xff\xfe<\0", "utf-16le"),
        ("text/html", b"\xfe\xff\0<", "utf-16be"),
        ('text/html; x=y;CHARSET="Shift_JIS"', b"<meta charset=utf-8>", "shift_jis"),
        ("text/html; charset=bogus", b"<meta charset=euc-kr>", "euc-kr"),
        ("text/html", b"<!-- <meta charset=big5> --><meta charset=koi8-u>", "koi8-u"),
        ("text/html", b"<meta http-equiv=Content-Type content='text/html; charset=gb2312'>", "gbk"),
        ("text/html", b"<meta charset=utf-16>", "utf-8"),
        ("text/html", b"<meta charset=x-user-defined>", "windows-1252"),
        ("text/html", b"<div title='<meta charset=big5>'><meta charset=big5", "big5"),
        ("text/html", b"<?xml version='1.0' encoding='iso-8859-2'?>", "iso-8859-2"),
        ("text/html", b" " * 1024 + b"<meta charset=koi8-r>", "windows-1252"),
        ("text/html", b"", "windows-1252"),
        (None, b"<meta name=x content='charset=big5'>", "windows-1252"),
    ],
)
def test_an_encoding_is_found_in_the_browsers_order(content_type: str | None, body: bytes, name: str) -> None:
    """Byte-order mark, header, meta, default."""
    assert sniff(content_type, body) == name


@pytest.mark.parametrize("label", ["utf-16", "UTF-16BE", " ucs-2 ", "iso-2022-jp", "csISO2022JP"])
def test_what_is_not_ascii_compatible_is_transcoded(label: str) -> None:
    """Three encodings give ASCII bytes another meaning."""
    assert decodable(label) is Kind.TRANSCODE


@pytest.mark.parametrize("label", ["utf-8", "latin1", "gbk", "big5", "euc-jp", "shift_jis", "iso-2022-kr", "bogus"])
def test_everything_else_is_scanned_as_bytes(label: str) -> None:
    """No other encoding hides an angle bracket or a quote in a character."""
    assert decodable(label) is Kind.BYTES
    assert codecs.lookup(codec(label))


@pytest.mark.parametrize("label", sorted(LABELS))
def test_a_page_under_every_label_is_gated(label: str) -> None:
    """Every label of the Encoding Standard names an encoding whose pages are gated, in the header and in `meta`."""
    assert named(f" {label.upper()}\n") == named(label) is not None
    declared = sniff(f"text/html; charset={label}", b"")
    inside = sniff("text/html", f"<meta charset={label}>".encode())
    for charset in (declared, inside):
        wide = decodable(charset) is Kind.TRANSCODE
        body = "<p>x</p><script src=//tracker.test></script>".encode(codec(charset) if wide else "ascii")
        out, gate = gated(body, charset=charset)
        assert gate.parked == {"tracker"}
        assert "data-consent-src=//tracker.test" in out.decode(codec(charset))


@pytest.mark.parametrize(
    ("content_type", "body", "name"),
    [
        ("text/xml; charset=koi8-r", b"\xef\xbb\xbf<r/>", "utf-8"),
        ("text/xml; charset=koi8-r", b"<?xml version='1.0' encoding='utf-8'?>", "koi8-r"),
        ("text/xml", "<?xml version='1.0'?>".encode("utf-16-le"), "utf-16le"),
        ("text/xml", "<?xml version='1.0'?>".encode("utf-16-be"), "utf-16be"),
        ("text/xml", b"<?xml version='1.0' encoding='shift_jis'?>", "shift_jis"),
        ("text/xml", b"<?xml version='1.0' encoding='utf-16'?>", "utf-8"),
        ("text/xml", b"<r/>", "utf-8"),
    ],
)
def test_the_encoding_of_xml_is_found_in_the_browsers_order(content_type: str, body: bytes, name: str) -> None:
    """Byte-order mark, header, the bytes of the declaration, what it says."""
    assert sniff_xml(content_type, body) == name


@given(st.text())
def test_any_label_has_a_codec(label: str) -> None:
    """What the Encoding Standard does not know is read as windows-1252."""
    assert codecs.lookup(codec(label))
    assert named(label) is not None or codec(label) == "cp1252"


@pytest.mark.parametrize("charset", ["utf-16le", "utf-16be", "iso-2022-jp"])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_wide_page_is_gated_in_its_own_encoding(charset: str, step: int) -> None:
    """The tag is parked, and everything else comes back in the same encoding."""
    page = "<!doctype html><p>\u65e5\u672c\u8a9e</p><script src=//tracker.test></script><p>\u6f22</p>"
    body = page.encode(codec(charset))
    out, gate = gated(body, charset=charset, cuts=range(step, len(body), step))
    assert gate.parked == {"tracker"}
    parked = '<script type="text/plain" data-consent-service="tracker" data-consent-src='
    assert out.decode(codec(charset)) == page.replace("<script src=", parked)


@given(st.binary(max_size=60), st.sampled_from(("utf-16le", "utf-16be", "iso-2022-jp")))
@settings(deadline=None)
def test_no_bytes_make_transcoding_raise(body: bytes, charset: str) -> None:
    """Invalid bytes come back as what the browser would have read."""
    stream = Transcoder(Gate(NOBODY, charset="utf-8"), charset=charset)
    out = stream.feed(body[:5]) + stream.feed(body[5:]) + stream.end()
    assert out.decode(codec(charset), "surrogatepass" if charset.startswith("utf-16") else "strict") is not None


@given(st.lists(st.integers(0x20, 0xFFFF).filter(lambda code: code not in (0x3C, 0xFEFF)), max_size=20))
def test_utf_16_comes_back_byte_for_byte(units: list[int]) -> None:
    """Any code units, lone surrogates among them, survive."""
    body = b"".join(unit.to_bytes(2, "little") for unit in units)
    assert gated(body, charset="utf-16le")[0] == body
