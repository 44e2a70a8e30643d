"""`twokey demo`: the real bot against a fake Slack and an emulated AWS, and what was seen."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path


def run(*, as_json: bool, keep: bool, language: str = "en") -> int:
    """Tell the story; return 0 when everything was seen as it must be."""
    try:
        from twokey.demo.company import Company
        from twokey.demo.emulators import Ministack
        from twokey.demo.story import Story
    except ImportError as missing:
        print(f"twokey demo needs the extra `demo`: pip install 'twokey[demo]' ({missing})", file=sys.stderr)
        return 2
    from twokey.demo.proxy import CloudProxy
    from twokey.demo.slack import FakeSlack
    from twokey.demo.telling import Teller

    teller = Teller(quiet=as_json)
    folder = Path(tempfile.mkdtemp(prefix="twokey-demo-"))
    began = time.monotonic()
    with Ministack(folder) as aws, CloudProxy(aws.url) as proxy, FakeSlack() as slack:
        story = Story(folder, Company(aws.url).build(), proxy, slack, teller)
        try:
            seen = story.tell(language)
        except BaseException:
            print(f"the demo stopped; its folder is {folder}\n{story.bot.tail()}", file=sys.stderr)
            raise
        finally:
            story.bot.stop()
        pages = {channel.name: slack.page(channel) for channel in (story.channel, story.security)}
    kept = _kept(Path(seen.postmortem), folder, keep)
    for name, page in pages.items():
        (kept.parent / f"{name}.html").write_text(page)
    seen.postmortem = str(kept)
    good = _as_it_must_be(asdict(seen))
    teller.chapter("The end")
    teller.fact(f"told in {time.monotonic() - began:.0f} s; the post-mortem is {kept}", good)
    teller.say(f"  What Slack would show is in {kept.parent}: {', '.join(f'{name}.html' for name in pages)}")
    if as_json:
        print(json.dumps(asdict(seen)))
    return 0 if good else 1


def _as_it_must_be(seen: dict[str, object]) -> bool:
    promised = (
        "self_second_key_refused",
        "attacker_refused_after_containment",
        "root_refused",
        "resumed_after_kill",
        "audit_intact",
    )
    return all(seen[name] is True for name in promised) and seen["keys"] == 4


def _kept(postmortem: Path, folder: Path, keep: bool) -> Path:
    """Keep the post-mortems where the demo was started, and the rest only when asked."""
    target = Path.cwd() / "twokey-demo"
    if postmortem.is_file():
        target.mkdir(exist_ok=True)
        for path in (folder / "postmortems").rglob("*.md"):
            shutil.copy(path, target / path.name)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return target / postmortem.name
