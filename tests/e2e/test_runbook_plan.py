"""`twokey runbook plan` shows what would be done, from fresh reads of the cloud, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from twokey.demo.company import BUCKETS, EXTERNAL_ID, ROLE, SHOP, Company
from twokey.demo.emulators import Ministack
from twokey.demo.notifications import findings


def test_a_plan_is_shown_from_the_shell_and_nothing_is_proposed(tmp_path: Path) -> None:
    with Ministack(tmp_path) as aws:
        company = Company(aws.url).build()
        (tmp_path / "roster.yaml").write_text("people: []\n")
        recorded = tmp_path / "finding.json"
        recorded.write_text(findings(company.key_id, list(BUCKETS[:1]), datetime.now(UTC))[1])
        environment = {
            "PATH": "",
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "TWOKEY_AWS_ENDPOINT_URL": aws.url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_AWS_ROLE_NAME": ROLE,
            "TWOKEY_AWS_EXTERNAL_ID": EXTERNAL_ID,
        }

        def twokey(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "twokey", *arguments],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )

        assert twokey("replay", str(recorded)).returncode == 0
        shown = twokey("runbook", "plan", "INC-1", "aws.disable-leaked-access-key")
        assert shown.returncode == 0, shown.stderr
        assert company.key_id in shown.stdout and "blast radius: 1 principals" in shown.stdout
        assert f'access_key_id: "{company.key_id}" (from: incident)' in shown.stdout
        as_json = twokey("runbook", "plan", "INC-1", "aws.disable-leaked-access-key", "--json")
        plan = json.loads(as_json.stdout)
        assert plan["params"]["account_id"] == SHOP and plan["digest"] in shown.stdout
        assert company.key_status() == "Active"

        root = company.root_id()
        refused = twokey("runbook", "plan", "INC-1", "aws.quarantine-account", f"quarantine_parent_id={root}")
        assert refused.returncode == 2
        assert root in refused.stderr and "comes from the settings" in refused.stderr
        environment["TWOKEY_AWS_QUARANTINE_PARENT_OU"] = root
        refused = twokey("runbook", "plan", "INC-1", "aws.quarantine-account")
        assert refused.returncode == 2
        assert root in refused.stderr and "Root" in refused.stderr
