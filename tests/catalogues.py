"""Bring the catalogues of other languages up to the English wording: python -m tests.catalogues [--check] [TAG…].

A tag without a catalogue gets a new one, untranslated, with the plural rule of its language. In the others, what is new
in English comes in empty, what is gone goes, a text whose English changed is marked fuzzy, and the order is that of the
English wording. `--check` writes nothing and fails where it would. A test then names every message to be worked on.
"""

from __future__ import annotations

import argparse
import gettext
import json
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.plurals import get_plural
from babel.plural import to_gettext

from consent import languages
from consent.choice.wording import ENGLISH

FOLDER = Path(languages.__file__).parent / "locale"
SAME = "Same as in English."
"""The translator's comment on a text that is rightly spelt as in English."""
COUNTS = range(1001)
EUROPEAN = {"pt": "pt-PT"}
"""Languages that count in another way in Europe than where Unicode's rule of the bare tag is from."""
HEADER = """\
# {name} wording of asgi-consent. The context of a message is its key.
# Fields in braces stay as they are; a form for one single number may leave {{n}} out.
# A text that is rightly the same as in English is marked with a line of its own: # {same}
# X-Speaker-Reviewed is yes once somebody who speaks the language has read all of it.
# Plural forms: {examples}
msgid ""
msgstr ""
"Project-Id-Version: asgi-consent\\n"
"Language: {tag}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals={forms}; plural={rule};\\n"
"X-Speaker-Reviewed: {reviewed}\\n"
"""


def kinds(choose: Callable[[int], object]) -> list[list[int]]:
    """Return the numbers up to 1000 by the plural form that a rule chooses for them, in order of the first of each."""
    found: dict[object, list[int]] = {}
    for n in COUNTS:
        found.setdefault(choose(n), []).append(n)
    return list(found.values())


def unicode_kinds(tag: str) -> list[list[int]]:
    """Return the numbers up to 1000 by the plural category that Unicode's CLDR puts them into."""
    return kinds(Locale.parse(EUROPEAN.get(tag, tag), sep="-").plural_form)


def plural_rule(tag: str) -> tuple[int, str]:
    """Return how many plural forms a language has and gettext's rule for them, the usual one if CLDR agrees."""
    forms, rule = get_plural(tag.replace("-", "_"))
    if kinds(gettext.c2py(rule)) == unicode_kinds(tag):
        return forms, rule
    written = to_gettext(Locale.parse(EUROPEAN.get(tag, tag), sep="-").plural_form)
    left, _, right = written.partition("; plural=")
    return int(left.removeprefix("nplurals=")), right.rstrip(";")


def examples(rule: str) -> str:
    """Return the first numbers of each plural form, to be read by translators."""
    choose = gettext.c2py(rule)
    shown = sorted((choose(n), n) for n in COUNTS)
    forms = [(form, [n for _, n in numbers]) for form, numbers in groupby(shown, key=lambda one: one[0])]
    return "; ".join(
        f"[{form}] for {', '.join(map(str, numbers[:4]))}{' …' if len(numbers) > 4 else ''}" for form, numbers in forms
    )


def written(tag: str) -> str:
    """Return the catalogue of a language as it should be on disk."""
    old = languages.catalogue(tag) if tag in languages.available() else Catalog(locale=tag.replace("-", "_"))
    known = {str(message.context): message for message in old if message.id}
    forms, rule = plural_rule(tag)
    parts = [
        HEADER.format(
            name=Locale.parse(tag, sep="-").get_display_name("en"),
            tag=tag,
            forms=forms,
            rule=rule,
            examples=examples(rule),
            same=SAME,
            reviewed="yes" if known and languages.reviewed(tag) else "no",
        )
    ]
    return "\n".join([*parts, *(_message(key, known.get(key), forms) for key in keys(tag))])


def keys(tag: str) -> list[str]:
    """Return what a catalogue holds: all texts, but those for auditors where not every one of them is translated."""
    known = languages.catalogue(tag) if tag in languages.available() else Catalog(locale=tag.replace("-", "_"))
    translated = {str(message.context) for message in known if message.id and message.string}
    auditors = {key for key in ENGLISH if key.startswith(languages.AUDITORS)}
    return [key for key in ENGLISH if auditors <= translated or key not in auditors]


def _message(key: str, known: Message | None, forms: int) -> str:
    english = ENGLISH[key]
    plural = not isinstance(english, str)
    texts = [english] if isinstance(english, str) else list(english)
    string = known.string if known is not None and known.string else ""
    given = [*([string] if isinstance(string, str) else map(str, string)), *[""] * forms][: forms if plural else 1]
    lines = [f"# {comment}" for comment in (known.user_comments if known else [])]
    if known is not None and any(given) and (known.fuzzy or known.id != english):
        lines.append("#, fuzzy")
    lines += [f"msgctxt {_quoted(key)}", f"msgid {_quoted(texts[0])}"]
    if plural:
        lines.append(f"msgid_plural {_quoted(texts[1])}")
        lines += [f"msgstr[{index}] {_quoted(text)}" for index, text in enumerate(given)]
    else:
        lines.append(f"msgstr {_quoted(given[0])}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main(arguments: list[str]) -> int:
    """Write or check catalogues; return the exit status."""
    parser = argparse.ArgumentParser(description="Bring the catalogues of other languages up to the English wording.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where something would change")
    parser.add_argument("tags", nargs="*", metavar="TAG", help="languages; all that have a catalogue by default")
    given = parser.parse_args(arguments)
    behind = []
    for tag in given.tags or [tag for tag in languages.available() if tag != languages.SOURCE]:
        path, text = FOLDER / f"{tag}.po", written(tag)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            behind.append(tag)
            if not given.check:
                path.write_text(text, encoding="utf-8")
    if behind:
        sys.stdout.write(f"{'behind' if given.check else 'written'}: {', '.join(behind)}\n")
    return 1 if behind and given.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
