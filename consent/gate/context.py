"""Follow where in a document the scanner is: inside what the same bytes can be read in two ways."""

from __future__ import annotations

from dataclasses import dataclass, field

_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta"
    b" nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
_VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_INTEGRATION = frozenset((b"foreignobject", b"desc", b"title", b"mi", b"mo", b"mn", b"ms", b"mtext", b"annotation-xml"))
_FOREIGN_IN_HTML = frozenset((b"svg", b"math", b"mglyph", b"malignmark"))
_DEPTH = 64


@dataclass(slots=True)
class Context:
    """Hold the open foreign elements, and whether a select, a template or a frameset is open.

    This is not a tree: only what is needed to know where two readings of the same bytes are possible
    (`ambiguous`). In doubt the answer is yes.
    """

    foreign: list[tuple[bytes, bool]] = field(default_factory=list)
    """Open elements from the outermost `svg` or `math` on, each with whether its children are HTML."""
    select: bool = False
    lost: bool = False
    """Set once nothing short of a tree could tell: then every later byte has two readings."""
    templates: int = 0
    column_group: bool = False
    """Set between a template and the next table: there, a `col` changes how the rest is read."""

    @property
    def ambiguous(self) -> bool:
        """Tell whether the next bytes can be read in two ways."""
        return bool(self.foreign) or self.select or self.lost

    @property
    def in_foreign(self) -> bool:
        """Tell whether the next element is an SVG or MathML one, where a closing slash closes."""
        return bool(self.foreign) and not self.foreign[-1][1]

    @property
    def open(self) -> bool:
        """Tell whether every tag has to be looked at."""
        return bool(self.foreign) or self.select or self.lost or self.templates > 0

    def copy(self) -> Context:
        """Return a context of its own in the same state."""
        return Context(list(self.foreign), self.select, self.lost, self.templates, self.column_group)

    def in_step(self, other: Context) -> bool:
        """Tell whether what follows is read alike in both contexts."""
        return self.foreign == other.foreign and self.select == other.select and self.lost == other.lost

    def take(self, other: Context) -> None:
        """Take over what another reading of the same bytes may have opened."""
        self.templates = max(self.templates, other.templates)
        self.column_group = self.column_group or other.column_group

    def start(self, name: bytes, *, closes: bool, breaks_out: bool) -> None:
        """Take in a start tag; `closes` if it ends in a slash, `breaks_out` for a `font` that leaves SVG."""
        foreign = self.foreign
        if len(foreign) > _DEPTH:
            self.lost = True
        elif foreign and not foreign[-1][1]:
            if name in _BREAKOUT or breaks_out:
                self._leave()
            elif not closes:
                foreign.append((name, name in _INTEGRATION))
        elif foreign:
            if name in _FOREIGN_IN_HTML:
                if not closes:
                    foreign.append((name, False))
            elif name not in _VOID:
                foreign.append((name, True))
        else:
            self._start_html(name, closes)

    def _start_html(self, name: bytes, closes: bool) -> None:
        if name in (b"svg", b"math"):
            if not closes:
                self.foreign.append((name, False))
        elif name == b"select":
            self.select = True
        elif name == b"frameset":
            self.lost = True
        elif name == b"template":
            self.column_group = True
            self.templates += 1
        elif name == b"table":
            self.column_group = False
        elif name == b"col" and self.column_group:
            self.lost = True

    def end(self, name: bytes) -> None:
        """Take in an end tag."""
        foreign = self.foreign
        if name == b"select":
            self.select = False
        if not foreign:
            if name == b"template" and self.templates:
                self.templates -= 1
        elif name in (b"p", b"br") and not foreign[-1][1]:
            self._leave()
        else:
            for place in range(len(foreign) - 1, -1, -1):
                if foreign[place][0] == name:
                    del foreign[place:]
                    return
                if foreign[place][1] and place != len(foreign) - 1:
                    return

    def _leave(self) -> None:
        while self.foreign and not self.foreign[-1][1]:
            self.foreign.pop()
