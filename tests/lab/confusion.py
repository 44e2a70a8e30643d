"""How the shipped rules judge recorded events that people have labelled: counted by family, and written as a page."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twokey.catalog.rules import Rules
from twokey.core.responsibility import Label
from twokey.core.signals import RawNotification, raw_id
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.reading import parsed

_PARAGRAPHS = (
    "{files} recorded events of {sources} public sources, each labelled by people before the rules were written; "
    "more than one label may be right for one event, and the first is the better. The label of a file is that of "
    "its first event. The events are not part of the project; `tools/classification.py FOLDER` writes this page "
    "from a folder that has them, and a test compares it.",
    "**{right} of {files} get a label that people accept, {exact} of them the better one.** Where it is not the "
    "better one, it stands beside a table's diagonal: whether a call in CloudTrail is an attack depends on who made "
    "it, and the rules call those that attackers need an attack, so that somebody looks.",
    "A table's rows are the labels that people gave, its columns the labels that the rules give.",
    "| family | files | accepted | the better label |\n|---|---|---|---|\n{families}",
)
_HEAD = "# How well it classifies\n\n" + "\n\n".join(_PARAGRAPHS) + "\n"


@dataclass(frozen=True, slots=True)
class Judged:
    """One recorded event: the labels that people accept, the better one first, and ours."""

    path: str
    family: str
    right: tuple[str, ...]
    ours: str
    rule: str

    @property
    def is_right(self) -> bool:
        """Say whether people accept our label."""
        return self.ours in self.right


def judged(corpus: Path, rules: Rules) -> Iterator[Judged]:
    """Judge every event that `labels.csv` of a folder names."""
    with (corpus / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        body = (corpus / row["path"]).read_bytes()
        is_azure = AzureNormaliser.recognises(parsed(body))
        raw = RawNotification(raw_id("file", body), "x.file", body, datetime.fromtimestamp(0, UTC))
        signals = (AzureNormaliser() if is_azure else AwsNormaliser()).normalise(raw)
        verdict = rules.verdict(signals[0], raw)
        yield Judged(
            row["path"],
            row["path"].split("/")[1],
            (row["label"], *row["alt_labels"].split()),
            verdict.label.value,
            verdict.rule,
        )


def page(found: Iterable[Judged]) -> str:
    """Write the page: a line for each family, then its matrix."""
    every = list(found)
    families: dict[str, list[Judged]] = defaultdict(list)
    for one in every:
        families[one.family].append(one)
    head = _HEAD.format(
        files=len(every),
        sources=len({one.path.split("/")[0] for one in every}),
        right=sum(one.is_right for one in every),
        exact=sum(one.ours == one.right[0] for one in every),
        families="\n".join(_line(name, families[name]) for name in sorted(families)),
    )
    tables = [f"## {name}\n\n{_matrix(families[name])}" for name in sorted(families)]
    wrong = [one for one in every if not one.is_right]
    told = [f"| `{one.path}` | {one.right[0]} | {one.ours} | `{one.rule}` |" for one in wrong]
    missed = "\n".join(["| event | people | we | rule |", "|---|---|---|---|", *told]) if wrong else "None."
    return "\n".join([head, *tables, f"## Judged otherwise than people accept\n\n{missed}\n"])


def _line(name: str, found: list[Judged]) -> str:
    right = sum(one.is_right for one in found)
    exact = sum(one.ours == one.right[0] for one in found)
    return f"| [{name}](#{name}) | {len(found)} | {right} | {exact} |"


def _matrix(found: list[Judged]) -> str:
    """Return one family's matrix; labels that do not occur in it are left out."""
    order = [label.value for label in Label]
    given = [name for name in order if any(one.right[0] == name for one in found)]
    ours = [name for name in order if any(one.ours == name for one in found)]
    counts = Counter((one.right[0], one.ours) for one in found)
    rows = [f"| people \\ we | {' | '.join(ours)} |", "|---" * (len(ours) + 1) + "|"]
    for name in given:
        cells = [str(counts[name, label]) if counts[name, label] else "" for label in ours]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
