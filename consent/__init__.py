"""Ask for consent, keep the answer, and let nothing load before it."""

from consent.choice.consent import Consent
from consent.middleware import ConsentMiddleware
from consent.settings import ConsentSettings
from consent.version import __version__

__all__ = ["Consent", "ConsentMiddleware", "ConsentSettings", "__version__"]
