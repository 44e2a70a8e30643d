"""DBOS as a peer: each notification is a durable workflow with one step that posts to the chat.

`python dbos_peer.py DATABASE-URL CHAT-PORT COUNT PER-SECOND` (0: as fast as it goes); prints JSON.
"""

import http.client
import json
import os
import sys
import threading
import time
from pathlib import Path

from dbos import DBOS, SetWorkflowID

sys.path.insert(0, str(Path(__file__).parents[1]))
import events

url, port, count, pace = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
DBOS(
    config={
        "name": "peer",
        "system_database_url": url,
        "log_level": "ERROR",
        "run_admin_server": False,
        "executor_id": "local",
        "application_version": "1",
    }
)
kept = threading.local()


@DBOS.step()
def tell(number, text):
    """Post to the chat."""
    link = getattr(kept, "link", None) or http.client.HTTPConnection("127.0.0.1", port)
    kept.link = link
    body = json.dumps({"channel": "C1", "text": f"{events.mark(number)} {text}"})
    link.request("POST", "/api/chat.postMessage", body, {"Content-Type": "application/json"})
    link.getresponse().read()


@DBOS.workflow()
def handle(number, event):
    """Handle one notification."""
    tell(number, "an outage")


DBOS.launch()
found = [events.outage(number) for number in range(count)]
starts, handles = [], []
begin = time.perf_counter()
for number, event in enumerate(found):
    if pace:
        time.sleep(max(0.0, begin + number / pace - time.perf_counter()))
    starts.append(time.monotonic_ns())
    with SetWorkflowID(f"event-{number}"):
        handles.append(DBOS.start_workflow(handle, number, event))
accepted = count / (time.perf_counter() - begin)
for one in handles:
    one.get_result()
done = count / (time.perf_counter() - begin)
print(json.dumps({"starts": starts, "accepted": accepted, "done": done}), flush=True)
os._exit(0)
