"""Test that the built-in list of known services is well-formed, unambiguous and safe to apply to any site."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from consent.choice.catalogue import (
    KEY,
    NECESSARY,
    STANDARD_PURPOSES,
    Catalogue,
    Cookie,
    Purpose,
    Service,
    claimed_twice,
    service_from_table,
)
from consent.choice.lifetime import Lifetime

TEXT = files("consent.choice").joinpath("known_services.toml").read_text(encoding="utf-8")
TABLES: dict[str, dict[str, Any]] = tomllib.loads(TEXT)
SERVICES = tuple(service_from_table(key, table) for key, table in TABLES.items())
PAGE = Path(__file__).parents[2] / "docs" / "known-services.md"

GROUPS = {
    "analytics": ("google-analytics", "matomo-cloud", "plausible"),
    "audience measurement": ("chartbeat", "parsely", "piano-analytics", "infonline", "comscore", "gemius"),
    "ratings": ("nielsen-digital", "quantcast"),
    "tag managers": ("google-tag-manager", "adobe-tags", "tealium-iq"),
    "advertising": ("meta-pixel", "google-ad-manager", "criteo", "magnite", "the-trade-desk"),
    "related articles": ("taboola", "outbrain"),
    "social embeds": ("facebook-embed", "x-embed", "instagram-embed", "bluesky-embed"),
    "video and audio": ("youtube", "vimeo", "spotify", "soundcloud"),
    "maps and fonts": ("google-maps", "openstreetmap", "google-fonts", "adobe-fonts"),
    "chat and comments": ("intercom", "zendesk", "disqus", "hyvor-talk"),
    "donations and payment": ("stripe", "paypal", "donorbox", "liqpay"),
    "tests, errors and replay": ("optimizely", "vwo", "sentry", "new-relic-browser", "hotjar", "microsoft-clarity"),
    "forms and captcha": ("mailchimp", "typeform", "hubspot", "google-recaptcha", "hcaptcha"),
    "delivery networks": ("cloudflare", "aws-load-balancer"),
}
TRACKING = """
_ga _ga_ABC123 _gid _gat_gtag_UA_1 _fbp _fbc _gcl_au _gcl_aw _gac_UA-1 __gads __gpi _clck _clsk
_uetsid _uetvid _ttp _scid _pin_unauth _rdt_uuid li_fat_id _hjSessionUser_1 _pk_id.1.abcd
_parsely_visitor _chartbeat2 _pcid __qca cto_bundle ph_phc_x_posthog hubspotutk s_vi
AMCV_X%40AdobeOrg __kla_id _mkto_trk
"""
OWN = """
session sessionid __Host-session connect.sid PHPSESSID JSESSIONID ASP.NET_SessionId csrftoken
XSRF-TOKEN _csrf csrf_token remember_token laravel_session access_token id_token auth user
visitor_id cart lang locale theme test consent wordpress_logged_in_x
"""


def split_host(host: str) -> tuple[str, str]:
    name, _, path = host.partition("/")
    return name, path


def lies_under(host: str, other: str) -> bool:
    """Tell whether everything `host` stands for is also claimed by `other`."""
    (name, path), (above, prefix) = split_host(host), split_host(other)
    within = not prefix or path == prefix or path.startswith(f"{prefix}/")
    return within and (name == above or name.endswith(f".{above}"))


def hosts() -> Iterator[tuple[str, str]]:
    return ((service.key, host) for service in SERVICES for host in service.hosts)


def cookies() -> Iterator[tuple[str, Cookie]]:
    return ((service.key, cookie) for service in SERVICES for cookie in service.cookies)


def owners(name: str) -> set[str]:
    return {key for key, cookie in cookies() if cookie.matches(name)}


@pytest.mark.parametrize("group", GROUPS)
def test_every_kind_of_service_is_there(group: str) -> None:
    """The list knows the services that sites of every kind ask for by name."""
    assert [key for key in GROUPS[group] if key not in TABLES] == []


def test_the_list_is_large_enough_to_be_of_use() -> None:
    """At least 75 services are known."""
    assert len(SERVICES) >= 75


def test_keys_are_sorted_and_well_formed() -> None:
    """Keys are in order, so that a change shows where a reader looks for it."""
    assert list(TABLES) == sorted(TABLES)
    assert [key for key in TABLES if not KEY.fullmatch(key)] == []


def test_all_of_them_fit_into_one_catalogue() -> None:
    """A site may switch on everything at once without a contradiction."""
    catalogue = Catalogue(purposes=tuple(Purpose(key=key) for key in STANDARD_PURPOSES), services=SERVICES)
    assert {purpose.key for purpose in catalogue.asked} == set(STANDARD_PURPOSES) - {NECESSARY}
    assert list(claimed_twice(SERVICES)) == []


def test_no_host_lies_within_another_service() -> None:
    """An address belongs to one service, whichever of several hosts is tried first."""
    nested = [
        (host, key, other)
        for (key, host), (owner, other) in permutations(hosts(), 2)
        if key != owner and lies_under(host, other)
    ]
    assert nested == []


@pytest.mark.parametrize(
    "address",
    [
        "cdn.jsdelivr.net/npm/swiper",
        "cdnjs.cloudflare.com/ajax/libs/three.js",
        "unpkg.com/htmx.org",
        "ajax.googleapis.com/ajax/libs/jquery/3.7.1/jquery.min.js",
        "code.jquery.com/jquery.js",
        "esm.sh/preact",
        "www.google.com/search",
        "www.gstatic.com/firebasejs/10.10.0/firebase-app.js",
        "storage.googleapis.com/bucket/picture.webp",
        "bucket.s3.eu-west-1.amazonaws.com/picture.webp",
        "d111111abcdef8.cloudfront.net/app.js",
        "example.azureedge.net/app.js",
        "i0.wp.com/example.org/picture.webp",
        "pbs.twimg.com/media/picture.jpg",
        "raw.githubusercontent.com/example/example/main/app.js",
        "docs.google.com/document/d/e/2PACX",
        "www.facebook.com/example",
        "www.tiktok.com/@example",
        "www.bing.com/th",
    ],
)
def test_shared_hosts_stay_free(address: str) -> None:
    """Hosts that serve everybody's libraries, files and pages are claimed by no service."""
    assert [(key, host) for key, host in hosts() if lies_under(address, host)] == []


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("www.googletagmanager.com/gtag/js", "google-analytics"),
        ("www.googletagmanager.com/gtm.js", "google-tag-manager"),
        ("region1.google-analytics.com/g/collect", "google-analytics"),
        ("connect.facebook.net/en_US/fbevents.js", "meta-pixel"),
        ("www.facebook.com/tr", "meta-pixel"),
        ("www.facebook.com/plugins/post.php", "facebook-embed"),
        ("securepubads.g.doubleclick.net/tag/js/gpt.js", "google-ad-manager"),
        ("googleads.g.doubleclick.net/pagead/viewthroughconversion", "google-ads"),
        ("1234567.fls.doubleclick.net/activityi", "google-marketing-platform"),
        ("www.google.com/maps/embed", "google-maps"),
        ("www.google.com/recaptcha/api.js", "google-recaptcha"),
        ("www.gstatic.com/recaptcha/releases/x/recaptcha__en.js", "google-recaptcha"),
        ("www.youtube-nocookie.com/embed/x", "youtube"),
        ("snap.licdn.com/li.lms-analytics/insight.min.js", "linkedin-insight"),
        ("www.linkedin.com/embed/feed/update/x", "linkedin-embed"),
        ("www.tiktok.com/embed.js", "tiktok-embed"),
        ("analytics.tiktok.com/i18n/pixel/events.js", "tiktok-pixel"),
        ("static.ads-twitter.com/uwt.js", "x-pixel"),
        ("platform.twitter.com/widgets.js", "x-embed"),
        ("s.pinimg.com/ct/core.js", "pinterest-tag"),
        ("assets.pinterest.com/js/pinit.js", "pinterest-embed"),
        ("www.redditstatic.com/ads/pixel.js", "reddit-pixel"),
        ("embed.reddit.com/widgets.js", "reddit-embed"),
        ("cdn.parsely.com/keys/example.org/p.js", "parsely"),
        ("static.chartbeat.com/js/chartbeat.js", "chartbeat"),
        ("cdn.taboola.com/libtrc/example/loader.js", "taboola"),
        ("widgets.outbrain.com/outbrain.js", "outbrain"),
        ("amplify.outbrain.com/cp/obtp.js", "outbrain"),
        ("t.contentsquare.net/uxa/x.js", "contentsquare"),
        ("js-eu1.hs-scripts.com/1.js", "hubspot"),
    ],
)
def test_well_known_addresses_have_their_owner(address: str, key: str) -> None:
    """The addresses in the vendors' own snippets belong to the service they are known for, and to it alone."""
    assert {owner for owner, host in hosts() if lies_under(address, host)} == {key}


def test_purposes_are_standard() -> None:
    """Every service has one of the purposes that every site has."""
    assert [s.key for s in SERVICES if s.purpose not in STANDARD_PURPOSES] == []


def test_necessary_services_say_why_and_load_nothing() -> None:
    """Only cookies of the delivery network are strictly necessary by themselves, each with its reason."""
    necessary = [s for s in SERVICES if s.required]
    assert necessary
    assert [s.key for s in necessary if s.hosts or s.patterns or s.storage or s.sells_or_shares] == []
    assert [s.key for s in necessary if s.exemption == "none" or not s.justification] == []
    assert [s.key for s in SERVICES if not s.required and s.exemption != "none"] == []


@pytest.mark.parametrize("name", TRACKING.split())
def test_tracking_cookies_are_known_and_never_necessary(name: str) -> None:
    """A cookie by which visitors are recognised belongs to one service, and that service asks first."""
    (key,) = owners(name)
    assert TABLES[key]["purpose"] != NECESSARY


@pytest.mark.parametrize("name", ["MUID", "IDE", "NID", "fr", "datr", "bcookie", "UserMatchHistory", "uuid2", "TDID"])
def test_cookies_of_foreign_domains_are_not_listed(name: str) -> None:
    """What a vendor sets on its own domain is no cookie of the site, and could never be expired by it."""
    assert owners(name) == set()


@pytest.mark.parametrize("name", OWN.split())
def test_a_sites_own_cookies_are_never_claimed(name: str) -> None:
    """Session, CSRF and preference cookies belong to the site, so no known service can hold them back."""
    assert owners(name) == set()


@given(cookie=st.sampled_from([cookie for _, cookie in cookies()]), ending=st.text("abcXYZ019_.-", max_size=12))
def test_every_cookie_has_one_owner(cookie: Cookie, ending: str) -> None:
    """Whatever follows a name with a star, one service owns the cookie."""
    name = cookie.name[:-1] + ending if cookie.name.endswith("*") else cookie.name
    assert len(owners(name)) == 1


def test_lifetimes_are_stated_and_plausible() -> None:
    """Every cookie states how long it lives, and none outlives three years."""
    entries = [(key, entry) for key, table in TABLES.items() for entry in table.get("cookies", ())]
    assert [(key, entry["name"]) for key, entry in entries if "lifetime" not in entry] == []
    for _, cookie in cookies():
        lifetime = Lifetime.parse(cookie.lifetime)
        assert lifetime.session or 0 < lifetime.months * 30 + lifetime.seconds / 86400 <= 3 * 366


def test_cookies_lie_where_they_can_be_expired() -> None:
    """Path and domain are left to the site, which knows them; the list gives names and lifetimes."""
    assert [(key, c.name) for key, c in cookies() if c.path != "/" or c.domain] == []


def test_patterns_are_specific() -> None:
    """No pattern is short, and none contains another service's."""
    patterns = [(service.key, pattern) for service in SERVICES for pattern in service.patterns]
    assert [(key, pattern) for key, pattern in patterns if len(pattern) < 4 or pattern != pattern.strip()] == []
    assert [(p, q) for (key, p), (other, q) in permutations(patterns, 2) if key != other and p in q] == []


@pytest.mark.parametrize(
    ("snippet", "key"),
    [
        ("window.dataLayer=[];function gtag(){dataLayer.push(arguments)} gtag('js',new Date())", "google-analytics"),
        ("(function(w,d,s,l,i){w[l].push({'gtm.start':new Date()})})(window)", "google-tag-manager"),
        ("!function(f){}(window); fbq('init', '1'); fbq('track', 'PageView');", "meta-pixel"),
        ("var _paq = window._paq || []; _paq.push(['trackPageView']);", "matomo-cloud"),
        ("var _sf_async_config = { uid: 1, domain: 'example.org' };", "chartbeat"),
        ("window._taboola = window._taboola || []; _taboola.push({article:'auto'});", "taboola"),
        ("(function(h,o,t,j){h._hjSettings={hjid:1,hjsv:6};})(window)", "hotjar"),
        ("var disqus_config = function () { this.page.url = location.href };", "disqus"),
        ("Sentry.init({ dsn: 'https://x@o1.ingest.sentry.io/1' });", "sentry"),
    ],
)
def test_the_vendors_snippets_are_recognised(snippet: str, key: str) -> None:
    """The inline snippet a vendor hands out gives exactly that vendor away."""
    assert [s.key for s in SERVICES if any(pattern in snippet for pattern in s.patterns)] == [key]


@pytest.mark.parametrize(
    "snippet",
    [
        "document.querySelector('#menu').addEventListener('click', toggle);",
        "jobApi('list').then(show); set_pagename('home'); misc_project = 4;",
        "window.dataLayer = window.dataLayer || []; dataLayer.push({ event: 'read' });",
        "atlas.setup({ zoom: 3 }); player.load(); page.track('open'); events.push(item);",
        '{"@context":"https://schema.org","@type":"NewsArticle","headline":"Quiet harbour"}',
        "self.__next_f.push([1,'x']); window.__NUXT__={}; htmx.config.includeIndicatorStyles=false;",
        "import { createApp } from '/static/app.js'; createApp({ locale: 'uk' }).mount('#app');",
    ],
)
def test_a_sites_own_scripts_are_left_alone(snippet: str) -> None:
    """Ordinary code of a site matches no pattern."""
    assert [s.key for s in SERVICES if any(pattern in snippet for pattern in s.patterns)] == []


def test_names_are_there_and_unlike() -> None:
    """Every service has a title of its own and a provider."""
    assert [s.key for s in SERVICES if not s.title or not s.provider] == []
    assert len({str(s.title) for s in SERVICES}) == len(SERVICES)


@pytest.mark.parametrize(("language", "foreign"), [("en", "[Ѐ-ӿ]"), ("uk", "[ыэёъЫЭЁЪ]")])
def test_descriptions_are_one_own_sentence_in_each_language(language: str, foreign: str) -> None:
    """Each service is described in its own words, in one sentence, in every language the package speaks."""
    texts = {key: table["description"][language] for key, table in TABLES.items()}
    assert [key for key, text in texts.items() if not re.fullmatch(r"[^.!?\s][^.!?]{15,138}\.", text)] == []
    assert [key for key, text in texts.items() if re.search(foreign, text)] == []
    assert len(set(texts.values())) == len(texts)
    assert [key for key, table in TABLES.items() if set(table["description"]) != {"en", "uk"}] == []


def test_ukrainian_descriptions_are_ukrainian() -> None:
    """The Ukrainian text is written in Cyrillic, apart from names."""
    letters = {key: re.findall(r"[^\W\d_]", table["description"]["uk"]) for key, table in TABLES.items()}
    assert [key for key, text in letters.items() if sum("Ѐ" <= c <= "ӿ" for c in text) < len(text) / 2] == []


def test_countries_are_iso_codes() -> None:
    """The provider's country is an ISO 3166-1 alpha-2 code of a real country."""
    territories = set(Locale("en").territories) - {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}
    known = {code for code in territories if re.fullmatch("[A-Z]{2}", code)}
    assert [(s.key, s.country) for s in SERVICES if s.country not in known] == []


def test_transfers_name_a_safeguard() -> None:
    """A transfer is either left open or names the decision it rests on."""
    decisions = r"|EU-US Data Privacy Framework|EU adequacy decision for (the )?[A-Z][A-Za-z ]+"
    assert [(s.key, s.transfer) for s in SERVICES if not re.fullmatch(decisions, s.transfer)] == []


def test_addresses_can_be_opened() -> None:
    """Policy and source are complete addresses, and a policy is never fetched in the clear."""
    assert [s.key for s in SERVICES if not s.policy_url.startswith("https://")] == []
    links = [(s.key, urlsplit(link)) for s in SERVICES for link in (s.policy_url, s.source)]
    assert [key for key, link in links if not (link.scheme.startswith("http") and "." in link.netloc)] == []


def test_every_fact_says_when_it_was_checked() -> None:
    """Each entry has a source and the day on which it was last compared with one, not in the future."""
    assert [s.key for s in SERVICES if not s.source or not re.fullmatch(r"\d{4}-\d\d-\d\d", s.checked)] == []
    days = [date.fromisoformat(service.checked) for service in SERVICES]
    assert date(2026, 1, 1) <= min(days)
    assert max(days) <= date.today()


def test_sharing_is_said_of_advertising_only() -> None:
    """Whoever sells or shares data is asked for under marketing or embedded content, never under another purpose."""
    sharing = {s.key for s in SERVICES if s.sells_or_shares}
    assert {"meta-pixel", "google-ads", "criteo", "taboola"} <= sharing
    assert [s.key for s in SERVICES if s.sells_or_shares and s.purpose not in ("marketing", "media")] == []


def test_data_is_said_in_plain_words() -> None:
    """Each service names what it learns, in short words and without repeating itself."""
    assert [s.key for s in SERVICES if not s.data or len(set(s.data)) != len(s.data)] == []
    assert [s.key for s in SERVICES for word in s.data if not re.fullmatch(r"(IP|[a-z])[a-z ]{2,29}", word)] == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.key)
def test_a_site_may_override_any_field(service: Service) -> None:
    """A site that switches a service on and changes its purpose keeps every other fact."""
    changed = service_from_table(service.key, {"purpose": "functional", "checked": "2026-12-01"}, base=service)
    assert (changed.purpose, changed.checked) == ("functional", "2026-12-01")
    assert {**changed.terms(), "purpose": service.purpose} == service.terms()


def test_the_page_lists_every_service() -> None:
    """The documentation's table is the list: key, title, provider and country of each, by purpose."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \| ([A-Z]{2}) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    order = sorted(SERVICES, key=lambda s: (STANDARD_PURPOSES.index(s.purpose), s.key))
    assert rows == [(s.key, s.title, s.provider, s.country) for s in order]


def test_the_pages_example_is_valid() -> None:
    """What the documentation shows a site to write builds over the built-in services."""
    example = re.search(r"^```toml\n(.+?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert example
    known = {service.key: service for service in SERVICES}
    for key, table in tomllib.loads(example[1])["services"].items():
        assert service_from_table(key, table, base=known[key]).title == known[key].title
