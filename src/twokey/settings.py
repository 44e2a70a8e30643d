"""Settings: the only reader of the environment, checked whole at start, every fault told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twokey.core.errors import Invalid, Json
from twokey.core.texts import LANGUAGES

# No query and no user: what is shown of such an address holds no key. The queue's own reader wants more of it.
_STORAGE_QUEUE = re.compile(r"https://([a-z0-9-]+)[a-z0-9.:-]*/([a-z0-9-]+)", re.IGNORECASE)


class Secret(str):
    """Text that must not be seen: its repr, and so every log of it, is `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


def data_folder(name: str) -> Path:
    """Return the shipped folder of this name: beside `src/` in a checkout, inside the package in a wheel."""
    package = Path(__file__).parent
    shipped = package / "_data" / name
    return shipped if shipped.is_dir() else package.parents[1] / name


@dataclass(frozen=True)
class Settings:
    """Everything that an installation decides. One environment variable a field: `TWOKEY_` and its name."""

    # the record
    database_url: str = field(default="sqlite:///twokey.db", repr=False)  # it may hold a password
    # files that people own
    roster_file: Path = Path("roster.yaml")
    totp_file: Path = Path("totp.yaml")
    runbooks_dir: Path = field(default_factory=lambda: data_folder("runbooks"))
    rules_dir: Path = field(default_factory=lambda: data_folder("rules"))
    templates_dir: Path = field(default_factory=lambda: data_folder("templates"))
    postmortems_dir: Path = Path("postmortems")
    postmortems_git: bool = False  # commit into the repository at postmortems_dir instead of writing only
    # Slack
    slack_bot_token: Secret = Secret("")
    slack_app_token: Secret = Secret("")  # Socket Mode
    slack_signing_secret: Secret = Secret("")  # signed HTTP instead
    slack_team: str = ""
    slack_enterprise: str = ""
    slack_channel: str = ""
    slack_security_channel: str = ""
    slack_fallback_channel: str = ""  # where people are told when a channel cannot be written
    slack_fallback_after_s: int = 300  # for so long
    slack_command: str = "/twokey"
    slack_per_second: float = 1.0  # messages a channel; Slack allows about one
    slack_api_url: str = "https://slack.com/api/"
    language: str = "en"
    timezone: str = "UTC"
    # the web door
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    azure_webhooks: tuple[str, ...] = field(
        default=(), repr=False
    )  # <name>=<secret of 32 or more characters>, comma separated
    azure_event_grid: tuple[str, ...] = field(default=(), repr=False)  # the same, for Event Grid
    azure_event_grid_topics: tuple[str, ...] = ()  # which may deliver; empty: those of azure_subscriptions
    azure_event_grid_origins: tuple[str, ...] = ("eventgrid.azure.net",)
    azure_webhook_audience: tuple[str, ...] = ()  # given: every Azure door wants an Entra token for it
    azure_webhook_tenant: str = ""  # whose tokens; empty is azure_tenant
    azure_webhook_app: str = "461e8683-5575-4561-ac7f-899cc907d62a"  # who calls: action groups
    azure_event_grid_app: str = "4962773b-9cdb-44cf-a8bf-237846a00ab7"  # who calls: Event Grid
    azure_authority: str = "https://login.microsoftonline.com"
    azure_doors_without_token: tuple[str, ...] = ()
    aws_sns_topics: tuple[str, ...] = ()  # ARNs of the topics that may speak over HTTPS
    aws_sns_secret: Secret = Secret("")  # they call /aws/sns/<secret of 32 or more characters>
    aws_event_keys: tuple[
        str, ...
    ] = ()  # <name>=<key of 32 or more characters>: EventBridge API destinations
    # clouds
    clouds: tuple[str, ...] = ("aws", "azure")
    aws_region: str = "us-east-1"
    aws_endpoint_url: str = ""
    aws_queues: tuple[str, ...] = ()  # SQS queue addresses
    aws_role_name: str = "TwokeyResponder"  # assumed in every other account
    aws_organizations_role_name: str = ""  # another name for it in the management account
    aws_organizations_account: str = ""  # where Organizations is called; empty is our own
    aws_protected_accounts: tuple[str, ...] = ()  # never contained
    aws_external_id: Secret = Secret("")
    aws_session_tags: tuple[str, ...] = ()  # <key>=<value>, given when the role is assumed
    aws_source_scopes: tuple[str, ...] = ()  # <source>=<account>[/<region>]+...: for whom a source may speak
    aws_poll_s: int = 0  # seconds between two looks at AWS's own lists; 0 never looks
    aws_poll: tuple[str, ...] = ("health", "securityhub")  # or health-organization
    aws_poll_regions: tuple[str, ...] = ()  # where Security Hub is asked; empty is aws_region
    aws_quarantine_parent_ou: str = ""
    azure_tenant: str = ""
    azure_subscriptions: tuple[str, ...] = ()
    azure_endpoint_url: str = ""
    azure_source_scopes: tuple[str, ...] = ()  # <source>=<subscription>+...: for whom a source may speak
    azure_queues: tuple[str, ...] = ()  # addresses of storage queues that Event Grid writes to
    azure_poll_s: int = 0  # seconds between two looks at Azure's own lists; 0 never looks
    azure_poll_categories: tuple[str, ...] = ("ServiceHealth", "ResourceHealth", "Security")
    azure_poll_tenant: bool = False  # also the events of the whole tenant
    azure_annotation_wait_s: int = 120  # how long a change of health waits for the annotation with its cause
    # how it works
    workers: int = 4
    lease_s: float = 15.0  # how long a dead process' work waits for another hand
    storm_window_s: int = 3600
    silent_after_h: float = 24.0  # a source that says nothing for so long is told of; 0 never

    @property
    def config(self) -> dict[str, Json]:
        """Return what a runbook may take `from: config.*`; what is not set is left out."""
        aws: dict[str, Json] = {
            "quarantine_parent_ou": self.aws_quarantine_parent_ou,
            "role_name": self.aws_role_name,
        }
        return {"aws": {name: value for name, value in aws.items() if value}}

    def doors(self) -> dict[str, Secret]:
        """Return the Azure webhooks: name -> path secret."""
        return _named_secrets(self.azure_webhooks)

    def heard_from(self) -> tuple[str, ...]:
        """Return the sources that speak by themselves, by their names: every queue, topic, connection and door.

        What we ask ourselves (polling) is not among them: an empty answer is an answer. Each name is the very
        `RawNotification.source` of what comes that way; an address that is none stops the start, and has no name.
        """
        places = filter(None, map(_STORAGE_QUEUE.fullmatch, self.azure_queues))
        names = (
            *(f"aws.sqs:{address.rstrip('/').rpartition('/')[2]}" for address in self.aws_queues),
            *(f"aws.sns:{topic}" for topic in self.aws_sns_topics),
            *(f"aws.events:{name}" for name in self.event_keys()),
            *(f"azure.queue:{place[1]}/{place[2]}".lower() for place in places),
            *(f"azure.webhook:{name}" for name in self.doors()),
            *(f"azure.eventgrid:{name}" for name in self.event_doors()),
        )
        return tuple(dict.fromkeys(names))

    def event_keys(self) -> dict[str, Secret]:
        """Return the EventBridge connections: name -> key."""
        return _named_secrets(self.aws_event_keys)

    def event_doors(self) -> dict[str, Secret]:
        """Return the addresses for Event Grid: name -> secret."""
        return _named_secrets(self.azure_event_grid)


def _named_secrets(doors: tuple[str, ...]) -> dict[str, Secret]:
    pairs = (door.partition("=") for door in doors)
    # Without a name the whole text is the secret: it must not be told as a name.
    return {name if sep else "": Secret(secret or name) for name, sep, secret in pairs}


def _yes_or_no(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("true or false is wanted")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number is wanted") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number is wanted") from None


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": _whole,
    "float": _number,
    "bool": _yes_or_no,
    "Path": Path,
    "Secret": Secret,
    "tuple[str, ...]": _several,
}


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raise Invalid naming every variable that is wrong or not known."""
    env = os.environ if environment is None else environment
    fields = {f"TWOKEY_{name.upper()}": f for name, f in Settings.__dataclass_fields__.items()}
    faults = [f"{name}: not a setting" for name in env if name.startswith("TWOKEY_") and name not in fields]
    values: dict[str, Any] = {}
    for variable, spec in fields.items():
        if variable not in env:
            continue
        try:
            values[spec.name] = _READERS[str(spec.type)](env[variable])
        except ValueError as fault:
            # A secret's value is never repeated, not even a wrong one.
            faults.append(f"{variable}: {fault}")
    settings = Settings(**values)
    faults += _faults(settings)
    if faults:
        raise Invalid("settings.wrong", faults="; ".join(sorted(faults)))
    return settings


def _faults(settings: Settings) -> list[str]:
    faults = []
    if settings.language not in LANGUAGES:
        faults.append(f"TWOKEY_LANGUAGE: {' or '.join(LANGUAGES)} is wanted")
    for variable, doors in (
        ("TWOKEY_AZURE_WEBHOOKS", settings.doors()),
        ("TWOKEY_AZURE_EVENT_GRID", settings.event_doors()),
        ("TWOKEY_AWS_EVENT_KEYS", settings.event_keys()),
    ):
        faults += [
            f"{variable}: {name or '(no name)'}: <name>=<32 or more characters> is wanted"
            for name, secret in doors.items()
            if not name or len(secret) < 32
        ]
    faults += _aws_faults(settings)
    faults += _azure_faults(settings)
    for cloud in settings.clouds:
        if cloud not in ("aws", "azure"):
            faults.append(f"TWOKEY_CLOUDS: {cloud}: aws or azure is wanted")
    if "://" not in settings.database_url:
        faults.append("TWOKEY_DATABASE_URL: sqlite:///FILE or postgresql://... is wanted")
    if settings.slack_per_second <= 0:
        faults.append("TWOKEY_SLACK_PER_SECOND: more than 0 is wanted")
    if settings.workers < 1:
        faults.append("TWOKEY_WORKERS: at least 1 is wanted")
    return faults


_AWS_LISTS = ("health", "health-organization", "securityhub")


def _aws_faults(settings: Settings) -> list[str]:
    """Name what would leave a door of AWS's half made."""
    faults = []
    if settings.aws_sns_topics and len(settings.aws_sns_secret) < 32:
        faults.append("TWOKEY_AWS_SNS_SECRET: 32 or more characters are wanted where there are topics")
    if settings.aws_sns_secret and not settings.aws_sns_topics:
        faults.append("TWOKEY_AWS_SNS_TOPICS: the ARNs of the topics that may speak are wanted")
    if settings.aws_poll_s < 0 or 0 < settings.aws_poll_s < 60:
        faults.append("TWOKEY_AWS_POLL_S: 0 (never) or at least 60 is wanted")
    for name in settings.aws_poll:
        if name not in _AWS_LISTS:
            faults.append(f"TWOKEY_AWS_POLL: {name}: one of {', '.join(_AWS_LISTS)} is wanted")
    for tag in settings.aws_session_tags:
        if not all(tag.partition("=")):
            faults.append(f"TWOKEY_AWS_SESSION_TAGS: {tag}: <key>=<value> is wanted")
    return faults


def _azure_faults(settings: Settings) -> list[str]:
    """Name what would leave an Azure door open, or shut for everybody."""
    faults = []
    known = {**settings.doors(), **settings.event_doors()}
    for name in settings.azure_doors_without_token:
        if name not in known:
            faults.append(f"TWOKEY_AZURE_DOORS_WITHOUT_TOKEN: {name}: no webhook has this name")
    if settings.azure_doors_without_token and not settings.azure_webhook_audience:
        faults.append("TWOKEY_AZURE_WEBHOOK_AUDIENCE: without it no door asks for a token")
    if settings.azure_webhook_audience and not (settings.azure_webhook_tenant or settings.azure_tenant):
        faults.append(
            "TWOKEY_AZURE_WEBHOOK_TENANT (or TWOKEY_AZURE_TENANT): the tenant whose tokens are wanted"
        )
    if settings.azure_event_grid and not (settings.azure_event_grid_topics or settings.azure_subscriptions):
        faults.append("TWOKEY_AZURE_EVENT_GRID_TOPICS (or TWOKEY_AZURE_SUBSCRIPTIONS): whose events may come")
    if settings.azure_poll_s and not settings.azure_subscriptions:
        faults.append("TWOKEY_AZURE_SUBSCRIPTIONS: polling needs at least one")
    if settings.azure_poll_s < 0 or 0 < settings.azure_poll_s < 60:
        faults.append("TWOKEY_AZURE_POLL_S: 0 (never) or at least 60 is wanted")
    if settings.azure_annotation_wait_s < 0:
        faults.append("TWOKEY_AZURE_ANNOTATION_WAIT_S: 0 or more is wanted")
    return faults


def missing_to_serve(settings: Settings) -> list[str]:
    """Name every variable without which the bot cannot talk to Slack or know its people."""
    missing = []
    for name in ("slack_bot_token", "slack_team", "slack_channel"):
        if not getattr(settings, name):
            missing.append(f"TWOKEY_{name.upper()}")
    if not settings.slack_app_token and not settings.slack_signing_secret:
        missing.append("TWOKEY_SLACK_APP_TOKEN (Socket Mode) or TWOKEY_SLACK_SIGNING_SECRET (HTTP)")
    if not settings.roster_file.exists():
        missing.append(f"TWOKEY_ROSTER_FILE ({settings.roster_file} does not exist)")
    return missing
