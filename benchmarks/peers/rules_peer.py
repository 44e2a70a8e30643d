"""Rule engines as peers: the same events and rules as b05_classify.py, events already parsed.

`python rules_peer.py c7n|cel RULES`; prints JSON.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import events

engine, count = sys.argv[1], int(sys.argv[2])
found = [events.finding(number) for number in range(300)]
pairs = [(events.TYPES[n % len(events.TYPES)], events.account(n // len(events.TYPES))) for n in range(count)]


def c7n_rules():
    """Return a matcher made of Cloud Custodian's value filters."""
    from c7n.filters.core import ValueFilter

    def value(**given):
        return ValueFilter({"type": "value", **given}).validate()

    rules = [
        (
            value(key="source", value="aws.guardduty"),
            value(key="detail.type", value=kind),
            value(key="detail.accountId", value=account),
            value(key="detail.severity", op="gte", value=4),
        )
        for kind, account in pairs
    ]
    return lambda event: any(all(one.match(event) for one in rule) for rule in rules)


def cel_rules():
    """Return a matcher made of CEL expressions over the four fields."""
    import cel

    text = 'source=="aws.guardduty" && type=="{}" && account=="{}" && severity>=4'
    rules = [cel.compile(text.format(kind, account)) for kind, account in pairs]

    def matches(event):
        detail = event["detail"]
        fields = {"source": event["source"], "type": detail["type"], "severity": detail["severity"]}
        fields["account"] = detail["accountId"]
        return any(rule.execute(fields) for rule in rules)

    return matches


matches = {"c7n": c7n_rules, "cel": cel_rules}[engine]()
right = sum((e["detail"]["type"], e["account"]) in set(pairs) and e["detail"]["severity"] >= 4 for e in found)
begin, done, known = time.perf_counter(), 0, 0
for event in found:
    known += matches(event)
    done += 1
    if time.perf_counter() - begin > 3:
        break
seconds = time.perf_counter() - begin
if done == len(found) and known != right:
    raise SystemExit(f"{engine}: {known} were known, {right} should be")
print(json.dumps({"rate": done / seconds}))
