"""What people see: terminal lines, a Rich renderable, or an HTML page; and which mentions in it are live."""

from .mrkdwn import Mention, Span, live_mentions, spans
from .terminal import as_rich, as_text
from .webpage import as_html

__all__ = ["Mention", "Span", "as_html", "as_rich", "as_text", "live_mentions", "spans"]
