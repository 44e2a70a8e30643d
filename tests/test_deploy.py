"""The files in deploy/ say what the program does: settings exist, commands exist, nothing secret is in them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import typer

from twokey import settings
from twokey.cli import app as commands
from twokey.providers.aws.module import AwsModule
from twokey.providers.aws.permissions import ASSUMES
from twokey.providers.azure.module import AzureModule

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
UNIT = DEPLOY / "systemd" / "twokey.service"
EXAMPLE = DEPLOY / "systemd" / "twokey.env.example"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
IGNORE = DEPLOY / "docker" / "Dockerfile.dockerignore"


def directives(text: str) -> dict[str, list[str]]:
    """Return what a unit file says: name -> values."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, is_one, value = line.partition("=")
        if is_one and not line.startswith(("#", "[")):
            found.setdefault(name, []).append(value)
    return found


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, with continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined]


def variables() -> dict[str, str]:
    return dict(line.split("=", 1) for line in EXAMPLE.read_text().splitlines() if re.match(r"[A-Z]", line))


def test_the_unit_serves_after_naming_everything_that_is_missing() -> None:
    unit = directives(UNIT.read_text())
    assert unit["ExecStart"] == ["/opt/twokey/bin/twokey serve"]
    assert unit["ExecStartPre"] == ["/opt/twokey/bin/twokey serve --check"]
    serve = typer.main.get_command(commands).commands["serve"]  # type: ignore[attr-defined]
    assert "--check" in [option for param in serve.params for option in param.opts]


def test_the_unit_leaves_the_bot_time_to_end_and_starts_it_again() -> None:
    from twokey.app.running import GRACE_S

    unit = directives(UNIT.read_text())
    assert float(unit["TimeoutStopSec"][0]) > GRACE_S
    assert unit["Restart"] == ["always"]


def test_the_unit_runs_without_rights_it_does_not_need() -> None:
    unit = directives(UNIT.read_text())
    assert unit["User"] == ["twokey"]
    assert unit["CapabilityBoundingSet"] == [""]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"):
        assert unit[name] == ["yes"], name
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["UMask"] == ["0077"]


def test_the_unit_keeps_the_record_in_the_folder_that_it_may_write() -> None:
    unit = directives(UNIT.read_text())
    folder = Path("/var/lib") / unit["StateDirectory"][0]
    assert unit["WorkingDirectory"] == [str(folder)]
    defaults = settings.Settings()
    assert defaults.database_url == "sqlite:///twokey.db"  # relative: inside that folder
    assert not defaults.totp_file.is_absolute()
    assert not defaults.postmortems_dir.is_absolute()


def test_the_example_settings_load_and_name_what_serving_needs() -> None:
    example = variables()
    loaded = settings.load({name: value for name, value in example.items() if value})
    assert loaded.language == "en"
    needed = " ".join(settings.missing_to_serve(settings.Settings()))
    assert not [
        name for name in re.findall(r"TWOKEY_\w+", needed) if name not in example and "SIGNING" not in name
    ]


def test_the_example_settings_hold_no_secret() -> None:
    secret = {
        name
        for name, default in settings.variables().items()
        if isinstance(default, settings.Secret) or name == "TWOKEY_AZURE_WEBHOOKS"
    }
    assert not {name: value for name, value in variables().items() if value and name in secret}


def test_an_empty_line_of_the_example_is_the_same_as_none() -> None:
    """People leave in what they do not use."""
    loaded = settings.load(variables())
    assert loaded.module(AzureModule).settings.subscriptions == ()
    assert loaded.module(AwsModule).settings.queues == ()


def test_the_image_is_made_from_the_plain_base_and_names_no_other_host() -> None:
    text = DOCKERFILE.read_text()
    bases = {value.split()[0] for name, value in instructions(text) if name == "FROM"}
    assert bases == {"python:3.13-slim"}
    assert not re.search(
        r"index-url|extra-index|find-links|proxy|trusted-host|https?://(?!127\.0\.0\.1)", text
    )


def test_the_image_holds_what_the_wheel_is_made_of() -> None:
    """The wheel takes these folders; a build without one of them fails, or a bot without runbooks is served."""
    text = DOCKERFILE.read_text()
    copied = {word for name, value in instructions(text) if name == "COPY" for word in value.split()[:-1]}
    packaged = set(re.findall(r'^"([\w/]+)" = "twokey/_data/', (ROOT / "pyproject.toml").read_text(), re.M))
    assert packaged == {"runbooks", "templates", "rules", "deploy/aws"}
    wanted = {"src", "pyproject.toml", "README.md", "LICENSE", "requirements.lock", *packaged}
    assert wanted <= copied
    assert not [name for name in wanted if not (ROOT / name).exists()]
    sent = {line.removeprefix("!") for line in IGNORE.read_text().splitlines() if line.startswith("!")}
    assert sent == wanted


def test_the_images_constraints_are_the_locked_versions() -> None:
    """The Dockerfile's own `sed`, on the lock as it is: one version a line, no hash, no continuation."""
    step = next(value for name, value in instructions(DOCKERFILE.read_text()) if "constraints.txt" in value)
    script = re.search(r"sed -E '([^']+)' requirements\.lock > constraints\.txt", step)
    assert script
    done = subprocess.run(
        ["sed", "-E", script[1], str(ROOT / "requirements.lock")], capture_output=True, text=True, check=True
    )
    versions = [line for line in done.stdout.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(versions) > 50
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z,]+\])?==\S+( ; .+)?", line) for line in versions)


def test_the_image_runs_as_nobody_special_and_is_asked_whether_it_lives() -> None:
    made = dict(instructions(DOCKERFILE.read_text()))
    assert made["USER"] == "twokey"
    assert json.loads(made["ENTRYPOINT"]) == ["twokey"]
    assert json.loads(made["CMD"]) == ["serve"]
    assert "/healthz" in made["HEALTHCHECK"]
    assert str(settings.Settings().http_port) == made["EXPOSE"]
    assert "TWOKEY_HTTP_HOST=0.0.0.0" in made["ENV"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_setting_in_a_file_exists(path: Path) -> None:
    assert set(re.findall(r"\bTWOKEY_[A-Z0-9_]*[A-Z0-9]\b", path.read_text())) <= set(settings.variables())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_no_file_holds_a_secret_or_a_path_of_somebodys_machine(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"xox[abp]-\w{6}|xapp-\w{6}|AKIA(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}|PRIVATE KEY", text)
    assert not re.search(r"(?<![\w.-])/(?:work|tmp|home|root|Users|mnt)/", text)


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.suffix == ".json"], ids=lambda path: str(path.relative_to(DEPLOY))
)
def test_a_json_file_is_json(path: Path) -> None:
    assert json.loads(path.read_text())


def test_the_responder_role_trusts_the_process_with_all_that_it_does_to_assume_it() -> None:
    template = (DEPLOY / "aws" / "responder-role.yaml").read_text()
    (allowed,) = re.findall(r"^ +Action: \[(sts:.+)\]$", template, re.MULTILINE)
    assert tuple(allowed.split(", ")) == ASSUMES
