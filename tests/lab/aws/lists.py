"""AWS Health and Security Hub's findings on the loopback address, as real boto3 speaks to them: moto has neither.

Pages are short, so that every reader has to go through several. Times travel as each API's protocol has them:
Health's as seconds since 1970, Security Hub's as the text that the finding's product wrote.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from uuid import UUID, uuid5

_NAMES = UUID("b2c9a0f4-6a0e-4f53-8b5e-5a3f6a5c0c11")
_DETAILS = ("eventDescription", "eventMetadata")
Answer = dict[str, Any]


@dataclass
class FakeLists:
    """`with FakeLists() as aws:` gives `aws.url`; `affects` and `findings` say what is there.

    `refuses` maps an operation to (status, error code), for every call; `fails_once` for the next one only.
    """

    account: str = "111122223333"
    page: int = 2
    findings: list[Answer] = field(default_factory=list)
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    fails_once: dict[str, tuple[int, str]] = field(default_factory=dict)
    calls: list[tuple[str, Answer]] = field(default_factory=list)
    _events: dict[str, Answer] = field(default_factory=dict)
    _entities: list[Answer] = field(default_factory=list)
    _accounts: dict[str, list[str]] = field(default_factory=dict)
    _server: ThreadingHTTPServer | None = None

    def happens(self, event: Answer, *accounts: str, entities: tuple[str, ...] = ()) -> None:
        """Let an event be on Health's list, or be there anew; times are moments. Entities are each account's."""
        self._events[event["arn"]] = event
        self._accounts[event["arn"]] = list(accounts)
        self._entities = [one for one in self._entities if one["eventArn"] != event["arn"]]
        self._entities += [
            {
                "eventArn": event["arn"],
                "entityArn": f"arn:aws:health:us-east-1:{account}:entity/{name}",
                "entityValue": name,
                "awsAccountId": account,
                "lastUpdatedTime": _seconds(event["lastUpdatedTime"]),
                "statusCode": "IMPAIRED",
            }
            for account in accounts or (self.account,)
            for name in entities
        ]

    @property
    def url(self) -> str:
        """Return the address of every service."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, operation: str) -> list[Answer]:
        """Return what an operation was asked, each time."""
        return [given for name, given in self.calls if name == operation]

    def __enter__(self) -> FakeLists:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def answer(self, operation: str, given: Answer) -> tuple[int, Answer]:
        """Return status and body for one call."""
        self.calls.append((operation, given))
        refusal = self.fails_once.pop(operation, None) or self.refuses.get(operation)
        if refusal:
            return refusal[0], {"__type": refusal[1], "Code": refusal[1], "message": "no"}
        answers = {
            "DescribeEvents": self._described,
            "DescribeEventDetails": self._details,
            "DescribeAffectedEntities": self._affected_entities,
            "DescribeEventsForOrganization": self._described,
            "DescribeAffectedAccountsForOrganization": self._affected_accounts,
            "DescribeEventDetailsForOrganization": self._organization_details,
            "DescribeAffectedEntitiesForOrganization": self._organization_entities,
            "GetFindings": self._found,
        }
        return 200, answers[operation](given)

    def _described(self, given: Answer) -> Answer:
        wanted = given["filter"]
        times = wanted.get("lastUpdatedTime") or wanted["lastUpdatedTimes"][0]
        listed = [
            {name: _plain(value) for name, value in event.items() if name not in _DETAILS}
            for event in self._events.values()
            if times["from"] <= _seconds(event["lastUpdatedTime"]) <= times["to"]
        ]
        return self._paged("events", listed, given)

    def _details(self, given: Answer) -> Answer:
        return {"successfulSet": [self._told(arn) for arn in given["eventArns"]], "failedSet": []}

    def _affected_entities(self, given: Answer) -> Answer:
        arns = given["filter"]["eventArns"]
        assert len(arns) <= 10
        return self._paged("entities", [one for one in self._entities if one["eventArn"] in arns], given)

    def _affected_accounts(self, given: Answer) -> Answer:
        return self._paged("affectedAccounts", self._accounts[given["eventArn"]], given)

    def _organization_details(self, given: Answer) -> Answer:
        told, failed = [], []
        for place in given["organizationEventDetailFilters"]:
            public = self._events[place["eventArn"]]["eventScopeCode"] == "PUBLIC"
            if public == ("awsAccountId" in place):  # as Health does: an account must, or must not, be named
                failed.append({**place, "errorName": "InvalidInput", "errorMessage": "account"})
            else:
                account = {"awsAccountId": place["awsAccountId"]} if not public else {}
                told.append({**account, **self._told(place["eventArn"])})
        return {"successfulSet": told, "failedSet": failed}

    def _organization_entities(self, given: Answer) -> Answer:
        places = {(one["eventArn"], one["awsAccountId"]) for one in given["organizationEntityFilters"]}
        listed = [one for one in self._entities if (one["eventArn"], one["awsAccountId"]) in places]
        return self._paged("entities", listed, given)

    def _found(self, given: Answer) -> Answer:
        times = given["Filters"]["UpdatedAt"][0]
        start, end = (datetime.fromisoformat(times[name]) for name in ("Start", "End"))
        listed = [one for one in self.findings if start <= datetime.fromisoformat(one["UpdatedAt"]) <= end]
        assert given["SortCriteria"] == [{"Field": "UpdatedAt", "SortOrder": "asc"}]
        return self._paged(
            "Findings", sorted(listed, key=lambda one: str(one["UpdatedAt"])), given, "NextToken"
        )

    def _told(self, arn: str) -> Answer:
        event = self._events[arn]
        plain = {name: _plain(value) for name, value in event.items() if name not in _DETAILS}
        return {"event": plain, **{name: event[name] for name in _DETAILS if name in event}}

    def _paged(self, name: str, listed: list[Any], given: Answer, token: str = "nextToken") -> Answer:
        start = int(given.get(token, "page-0").removeprefix("page-"))
        answer: Answer = {name: listed[start : start + self.page]}
        if start + self.page < len(listed):
            answer[token] = f"page-{start + self.page}"
        return answer


def _seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()


def _plain(value: Any) -> Any:
    return _seconds(value) if isinstance(value, datetime) else value


def _handler(aws: FakeLists) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two sends: else an answer waits 40 ms

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
            target = self.headers.get("X-Amz-Target", "")
            operation = target.removeprefix("AWSHealth_20160804.") if target else "GetFindings"
            status, body = aws.answer(operation, given)
            written = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(written)))
            if status != 200:
                self.send_header("x-amzn-ErrorType", str(body["__type"]))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def health_event(
    number: int = 1, at: datetime = datetime(2026, 3, 2, 8, 30, tzinfo=UTC), **changes: Any
) -> Answer:
    """Return an event of Health's list: an outage of EC2 in us-east-1 unless told otherwise."""
    code = str(changes.pop("code", "AWS_EC2_OPERATIONAL_ISSUE"))
    service = code.split("_")[1]
    text = str(changes.pop("text", "We are investigating increased error rates."))
    return {
        "arn": f"arn:aws:health:us-east-1::event/{service}/{code}/{code}_{number:08d}",
        "service": service,
        "eventTypeCode": code,
        "eventTypeCategory": "issue",
        "region": "us-east-1",
        "startTime": at,
        "lastUpdatedTime": at,
        "statusCode": "open",
        "eventScopeCode": "PUBLIC",
        "eventDescription": {"latestDescription": text},
        **changes,
    }


def pushed(event: Answer, account: str, *, page: int = 1, entities: tuple[str, ...] = ()) -> bytes:
    """Return the same event as EventBridge delivers it to an account, with a communication id of its own."""
    updated = event["lastUpdatedTime"].strftime("%a, %d %b %Y %H:%M:%S GMT")
    detail = {
        "eventArn": event["arn"],
        **{name: event[name] for name in ("service", "eventTypeCode", "eventTypeCategory", "eventScopeCode")},
        "communicationId": f"{uuid5(_NAMES, event['arn'] + updated).hex}-{page}",
        "startTime": event["startTime"].strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "lastUpdatedTime": updated,
        "statusCode": event["statusCode"],
        "eventRegion": event["region"],
        "eventDescription": [{"language": "en_US", **event["eventDescription"]}],
        "affectedEntities": [{"entityValue": one, "status": "IMPAIRED"} for one in entities],
        "affectedAccount": account,
        "page": str(page),
        "totalPages": "1",
    }
    return json.dumps(
        {
            "version": "0",
            "id": f"{event['arn']}-{account}",
            "detail-type": "AWS Health Event",
            "source": "aws.health",
            "account": account,
            "time": event["lastUpdatedTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": event["region"],
            "resources": list(entities),
            "detail": detail,
        }
    ).encode()
