"""Write what visitors can keep: ISO/IEC TS 27560 receipts as the Data Privacy Vocabulary profiles them, with proofs.

Source: W3C DPVCG, "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV", 15 February 2026. Where its
examples contradict its vocabulary, the vocabulary (DPV 2.3) is followed.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from consent.choice.lifetime import Lifetime
from consent.choice.notice import Notice
from consent.choice.status import Status
from consent.ledger.checkpoint import Checkpoint, Verifier
from consent.ledger.entry import rfc3339
from consent.ledger.ledger import Inclusion

NAME = "receipt-1"
PROFILE = "https://w3id.org/dpv/schema/dpv-27560#"
STATUSES = {
    Status.UNKNOWN: "dpv:ConsentUnknown",
    Status.REQUESTED: "dpv:ConsentRequested",
    Status.REQUEST_DEFERRED: "dpv:ConsentRequestDeferred",
    Status.REFUSED: "dpv:ConsentRefused",
    Status.GIVEN: "dpv:ConsentGiven",
    Status.RENEWED: "dpv:RenewedConsentGiven",
    Status.WITHDRAWN: "dpv:ConsentWithdrawn",
    Status.EXPIRED: "dpv:ConsentExpired",
    # DPV 2.3 has no term for it; this one is for what somebody other than the visitor ends.
    Status.TERMINATED: "dpv:ConsentRevoked",
    Status.INVALIDATED: "dpv:ConsentInvalidated",
}
PURPOSES = {
    "necessary": "dpv:TechnicalServiceProvision",
    "functional": "dpv:RequestedServiceProvision",
    "analytics": "dpv:ServiceUsageAnalytics",
    "marketing": "dpv:Advertising",
    "media": "dpv:RequestedServiceProvision",
}
ROLES = {
    "controller": "dpv:ThirdParty",
    "joint-controller": "dpv:JointDataControllers",
    "processor": "dpv:DataProcessor",
}
RIGHTS = (
    ("eu-gdpr:A7-3", "Right to withdraw consent", "choices"),
    ("eu-gdpr:A15", "Right of access", "receipt"),
    ("eu-gdpr:A17", "Right to erasure", "receipt"),
    ("eu-gdpr:A77", "Right to lodge a complaint", "policies/privacy"),
)


@cache
def schema(name: str = f"{NAME}.json") -> bytes:
    """Return a file that is published beside receipts: their JSON Schema, or their JSON-LD context."""
    return (resources.files("consent.ledger") / "schemas" / name).read_bytes()


@cache
def _context() -> Mapping[str, Any]:
    context: Mapping[str, Any] = json.loads(schema(f"{NAME}.context.json"))
    return context


@dataclass(frozen=True, kw_only=True)
class Receipts:
    """Write the receipts of one site; `home` is the address of its pages, such as `https://meridian.example/privacy`.

    `key` is what verifies its checkpoints.
    """

    home: str
    key: Verifier

    def of(
        self,
        proofs: Sequence[Inclusion],
        *,
        notices: Mapping[str, Notice],
        checkpoint: Checkpoint | None,
        now: int,
    ) -> dict[str, Any]:
        """Return a receipt of some consent records, `now` in Unix seconds.

        All proofs must lead to `checkpoint`; `notices` holds those the records name, by digest.
        """
        identifier = str(uuid.uuid4())
        return {
            "@context": _context(),
            "@id": f"urn:uuid:{identifier}",
            "@type": "dpv:ConsentReceipt",
            "dct:identifier": identifier,
            "dct:conformsTo": [f"{PROFILE}receipt", f"{self.home}/schemas/{NAME}.json"],
            "dct:created": rfc3339(now),
            "dct:publisher": {"@id": self._controller},
            "dpv:hasRecordOfActivity": [self._record(proof, notices) for proof in proofs],
            "consent:key": self.key.text,
            **({} if checkpoint is None else {"consent:checkpoint": checkpoint.note.decode()}),
        }

    @property
    def _controller(self) -> str:
        return f"{self.home}/#controller"

    def _record(self, proof: Inclusion, notices: Mapping[str, Notice]) -> dict[str, Any]:
        entry = json.loads(proof.body)
        notice = notices.get(entry["notice"] or "")
        subject = {"@id": f"urn:asgi-consent:receipt:1:subject:{entry['subject']}"} if entry["subject"] else {}
        return {
            "@id": f"urn:uuid:{entry['record']}",
            "@type": "dpv:ConsentRecord",
            "dct:identifier": entry["record"],
            "dct:conformsTo": f"{PROFILE}record",
            "dpv:hasDataSubject": {**subject, "@type": "dpv:DataSubject"},
            "dpv:hasNotice": list(self._notices(entry)),
            "dpv:hasProcess": [self._process(key, yes, entry, notice) for key, yes in entry["services"].items()],
            "dpv:hasConsentStatus": [
                {
                    "@type": [STATUSES[Status(entry["status"])], "dpv:ExpressedConsent"],
                    "dpv:isIndicatedAtTime": entry["decided_at"],
                    "dpv:isIndicatedBy": "dpv:DataSubject",
                    "dpv:hasIndicationMethod": entry["method"],
                    **({} if notice is None else {"dpv:hasDuration": _duration(notice.content["validity"])}),
                }
            ],
            "dpv:hasEntity": list(self._entities(notice)),
            "consent:regime": entry["regime"],
            "consent:scope": entry["scope"],
            "consent:recordedAt": entry["recorded_at"],
            "consent:late": entry["late"],
            "consent:index": proof.index,
            "consent:entry": proof.body.decode(),
            "consent:path": [base64.b64encode(node).decode() for node in proof.path],
        }

    def _notices(self, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if entry["notice"] is not None:
            yield {
                "@id": f"{self.home}/notices/{entry['notice']}",
                "@type": "dpv:ConsentNotice",
                "dct:language": entry["language"],
                "consent:sha256": entry["notice"],
            }
        for policy in entry["policies"]:
            slug, version, language = policy["slug"], policy["version"], policy["language"]
            yield {
                "@id": f"{self.home}/policies/{slug}/{version}/{language}",
                "@type": "dpv:PrivacyNotice",
                "dct:title": slug,
                "schema:version": str(version),
                "dct:language": language,
                "consent:sha256": policy["sha256"],
            }

    def _process(self, key: str, yes: bool, entry: Mapping[str, Any], notice: Notice | None) -> dict[str, Any]:
        """Return the processing by one service; what it is, in the words of the notice that was answered."""
        told = _told(notice, key)
        opt_in = entry["regime"] == "opt-in"
        place = entry["country"]
        process = {
            "@type": "dpv:Process",
            "dct:identifier": key,
            "dpv:hasConsentStatus": {"@type": "dpv:ConsentGiven" if yes else "dpv:ConsentRefused"},
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a" if opt_in else "dpv:Consent",
            "dpv:hasDataController": self._controller,
            "dpv:hasJurisdiction": f"loc:{place}" if place else "consent:jurisdiction-not-determined",
            "dpv:hasConsentControl": {
                "@type": ["dpv:ProvideConsent", "dpv:WithdrawConsent"],
                "dpv:isExercisedAt": f"{self.home}/choices",
            },
            "dpv:hasRight": [
                {
                    "@type": ["dpv:DataSubjectRight", *([article] if opt_in else [])],
                    "dct:title": title,
                    "dpv:isExercisedAt": f"{self.home}/{page}",
                }
                for article, title, page in RIGHTS
            ],
        }
        return process | (_described(*told) if told else {})

    def _entities(self, notice: Notice | None) -> Iterator[dict[str, Any]]:
        told: Mapping[str, str] = {} if notice is None else notice.content["controller"]
        contacts = [
            {"@type": "schema:PostalAddress", "schema:streetAddress": told["address"]} if told.get("address") else {},
            _contact(told.get("contact", ""), "customer service"),
            _contact(told.get("dpo", ""), "data protection officer"),
        ]
        yield {
            "@id": self._controller,
            "@type": "dpv:DataController",
            "dpv:hasIdentifier": self._controller,
            "dpv:hasName": told.get("name") or (notice.content["site"] if notice else ""),
            "schema:contactPoint": [contact for contact in contacts if contact],
        }
        if told.get("authority"):
            yield {"@type": "dpv:DataProtectionAuthority", "dpv:hasName": told["authority"]}


def _told(notice: Notice | None, key: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    if notice is None:
        return None
    service = next((one for one in notice.content["services"] if one["key"] == key), None)
    if service is None:
        return None
    purpose = next(one for one in notice.content["purposes"] if one["key"] == service["terms"]["purpose"])
    return service, purpose


def _described(service: Mapping[str, Any], purpose: Mapping[str, Any]) -> dict[str, Any]:
    terms = service["terms"]
    role = ROLES.get(terms["role"], "dpv:Recipient")
    where = terms["country"].upper()
    located = len(where) == 2 and where.isascii() and where.isalpha()
    broader = PURPOSES.get(purpose["key"])
    return {
        "dct:title": service["title"],
        "dct:description": service["description"],
        "dpv:hasPurpose": {
            "@type": "dpv:Purpose",
            "dct:identifier": purpose["key"],
            "dct:title": purpose["title"],
            "dct:description": purpose["description"],
            **({"skos:broader": broader} if broader else {}),
        },
        "dpv:hasPersonalData": [{"@type": "dpv:PersonalData", "dct:title": what} for what in terms["data"]],
        "dpv:hasRecipient": [
            {"@type": role, "dpv:hasName": terms["provider"] or service["title"]},
            *({"@type": "dpv:ThirdParty", "dpv:hasName": recipient} for recipient in terms["recipients"]),
        ],
        "dpv:hasStorageCondition": [
            *([{"@type": "dpv:StorageLocation", "dpv:hasLocation": f"loc:{where}"}] if located else []),
            *(
                {"@type": "dpv:StorageDuration", "schema:name": name, "dpv:hasDuration": _duration(lifetime)}
                for name, lifetime, *_ in terms["cookies"]
            ),
            *(
                [{"@type": "dpv:StorageDuration", "dpv:hasDuration": _duration(terms["retention"])}]
                if terms["retention"]
                else []
            ),
        ],
    }


def _duration(text: str) -> dict[str, str]:
    """Return a lifetime as DPV says it; what is no ISO 8601 duration ends with an event that it names."""
    try:
        timed = not Lifetime.parse(text).session
    except ValueError:
        timed = False
    return {"@type": "dpv:TemporalDuration" if timed else "dpv:UntilEventDuration", "rdf:value": text}


def _contact(where: str, kind: str) -> dict[str, str]:
    if not where:
        return {}
    return {
        "@type": "schema:ContactPoint",
        "schema:contactType": kind,
        "schema:email" if "@" in where else "schema:url": where,
    }
