"""Hold what each template is given, for a small invented site in English and Ukrainian."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from markupsafe import Markup

from consent import languages
from consent.assets import load
from consent.choice.catalogue import Catalogue, Cookie, Purpose, Service
from consent.choice.notice import PolicyReference, build
from consent.embed import Embed
from consent.pages import Pages
from tests import shown_to_auditors

ODD = shown_to_auditors.ODD
STATIC = Path(__file__).parents[1] / "consent" / "web" / "static"
TEMPLATES = Path(__file__).parents[1] / "templates"
LANGUAGES = ("en", "uk")
DIGEST = "5b0e" * 16
MOMENT = 1_795_000_000


def pages() -> Pages:
    """Return the renderer of a site that speaks both languages."""
    return Pages(site_name="The Meridian", prefix="/privacy", assets=load(STATIC), spoken=LANGUAGES, overrides={})


def service(key: str, *, granted: bool = False, on: bool = False, **facts: Any) -> dict[str, Any]:
    """Return one service as the choices page is given it; `on` where it runs without an answer."""
    empty: dict[str, Any] = dict.fromkeys(
        ("provider", "description", "country", "transfer", "retention", "policy_url"), ""
    )
    empty |= {name: [] for name in ("data", "recipients", "cookies", "storage", "hosts")}
    return (
        empty
        | {
            "key": key,
            "title": key,
            "granted": granted,
            "on": granted or on,
            "answered": True,
            "changed": False,
        }
        | facts
    )


def purposes(*, granted: bool, on: bool = False) -> list[dict[str, Any]]:
    """Return the purposes as the choices page is given them, statistics granted, or running unasked, or nothing."""
    stats = service(
        "reader-stats",
        granted=granted,
        on=on,
        title="Reader statistics",
        provider="Meridian Media Ltd",
        description="Counts which articles are read to the end.",
        country="IE",
        data=["pages read", "coarse location"],
        cookies=[{"name": "_rs", "lifetime": "P30D"}, {"name": "_rs_*", "lifetime": "session"}],
        storage=["rs.queue"],
        hosts=["stats.meridian.example"],
        policy_url="https://meridian.example/stats",
    )
    video = service("vidbox", title="Vidbox videos", provider="Vidbox SA", country="FR", granted=granted, on=on)
    odd = service("odd", title=ODD, provider=ODD, changed=True)
    return [
        {"key": key, "title": key, "description": f"About {key}.", "asked": key != "necessary"} | facts
        for key, facts in (
            ("necessary", {"granted": True, "on": True, "services": [service("consent", granted=True)]}),
            ("analytics", {"granted": granted, "on": granted or on, "answered": granted, "services": [stats]}),
            ("media", {"granted": False, "on": False, "answered": granted, "services": [video, odd]}),
        )
    ]


def notice_content(language: str) -> Mapping[str, Any]:
    """Return the content of an archived notice."""
    catalogue = Catalogue(
        purposes=(Purpose(key="necessary"), Purpose(key="analytics")),
        services=(
            Service(
                key="reader-stats",
                purpose="analytics",
                title=ODD,
                provider="Meridian Media Ltd",
                country="IE",
                cookies=(Cookie(name="_rs", lifetime="P30D"),),
                hosts=("stats.meridian.example",),
                policy_url="https://meridian.example/stats",
            ),
        ),
    )
    reference = PolicyReference(
        slug="cookies", title="Cookies", version="1", language=language, sha256=DIGEST, material_version="1"
    )
    return build(
        catalogue,
        language=language,
        default_language="en",
        site="The Meridian",
        controller={"name": "Meridian Media Ltd", "contact": "privacy@meridian.example"},
        policies=[reference],
        wording=languages.wording(language).texts("banner.", "choices.", "purpose.", "service."),
        validity="P6M",
        revision=1,
    ).content


def common() -> dict[str, Any]:
    """Return what every template can count on."""
    return {
        "notice": DIGEST,
        "next": "/en/news/river?page=2",
        "status": "unknown",
        "allowed": ["consent", "necessary"],
        "change_link": "button",
        "gpc": False,
        "clear": None,
        "here": "/privacy/choices",
        "site_languages": [{"tag": "en", "name": "English"}, {"tag": "uk", "name": "Українська"}],
    }


def banner(**facts: Any) -> dict[str, Any]:
    """Return what the first layer is given on a first visit."""
    asked = [one for one in purposes(granted=False) if one["asked"]]
    fields = {
        "purposes": asked,
        "services_count": 3,
        "same": [["reader-stats", "odd"], ["vidbox", "other"]],
        "open": False,
        "validity": "P6M",
        "policies": [
            {"slug": "privacy", "title": "Privacy policy", "href": "/privacy/policies/privacy"},
            {"slug": "cookies", "title": "Cookie policy", "href": "/privacy/policies/cookies"},
        ],
        "changed": None,
        "carried": None,
        "reject_carried": None,
    }
    return common() | fields | facts


def asked_again(**facts: Any) -> dict[str, Any]:
    """Return what the first layer is given where something changed since the answer."""
    return banner(
        gpc=True,
        changed={"purposes": [], "services": [ODD], "all": False, "policies": []} | facts,
        carried={"purposes": ["analytics", "media"], "services": [], "without": ["vidbox"]},
        reject_carried={"purposes": ["analytics"], "services": [], "without": []},
    )


def new_policy(title: str = ODD) -> dict[str, str]:
    """Return a policy that changed since a choice."""
    return {"title": title, "version": "2", "href": "/privacy/policies/privacy/1...2"}


def choices(*, granted: bool, on: bool = False) -> dict[str, Any]:
    """Return what the second layer is given, before an answer or after a grant with a message."""
    undeletable = [{"title": ODD, "provider": "Odd Ltd", "policy_url": "https://odd.example/"}]
    fields = {
        "purposes": purposes(granted=granted, on=on),
        "status": "given" if granted else "unknown",
        "stated": "given" if granted else "requested" if on else "unknown",
        "agreed": ["analytics", ODD] if granted else [],
        "in_use": ["analytics", ODD] if on else [],
        "changed_policies": [new_policy()] if granted else [],
        "decided_at": MOMENT if granted else None,
        "expires_at": MOMENT + 86_400 if granted else None,
        "notice_href": f"/privacy/notices/{DIGEST}" if granted else None,
        "gpc": granted,
        "objected": [ODD] if granted else [],
        "cookies_seen": [{"name": "_rs", "service_title": "Reader statistics"}, {"name": ODD, "service_title": None}],
        "flash": {"kind": "saved", "kept": ["Reader statistics"], "undeletable": undeletable, "changed": [ODD]},
        "service": "vidbox",
        "in_place": False,
        "clear": ["rs.queue", "odd.*"],
    }
    return common() | fields | ({} if granted else {"flash": None, "clear": None})


def policy() -> dict[str, Any]:
    """Return what a policy page is given."""
    described = {
        "slug": "cookies",
        "title": "Cookie policy",
        "version": "2026-10-01",
        "effective": date(2026, 10, 1),
        "summary": ODD,
        "language": "en",
        "html": Markup('<h2 id="s-who">Who</h2><p>We.</p>'),
        "contents": [(2, "s-who", "Who"), (2, "s-who", ODD), (3, "s-who", "Who")],
        "sha256": DIGEST,
        "source_href": "/privacy/policies/cookies/2026-10-01/en.md",
        "history_href": "/privacy/policies/cookies/history",
        "permanent_href": "/privacy/policies/cookies/2026-10-01/en",
        "address": "https://meridian.example/privacy/policies/cookies/2026-10-01/en",
        "feed_href": "/privacy/policies/cookies.atom",
        "in_force": False,
    }
    base = "/privacy/policies/cookies/2026-10-01"
    languages = [
        {"tag": tag, "name": tag, "href": f"{base}/{tag}", "address": f"https://meridian.example{base}/{tag}"}
        for tag in LANGUAGES
    ]
    return common() | {"policy": described, "languages": languages, "agreed": None}


def receipt(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page of a receipt is given."""
    return {"records": records, "has_id": True, "said": None, "code": "", "json_href": "/privacy/receipt.json"}


def every(language: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return, by name of the case, a template and what it is given."""
    named = {"slug": "cookies", "title": "Cookie policy", "effective": date(2026, 10, 1), "summary": ODD}
    stands = {"stated": "given", "agreed": ["analytics", ODD], "in_use": []}
    version = {"version": "2", "effective": date(2026, 10, 1), "material": True, "summary": ODD, "href": "/2"}
    version |= {"languages": [{"tag": "en", "name": "English", "href": "/2/en"}], "sha256": {"en": DIGEST}}
    record = {"index": 7, "record": DIGEST[:32], "decided_at": MOMENT, "recorded_at": MOMENT, "status": "given"}
    answered = {"title": ODD, "yes": True, "services": [{"title": "vidbox", "yes": False, "services": []}]}
    record |= {"answers": [answered, {"title": "media", "yes": False, "services": []}], "language": "en", "late": True}
    record |= {"notice": DIGEST, "notice_href": f"/privacy/notices/{DIGEST}", "told": None}
    compared: dict[str, object] = {"policy": named, "a": "1", "b": "2"}
    blocks = [
        {"kind": kind, "html": Markup(html)}
        for kind, html in (
            ("kept", "<p>Same.</p>"),
            ("added", "<p><ins>New.</ins></p>"),
            ("removed", "<p><del>Old.</del></p>"),
            ("changed", "<p>For <del>12</del><ins>13</ins> months.</p>"),
        )
    ]
    held: dict[str, Any] = {
        "service": {"key": "odd", "title": ODD, "provider": ODD},
        "purpose": {"key": "media", "title": "Media"},
    }
    held |= {"tag": "iframe", "embed": Embed()}
    told = Embed(
        width="640", height="100%", classes="cst-x", title=ODD, preview="/p.jpg", fallback="https://odd.example/"
    )
    listed = named | {"version": "2", "effective": date(2026, 10, 1), "href": "/x", "history_href": "/x/history"}
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "banner": ("consent_banner.html", banner()),
        "banner, asked again": ("consent_banner.html", asked_again()),
        "banner, new policy": (
            "consent_banner.html",
            asked_again(all=True, policies=[new_policy(), new_policy("Cookies")]),
        ),
        "banner, open": ("consent_banner.html", banner(open=True)),
        "banner, open, asked again": ("consent_banner.html", asked_again() | {"open": True}),
        "banner, site has a link": ("consent_banner.html", banner(change_link="site")),
        "link": ("consent_link.html", {}),
        "once form": ("consent_once_form.html", {}),
        "script": ("consent_script.html", {"clear": ["a", "b*"]}),
        "assets": ("consent_assets.html", {}),
        "placeholder": ("consent_placeholder.html", held),
        "placeholder, described": ("consent_placeholder.html", held | {"embed": told}),
        "placeholder, objected": ("consent_placeholder.html", held | {"objected": True}),
        "page": ("consent_page.html", {}),
        "choices": ("consent_choices.html", choices(granted=False)),
        "choices, in place": ("consent_choices_part.html", choices(granted=True) | {"in_place": True}),
        "choices, given": ("consent_choices.html", choices(granted=True)),
        "choices, open": ("consent_choices.html", choices(granted=False, on=True)),
        "index": ("consent_index.html", stands | {"policies": [listed], "checkpoint": f"{ODD}\n3\n"}),
        "index, open": (
            "consent_index.html",
            {"policies": [], "checkpoint": None, "stated": "requested", "agreed": [], "in_use": ["analytics", ODD]},
        ),
        "policy": ("consent_policy.html", policy()),
        "policy, agreed earlier": (
            "consent_policy.html",
            policy() | {"agreed": {"version": "1", "day": date(2026, 5, 1), "href": "/privacy/policies/cookies/1...2"}},
        ),
        "history": (
            "consent_history.html",
            {"policy": named, "versions": [version | {"compare_href": "/1...2"}, version | {"compare_href": None}]},
        ),
        "comparison": ("consent_compare.html", compared | {"blocks": blocks, "whole_href": "?whole"}),
        "comparison, same": ("consent_compare.html", compared | {"blocks": blocks[:1], "whole_href": None}),
        "receipt": ("consent_receipt.html", receipt([record, record | {"told": notice_content("uk")}])),
        "receipt, by code": ("consent_receipt.html", receipt([record]) | {"code": "7Q3K-9F2M"}),
        "receipt, no number": ("consent_receipt.html", receipt([]) | {"has_id": False, "said": "erasing"}),
        **{
            f"code, {step}": ("consent_code.html", {"step": step, "code": "7Q3K-9F2M"})
            for step in ("enter", "made", "wrong", "confirm", "erased", "erasing")
        },
        "notice": (
            "consent_notice.html",
            {"notice": notice_content(language), "digest": DIGEST, "json_href": "/privacy/notices/x.json"},
        ),
        "error": (
            "consent_error.html",
            {"status": 404, "title": "T", "message": ODD, "action": "A", "href": "/privacy/"},
        ),
        "audit login": ("consent_audit_login.html", {"failed": True}),
        **shown_to_auditors.every(language),
    }
    return {name: (template, common() | context) for name, (template, context) in given.items()}
