"""`twokey demo`: the whole story, as somebody sees it who has just installed the program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PROMISED = (
    "self_second_key_refused",
    "attacker_refused_after_containment",
    "root_refused",
    "resumed_after_kill",
    "audit_intact",
)


def test_the_demo_tells_the_whole_story_and_leaves_a_post_mortem(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "twokey", "demo", "--json"],
        cwd=tmp_path,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-4000:]
    seen = json.loads(told.stdout)
    assert told.stdout.count("\n") == 1
    assert set(seen) == {"incidents", "keys", "postmortem", *PROMISED}
    assert seen["incidents"] == [
        {"id": "INC-1", "label": "customer-security"},
        {"id": "INC-2", "label": "provider-maintenance"},
    ]
    assert seen["keys"] == 4
    assert {name: seen[name] for name in PROMISED} == dict.fromkeys(PROMISED, True)
    assert "Traceback" not in told.stderr
    assert "✘" not in told.stderr
    text = Path(seen["postmortem"]).read_text()
    assert Path(seen["postmortem"]).is_relative_to(tmp_path)
    assert "our side: security" in text
    assert "Ana" in text and "Ben" in text
    assert not re.search(r"\{\{|\}\}|\{%|\$\{\{|[:=|] None\b|\bundefined\b", text)
    beside = {path.name for path in Path(seen["postmortem"]).parent.iterdir()}
    assert {
        f"INC-1.{language}.{audience}.md" for language in ("en", "ja") for audience in ("internal", "public")
    } <= beside
    assert not list(tmp_path.glob("twokey-demo-*")), "the demo leaves nothing else behind"
