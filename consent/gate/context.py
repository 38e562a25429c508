"""Follow where in a document the scanner is: inside what the same bytes can be read in two ways."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta"
    b" nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
_VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_INTEGRATION = {
    **dict.fromkeys((b"foreignobject", b"desc", b"title"), b"svg"),
    **dict.fromkeys((b"mi", b"mo", b"mn", b"ms", b"mtext", b"annotation-xml"), b"math"),
}
"""Foreign elements whose children are HTML, each with the element that it counts in."""
_ROOTS = frozenset((b"svg", b"math"))
_IN_TOKENS = frozenset((b"mglyph", b"malignmark"))
"""MathML's own directly in one of its tokens, such as `mi`, and HTML everywhere else. Source: HTML §13.2.6."""
RETURNS = frozenset(
    (
        *_INTEGRATION,
        *(b"g", b"symbol", b"defs", b"switch", b"marker", b"mask", b"clippath", b"text", b"tspan", b"textpath"),
        *(b"lineargradient", b"radialgradient", b"filter", b"mrow", b"semantics", b"mstyle", b"mtable", b"mtr", b"mtd"),
    )
)
"""End tags that, standing alone, may lead back into foreign content that HTML inside it kept open."""
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
    body: bool = field(default=False, compare=False)
    """Whether a `body` tag was met: before it, an end tag of `title` is the document's."""
    mixed: bool = False
    """Whether foreign elements may outlive their end tags, as where HTML was open inside of them."""
    doubtful: bool = False
    """Whether something since the outermost foreign element was opened may have been closed otherwise than here."""

    @property
    def ambiguous(self) -> bool:
        """Tell whether the next bytes can be read in two ways."""
        return bool(self.foreign) or self.select or self.lost

    @property
    def surely_foreign(self) -> bool:
        """Tell whether the next element can only be an SVG or MathML one, where a closing slash closes."""
        return bool(self.foreign) and not (self.mixed or self.doubtful or self.select or self.lost)

    @property
    def open(self) -> bool:
        """Tell whether every tag has to be looked at."""
        return bool(self.foreign) or self.select or self.lost or self.templates > 0

    def copy(self) -> Context:
        """Return a context of its own in the same state."""
        return replace(self, foreign=list(self.foreign))

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
        elif not foreign:
            self._start_html(name, closes)
        elif not foreign[-1][1]:
            if name in _BREAKOUT or breaks_out:
                self._leave()
            elif not closes:
                self._open_foreign(name)
        elif name in _ROOTS:
            if not closes:
                foreign.append((name, False))
        elif name in _IN_TOKENS:
            self.doubtful = True
            if not closes:
                foreign.append((name, False))
        elif name not in _VOID:
            foreign.append((name, True))

    def _open_foreign(self, name: bytes) -> None:
        root = _INTEGRATION.get(name)
        self.foreign.append((name, root is not None))
        if root is not None:
            self.mixed = True
            # What `annotation-xml` has inside is told by an attribute, and the others count in their own language.
            inside = next(one for one, _ in reversed(self.foreign) if one in _ROOTS)
            self.doubtful |= inside != root or name == b"annotation-xml"

    def _start_html(self, name: bytes, closes: bool) -> None:
        if name in _ROOTS:
            if not closes:
                self.foreign.append((name, False))
        elif name == b"body":
            self.body = True
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
            elif name in RETURNS and (self.body or name != b"title"):
                self.lost = True
        elif name in (b"p", b"br") and not foreign[-1][1]:
            self._leave()
        else:
            self._end_foreign(name)

    def _end_foreign(self, name: bytes) -> None:
        foreign = self.foreign
        if foreign[-1][0] != name and (self.mixed or all(name != one for one, _ in foreign)):
            self.doubtful = True
        for place in range(len(foreign) - 1, -1, -1):
            if foreign[place][0] == name:
                # What it names may be gone already, and then what was opened since stays open.
                self.mixed |= self.doubtful and place != len(foreign) - 1
                del foreign[place:]
                break
            if foreign[place][1] and place != len(foreign) - 1:
                break
        self._settle()

    def _leave(self) -> None:
        while self.foreign and not self.foreign[-1][1]:
            self.foreign.pop()
        self._settle()

    def _settle(self) -> None:
        """Forget about foreign content once it is left; what HTML inside of it may have kept open is never known."""
        if not self.foreign:
            self.lost = self.lost or (self.mixed and self.doubtful)
            self.mixed = self.doubtful = False
