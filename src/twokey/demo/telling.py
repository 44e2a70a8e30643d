"""How the demo speaks: chapters, sentences, and what Slack would show."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text


class Teller:
    """Prints the story; with `quiet` it goes to stderr, so that stdout holds the one JSON object."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Open a chapter."""
        self._chapter += 1
        self._console.print()
        self._console.rule(Text(f"{self._chapter}. {title}", style="bold"), align="left")

    def say(self, sentence: str) -> None:
        """Say what happens."""
        self._console.print(Text(sentence))

    def fact(self, sentence: str, good: bool = True) -> None:
        """Say what was observed in this run."""
        mark = Text("  ✔ " if good else "  ✘ ", style="green" if good else "bold red")
        self._console.print(mark + Text(sentence))

    def harm(self, sentence: str) -> None:
        """Say what the attacker does."""
        self._console.print(Text("  ! ", style="bold red") + Text(sentence))

    def slack(self, caption: str, shown: Any) -> None:
        """Show what a person sees in Slack."""
        self._console.print(Text(f"  [Slack] {caption}", style="dim"))
        if isinstance(shown, str):
            shown = Text("\n".join("    " + line for line in shown.splitlines()))
        self._console.print(shown)
