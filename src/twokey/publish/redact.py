"""What must not leave: secrets from every page, and names and addresses from the pages for outsiders."""

from __future__ import annotations

import re

REMOVED = "\u2039removed\u203a"

# Every alternative drops the secret itself and keeps the word that names it.
_MIXED = r"(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[0-9])"
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,40}-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)"
    r"|\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\bxox[a-z]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|(?<=://)[^\s/@:]{1,200}:[^\s/@]{1,200}(?=@)"
    r"|(?i:(?<=\bbearer )[A-Za-z0-9._~+/-]{12,}=*)"
    r"|(?i:(?:(?<=password)|(?<=passwd)|(?<=secret)|(?<=token)|(?<=apikey)|(?<=api_key)|(?<=accountkey)"
    r"|(?<=access_key)|(?<=accesskey)|(?<=private_key)|(?<=[?&;]sig)|(?<=[?&;]code)|(?<=signature))"
    r"[\"']?\s?[:=]\s?[\"']?[^\s\"'&;,]{4,})"
    # An AWS secret key is 40 characters of base64, a session token many more; hashes have one case only.
    rf"|(?<![A-Za-z0-9/+=]){_MIXED}(?:[A-Za-z0-9/+]{{40}}|[A-Za-z0-9/+]{{80,}}={{0,2}})(?![A-Za-z0-9/+=])",
    re.S,
)
# Cheap look first: text without any of these has none of the above.
_PERHAPS = re.compile(
    r"-----BEGIN|eyJ|xox|xapp|gh[pousr]_|github_pat|glpat|://[^\s/]*@|bearer |passw|secret|token|key|sig|code"
    r"|[A-Za-z0-9/+]{40}",
    re.I,
)

# Shapes that identify somebody or something, with the name of the shape for people who must mend a text.
_OUTSIDE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("access-key", re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|ANPA|ABIA|ACCA|AGPA|AIPA|ANVA|APKA)[A-Z0-9]{8,}\b")),
    ("arn", re.compile(r"\barn:[a-z-]*:[^\s`|]*", re.I)),
    ("azure-resource", re.compile(r"/subscriptions/[^\s`|]*", re.I)),
    ("e-mail", re.compile(r"[^\s@`|<>]+@[^\s@`|<>]+\.[A-Za-z]{2,}")),
    ("mention", re.compile(r"[<]?[@!#][A-Z][A-Z0-9]{6,}[>]?|(?<![\w.+-])[@\uff20][A-Za-z][\w.-]+")),
    ("address", re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s`|]+", re.I)),
    ("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")),
    # Eight groups, or `::` in a word: a time of day (12:30:05) is neither.
    (
        "ip",
        re.compile(r"(?<![:\w])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|[0-9a-f:]*::[0-9a-f:]+)(?![:\w])", re.I),
    ),
    ("guid", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)),
    ("account", re.compile(r"(?<![\d.:-])\d{4}-?\d{4}-?\d{4}(?![\d-])")),
    ("organisation", re.compile(r"\bo-[a-z0-9]{10,32}\b|\bou-[a-z0-9]{4,32}-[a-z0-9]{8,32}\b")),
    ("resource", re.compile(r"\b(?:i|vol|snap|sg|subnet|vpc|eni|ami|rtb|igw|nat)-[0-9a-f]{8,17}\b")),
    (
        "host",
        re.compile(
            r"\b(?:[a-z0-9-]+\.)+(?:amazonaws\.com|azure\.com|windows\.net|azurewebsites\.net|internal|local)\b",
            re.I,
        ),
    ),
    ("hash", re.compile(r"\b[0-9a-f]{32,}\b", re.I)),
)


def without_secrets(text: str) -> str:
    """Replace everything that looks like a secret, keeping the words around it."""
    if not _PERHAPS.search(text):
        return text
    return _SECRET.sub(REMOVED, text)


def without_names(text: str) -> str:
    """Replace secrets and every shape that identifies a person, an account or a resource."""
    text = without_secrets(text)
    for _, shape in _OUTSIDE:
        text = shape.sub(REMOVED, text)
    return text


def shapes_in(text: str) -> tuple[tuple[int, str], ...]:
    """Return (line, shape) of everything in a text that outsiders must not read, secrets included."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += [(number, name) for name, shape in _OUTSIDE if shape.search(line)]
        if _SECRET.search(line):
            found.append((number, "secret"))
    return tuple(dict.fromkeys(found))
