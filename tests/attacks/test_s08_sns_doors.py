"""S8: what comes as SNS is only heard when SNS signed it, for a topic of ours, and nobody but SNS is ever asked.

The door is the real one (uvicorn, routes, inbox), the certificates come over real TLS; a spy on every socket of
this process writes down where connections and look-ups go.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.lab.aws import FakeSns
from tests.lab.aws.authority import Authority
from tests.lab.endpoints import application
from tests.lab.trials import Proof
from tests.lab.web import Served, served
from twokey.core.errors import Invalid, Refused
from twokey.core.signals import RawNotification
from twokey.providers.aws.endpoints import AwsEndpoints, SnsEndpoint
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.aws.sns import SnsHosts, SnsListener, topic_of
from twokey.providers.aws.sns.addresses import certificate_path, confirmation_path
from twokey.providers.azure.endpoints import AzureEndpoints
from twokey.testing.clocks import SettableClock

SECRET = "Qm3xT8vB1nZ6kL9wR4yU7iO2pA5sD0fG"
OTHER_TOPIC = "arn:aws:sns:us-east-1:999999999999:twokey-findings"
PEM = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
FINDING = {"detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": {"id": "f-1"}}

# Sixteen ways to name a certificate that is not SNS's, each of which some validator in use takes.
BAD_ADDRESSES = [
    f"https://sns.s3.amazonaws.com{PEM}",  # a bucket named sns
    f"https://sns.s3-us-west-2.amazonaws.com{PEM}",  # the same, by its older address
    f"https://sns.s3.us-east-1.amazonaws.com{PEM}",
    f"https://sns.us-east-1.amazonaws.com.evil.example{PEM}",
    f"https://sns.us-east-1.amazonaws.com@evil.example{PEM}",
    f"https://evil.example/sns.us-east-1.amazonaws.com{PEM}",
    f"https://evil.example#.sns.us-east-1.amazonaws.com{PEM}",
    f"https://evil.example?sns.us-east-1.amazonaws.com{PEM}",
    f"https://sns.us-east-1.amazonaws.com\\.evil.example{PEM}",
    f"https://sns.us-east-1.amazonaws.com\n.evil.example{PEM}",
    f"http://sns.us-east-1.amazonaws.com{PEM}",
    f"https://sns.us-east-1.amazonaws.com:8443{PEM}",
    f"https://snsXus-east-1Xamazonaws.com{PEM}",
    "https://sns.us-east-1.amazonaws.com/bucket/../x.pem",
    f"https://sns.us-east-1.amazonaws.com{PEM}?host=evil.example",
    f"https://sns.eu-west-1.amazonaws.com{PEM}",  # SNS's, but not of this topic's Region
]
# More of the same, which no list of hosts would think of.
ODD_ADDRESSES = [
    "",
    f"https://sns.us-east-1.amazonaws.com{PEM}\n",
    f"https://sns.us-east-1.amazonaws.com{PEM}#x",
    f"https://SNS.us-east-1.amazonaws.com{PEM}",
    f"https://user:pw@sns.us-east-1.amazonaws.com{PEM}",
    f"https://sns.us-east-1.amazonaws.com:443{PEM}",
    f"https://sns.us-east-1.amazonaws.com.{PEM}",
    f"https://sns.us-east-1.amazonaws.com/{PEM}",
    f"https://sns.us-east-1.amazonaws.com/%2e%2e{PEM}",
    f"https://sns.us-east-1.аmazonaws.com{PEM}",  # a Cyrillic letter
    f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{'g' * 32}.pem",
    f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{'١' * 32}.pem",  # digits, but not ASCII's
    f"https://169.254.169.254{PEM}",
    f"https://[::1]{PEM}",
    "file:///etc/passwd",
    f"gopher://sns.us-east-1.amazonaws.com{PEM}",
]


@dataclass
class Shelf:
    """What the door stored."""

    rows: dict[str, RawNotification] = field(default_factory=dict)

    def receive(self, notifications: Sequence[RawNotification]) -> list[str]:
        new = [raw for raw in notifications if raw.id not in self.rows]
        self.rows.update({raw.id: raw for raw in new})
        return [raw.id for raw in new]


@dataclass
class Doorway:
    """The door, what stands behind it, and SNS in front of it."""

    web: Served
    sns: FakeSns
    shelf: Shelf
    clock: SettableClock
    listener: SnsListener
    went: list[str]

    def post(self, body: bytes, **more: Any) -> int:
        return self.web.post(f"/aws/sns/{SECRET}", body, **more)

    def strangers(self) -> list[str]:
        """Return every host but this machine that anybody in this process tried to reach or to look up."""
        return [host for host in self.went if host not in ("127.0.0.1", "localhost", "::1")]


@pytest.fixture
def went(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Spy on sockets and on name look-ups of the whole process."""
    seen: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def spied_connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            seen.append(str(address[0]))
            assert address[0] in ("127.0.0.1", "::1"), f"a request to {address[0]}"
        connect(self, address)

    def spied_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        seen.append(host.decode() if isinstance(host, bytes) else str(host))
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", spied_connect)
    monkeypatch.setattr(socket, "getaddrinfo", spied_look_up)
    return seen


@contextmanager
def approval_status(
    sns: FakeSns, went: list[str], *, timeout_s: float = 60.0, judge_s: float = 120.0
) -> Iterator[Doorway]:
    clock, shelf = SettableClock(), Shelf()
    hosts = SnsHosts(
        frozenset({topic_of(sns.topic).host}), timeout_s=timeout_s, reach=sns.reach, context=sns.context
    )
    listener = SnsListener([sns.topic], clock, hosts=hosts)
    app = application(
        shelf.receive,
        azure=AzureEndpoints(),
        clock=clock,
        readiness=dict,
        aws=AwsEndpoints(sns=SnsEndpoint(SECRET, listener.hear, judge_s)),
    )
    with served(app) as web:
        yield Doorway(web, sns, shelf, clock, listener, went)


@pytest.fixture
def door(tmp_path: Path, went: list[str]) -> Iterator[Doorway]:
    with FakeSns(tmp_path) as sns, approval_status(sns, went) as doorway:
        yield doorway


@pytest.mark.parametrize("version", ["1", "2"])
def test_s08_a_signed_message_of_our_topic_is_heard(door: Doorway, version: str) -> None:
    assert door.post(door.sns.notification(FINDING, version=version)) == 200
    (raw,) = door.shelf.rows.values()
    assert raw.source == f"aws.sns:{door.sns.topic}"
    (signal,) = AwsNormaliser().normalise(raw)
    assert (signal.family, signal.type or signal.title) == ("guardduty", "GuardDuty finding")
    assert door.sns.reached == ["sns.us-east-1.amazonaws.com"]


def test_s08_no_address_but_the_topics_own_is_ever_asked(door: Doorway, proof: Proof) -> None:
    trials = proof("S8", "an address that is not SNS's is refused, and nobody is asked", ci=0)
    for number, address in enumerate([*BAD_ADDRESSES, *ODD_ADDRESSES]):
        body = door.sns.notification(FINDING, number, SigningCertURL=address)
        assert door.post(body) == 403, address
        trials.count(1)
    assert len(BAD_ADDRESSES) == 16
    assert (door.sns.reached, door.sns.asked, door.shelf.rows) == ([], [], {})
    assert door.strangers() == []
    assert door.post(door.sns.notification(FINDING)) == 200  # the door still opens for the right one


def test_s08_a_thousand_messages_fetch_one_certificate(door: Doorway, proof: Proof) -> None:
    trials = proof("S8", "one certificate is fetched for a thousand messages", ci=0)
    bodies = [door.sns.notification({**FINDING, "id": str(n)}, n, "1" if n % 2 else "2") for n in range(1000)]

    def send(some: list[bytes]) -> None:
        for body in some:
            assert door.post(body) == 200
            trials.count(1)

    hands = [threading.Thread(target=send, args=(bodies[start::8],)) for start in range(8)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert len(door.shelf.rows) == 1000
    assert [path for _, path in door.sns.asked] == [door.sns.certificate]
    door.clock.advance(25 * 3600)  # and once a day
    assert door.post(door.sns.notification(FINDING, 2000)) == 200
    assert len(door.sns.asked) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"Message": json.dumps({**FINDING, "detail": {"id": "another"}})},
        {"MessageId": "00000000-0000-4000-8000-000000000000"},
        {"Timestamp": "2026-03-02T10:00:00.000Z"},
        {"Subject": "added"},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"Signature": ""},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": ""},
        {"Type": "SubscriptionConfirmation"},
    ],
    ids=lambda change: f"{next(iter(change))}={next(iter(change.values()))[:12]}",
)
def test_s08_what_was_changed_after_it_was_signed_is_refused(door: Doorway, change: dict[str, str]) -> None:
    message = json.loads(door.sns.notification(FINDING))
    assert door.post(json.dumps({**message, **change}).encode()) in (400, 403)
    assert door.shelf.rows == {}
    assert door.sns.confirmed == []


def test_s08_another_topics_message_is_refused_however_well_it_is_signed(door: Doorway) -> None:
    """Everybody can have SNS sign a message: with a topic of their own."""
    for body in (
        door.sns.notification(FINDING, TopicArn=OTHER_TOPIC),
        door.sns.confirmation(TopicArn=OTHER_TOPIC),
        door.sns.notification(FINDING, TopicArn=door.sns.topic + "x"),
        door.sns.notification(FINDING, TopicArn=door.sns.topic.upper()),
    ):
        assert door.post(body) == 403
    assert (door.sns.reached, door.shelf.rows) == ([], {})


def test_s08_a_message_that_comes_again_is_the_same_row(door: Doorway) -> None:
    body = door.sns.notification(FINDING)
    respelt = json.dumps(dict(reversed(list(json.loads(body).items()))), indent=3).encode()
    again = door.sns.signed(json.loads(door.sns.notification(FINDING)))
    for copy in (body, body, respelt, again, *[body] * 20):
        assert door.post(copy) == 200
    assert len(door.shelf.rows) == 1


def test_s08_what_stands_beside_the_signed_fields_is_not_kept(door: Doorway) -> None:
    """A replayed message with an event of the attacker's beside it: the signature does not cover that."""
    message = json.loads(door.sns.notification("a text that somebody really published"))
    forged = {
        **message,
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "detail": {"id": "forged", "accountId": "222222222222", "type": "Impact:S3/ObjectDelete"},
        "MessageAttributes": {"BACKUP_JOB": {"Type": "String", "Value": "x"}},
        "Records": [FINDING],
    }
    assert door.post(json.dumps(forged).encode()) == 200
    (raw,) = door.shelf.rows.values()
    assert b"forged" not in raw.body
    (signal,) = AwsNormaliser().normalise(raw)
    assert (signal.family, signal.type, signal.account) == ("other", "Text message", "111111111111")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "http://169.254.169.254/latest/meta-data/",
        "https://sns.us-east-1.amazonaws.com.evil.example/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://sns.s3.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://sns.us-east-1.amazonaws.com:8080/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://x@sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "http://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://sns.us-east-1.amazonaws.com/?Action=DeleteTopic&TopicArn={topic}&Token={token}",
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token=other0000000000000",
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="
        + OTHER_TOPIC
        + "&Token={token}",
        "https://sns.us-east-1.amazonaws.com/x?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}&x=1",
        "https://sns.us-east-1.amazonaws.com/\t?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}#x",
        "",
    ],
)
def test_s08_a_subscription_is_confirmed_nowhere_but_at_the_topics_own_host(door: Doorway, url: str) -> None:
    """Signed as SNS would never sign it: even then."""
    token = "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92"
    body = door.sns.confirmation(SubscribeURL=url.format(topic=door.sns.topic, token=token))
    assert door.post(body) == 403
    assert (door.sns.confirmed, door.shelf.rows, door.strangers()) == ([], {}, [])


def test_s08_a_subscription_of_our_topic_is_confirmed_and_kept(door: Doorway) -> None:
    assert door.post(door.sns.confirmation()) == 200
    assert door.post(door.sns.confirmation()) == 200  # SNS may ask again: that is harmless
    assert len(door.shelf.rows) == 1
    assert {host for host, _ in door.sns.asked} == {"sns.us-east-1.amazonaws.com"}
    assert len(door.sns.confirmed) == 2
    assert door.strangers() == []


def test_s08_the_end_of_a_subscription_is_kept_for_people_and_not_undone(door: Doorway) -> None:
    assert door.post(door.sns.confirmation("UnsubscribeConfirmation")) == 200
    assert door.sns.confirmed == []
    (raw,) = door.shelf.rows.values()
    assert AwsNormaliser().normalise(raw)[0].type == "UnsubscribeConfirmation"


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
def test_s08_a_redirect_is_followed_by_nobody(tmp_path: Path, went: list[str], status: bytes) -> None:
    to = b"HTTP/1.1 %s\r\nLocation: https://evil.example/x.pem\r\nContent-Length: 0\r\n\r\n" % status
    with FakeSns(tmp_path, answers={PEM: to}) as sns, approval_status(sns, went) as door:
        assert door.post(sns.notification(FINDING)) == 503
        confirm = next(path for path in _confirmations(sns))
        sns.answers = {confirm: to}
        door.clock.advance(60)
        assert door.post(sns.confirmation()) == 503
        assert (door.shelf.rows, door.strangers()) == ({}, [])
        assert set(sns.reached) == {"sns.us-east-1.amazonaws.com"}


def _confirmations(sns: FakeSns) -> Iterator[str]:
    message = json.loads(sns.confirmation())
    yield confirmation_path(message["SubscribeURL"], topic_of(sns.topic), message["Token"])


def test_s08_a_slow_certificate_host_holds_nobody_up(tmp_path: Path, went: list[str]) -> None:
    """It drips a byte every tenth of a second: the whole fetch has one deadline, and other doors go on."""
    with FakeSns(tmp_path, slow_s=0.1) as sns, approval_status(sns, went, timeout_s=1.5) as door:
        statuses: list[int] = []
        bodies = [sns.notification(FINDING, n) for n in range(12)]
        hands = [threading.Thread(target=lambda b=body: statuses.append(door.post(b))) for body in bodies]
        start = time.monotonic()
        for hand in hands:
            hand.start()
        assert door.web.post("/aws/sns/" + "x" * 32, b"{}") == 404
        for hand in hands:
            hand.join()
        assert statuses == [503] * 12
        assert len(sns.asked) == 1  # the others did not ask again, they were told to come later
        assert time.monotonic() - start < 100  # a whole certificate at this pace takes more than two minutes
        sns.slow_s = 0.0
        door.clock.advance(60)
        assert door.post(bodies[0]) == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"-" * 5_000_000,
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["too large", "endless", "an error", "not HTTP", "nothing"],
)
def test_s08_a_certificate_that_does_not_come_whole_is_asked_for_again_later(
    tmp_path: Path, went: list[str], answer: bytes
) -> None:
    with FakeSns(tmp_path, answers={PEM: answer}) as sns, approval_status(sns, went) as door:
        body = sns.notification(FINDING)
        assert door.post(body) == 503
        assert door.post(body) == 503
        assert len(sns.asked) == 1
        sns.answers = {}
        door.clock.advance(60)
        assert door.post(body) == 200


def test_s08_certificates_are_fetched_ten_times_a_minute_at_most(door: Doorway) -> None:
    """Well-formed addresses that lead nowhere, by somebody who learnt the door's secret."""
    for number in range(40):
        address = f"https://{door.sns.host}/SimpleNotificationService-{number:032x}.pem"
        assert door.post(door.sns.notification(FINDING, number, SigningCertURL=address)) == 503
    assert len(door.sns.asked) == 10


def test_s08_those_who_wait_for_a_certificate_take_up_no_more_room_than_any_others(
    tmp_path: Path, went: list[str]
) -> None:
    """A hundred large bodies behind a slow certificate host: what does not fit is told to come again, at once."""
    with FakeSns(tmp_path, slow_s=0.1) as sns, approval_status(sns, went, timeout_s=5, judge_s=60) as door:
        statuses: list[int] = []
        bodies = [sns.notification("x" * 900_000, n) for n in range(3)] * 12
        hands = [threading.Thread(target=lambda b=body: statuses.append(door.post(b))) for body in bodies]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert 503 in statuses
        assert set(statuses) <= {503, 0}  # 0: answered before it was read whole
        assert len(sns.asked) == 1
        sns.slow_s = 0.0
        door.clock.advance(60)
        assert door.post(bodies[0]) == 200  # all room is given back


def _wrong_certificates(sns: FakeSns) -> dict[str, bytes]:
    own, elsewhere = sns.authority, Authority("Somebody", sns.now)
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    named: dict[str, Any] = {"names": ("sns.amazonaws.com.evil.example",)}
    return {
        "another name": own.issue("sns.amazonaws.com", sns.signer, **named),
        "another Region's name": own.issue("sns-signing.af-south-1.amazonaws.com", sns.signer),
        "over": own.issue("sns.amazonaws.com", sns.signer, lasts=timedelta(hours=-1)),
        "an authority": own.issue("sns.amazonaws.com", sns.signer, is_authority=True),
        "a short key": own.issue("sns.amazonaws.com", short),
        "no RSA": own.issue("sns.amazonaws.com", elsewhere.key),
        "vouched for by another": own.issue("sns.amazonaws.com", sns.signer) + elsewhere.pem,
        "an authority alone": own.pem,
        "nothing": b"",
        "no certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }


def test_s08_a_certificate_that_is_not_for_signing_sns_messages_is_refused(door: Doorway) -> None:
    for number, (what, pem) in enumerate(_wrong_certificates(door.sns).items()):
        door.sns.certificate = f"/SimpleNotificationService-{number:032x}.pem"
        door.sns.pem = pem
        door.clock.advance(60)
        assert door.post(door.sns.notification(FINDING, number)) == 403, what
    assert door.shelf.rows == {}
    whole = door.sns.authority.issue("sns.amazonaws.com", door.sns.signer) + door.sns.authority.pem
    door.sns.pem, door.sns.certificate = whole, PEM
    door.clock.advance(60)
    assert door.post(door.sns.notification(FINDING)) == 200


def test_s08_a_host_whose_name_nobody_vouches_for_is_not_believed(tmp_path: Path, went: list[str]) -> None:
    (tmp_path / "other").mkdir()
    with FakeSns(tmp_path) as sns, FakeSns(tmp_path / "other") as impostor:
        sns.reach = impostor.reach  # type: ignore[method-assign]  # somebody turned the name elsewhere
        with approval_status(sns, went) as door:
            assert door.post(sns.notification(FINDING)) == 503
            assert impostor.asked == []
            assert door.shelf.rows == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"not json",
        b"\xff\xfe",
        b'{"Type":"Notification"}',
        b'{"Type":["Notification"]}',
        b'{"Type":"Elsewhere","TopicArn":"x"}',
        json.dumps(FINDING).encode(),  # raw delivery has no signature
        b'{"Type":"Notification","Message":{},"MessageId":1,"Timestamp":null,"TopicArn":[],"Signature":1}',
        b"[" * 50_000,
    ],
)
def test_s08_what_is_no_message_of_sns_is_refused(door: Doorway, body: bytes) -> None:
    assert door.post(body) == 400
    assert (door.sns.reached, door.shelf.rows) == ([], {})


@pytest.mark.parametrize(
    "path", ["/aws/sns", "/aws/sns/", "/aws/sns/x", f"/aws/sns/{SECRET[:-1]}", f"/aws/sns/{SECRET}/"]
)
def test_s08_without_the_doors_secret_not_even_the_signature_is_looked_at(door: Doorway, path: str) -> None:
    assert door.web.post(path, door.sns.notification(FINDING)) == 404
    assert door.sns.reached == []


def test_s08_a_way_out_to_another_host_does_not_exist(door: Doorway) -> None:
    """The second wall: even code that asked for it would be refused before a name is looked up."""
    hosts = door.listener._hosts
    for host in ("evil.example", "sns.eu-west-1.amazonaws.com", "169.254.169.254", ""):
        with pytest.raises(Refused):
            hosts.get(host, PEM, limit=100)
    assert (door.sns.reached, door.strangers()) == ([], [])


def test_s08_topics_are_whole_arns() -> None:
    for arn in (
        "",
        "*",
        "arn:aws:sns:us-east-1:111111111111:",
        "arn:aws:sns:*:111111111111:x",
        "arn:aws:sqs:us-east-1:111111111111:x",
    ):
        with pytest.raises(Invalid):
            topic_of(arn)
    china = topic_of("arn:aws-cn:sns:cn-north-1:111111111111:x")
    assert certificate_path(f"https://sns.cn-north-1.amazonaws.com.cn{PEM}", china) == PEM
    with pytest.raises(Refused):
        certificate_path(f"https://sns.cn-north-1.amazonaws.com{PEM}", china)


def test_s08_the_doors_secret_is_long_and_no_other_doors() -> None:
    for secret in ("short", "a" * 40, "with/a/slash" * 4):
        with pytest.raises(Invalid):
            AwsEndpoints(sns=SnsEndpoint(secret, lambda body: None))  # type: ignore[arg-type, return-value]
