"""Settings: the only reader of the environment, checked whole at start, every fault told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from twokey import sections
from twokey.clouds import CLOUDS
from twokey.core.errors import Invalid, Json
from twokey.core.stops import Limits
from twokey.core.texts import LANGUAGES
from twokey.ports import CloudModule
from twokey.sections import Secret

__all__ = ["Secret", "Settings", "data_folder", "load", "missing_to_serve", "variables"]

_PREFIX = "TWOKEY_"
# At least 1, and at most this: no value turns the circuit breaker off.
_MOST = {
    "breaker_runs": 1000,
    "breaker_account_runs": 1000,
    "breaker_minutes": 24 * 60,
    "review_after_days": 366,
}
# Browsers make passkeys for https only, and for this machine itself: a test, or a tunnel.
_PUBLIC_URL = re.compile(r"https://[a-z0-9.-]+(:(?!443\Z)[0-9]+)?|http://localhost(:[0-9]+)?")
_SLACK = ("slack.com", "slack-gov.com")
M = TypeVar("M")


def data_folder(name: str) -> Path:
    """Return the shipped folder of this name: beside `src/` in a checkout, inside the package in a wheel."""
    package = Path(__file__).parent
    shipped = package / "_data" / name
    return shipped if shipped.is_dir() else package.parents[1] / name


@dataclass(frozen=True)
class Settings:
    """Everything that an installation decides. One environment variable a field: `TWOKEY_` and its name.

    What is a cloud's stands in that cloud's own section, `modules`.
    """

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
    public_url: str = ""  # https://host of the web door as browsers see it: for passkeys
    # clouds
    clouds: tuple[str, ...] = tuple(
        module.name for module in CLOUDS
    )  # in which something is done and fetched
    # a time stamp of somebody else's over the audit trail's head (RFC 3161)
    tsa_url: str = ""  # empty: no stamps
    tsa_ca: Path = Path("tsa-ca.pem")  # the certificates that its own must lead to
    tsa_every_s: int = 3600
    rehearsal: bool = False  # Slack or a cloud may stand at an address that is not their own
    # how it works
    workers: int = 4
    lease_s: float = 15.0  # how long a dead process' work waits for another hand
    storm_window_s: int = 3600
    silent_after_h: float = 24.0  # a source that says nothing for so long is told of; 0 never
    breaker_runs: int = 20  # containments that may begin within breaker_minutes
    breaker_account_runs: int = 10  # the same in one account or subscription
    breaker_minutes: float = 5.0
    review_after_days: int = 30  # when the owner of a containment is asked whether it is still wanted

    modules: tuple[CloudModule, ...] = field(default=CLOUDS, metadata=sections.NO_VARIABLE)
    # the variables that name an address which is not the service's own, and the host there
    elsewhere: Mapping[str, str] = field(default_factory=dict, metadata=sections.NO_VARIABLE)

    @property
    def configured(self) -> tuple[CloudModule, ...]:
        """Return the clouds that TWOKEY_CLOUDS names."""
        return tuple(module for module in self.modules if module.name in self.clouds)

    @property
    def config(self) -> dict[str, Json]:
        """Return what a runbook may take `from: config.*`; what is not set is left out."""
        found = {module.name: dict(module.config()) for module in self.modules}
        return {name: values for name, values in found.items() if values}

    @property
    def limits(self) -> Limits:
        """Return how many containments may begin within how long."""
        return Limits(self.breaker_runs, self.breaker_account_runs, self.breaker_minutes * 60)

    def heard_from(self) -> tuple[str, ...]:
        """Return the sources that speak by themselves, by their names: every queue, topic, connection and endpoint.

        What we ask ourselves (polling) is not among them: an empty answer is an answer. An address that is none
        stops the start, and has no name.
        """
        return tuple(dict.fromkeys(name for module in self.modules for name in module.heard_from()))

    def module(self, kind: type[M]) -> M:
        """Return one cloud's module, for the commands that are that cloud's."""
        return next(module for module in self.modules if isinstance(module, kind))


def variables(modules: Sequence[CloudModule] = CLOUDS) -> dict[str, object]:
    """Return every variable with its default."""
    found = sections.variables(Settings(), _PREFIX)
    for module in modules:
        found |= module.variables()
    return found


def load(environment: Mapping[str, str] | None = None, modules: Sequence[CloudModule] = CLOUDS) -> Settings:
    """Read the settings; raise Invalid naming every variable that is wrong or not known."""
    env = os.environ if environment is None else environment
    known = variables(modules)
    faults = [f"{name}: not a setting" for name in env if name.startswith(_PREFIX) and name not in known]
    own, wrong = sections.read(Settings, _PREFIX, env)
    read = [module.read(env) for module in modules]
    named = tuple(module for module, _ in read)
    settings = replace(own, modules=named, elsewhere=_elsewhere(own, named, env))
    faults += [*wrong, *(fault for _, told in read for fault in told), *_faults(settings)]
    if faults:
        raise Invalid("settings.wrong", faults="; ".join(sorted(faults)))
    return settings


def _elsewhere(own: Settings, modules: Sequence[CloudModule], env: Mapping[str, str]) -> dict[str, str]:
    found = {} if sections.is_at(own.slack_api_url, *_SLACK) else {"TWOKEY_SLACK_API_URL": own.slack_api_url}
    for module in modules:
        found |= module.elsewhere(env)
    return {name: sections.host_of(address) for name, address in found.items()}


def _faults(settings: Settings) -> list[str]:
    faults = []
    if not settings.rehearsal:
        faults += [
            f"{name}: {host} is not the service itself; in a rehearsal, TWOKEY_REHEARSAL=1 is wanted as well"
            for name, host in settings.elsewhere.items()
        ]
    if settings.language not in LANGUAGES:
        faults.append(f"TWOKEY_LANGUAGE: {' or '.join(LANGUAGES)} is wanted")
    names = [module.name for module in settings.modules]
    for cloud in settings.clouds:
        if cloud not in names:
            faults.append(f"TWOKEY_CLOUDS: {cloud}: {' or '.join(names)} is wanted")
    if "://" not in settings.database_url:
        faults.append("TWOKEY_DATABASE_URL: sqlite:///FILE or postgresql://... is wanted")
    if settings.slack_per_second <= 0:
        faults.append("TWOKEY_SLACK_PER_SECOND: more than 0 is wanted")
    if settings.tsa_url and not settings.tsa_url.startswith(("https://", "http://")):
        faults.append("TWOKEY_TSA_URL: https://... or http://... is wanted")
    if settings.tsa_every_s < 60:
        faults.append("TWOKEY_TSA_EVERY_S: at least 60 is wanted")
    if settings.public_url and not _PUBLIC_URL.fullmatch(settings.public_url):
        faults.append("TWOKEY_PUBLIC_URL: https://HOST[:PORT] without a path is wanted")
    if settings.workers < 1:
        faults.append("TWOKEY_WORKERS: at least 1 is wanted")
    for name, most in _MOST.items():
        if not 1 <= getattr(settings, name) <= most:
            faults.append(f"TWOKEY_{name.upper()}: 1 to {most} is wanted")
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
