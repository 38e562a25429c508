"""Read a site's configuration from arguments, environment, `.env` and `consent.toml`, in that order."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from consent.choice.lifetime import Lifetime
from consent.choice.regimes import Regime
from consent.errors import ConfigurationError
from consent.gate.rules import Undeclared
from consent.ledger.store import Durability
from consent.theme import Look, Position, Scheme, Theme

PREFIX = "CONSENT_"
CONFIG_VARIABLE = "CONSENT_CONFIG"
CONFIG_FILE = "consent.toml"
ENVIRONMENT_FILE = ".env"

_config: ContextVar[Path | None] = ContextVar("consent_config", default=None)


class ControllerSettings(BaseModel):
    """Say who answers for the data: the controller of GDPR Art. 4(7)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    """The legal name."""
    address: str = ""
    """The postal address, in one line."""
    contact: str = ""
    """An e-mail address or page where a person can be reached."""
    dpo: str = ""
    """The data protection officer, where there is one."""
    authority: str = ""
    """The supervisory authority to complain to."""


class ConsentSettings(BaseSettings):
    """Hold a site's whole configuration. Raises ConfigurationError, in one line, for anything that cannot be served."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    secret_keys: tuple[SecretStr, ...] = ()
    """What cookies are signed with: the last key signs, all verify. Required."""
    site_name: str = ""
    """The site's name, as visitors know it; the host of the first origin where it is empty."""
    origins: tuple[str, ...] = ()
    """The site's own origins, such as `https://meridian.example`; the first one names the ledger."""
    default_language: str = "en"
    """The language of texts that are given without one."""
    languages: tuple[str, ...] = ()
    """The languages visitors are asked in; only the default one where it is empty."""
    controller: ControllerSettings = ControllerSettings()
    """Who answers for the data."""
    purposes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Purposes renamed or added: tables with `title` and `description`."""
    services: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Services by key: a built-in one switched on by an empty table, or one of the site's own."""
    policies_dir: Path = Path("policies")
    """The folder with `<slug>/<version>.<language>.md`."""
    templates_dir: Path | None = None
    """A folder whose templates are taken instead of ours of the same name."""
    ledger: str = Field(default="sqlite:///consent.db", repr=False)
    """Where choices are recorded: `sqlite:///PATH` or `postgresql://…`."""
    durability: Durability = Durability.SINGLE
    """What keeps an acknowledged entry when the primary PostgreSQL server is lost."""
    ledger_key: SecretStr | None = None
    """What signs checkpoints; without it a key is made beside the ledger."""
    queue_dir: Path = Path("consent-queue")
    """Where refusals and withdrawals wait while the ledger is down."""
    publish_every: str = "PT1H"
    """How often a checkpoint is shown to everybody, so that its time tells nothing about a visitor."""
    checkpoint_copy: Path | None = None
    """Where the newest checkpoint is kept outside the database too; beside an SQLite ledger where it is not set."""
    checkpoint_file: Path | None = None
    """A file that each published checkpoint is written to."""
    checkpoint_url: str = ""
    """An address that each published checkpoint is sent to."""
    timestamp_url: str = ""
    """An RFC 3161 time-stamp authority that stamps each published checkpoint; needs the extra `timestamp`."""
    retention: dict[Regime, str] = Field(
        default_factory=lambda: {Regime.OPT_IN: "P3Y", Regime.OPT_OUT: "P2Y", Regime.NOTICE_ONLY: "P2Y"}
    )
    """How long a record is kept once its choice no longer holds, by regime; what is not named is kept for ever."""
    audit_tokens: tuple[SecretStr, ...] = ()
    """Who holds one may read the auditor's pages: tokens, or `sha256:` and a digest. Others lie in the ledger."""
    prefix: str = "/privacy"
    """The path under which our own pages lie."""
    undeclared: Undeclared = Undeclared.REPORT
    """What happens to third-party hosts that no service names."""
    undeclared_cookies: Literal["pass", "hold"] = "pass"
    """What happens to cookies that the site sets and no service names."""
    csp: Literal["off", "report-only", "enforce"] = "off"
    """Whether pages get a Content-Security-Policy of ours, which denies every host but those allowed now."""
    watch: bool = False
    """Whether pages get a script that parks what their own scripts add for services not allowed."""
    notice_revision: int = Field(default=1, ge=1)
    """Raised by one, asks everybody again who granted something."""
    validity: str = "P6M"
    """How long a choice holds, in calendar months or days, 13 months at most; never extended by a visit."""
    change_link: Literal["button", "site"] = "button"
    """Whether a small link to the choice is put into every page, or the site has its own."""
    position: Position = "bar"
    """Where the first layer stands: a bar along the bottom, a box in the corner, or a box in the centre."""
    scheme: Scheme = "auto"
    """Whether notices and our pages are light or dark; `auto` does as the visitor's system says."""
    theme: Theme = Theme()
    """The colours, fonts and shape of notices and our pages."""
    cache: Literal["private", "shared"] = "private"
    """Whether every visitor gets pages of their own, or caches may keep one gated page for everybody."""
    country_header: str = ""
    """The request header in which a trusted proxy names the visitor's country."""
    regimes: dict[str, Regime] = Field(default_factory=dict)
    """The regime by country code; whoever is not named here is asked first."""
    gpc_since: date | None = None
    """Since when the site has honoured Sec-GPC, for `/.well-known/gpc.json`; not served where it is not set."""
    cookie_domain: str = ""
    """Share the choice among sub-domains of this domain; empty keeps it on one host, which is safer."""
    insecure_cookies: bool = False
    """Send cookies over plain HTTP. For a local machine only."""
    clear_site_data: bool = False
    """Whether a withdrawal makes the browser forget its cache and all storage of the site, and not only cookies."""
    max_body: int = Field(default=16_384, ge=1024)
    """The largest form or JSON body that is read, in bytes."""
    wording: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Texts of the site's own, by language and key."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _file: str = PrivateAttr(default=CONFIG_FILE)

    def __init__(self, **values: Any) -> None:
        path = _config.get() or _named_by_environment() or Path(CONFIG_FILE)
        try:
            with _reading(path):
                super().__init__(_env_file=path.parent / ENVIRONMENT_FILE, _env_file_encoding="utf-8", **values)
        except ValidationError as error:
            raise _in_one_line(error) from None
        except SettingsError as error:
            raise _not_json(error) from None
        except (ValueError, OSError) as error:
            unreadable = _unreadable(path.parent / ENVIRONMENT_FILE)
            raise ConfigurationError(
                f"cannot be read: {unreadable or error}",
                place=str(path.parent / ENVIRONMENT_FILE if unreadable else path),
                remedy="Mend the file, or let `consent init` write one",
            ) from None
        self._folder = path.parent.resolve()
        self._file = path.name

    @classmethod
    def from_toml(cls, path: str | Path, **values: Any) -> ConsentSettings:
        """Read the settings of the site whose `consent.toml` lies at `path`, with the `.env` beside it."""
        path = Path(path)
        if not path.is_file():
            raise ConfigurationError("no such file", place=str(path), remedy="Let `consent init` write one")
        with _reading(path):
            return cls(**values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the sources in order, strongest first."""
        path = _config.get() or Path(CONFIG_FILE)
        return (
            init_settings,
            env_settings,
            _OwnLines(settings_cls, env_file=path.parent / ENVIRONMENT_FILE, env_file_encoding="utf-8"),
            TomlConfigSettingsSource(settings_cls, toml_file=path),
        )

    @field_validator("origins")
    @classmethod
    def _plain_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.hostname
                or f"{parts.scheme}://{parts.netloc}" != origin
            ):
                raise ValueError(f"{origin!r} is not an origin: write it as 'https://meridian.example', without a path")
        return tuple(origin.lower() for origin in origins)

    @field_validator("prefix")
    @classmethod
    def _plain_prefix(cls, prefix: str) -> str:
        if (
            not prefix.startswith("/")
            or prefix.endswith("/")
            or "//" in prefix
            or any(c in prefix for c in '?#%"<>{}\\ ')
        ):
            raise ValueError(f"{prefix!r} is not a path: write it as '/privacy'")
        return prefix

    @field_validator("validity")
    @classmethod
    def _bounded_validity(cls, validity: str) -> str:
        lifetime = Lifetime.parse(validity)
        if lifetime.session or not (lifetime.months or lifetime.seconds):
            raise ValueError("a choice must hold for some time: write 'P6M'")
        # Browsers keep no cookie for more than 400 days, and withdrawn ids are known no longer (RFC 6265bis §5.5).
        if lifetime.months * 30.5 + lifetime.seconds / 86400 > 399:
            raise ValueError("a choice can hold for 13 months at most: write 'P13M' or less")
        return validity

    @field_validator("publish_every")
    @classmethod
    def _some_time(cls, every: str) -> str:
        lifetime = Lifetime.parse(every)
        if lifetime.session or lifetime.months or not lifetime.seconds:
            raise ValueError(f"{every!r} is no pace: write 'PT1H', or 'P1D'")
        return every

    @field_validator("checkpoint_url", "timestamp_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise ValueError(f"{url!r} is no address: write it as 'https://witness.example/checkpoints'")
        return url

    @field_validator("retention")
    @classmethod
    def _bounded_retention(cls, retention: dict[Regime, str]) -> dict[Regime, str]:
        for kept in retention.values():
            if Lifetime.parse(kept).session:
                raise ValueError("a record is kept for a time: write 'P3Y'")
        return retention

    @field_validator("regimes", mode="before")
    @classmethod
    def _upper_countries(cls, regimes: Any) -> Any:
        return {str(k).upper(): v for k, v in regimes.items()} if isinstance(regimes, Mapping) else regimes

    @property
    def folder(self) -> Path:
        """Return the folder that relative paths start from: where the configuration file lies."""
        return self._folder

    @property
    def file(self) -> Path:
        """Return where the configuration is read from, whether or not there is such a file."""
        return self._folder / self._file

    def path(self, relative: Path) -> Path:
        """Return a path of the configuration as an absolute one."""
        return self._folder / relative

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the signing keys in the clear. Raises ConfigurationError where there is none."""
        keys = tuple(key.get_secret_value() for key in self.secret_keys)
        if not keys or not all(keys):
            if not (self._folder / self._file).is_file():
                raise ConfigurationError(
                    f"no {self._file} in {self._folder}, and no secret to sign cookies with in CONSENT_SECRET_KEYS",
                    remedy=f"Go to the site's folder, name its file in {CONFIG_VARIABLE}, or begin with `consent init`",
                )
            raise ConfigurationError(
                "no secret to sign cookies with",
                place="CONSENT_SECRET_KEYS",
                remedy="Set it to a JSON list of long random texts; `consent init` writes one into .env",
            )
        return keys

    @property
    def spoken(self) -> tuple[str, ...]:
        """Return the languages visitors are asked in, the default one first."""
        return tuple(dict.fromkeys((self.default_language, *self.languages)))

    @property
    def look(self) -> Look:
        """Return how notices look."""
        return Look(theme=self.theme, scheme=self.scheme, position=self.position)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the host names of the site's own origins."""
        return tuple(dict.fromkeys(urlsplit(origin).hostname or "" for origin in self.origins))

    @property
    def denies(self) -> bool:
        """Tell whether our own policy is enforced: only where hosts that nobody declared are held too.

        A policy can name what is allowed and nothing else, so that it cannot let them pass.
        """
        return self.csp == "enforce" and self.undeclared is Undeclared.HOLD

    @property
    def secure(self) -> bool:
        """Tell whether the site's first origin is served by HTTPS."""
        return bool(self.origins) and self.origins[0].startswith("https://")

    @property
    def name(self) -> str:
        """Return what the site calls itself."""
        return self.site_name or next(iter(self.hosts), "This site")


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the `CONSENT_` variables that no setting reads, sorted."""
    fields = {name.upper() for name in ConsentSettings.model_fields}
    names = (name for name in environment if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE)
    return sorted(name for name in names if name.upper().removeprefix(PREFIX).split("__")[0] not in fields)


class _OwnLines(DotEnvSettingsSource):
    """Read only the lines of a `.env` that are ours: a site keeps its other secrets there too."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        lines = super()._load_env_vars()
        return {
            name: value
            for name, value in lines.items()
            if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE
        }


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    token = _config.set(path)
    try:
        yield
    finally:
        _config.reset(token)


def _named_by_environment() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise ConfigurationError("no such file", place=f"{CONFIG_VARIABLE}={named}", remedy="Name an existing file")
    return Path(named) if named else None


def _unreadable(file: Path) -> str:
    """Return what keeps a file from being read, nothing where it can be or is not there."""
    try:
        if file.is_file():
            file.read_text(encoding="utf-8")
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _not_json(error: SettingsError) -> ConfigurationError:
    """Return how to write the variable that was refused; a secret is never shown."""
    name = next(iter(re.findall(r'for field "(\w+)"', str(error))), "secret_keys")
    variable = f"{PREFIX}{name.upper()}"
    value = next((value for key, value in os.environ.items() if key.upper() == variable), None)
    field = ConsentSettings.model_fields[name]
    table = field.annotation is ControllerSettings or get_origin(field.annotation) is dict
    example = '{"…": "…"}' if table else '["…"]'
    shown = variable
    if value is not None and "SecretStr" not in str(field.annotation):
        shown = f"{variable}={value!r}"
        words = [word.strip() for word in value.split(",")]
        if not table and all(re.fullmatch(r"[^\s\[\]\"']+", word) for word in words):
            example = json.dumps(words, ensure_ascii=False)
    place = "environment" if value is not None else ENVIRONMENT_FILE
    return ConfigurationError(f"{shown} is not JSON", place=place, remedy=f"Write {variable}='{example}'")


def _in_one_line(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        table = ControllerSettings if first["loc"][0] == "controller" else ConsentSettings
        similar = get_close_matches(str(first["loc"][-1]), table.model_fields, n=2)
        meant = f"Did you mean {' or '.join(similar)}? " if similar else "Remove it or correct its name. "
        return ConfigurationError(
            "unknown setting", place=place, remedy=f"{meant}There are {', '.join(sorted(table.model_fields))}"
        )
    return ConfigurationError(first["msg"].removeprefix("Value error, "), place=place)
