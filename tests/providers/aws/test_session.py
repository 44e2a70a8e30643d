"""The way to AWS: roles, caches, and every error in our own words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, ConnectionClosedError

from twokey.core.errors import Invalid, NotFound, Refused, TwokeyError, Unavailable
from twokey.core.executions import Found
from twokey.ports import ACTING_FOR, ActingFor
from twokey.providers.aws import faults
from twokey.providers.aws.module import AwsModule
from twokey.providers.aws.options import AwsOptions
from twokey.providers.aws.session import AwsSession
from twokey.providers.aws.wiring import options_of
from twokey.testing.clocks import SettableClock

CANARY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYKEY"


def test_importing_aws_and_making_it_loads_no_sdk() -> None:
    """`twokey classify` and `runbook check` pay for boto3 otherwise."""
    code = (
        "import sys; from twokey.providers.aws import provider, AwsOptions; "
        "from twokey.testing.clocks import SettableClock; provider(AwsOptions(), SettableClock()); "
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_another_account_is_reached_by_its_role_and_the_own_account_is_not(aws: Any) -> None:
    aws.session.call("iam", "list_users", aws.victim)
    aws.session.call("iam", "list_users", aws.own)
    assumed = [params["body"] for name, params in aws.session.bodies if name == "sts:AssumeRole"]
    assert len(assumed) == 1
    assert assumed[0]["RoleArn"] == f"arn:aws:iam::{aws.victim}:role/TwokeyResponder"
    assert assumed[0]["ExternalId"] == "ext-1"
    caller = aws.session.call("sts", "get_caller_identity", aws.victim)
    assert caller["Arn"].startswith(f"arn:aws:sts::{aws.victim}:assumed-role/TwokeyResponder/")


def test_session_tags_are_given_where_the_settings_ask_for_them(aws: Any, moto_url: str) -> None:
    options = AwsOptions(
        endpoint_url=moto_url,
        access_key_id="AKIATESTTESTTESTTEST",
        secret_access_key="test",
        session_tags={"tool": "twokey"},
    )
    session = type(aws.session)(options, SettableClock())
    session.call("iam", "list_users", aws.victim)
    body = next(params["body"] for name, params in session.bodies if name == "sts:AssumeRole")
    assert (body["Tags.member.1.Key"], body["Tags.member.1.Value"]) == ("tool", "twokey")


def test_a_role_is_assumed_once_for_all_services_and_regions(aws: Any) -> None:
    for service, operation in (("iam", "list_users"), ("s3", "list_buckets"), ("sts", "get_caller_identity")):
        aws.session.call(service, operation, aws.victim)
        aws.session.call(service, operation, aws.victim, region="eu-west-1")
    assert aws.session.made.count("sts:AssumeRole") == 1


def test_credentials_are_taken_anew_before_they_expire(aws: Any) -> None:
    """botocore refreshes 15 minutes ahead; a role chain lasts an hour at most."""
    aws.session.call("iam", "list_users", aws.victim)
    (credentials,) = aws.session._credentials.values()
    credentials._expiry_time -= timedelta(minutes=50)
    aws.session.call("iam", "list_users", aws.victim)
    assert aws.session.made.count("sts:AssumeRole") == 2


@contextmanager
def acting_for(plan_id: str, incident_id: str = "INC-12") -> Iterator[None]:
    before = ACTING_FOR.set(ActingFor(plan_id, incident_id, 345, "0123456789abcdef" * 4))
    yield
    ACTING_FOR.reset(before)


def assumed(session: Any) -> list[tuple[str, str]]:
    bodies = [params["body"] for name, params in session.bodies if name == "sts:AssumeRole"]
    return [(body["RoleSessionName"], body.get("SourceIdentity", "")) for body in bodies]


def test_a_runs_calls_carry_its_plan_and_the_entry_that_it_began_with(aws: Any) -> None:
    aws.session.call("iam", "list_users", aws.victim)
    with acting_for("plan-0123456789abcdef0123"):
        aws.session.call("iam", "list_users", aws.victim)
        aws.session.call("s3", "list_buckets", aws.victim)
        arn = aws.session.call("sts", "get_caller_identity", aws.victim)["Arn"]
    aws.session.call("iam", "list_users", aws.victim)
    name = "twokey-INC-12-345-0123456789abcdef01234567"
    assert assumed(aws.session) == [("twokey-plan", "twokey-plan"), (name, "plan-0123456789abcdef0123")]
    assert arn.endswith(f"/TwokeyResponder/{name}")


def test_no_run_calls_in_the_session_of_another(aws: Any) -> None:
    plans = [f"plan-{number:020x}" for number in range(3)]
    for number, plan in enumerate(plans):
        with acting_for(plan, f"INC-{number}"):
            aws.session.call("iam", "list_users", aws.victim)
    with acting_for(plans[0], "INC-0"):
        aws.session.call("iam", "list_users", aws.victim)
    assert [source for _, source in assumed(aws.session)] == plans


def test_credentials_that_are_renewed_still_say_for_whom_they_were_taken(aws: Any) -> None:
    """botocore renews them whenever it likes: also when another run, or none, has the thread."""
    with acting_for("plan-0123456789abcdef0123"):
        client = aws.session.client("iam", aws.victim)
    (credentials,) = aws.session._credentials.values()
    client.list_users()
    credentials._expiry_time -= timedelta(minutes=50)
    with acting_for("plan-of-another-run", "INC-13"):
        client.list_users()
    assert assumed(aws.session) == [assumed(aws.session)[0]] * 2


def test_what_sts_takes_for_no_name_is_made_one(aws: Any) -> None:
    with acting_for("plan/with a space" + "x" * 80, "INC-1\u00e9/.."):
        aws.session.call("iam", "list_users", aws.victim)
    ((name, source),) = assumed(aws.session)
    assert name == "twokey-INC-1--..-345-0123456789abcdef01234567"
    assert source == ("plan-with-a-space" + "x" * 80)[:64]


def test_the_source_identity_can_be_turned_off_and_the_doctor_says_so(aws: Any, moto_url: str) -> None:
    options = replace(aws.options, source_identity=False)
    session = type(aws.session)(options, SettableClock())
    with acting_for("plan-0123456789abcdef0123"):
        session.call("iam", "list_users", aws.victim)
    assert assumed(session) == [("twokey-INC-12-345-0123456789abcdef01234567", "")]
    told = {}
    for value in ("on", "off"):
        module, faults = AwsModule().read({"TWOKEY_AWS_SOURCE_IDENTITY": value})
        assert not faults
        assert options_of(module.settings).source_identity is (value == "on")
        looks = module.looks(SettableClock(), is_configured=True)
        told[value] = next(look.look() for look in looks if look.part == "calls to AWS")
    assert "names the plan" in told["on"]
    assert "TWOKEY_AWS_SOURCE_IDENTITY is off" in told["off"]


def test_a_trust_of_before_is_told_with_what_mends_it() -> None:
    says = f"User: {CANARY} is not authorized to perform: sts:SetSourceIdentity on resource: role"
    response: Any = {
        "Error": {"Code": "AccessDenied", "Message": says},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    error = faults.translated(ClientError(response, "AssumeRole"), action="iam:GetUser", account="2")
    assert isinstance(error, Refused)
    assert error.message.code == "aws.source_identity_refused"
    assert CANARY not in str(error)


def test_clients_are_cached_and_bounded(moto_url: str) -> None:
    options = AwsOptions(
        endpoint_url=moto_url,
        access_key_id="AKIATESTTESTTESTTEST",
        secret_access_key="t",
        own_account="123456789012",
        max_clients=3,
    )
    session = AwsSession(options, SettableClock())
    first = session.client("sts")
    assert session.client("sts") is first
    assert session.client("sts", "123456789012") is first
    for region in ("eu-west-1", "eu-west-2", "eu-west-3"):
        session.client("sts", region=region)
    assert len(session._clients) == 3
    assert session.client("sts") is not first


def test_the_own_account_is_asked_once(aws: Any) -> None:
    assert aws.session.own_account() == aws.own
    assert aws.session.own_account() == aws.own
    assert aws.session.made.count("sts:GetCallerIdentity") == 1


def test_options_do_not_show_secrets() -> None:
    shown = repr(AwsOptions(secret_access_key=CANARY, external_id=CANARY))
    assert CANARY not in shown


@pytest.mark.parametrize(
    ("code", "status", "kind", "ours"),
    [
        ("ThrottlingException", 400, Unavailable, "aws.throttled"),
        ("TooManyRequestsException", 400, Unavailable, "aws.throttled"),
        ("SlowDown", 503, Unavailable, "aws.throttled"),
        ("AccessDenied", 403, Refused, "aws.access_denied"),
        ("AccessDeniedException", 400, Refused, "aws.access_denied"),
        ("403", 403, Refused, "aws.access_denied"),
        ("InvalidClientTokenId", 403, Refused, "aws.credentials_not_accepted"),
        ("InvalidAccessKeyId", 403, Refused, "aws.credentials_not_accepted"),
        ("ExpiredToken", 400, Refused, "aws.credentials_not_accepted"),
        ("ConcurrentModificationException", 400, Unavailable, "aws.concurrent_modification"),
        ("FinalizingOrganizationException", 400, Unavailable, "aws.concurrent_modification"),
        ("PolicyChangesInProgressException", 400, Unavailable, "aws.concurrent_modification"),
        ("NoSuchEntity", 404, NotFound, "aws.not_found"),
        ("OrganizationalUnitNotFoundException", 400, NotFound, "aws.not_found"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, NotFound, "aws.not_found"),
        ("404", 404, NotFound, "aws.not_found"),
        ("ServiceException", 500, Unavailable, "aws.service_error"),
        ("", 502, Unavailable, "aws.service_error"),
        ("InvalidAction", 400, Refused, "aws.not_offered"),
        ("DuplicatePolicyException", 400, Refused, "aws.refused_by_service"),
    ],
)
def test_errors_of_aws_are_told_in_our_own_words(code: str, status: int, kind: type, ours: str) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": f"the key {CANARY}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    error = faults.translated(ClientError(response, "GetUser"), action="iam:GetUser", account="222222222222")
    assert isinstance(error, kind)
    assert error.message.code == ours
    assert error.message.params["account"] == "222222222222"
    assert CANARY not in str(error) + repr(error)


def test_a_refused_role_is_told_as_such(aws: Any) -> None:
    response: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    error = faults.translated(ClientError(response, "AssumeRole"), action="iam:GetUser", account="2")
    assert error is not None
    assert error.message.params["action"] == "sts:AssumeRole"


def test_an_address_where_nobody_listens_is_unavailable(aws: Any) -> None:
    options = AwsOptions(
        endpoint_url="http://127.0.0.1:9",
        access_key_id="AKIATESTTESTTESTTEST",
        secret_access_key=CANARY,
        max_attempts=1,
    )
    session = AwsSession(options, SettableClock())
    with pytest.raises(Unavailable) as caught:
        session.call("sts", "get_caller_identity", "")
    assert caught.value.message.code == "aws.unreachable"
    assert CANARY not in str(caught.value)


def test_inputs_that_aws_would_not_take_are_invalid(aws: Any) -> None:
    with pytest.raises(Invalid):
        aws.session.call("iam", "get_user", aws.own, UserName=5)


def test_errors_that_are_not_botocores_are_not_hidden(aws: Any) -> None:
    assert faults.translated(KeyError("x"), action="a", account="b") is None
    with pytest.raises(AttributeError):
        aws.session.call("iam", "no_such_operation", aws.own)


def test_no_credentials_are_said_plainly(aws: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    session = AwsSession(AwsOptions(endpoint_url=aws.url), SettableClock())
    with pytest.raises(TwokeyError) as caught:
        session.call("sts", "get_caller_identity", "")
    assert caught.value.message.code == "aws.no_credentials"


# One effect, although the answer was cut off and botocore sent the call again by itself.


def cut_then_again(aws: Any, operation: str, inputs: dict[str, Any], key: str, *, account: str = "") -> Any:
    """Let a write arrive and lose its answer: it is not repeated by the SDK, a read finds it, and doing it
    again with the same key returns the same. Returns the outputs."""
    service, _, name = operation.partition(".")
    action = aws.cloud.actions[f"aws.{service}.{xform_name(name)}"]
    target = aws.target(account or aws.victim)
    client = aws.session.client(service, "" if service == "organizations" else aws.victim, is_write=True)
    sent: list[str] = []

    def before_send(request: Any, **_: Any) -> None:
        sent.append(operation)
        assert client._endpoint.http_session.send(request).status_code < 300
        raise ConnectionClosedError(endpoint_url=request.url)

    client.meta.events.register(f"before-send.{service}.{name}", before_send)
    with pytest.raises(Unavailable):
        action.apply(target, inputs, key)
    client.meta.events.unregister(f"before-send.{service}.{name}", before_send)
    assert sent == [operation]
    lookup = action.find(target, inputs, key)
    assert lookup.found is Found.DONE
    assert action.apply(target, inputs, key) == lookup.outputs
    return lookup.outputs


def test_a_cut_answer_makes_one_unit_one_attachment_and_one_move(aws: Any, organization: Any) -> None:
    account = organization.account
    inputs: dict[str, Any] = {"parent_id": organization.quarantine, "name": "quarantine-INC-1"}
    unit = cut_then_again(
        aws, "organizations.CreateOrganizationalUnit", inputs, "plan-1/create_ou", account=account
    )
    there = aws.admin("organizations").list_organizational_units_for_parent(ParentId=organization.quarantine)
    assert [found["Id"] for found in there["OrganizationalUnits"]] == [unit["ou_id"]]
    text = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
    inputs = {"name": "q", "type": "SERVICE_CONTROL_POLICY", "document": text}
    policy = cut_then_again(aws, "organizations.CreatePolicy", inputs, "plan-1/create_scp", account=account)
    inputs = {"policy_id": policy["policy_id"], "target_id": unit["ou_id"]}
    cut_then_again(aws, "organizations.AttachPolicy", inputs, "plan-1/attach", account=account)
    inputs = {
        "account_id": account,
        "source_parent_id": organization.workloads,
        "destination_parent_id": unit["ou_id"],
    }
    cut_then_again(aws, "organizations.MoveAccount", inputs, "plan-1/move", account=account)
    tree, _ = organization.world()
    assert tree["/Security/Quarantine/quarantine-INC-1"][1] == [account]
    assert "q" in tree["/Security/Quarantine/quarantine-INC-1"][0]


def test_a_cut_answer_leaves_one_policy_on_a_user_and_a_key_that_is_off(aws: Any, leak: Any) -> None:
    text = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
    cut_then_again(
        aws,
        "iam.PutUserPolicy",
        {"user_name": leak.user, "policy_name": "q", "document": text},
        "plan-1/deny",
    )
    inputs = {"user_name": leak.user, "access_key_id": leak.key, "status": "Inactive"}
    cut_then_again(aws, "iam.UpdateAccessKey", inputs, "plan-1/off")
    iam = aws.admin("iam", aws.victim)
    assert sorted(iam.list_user_policies(UserName=leak.user)["PolicyNames"]) == ["its-own", "q"]
    keys = {
        k["AccessKeyId"]: k["Status"] for k in iam.list_access_keys(UserName=leak.user)["AccessKeyMetadata"]
    }
    assert keys == {leak.key: "Inactive", leak.other_key: "Active"}
