"""B8: a post-mortem of 10,000 timeline entries from the database to a file, beside a bare Jinja loop over them."""

from __future__ import annotations

import gc
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

import measure
import programs
from b14_audit import record
from measure import Figures, Outcome, Size, at_most, compared, timed
from twokey import app, settings
from twokey.core.people import Person, Roster, system
from twokey.flow.review.record import gather
from twokey.publish.render import PostmortemRenderer
from twokey.store import SqlStore
from twokey.testing.builders import an_incident

BARE = "# {{ title }}\n{% for e in entries %}| {{ e.at }} | {{ e.who }} | {{ e.what }} | {{ e.seq }} |\n{% endfor %}"
PEOPLE = Roster((Person("p-ana", "Ana"), Person("p-ben", "Ben")))
WHO = system("benchmark")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def written(store: SqlStore, entries: int) -> None:
    """Keep one incident with that many entries, of the kinds that its story has."""
    with store.change() as tx:
        tx.add(an_incident(id="INC-1", number=1))
        for number in range(entries):
            action, data = _kinds(number)
            tx.append(WHO, action, incident_id="INC-1", data=data)


def _kinds(number: int) -> tuple[str, dict[str, object]]:
    """Return one entry of a mix; no two in a row are folded into one row of the timeline."""
    return (
        ("noted", {"text": f"Looked at address 198.51.100.{number % 250}: it <is> *known* [{number}]."}),
        ("role.assigned", {"role": "ic", "person": "p-ana"}),
        ("state.changed", {"before": "triage", "after": "active"}),
        ("approved", {"digest": f"{number:064x}", "role": "approver", "keys": 2, "needed": 2}),
    )[number % 4]


def drafted(store: SqlStore, renderer: PostmortemRenderer, page: Path) -> None:
    """Do what the program does: read the record, make the page, write it."""
    with store.read() as look:
        found = gather(look, "INC-1", PEOPLE, NOW)
    page.write_text(renderer.render(found, "en", "internal"), encoding="utf-8")


def bare(entries: list[dict[str, str]]) -> None:
    """Fill a template of one loop in the same sandbox, its texts ready."""
    ImmutableSandboxedEnvironment().from_string(BARE).render(title="x", entries=entries)


def peak(home: Path) -> float:
    """Return by how many MiB a process' peak grows when it makes the page."""
    command = [sys.executable, __file__, "--peak", str(home)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ran.stdout)


def _grow(home: Path) -> None:
    renderer = PostmortemRenderer(settings.data_folder("templates"), app.disclosure())
    with programs.folder() as small, record(small) as store:  # imports and templates are loaded beforehand
        written(store, 20)
        drafted(store, renderer, small / "page.md")
    with record(home) as store:
        Path("/proc/self/clear_refs").write_text("5")  # a new peak: a process begins with its parent's
        before = _peak_mib()
        drafted(store, renderer, home / "page.md")
        print(_peak_mib() - before)


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def run(size: Size) -> Outcome:
    """Measure in turns."""
    entries = size.of(10_000, 2_000)
    texts = [
        {"at": "2026-11-21 10:00:00Z", "who": "Ana", "what": f"did {n}", "seq": str(n)}
        for n in range(entries)
    ]
    with programs.folder() as home, record(home) as store:
        written(store, entries)
        renderer = PostmortemRenderer(settings.data_folder("templates"), app.disclosure())
        drafted(store, renderer, home / "page.md")
        gc.freeze()  # as the program does when all is loaded
        sides = {
            "twokey": lambda: {"ms": timed(lambda: drafted(store, renderer, home / "page.md")) * 1e3},
            "Jinja loop": lambda: {"ms": timed(lambda: bare(texts)) * 1e3},
        }
        figures = measure.interleaved(size, sides)
        grown: list[Figures] = [{"MiB": peak(home)} for _ in range(size.rounds)]
    what = f"post-mortem of {entries:,} entries"
    return [
        compared("B8", what, "ms", figures, "ms", peer="Jinja loop", goal=at_most(8), stretch=at_most(4)),
        compared("B8", what + ", peak memory", "MiB", {"twokey": grown}, "MiB", goal=at_most(60)),
    ]


if __name__ == "__main__":
    if "--peak" in sys.argv:
        _grow(Path(sys.argv[-1]))
    else:
        measure.main(run, __doc__)
