"""Make the pages the gate is measured on: invented articles of 20 KB, 200 KB and 2 MB, and a denser 20 KB one."""

from __future__ import annotations

import json
import random

_WORDS = (
    *("harbour", "ferry", "council", "bridge", "tender", "rainfall", "ledger", "quarter", "vote", "district", "school"),
    *(
        "orchestra",
        "budget",
        "timetable",
        "storm",
        "winter",
        "market",
        "court",
        "station",
        "museum",
        "fishery",
        "river",
    ),
)
_ICON = (
    '<svg class="i" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><title>send</title>'
    '<path d="M1 1L9 9Z" fill="currentColor"/></svg>'
)
TRACKER = "tracker.test"


class _Writer:
    """Write one page with words of its own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - words, not secrets

    def sentence(self) -> str:
        words = [self._random.choice(_WORDS) for _ in range(self._random.randint(9, 21))]
        return " ".join(words).capitalize() + "."

    def paragraph(self, number: int) -> str:
        text = [self.sentence() for _ in range(self._random.randint(2, 5))]
        text[0] = (
            f'<a href="/on/{number}?from=story&amp;at={number}" class="link inline">{_WORDS[number % 22]}</a> {text[0]}'
        )
        if self._random.random() < 0.4:
            text[-1] = f"<em>{text[-1]}</em>"
        if self._random.random() < 0.2:
            text.append(f'&ldquo;{self.sentence()}&rdquo; &mdash; <strong class="b">{_WORDS[number % 22]}</strong>')
        return f'<p class="story__p" data-n="{number}">{" ".join(text)}</p>\n'

    def figure(self, number: int) -> str:
        image = f"https://img.meridian.example/{number}"
        return (
            f'<figure class="fig"><picture><source srcset="{image}.webp 1x, {image}@2x.webp 2x" type="image/webp">'
            f'<img src="{image}.jpg" alt="{self.sentence()}" width="640" height="360" loading="lazy"></picture>'
            f"<figcaption>{self.sentence()}</figcaption></figure>\n"
        )

    def head(self, json_sentences: int) -> str:
        metas = "".join(f'<meta property="og:p{n}" content="{self.sentence()}">\n' for n in range(8))
        rules = "".join(f".c{n}{{margin:{n}px;color:#{n * 999:06x}}}\n" for n in range(20))
        data = json.dumps({"@type": "NewsArticle", "text": [self.sentence() for _ in range(json_sentences)]})
        scripts = "".join(
            f'<script defer src="/static/part-{n}.js" integrity="sha384-{"A" * 64}" crossorigin="anonymous"></script>\n'
            for n in range(10)
        )
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>The Meridian</title>\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n' + metas + ""
            f'<link rel="preconnect" href="https://{TRACKER}">\n'
            f'<link rel="preload" as="script" href="https://{TRACKER}/lib.js">\n'
            '<link rel="stylesheet" href="/static/app.css">\n<link rel="canonical" href="https://meridian.example/a/1">\n'
            f"<style>\n{rules}</style>\n"
            "<script>window.layer=window.layer||[];function put(){layer.push(arguments)}put('at',new Date());"
            "for(var i=0;i<3&&i>-1;i++){}</script>\n"
            f'<script async src="https://{TRACKER}/tag/js?id=T-1"></script>\n'
            f"<script>(function(d,s){{var j=d.createElement(s);j.async=true;j.src='https://{TRACKER}/t.js';"
            "d.head.appendChild(j)})(document,'script');</script>\n"
            f'<script type="application/ld+json">{data}</script>\n{scripts}</head>\n'
        )

    def tail(self, json_items: int) -> str:
        state = json.dumps({"a": [{"id": n, "t": self.sentence(), "u": f"/a/{n}"} for n in range(json_items)]})
        inline = "".join(
            f'<script>(window.q=window.q||[]).push({{id:{n},html:"<b>x<\\/b>",ok:1<2}});</script>\n' for n in range(8)
        )
        pixels = "".join(
            f'<script async src="https://{TRACKER}/t{n}.js"></script>\n'
            f'<img src="https://{TRACKER}/p{n}.gif" width="1" height="1" alt="">\n'
            for n in range(4)
        )
        widgets = "".join(f'<script src="https://cdn.meridian.example/w{n}.js" defer></script>\n' for n in range(3))
        return (
            f'<script type="application/json" id="__STATE__">{state}</script>\n{inline}{pixels}{widgets}'
            "<footer><p>&copy; Meridian Media Ltd</p></footer>\n</body>\n</html>\n"
        )

    def page(self, size: int, *, dense: bool = False) -> bytes:
        large = size > 100_000
        items = "".join(
            f'<li class="nav__i"><a href="/s/{word}">{word} {_ICON if n % 6 == 0 else ""}</a></li>'
            for n, word in enumerate(_WORDS)
        )
        parts = [
            self.head(size // 5000 if large else 8),
            '<body class="page">\n'
            f'<noscript><iframe src="https://{TRACKER}/ns.html" height="0" width="0"></iframe></noscript>\n'
            f"<nav><ul>{items}</ul></nav>\n<main><article>\n<h1>{self.sentence()}</h1>\n",
        ]
        tail = self.tail(size // 4000 if large else 3)
        length = sum(map(len, parts)) + len(tail)
        number = 0
        while length < size:
            number += 1
            part = self.paragraph(number) if not dense or number % 6 == 0 else f"{self._card(number)}\n"
            if number % 9 == 0:
                part += self.figure(number)
            if number % 25 == 0:
                frame = f'<iframe src="https://video.meridian.example/{number}" title="v"></iframe>'
                part += f'<div class="embed">{frame}</div>\n'
            if number % 40 == 0:
                part += (
                    f'<!-- slot {number} --><div id="slot-{number}" class="slot" data-t=\'{{"s":[300,250]}}\'></div>\n'
                )
            parts.append(part)
            length += len(part)
        return "".join((*parts, "</article></main>\n", tail)).encode()

    def _card(self, number: int) -> str:
        return (
            f'<article class="card"><a class="card__a" href="/a/{number}">'
            f'<img class="card__img" src="/img/{number}.webp" alt="" width="96" height="64" loading="lazy">'
            f'<span class="card__t">{_WORDS[number % 22]}</span>'
            f'<time datetime="2026-11-22">today</time>{_ICON}</a></article>'
        )


def article(size: int, *, seed: int = 7, dense: bool = False) -> bytes:
    """Return an article page of about `size` bytes; a dense one is made of teaser cards instead of paragraphs."""
    return _Writer(seed).page(size, dense=dense)


def sheet(size: int, *, every: int) -> bytes:
    """Return a style sheet of about `size` bytes in which one rule of so many has a picture; 0 for none."""
    rules, length, number = [], 0, 0
    while length < size:
        number += 1
        picture = f"background:url(/img/{number}.svg) no-repeat;" if every and number % every == 0 else ""
        rule = (
            f".card-{number} .title__{number % 17}>a:hover{{margin:{number % 40}px;color:#{number * 999:06x};"
            f"width:calc(100% - {number % 9}rem);transform:translate({number % 7}px,0);"
            f"{picture}opacity:.{number % 9}}}\n"
        )
        rules.append(rule)
        length += len(rule)
    return "".join(rules).encode()


SHEETS = {
    "200 KB, no picture": sheet(200_000, every=0),
    "200 KB, a picture in ten rules": sheet(200_000, every=10),
    "200 KB, a picture in two rules": sheet(200_000, every=2),
}
PAGES = {
    "20 KB": article(20_000),
    "20 KB dense": article(20_000, dense=True),
    "200 KB": article(200_000),
    "2 MB": article(2_000_000),
}
