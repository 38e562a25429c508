"""Hold every text a visitor reads, by key, in English, and give all texts in other languages: catalogues of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from consent.choice.audit_wording import AUDIT
from consent.choice.error_wording import ERRORS

Plural = tuple[str, str]
"""The texts for one and for many, with the number as `{n}`."""

ENGLISH: dict[str, str | Plural] = {
    "banner.title": "Your choice at {site}",
    "banner.ask": ("We ask to use {n} service for:", "We ask to use {n} services for:"),
    "banner.ask_open": ("{n} service is in use for:", "{n} services are in use for:"),
    "banner.open": "What is named here is on unless you switch it off.",
    "banner.holds": "Your answer holds for {lifetime}; you can change it on every page.",
    "banner.changed": "This changed since your last answer:",
    "banner.changed_all": "What we ask for changed since your last answer, so that we ask again.",
    "banner.changed_policies": "Changed since your last answer, so that we ask again:",
    "banner.policy_version": "{title}, version {version}",
    "banner.kept": "All your other answers stay as they are.",
    "banner.gpc": "Opt-out request honored: your browser sends Global Privacy Control. Advertising and all "
    "that sells or shares data stay off, whatever you answer.",
    "banner.accept_all": "Accept all",
    "banner.reject_all": "Reject all",
    "banner.accept_changed": "Accept these",
    "banner.reject_changed": "Reject these",
    "banner.accept_all_open": "Keep all on",
    "banner.reject_all_open": "Switch all off",
    "banner.accept_changed_open": "Keep these on",
    "banner.reject_changed_open": "Switch these off",
    "banner.choose": "Choose",
    "banner.held": "Held back on this page: {items}. Companies: {companies}.",
    "banner.link": "Privacy choices",
    "banner.saved": "Your answer is saved. You can change it on every page.",
    "placeholder.title": "Not loaded: {service}",
    "placeholder.meaning": "Loading it sends your internet address to {provider}, which may set cookies of its own.",
    "placeholder.meaning_own": "Loading it may set cookies of its own.",
    "placeholder.once": "Load once",
    "placeholder.once_label": "Load once: {service}",
    "placeholder.always": "Always load",
    "placeholder.always_label": "Always load: {service}",
    "placeholder.fallback": "Open as a link",
    "placeholder.fallback_label": "Open as a link: {title}",
    "placeholder.choose": "Change my choice",
    "placeholder.choose_label": "Change my choice: {service}",
    "purpose.necessary.title": "Strictly necessary",
    "purpose.necessary.description": "What the site cannot work without, such as remembering this choice.",
    "purpose.functional.title": "Extra functions",
    "purpose.functional.description": "Functions you can use but do not have to, such as comments, chat or donations.",
    "purpose.analytics.title": "Statistics",
    "purpose.analytics.description": "Counting visits and seeing which pages are read, so that we can improve them.",
    "purpose.marketing.title": "Advertising",
    "purpose.marketing.description": "Showing advertisements, measuring them, and choosing them by what you do here "
    "and on other sites.",
    "purpose.media.title": "Embedded content",
    "purpose.media.description": "Videos, posts, maps and fonts that come straight from other companies.",
    "service.consent.title": "Your privacy choice",
    "service.consent.description": "Remembers what you answered, so that we do not ask on every page. If you say no to "
    "everything, it holds no number that tells you from others.",
    "choices.title": "Your privacy choices",
    "choices.intro": "Here you decide what {site} may load and store in your browser. Saying no has no drawback: you "
    "can read everything either way.",
    "choices.now": "Your choice now",
    "choices.status.unknown": "You have not answered yet. Nothing that needs your yes is loaded.",
    "choices.status.requested": "You have not answered yet.",
    "choices.status.request-deferred": "You have not answered yet.",
    "choices.status.refused": "You said no. Nothing that needs your yes is loaded.",
    "choices.status.given": "You said yes, in whole or in part, to: {purposes}.",
    "choices.status.renewed": "You said yes again, in whole or in part, to: {purposes}.",
    "choices.status.withdrawn": "You took back your yes. Nothing that needs it is loaded.",
    "choices.status.expired": "Your answer was too old to hold on, so that we ask again.",
    "choices.status.terminated": "Your answer has ended. Nothing that needs your yes is loaded.",
    "choices.status.invalidated": "What we ask for has changed, so that your answer does not hold for all of it.",
    "choices.open": "Until you answer, services are in use for: {purposes}.",
    "choices.decided": "Answered on",
    "choices.expires": "Holds until",
    "choices.under": "Shown to you",
    "choices.notice": "the text of that time",
    "choices.withdraw": "Withdraw everything",
    "choices.withdraw_hint": "One click. Takes back every yes and deletes the cookies that belong to it.",
    "choices.gpc": "Opt-out request honored",
    "choices.gpc_hint": "Your browser sends Global Privacy Control. Advertising and all that sells or shares data stay "
    "off, whatever you choose here.",
    "choices.objected": "Off because of this signal: {services}",
    "choices.flash.saved": "Saved. Your choice holds from now on.",
    "choices.flash.withdrawn": "Withdrawn. Nothing that needs your yes is loaded any more.",
    "choices.flash.conflict": "What we ask for changed after this page was shown to you, so nothing was recorded. "
    "Please look at what is marked as changed and choose again.",
    "choices.flash.not_recorded": "We cannot record a yes at the moment, so it does not count. Every no counts. "
    "Please try again later.",
    "choices.flash.once": "Loaded once. Your choice has not changed.",
    "choices.flash.unchanged": "Nothing was changed: this is what you had chosen before.",
    "choices.flash.kept": "Allowed now: {services}",
    "choices.flash.changed": "Changed: {services}",
    "choices.undeletable": "We could not delete the cookies that these companies keep under their own addresses. Ask "
    "there, or delete them in your browser:",
    "choices.always": "Always on",
    "choices.allowed": "Allowed",
    "choices.refused": "Not allowed",
    "choices.all_of": "Allow all of: {purpose}",
    "choices.only": "Allow only {service}",
    "choices.included": "Allowed with the whole purpose. To allow single services, switch the purpose off first.",
    "choices.objected_state": "Off: opt-out request honored",
    "choices.services": ("{n} service", "{n} services"),
    "choices.search": "Find a service",
    "choices.found": "Services found: {count}",
    "choices.provider": "Provider",
    "choices.country": "Country",
    "choices.transfer": "Transfer",
    "choices.data": "Data",
    "choices.recipients": "Recipients",
    "choices.retention": "Kept for",
    "choices.hosts": "Loads from",
    "choices.policy": "Policy of the provider",
    "choices.stores": "What {service} stores in your browser",
    "choices.name": "Name",
    "choices.lifetime": "Kept for",
    "choices.kind": "Kind",
    "choices.cookie": "Cookie",
    "choices.storage": "Browser storage",
    "choices.storage_lifetime": "until deleted",
    "choices.stores_nothing": "Stores no cookies under our address.",
    "choices.changed": "Changed since your last answer",
    "choices.unanswered": "Not answered yet",
    "choices.accept_all": "Accept all",
    "choices.reject_all": "Reject all",
    "choices.save": "Save my choice",
    "choices.buttons": "Answer",
    "choices.nothing_asked": "This site uses nothing that needs your yes.",
    "choices.seen": "Cookies your browser sends us now",
    "choices.seen_hint": "These came with this very page view. We do not keep this list.",
    "choices.seen_none": "None.",
    "choices.seen_unknown": "not in our catalogue",
    "choices.belongs": "Belongs to",
    "choices.back": "Back to the page",
    "page.home": "To the front page of {site}",
    "page.nav": "Privacy",
    "page.skip": "Skip to content",
    "page.policies": "Policies",
    "page.choices": "Your choices",
    "page.receipt": "Your receipt",
    "page.language": "Language",
    "page.language_set": "Change language",
    "index.title": "Privacy and cookie policies",
    "index.intro": "What {site} does with data about you, and what you decide about it.",
    "index.in_force": "In force since {day}, version {version}",
    "index.history": "All versions",
    "index.history_label": "All versions of: {title}",
    "index.none": "No policy has been published yet.",
    "index.choice": "Your choice",
    "index.change": "See or change your choice",
    "index.receipt": "See what we recorded",
    "index.proof": "Proof",
    "index.proof_hint": "This signed line sums up every record in our consent ledger. Whoever keeps a copy can check "
    "later that no record was changed or removed.",
    "index.no_checkpoint": "No checkpoint has been published yet.",
    "policy.effective": "In force since {day}",
    "policy.effective_from": "In force from {day}",
    "policy.version": "Version {version}",
    "policy.old": "This is not the version in force today.",
    "policy.current": "Read the version in force",
    "policy.agreed": "What changed since you last agreed",
    "policy.agreed_hint": "You agreed on {day}, when this policy was at version {version}.",
    "policy.feed": "Feed of new versions (Atom)",
    "policy.contents": "Contents",
    "policy.summary": "What changed in this version",
    "policy.languages": "This version in other languages",
    "policy.other_language": "This text is not available in your language.",
    "policy.proof": "About this text",
    "policy.permanent": "Permanent address of this version",
    "policy.source": "Source text",
    "policy.sha256": "SHA-256 of the source text",
    "policy.history": "All versions",
    "policy.cookie": "cookie",
    "policy.cookies": "Cookies",
    "policy.country": "Country",
    "policy.data": "Data it handles",
    "policy.hosts": "Servers it contacts",
    "policy.justification": "Why it is strictly necessary",
    "policy.kind": "Kind",
    "policy.lifetime": "Kept for",
    "policy.lifetime.session": "until you close the browser",
    "policy.lifetime.storage": "until you or the site delete it",
    "policy.link": "Policy of the provider",
    "policy.name": "Name",
    "policy.none": "None at present.",
    "policy.provider": "Provider",
    "policy.purpose": "Purpose",
    "policy.recipients": "Who else receives the data",
    "policy.retention": "How long the provider keeps the data",
    "policy.role": "Responsibility",
    "policy.role.controller": "the provider decides on its own what it does with the data (controller)",
    "policy.role.joint-controller": "the provider and we decide together (joint controllers)",
    "policy.role.processor": "the provider works only on our instructions (processor)",
    "policy.sells": "Sale or sharing for advertising",
    "policy.sells.yes": "yes, in the sense of United States state privacy laws",
    "policy.service": "Service",
    "policy.storage": "Browser storage",
    "policy.transfer": "Basis for transfers abroad",
    "history.title": "Versions: {title}",
    "history.effective": "In force since",
    "history.change": "What changed",
    "history.texts": "Texts",
    "history.compare": "Compare with the one before",
    "history.compare_label": "Compare with the one before: version {version}",
    "history.material": "We asked everybody again",
    "history.digests": "SHA-256 of each text",
    "compare.title": "What changed: {title}",
    "compare.between": "From version {a} to version {b}",
    "compare.legend": "Added text is underlined and removed text is struck through. A word at the edge says what "
    "happened to each part.",
    "compare.added": "Added",
    "compare.removed": "Removed",
    "compare.changed": "Changed",
    "compare.whole": "Show the whole text",
    "compare.same": "The two versions say the same.",
    "compare.all_versions": "All versions",
    "receipt.title": "Your receipt",
    "receipt.intro": "Everything our consent ledger holds about the choices made in this browser.",
    "receipt.no_number": "We keep no number for you. Who says no to everything gets none, so we cannot tell your "
    "record from that of anybody else, and there is nothing to show here.",
    "receipt.none": "Nothing has been recorded for this browser yet.",
    "receipt.record": "Record {index}",
    "receipt.recorded": "We recorded it",
    "receipt.late": "Recorded late: the ledger could not be reached at the time. What you decided held at once.",
    "receipt.status.unknown": "Unknown",
    "receipt.status.requested": "Asked",
    "receipt.status.request-deferred": "Asked, not answered",
    "receipt.status.refused": "Refused",
    "receipt.status.given": "Given",
    "receipt.status.renewed": "Given again",
    "receipt.status.withdrawn": "Withdrawn",
    "receipt.status.expired": "Expired",
    "receipt.status.terminated": "Ended",
    "receipt.status.invalidated": "No longer valid",
    "receipt.yes": "Yes",
    "receipt.no": "No",
    "receipt.notice_link": "The text shown to you",
    "receipt.told": "What you were asked",
    "receipt.unknown_text": "The text shown to you cannot be read at the moment.",
    "receipt.language": "Language",
    "receipt.number": "Record number",
    "receipt.json": "Download as JSON, with proofs",
    "receipt.erase": "Erase my records",
    "receipt.erase_hint": "This takes back every yes and deletes the link between you and these records, for good. "
    "After that nobody can show these records to you, and this site can no longer prove that you agreed earlier.",
    "receipt.erase_button": "Withdraw and erase",
    "receipt.erased": "Withdrawn and erased. We keep no number for you any more.",
    "receipt.erasing": "Withdrawn: nothing that needs your yes is loaded any more. Your records cannot be reached at "
    "the moment; the link between you and them is deleted as soon as they can be.",
    "receipt.code": "Your receipt on another device",
    "receipt.code_hint": "With a code you can read these records in any browser. Who knows the code can also take back "
    "every yes and erase the records. A new code takes the place of the one before.",
    "receipt.code_make": "Make a code",
    "receipt.code_made": "Your code, shown only this once",
    "receipt.code_kept": "Write it down now: we keep only a fingerprint of it, and cannot show it again.",
    "receipt.code_enter": "Read a receipt by its code",
    "receipt.code_label": "Receipt code",
    "receipt.code_form": "Capital letters, small letters, spaces and hyphens make no difference.",
    "receipt.code_show": "Show the records",
    "receipt.code_wrong": "We have no records under this code. Look for mistakes in typing. A code also ends when a "
    "new one is made, and when the records are erased.",
    "receipt.code_records": "Records under your code",
    "receipt.code_intro": "Everything our consent ledger holds about the choices made in the browser that this code is "
    "from. You can read it here; it does not change your choice in this browser.",
    "receipt.code_erase_hint": "This takes back every yes given in that browser and deletes the link between the code "
    "and these records, for good. After that nobody can show these records, and this site can no longer prove that you "
    "agreed earlier.",
    "receipt.confirm": "Erase these records for good?",
    "receipt.confirm_button": "Yes, withdraw and erase",
    "receipt.confirm_back": "No, keep them",
    "receipt.code_erased": "Withdrawn and erased. This code shows nothing any more.",
    "notice.title": "What visitors were told",
    "notice.intro": "This is an archived notice, exactly as it was used to ask. It never changes.",
    "notice.site": "Site",
    "notice.controller": "Controller",
    "notice.language": "Language",
    "notice.validity": "An answer holds for",
    "notice.revision": "Revision",
    "notice.purposes": "Purposes and services",
    "notice.asked": "Asked",
    "notice.policies": "Policies",
    "notice.wording": "Every text of the banner and the choices page",
    "notice.digest": "SHA-256 of this notice",
    "notice.json": "The notice as JSON",
    **ERRORS,
    **AUDIT,
}

Translate = Callable[[str, str], str]
"""From a key and its English text to the text in one language."""
TranslatePlural = Callable[[str, Plural, int], str]
"""From a key, its two English texts and a number to the text in one language."""
MANY = 100
"""Takes the form for many in every language: what stands for none, two or a few may name no number at all."""


def _english(key: str, text: str) -> str:
    return text


def _english_plural(key: str, texts: Plural, n: int) -> str:
    return texts[0] if n == 1 else texts[1]


def _english_number(n: int) -> str:
    return f"{n:,}"


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Give the texts of one language; a site may override any by its key."""

    language: str
    translate: Translate = _english
    translate_plural: TranslatePlural = _english_plural
    number: Callable[[int], str] = _english_number
    """How the language writes a whole number."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)
    """What is filled in wherever a text has a field of that name and the caller gives no other value."""

    def __call__(self, key: str, *, n: int | None = None, **fields: object) -> str:
        """Return the text of a key with its `{fields}` filled in; `n` chooses the plural form. Raises KeyError."""
        text = self._text(key, 0 if n is None else n)
        if n is not None:
            fields["n"] = self.number(n)
        if fields:
            return text.format_map({**self.fields, **fields})
        for name, value in self.fields.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def texts(self, *prefixes: str) -> dict[str, str]:
        """Return all texts under some key prefixes, unfilled, as a notice archives them (plural: the form for many)."""
        return {key: self._text(key, MANY) for key in sorted(ENGLISH) if key.startswith(prefixes)}

    def _text(self, key: str, n: int) -> str:
        english = ENGLISH[key]
        text = self.overrides.get(key)
        if text is None and isinstance(english, str):
            text = self.translate(key, english)
        elif text is None and not isinstance(english, str):
            text = self.translate_plural(key, english, n)
        return str(text)
