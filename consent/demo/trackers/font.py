"""Make the web font that a pretend foundry serves: three ornaments, drawn here, in a TrueType file.

Source: Apple TrueType Reference Manual and OpenType 1.9, "Font File"; only the tables that browsers insist on.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

FAMILY = "Castoff Ornaments"
EM = 1000
ASCENT = 800
DESCENT = -200
END_MARK = "\u2726"
OPENING = "\u275d"
CLOSING = "\u275e"

Point = tuple[int, int]
_ON_CURVE = 1


@dataclass(frozen=True, kw_only=True)
class Glyph:
    """Hold one drawing: closed contours of straight lines, in font units."""

    character: str
    advance: int
    contours: tuple[tuple[Point, ...], ...]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return the left, bottom, right and top of the drawing."""
        xs = [x for contour in self.contours for x, _ in contour] or [0]
        ys = [y for contour in self.contours for _, y in contour] or [0]
        return min(xs), min(ys), max(xs), max(ys)


def make_font() -> bytes:
    """Return the bytes of the font, the same ones each time."""
    glyphs = [_box(), Glyph(character=" ", advance=300, contours=()), _star(), _quotes(OPENING), _quotes(CLOSING)]
    drawings = [_drawing(glyph) for glyph in glyphs]
    boxes = [glyph.box for glyph in glyphs if glyph.contours]
    left, bottom = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, top = max(box[2] for box in boxes), max(box[3] for box in boxes)
    widest = max(glyph.advance for glyph in glyphs)
    points = max(sum(map(len, glyph.contours)) for glyph in glyphs)
    contours = max(len(glyph.contours) for glyph in glyphs)
    offsets = [sum(map(len, drawings[:n])) for n in range(len(drawings) + 1)]
    tables = {
        b"OS/2": _windows_metrics(glyphs),
        b"cmap": _characters(glyphs),
        b"glyf": b"".join(drawings),
        b"head": struct.pack(
            ">HHIIIHHqqhhhhHHhhh",
            *(1, 0, 0x00010000, 0, 0x5F0F3CF5, 0b11, EM, 0, 0),
            *(left, bottom, right, top, 0, 8, 2, 1, 0),
        ),
        b"hhea": struct.pack(
            ">HHhhhHhhhhhhhhhhhH", 1, 0, ASCENT, DESCENT, 0, widest, left, 0, right, 1, *([0] * 7), len(glyphs)
        ),
        b"hmtx": b"".join(struct.pack(">Hh", glyph.advance, glyph.box[0]) for glyph in glyphs),
        b"loca": b"".join(struct.pack(">I", offset) for offset in offsets),
        b"maxp": struct.pack(">IHHHHHHHHHHHHHH", 0x00010000, len(glyphs), points, contours, 0, 0, 2, *([0] * 8)),
        b"name": _names(),
        b"post": struct.pack(">IIhhIIIII", 0x00030000, 0, -100, 50, 0, 0, 0, 0, 0),
    }
    return _file(tables)


def _star() -> Glyph:
    """Draw a compass rose of eight rays, the long ones to the north, east, south and west."""
    rays = []
    for n in range(16):
        radius = 110 if n % 2 else 380 if n % 4 == 0 else 210
        angle = math.pi / 2 - n * math.pi / 8
        rays.append((round(420 + radius * math.cos(angle)), round(330 + radius * math.sin(angle))))
    return Glyph(character=END_MARK, advance=840, contours=(tuple(rays),))


def _quotes(character: str) -> Glyph:
    """Draw two heavy slanted wedges, thick at the foot for an opening quotation mark and at the head for a closing."""

    def wedge(x: int) -> tuple[Point, ...]:
        if character == OPENING:
            return ((x, 330), (x + 250, 330), (x + 250, 550), (x + 200, 780), (x + 90, 780), (x + 120, 560), (x, 560))
        return ((x, 780), (x + 250, 780), (x + 250, 560), (x + 160, 330), (x + 50, 330), (x + 130, 550), (x, 550))

    return Glyph(character=character, advance=740, contours=(wedge(60), wedge(380)))


def _box() -> Glyph:
    outer = ((60, 0), (60, 700), (440, 700), (440, 0))
    inner = ((110, 50), (390, 50), (390, 650), (110, 650))
    return Glyph(character="", advance=500, contours=(outer, inner))


def _drawing(glyph: Glyph) -> bytes:
    """Write one glyph description, padded to four bytes."""
    if not glyph.contours:
        return b""
    points = [point for contour in glyph.contours for point in contour]
    ends = [sum(map(len, glyph.contours[: n + 1])) - 1 for n in range(len(glyph.contours))]
    steps = [(x - last_x, y - last_y) for (last_x, last_y), (x, y) in zip([(0, 0), *points[:-1]], points, strict=True)]
    data = struct.pack(">hhhhh", len(glyph.contours), *glyph.box)
    data += struct.pack(f">{len(ends)}HH", *ends, 0)
    data += bytes([_ON_CURVE]) * len(points)
    data += struct.pack(f">{len(steps)}h", *(x for x, _ in steps))
    data += struct.pack(f">{len(steps)}h", *(y for _, y in steps))
    return data + bytes(-len(data) % 4)


def _characters(glyphs: Sequence[Glyph]) -> bytes:
    """Write the table from characters to glyphs, in format 4, one segment a character."""
    codes = sorted((ord(glyph.character), n) for n, glyph in enumerate(glyphs) if glyph.character)
    segments = [*((code, code, (n - code) % 65536) for code, n in codes), (0xFFFF, 0xFFFF, 1)]
    count = len(segments)
    reach = 2 ** (count.bit_length() - 1)
    body = struct.pack(">HHHH", count * 2, reach * 2, reach.bit_length() - 1, (count - reach) * 2)
    body += struct.pack(f">{count}H", *(end for _, end, _ in segments)) + bytes(2)
    body += struct.pack(f">{count}H", *(start for start, _, _ in segments))
    body += struct.pack(f">{count}H", *(delta for _, _, delta in segments))
    body += bytes(2 * count)
    return struct.pack(">HHHHI", 0, 1, 3, 1, 12) + struct.pack(">HHH", 4, len(body) + 6, 0) + body


def _windows_metrics(glyphs: Sequence[Glyph]) -> bytes:
    codes = [ord(glyph.character) for glyph in glyphs if glyph.character]
    average = sum(glyph.advance for glyph in glyphs) // len(glyphs)
    head = struct.pack(">HhHHH", 4, average, 400, 5, 0)
    sizes = struct.pack(">10hh", 650, 600, 0, 75, 650, 600, 0, 350, 50, 300, 0)
    rest = struct.pack(">10s4I4s", bytes(10), 0, 0, 0, 0, b"CAST")
    metrics = struct.pack(">HHHhhhHH", 0x40, min(codes), max(codes), ASCENT, DESCENT, 0, ASCENT, -DESCENT)
    return head + sizes + rest + metrics + struct.pack(">IIhhHHH", 1, 0, 500, 700, 0, 32, 1)


def _names() -> bytes:
    texts = {1: FAMILY, 2: "Regular", 3: f"{FAMILY} 1", 4: FAMILY, 5: "Version 1.0", 6: FAMILY.replace(" ", "")}
    records, strings = b"", b""
    for number, text in texts.items():
        encoded = text.encode("utf-16-be")
        records += struct.pack(">HHHHHH", 3, 1, 0x409, number, len(encoded), len(strings))
        strings += encoded
    return struct.pack(">HHH", 0, len(texts), 6 + len(records)) + records + strings


def _file(tables: dict[bytes, bytes]) -> bytes:
    """Put the tables behind one directory and set the checksum of the whole."""
    count = len(tables)
    reach = 2 ** (count.bit_length() - 1)
    directory = struct.pack(">IHHHH", 0x00010000, count, reach * 16, reach.bit_length() - 1, (count - reach) * 16)
    offset, body = 12 + 16 * count, b""
    for tag, data in tables.items():
        directory += struct.pack(">4sIII", tag, _checksum(data), offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    font = bytearray(directory + body)
    head = 12 + 16 * count + sum(len(d) + -len(d) % 4 for tag, d in tables.items() if tag < b"head")
    struct.pack_into(">I", font, head + 8, (0xB1B0AFBA - _checksum(bytes(font))) & 0xFFFFFFFF)
    return bytes(font)


def _checksum(data: bytes) -> int:
    padded = data + bytes(-len(data) % 4)
    return int(sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF)
