"""The way to AWS: one session per process, clients cached per service, account and Region."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, RLock
from typing import Any, Protocol, cast

from twokey.core.audit import SHOWN
from twokey.core.errors import Json, NotFound, Refused
from twokey.ports import ACTING_FOR, Clock
from twokey.providers.aws import faults
from twokey.providers.aws.options import AwsOptions

_READING = ("get_", "list_", "describe_", "head_", "lookup_", "simulate_", "validate_", "receive_", "assume_")


class Calls(Protocol):
    """How actions and checks call AWS: by service, operation and account."""

    options: AwsOptions
    clock: Clock
    sleep: Callable[[float], object]

    def own_account(self) -> str:
        """Return the account that our own credentials belong to."""
        ...

    def own_access_key_id(self) -> str:
        """Return the id of the key that we ourselves sign with; "" when it is unknown."""
        ...

    def call(
        self, service: str, operation: str, account: str, *, region: str = "", **given: Any
    ) -> dict[str, Any]:
        """Call one operation (`get_user`) and return its answer; raises core errors only."""
        ...

    def listed(
        self, service: str, operation: str, field: str, account: str, *, region: str = "", **given: Any
    ) -> list[Any]:
        """Call a listing operation through all its pages and return the items."""
        ...


class AwsSession:
    """boto3 for the whole process. Sessions are not thread-safe, clients are: clients are made under a lock.

    Another account is reached by assuming a role there; botocore takes new credentials before the old expire.
    """

    def __init__(
        self, options: AwsOptions, clock: Clock, sleep: Callable[[float], object] | None = None
    ) -> None:
        self.options = options
        self.clock = clock
        self.sleep = sleep or Event().wait
        self._lock = RLock()
        self._base: Any = None
        self._own_account = options.own_account
        self._clients: OrderedDict[tuple[str, str, str, bool, str], Any] = OrderedDict()
        self._credentials: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def own_account(self) -> str:
        """Return the account that our own credentials belong to."""
        if not self._own_account:
            with self._answers("sts:GetCallerIdentity", ""):
                self._own_account = str(self._client("sts", "", "").get_caller_identity()["Account"])
        return self._own_account

    def own_access_key_id(self) -> str:
        """Return the id of the key that we ourselves sign with; "" when there is none."""
        with self._answers("sts:GetCallerIdentity", ""), self._lock:
            credentials = self._session().get_credentials()
            return str(credentials.get_frozen_credentials().access_key) if credentials else ""

    def call(
        self, service: str, operation: str, account: str, *, region: str = "", **given: Any
    ) -> dict[str, Any]:
        """Call one operation (`get_user`) and return its answer; raises core errors only."""
        with self._answers(_action(service, operation), account):
            client = self.client(service, account, region, is_write=not is_read(operation))
            answer = getattr(client, operation)(**given)
            return cast("dict[str, Any]", answer)

    def listed(
        self, service: str, operation: str, field: str, account: str, *, region: str = "", **given: Any
    ) -> list[Any]:
        """Call a listing operation through all its pages and return the items."""
        with self._answers(_action(service, operation), account):
            client = self.client(service, account, region)
            if not client.can_paginate(operation):
                return list(getattr(client, operation)(**given).get(field, []))
            return [
                item
                for page in client.get_paginator(operation).paginate(**given)
                for item in page.get(field, [])
            ]

    def client(self, service: str, account: str = "", region: str = "", *, is_write: bool = False) -> Any:
        """Return the client of a service in an account ("" is our own) and Region.

        A client for writes never repeats a call by itself: an answer that was cut may have had its effect,
        and only a read can tell.
        """
        elsewhere = "" if not account or account == self.own_account() else account
        return self._client(service, elsewhere, region, is_write)

    def _client(self, service: str, account: str, region: str, is_write: bool = False) -> Any:
        # A run's calls are made in sessions of its own; where no role is assumed there is nothing to name.
        name = self._session_name() if account else ""
        key = (service, account, region or self.options.region, is_write, name)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                client = self._make(service, account, key[2], 1 if is_write else self.options.max_attempts)
                self._clients[key] = client
                if len(self._clients) > self.options.max_clients:
                    self._clients.popitem(last=False)  # closed when its last user lets it go
            self._clients.move_to_end(key)
            return client

    def _make(self, service: str, account: str, region: str, attempts: int) -> Any:
        from botocore.config import Config

        options = self.options
        session = self._session() if not account else self._session_in(account)
        # The long poll of a queue is answered after up to 20 s: the read timeout must be beyond that.
        read_timeout = max(options.read_timeout_s, 25.0) if service == "sqs" else options.read_timeout_s
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=options.connect_timeout_s,
            read_timeout=read_timeout,
            user_agent_extra="twokey",
        )
        return session.create_client(
            service, region_name=region, endpoint_url=options.endpoint_url or None, config=config
        )

    def _session(self) -> Any:
        if self._base is None:
            import boto3

            options = self.options
            boto = boto3.Session(
                aws_access_key_id=options.access_key_id or None,
                aws_secret_access_key=options.secret_access_key or None,
                profile_name=options.profile or None,
                region_name=options.region,
            )
            self._base = boto._session  # botocore's own: other accounts share its loaded service models
        return self._base

    def _session_in(self, account: str) -> Any:
        from botocore.credentials import DeferredRefreshableCredentials
        from botocore.session import Session

        base, session = self._session(), Session()
        session.register_component("data_loader", base.get_component("data_loader"))
        name, source = self._session_name(), self._source_identity()
        key = (account, name)
        if key not in self._credentials:
            # Renewed, maybe by another thread, they still say for whom they were taken.
            self._credentials[key] = DeferredRefreshableCredentials(
                refresh_using=lambda: self._assume(account, name, source), method="sts-assume-role"
            )
            if len(self._credentials) > self.options.max_clients:
                self._credentials.popitem(last=False)
        self._credentials.move_to_end(key)
        session._credentials = self._credentials[key]
        return session

    def _session_name(self) -> str:
        """Return what CloudTrail calls the session: of a run, with the audit entry that it began with."""
        run, ours = ACTING_FOR.get(), self.options.session_name
        return _named(f"{ours}-{run.incident_id}-{run.seq}-{run.hash[:SHOWN]}" if run else f"{ours}-plan")

    def _source_identity(self) -> str:
        """Return for which plan the session is; nobody who holds it can change that, nor leave it out further on."""
        run = ACTING_FOR.get()
        return _named(run.plan_id if run else f"{self.options.session_name}-plan")

    def _assume(self, account: str, name: str, source: str) -> dict[str, str]:
        options = self.options
        if not options.role_name:
            raise Refused("aws.no_role", account=account)
        given: dict[str, Any] = {"RoleArn": self.role_arn(account), "RoleSessionName": name}
        if options.source_identity:
            given["SourceIdentity"] = source
        if options.external_id:
            given["ExternalId"] = options.external_id
        if options.session_tags:
            given["Tags"] = [{"Key": key, "Value": value} for key, value in options.session_tags.items()]
        got = self._client("sts", "", "").assume_role(**given)["Credentials"]
        return {
            "access_key": got["AccessKeyId"],
            "secret_key": got["SecretAccessKey"],
            "token": got["SessionToken"],
            "expiry_time": got["Expiration"].isoformat(),
        }

    def role_arn(self, account: str) -> str:
        """Return the ARN of the role that is assumed in an account."""
        options = self.options
        is_organization = bool(account) and account == options.organizations_account
        name = (options.organizations_role_name if is_organization else "") or options.role_name
        region = options.region
        partition = (
            "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
        )
        return f"arn:{partition}:iam::{account}:role/{name}"

    @contextmanager
    def _answers(self, action: str, account: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # only botocore's are ours to translate; all others go on as they are
            ours = faults.translated(error, action=action, account=account or "own")
            if ours is None:
                raise
            raise ours from error


def is_read(operation: str) -> bool:
    """Say whether an operation changes nothing, by the verb that AWS begins its name with."""
    return operation.startswith(_READING)


def _named(text: str) -> str:
    """Return text as STS takes it for a name: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    return re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)[:64]


def _action(service: str, operation: str) -> str:
    name = "".join(part.capitalize() for part in operation.split("_"))
    return f"{service}:{name}"


def call_or_none(
    calls: Calls, service: str, operation: str, account: str, **given: Any
) -> dict[str, Any] | None:
    """Call an operation; None when the thing it asks about does not exist."""
    try:
        return calls.call(service, operation, account, **given)
    except NotFound:
        return None


def text(inputs: Any, name: str) -> str:
    """Return an input that must be text; one that is missing is refused, never guessed."""
    value = inputs.get(name)
    if not isinstance(value, str) or not value:
        raise Refused("aws.input_missing", input=name)
    return value


def is_later(value: Json) -> bool:
    """Say whether an input is still a reference to an earlier step, as it is while a plan is made."""
    return isinstance(value, str) and "${{" in value
