"""Amazon Web Services: what can be asked and done there, and where its notifications come from.

Importing this package loads no SDK, nor does `provider`: boto3 is loaded by the first call to AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.ports import Action, Check, Clock, Cloud
from twokey.providers.aws.options import AwsOptions, QueueOptions

if TYPE_CHECKING:
    from twokey.providers.aws.session import AwsSession

__all__ = ["Aws", "AwsOptions", "QueueOptions", "provider"]


@dataclass
class Aws:
    """What AWS brings."""

    actions: Mapping[str, Action]
    checks: Mapping[str, Check]
    parameter_types: Mapping[str, str]
    scope_parameters: tuple[str, ...] = ("account_id",)
    name: str = "aws"


def provider(options: AwsOptions, clock: Clock, *, session: AwsSession | None = None) -> Cloud:
    """Return AWS as these options describe it, over a session that may be shared with the queues.

    Nothing is called yet.
    """
    from twokey.providers.aws.actions import every_action
    from twokey.providers.aws.checks import every_check
    from twokey.providers.aws.parameters import PARAMETER_TYPES
    from twokey.providers.aws.session import AwsSession

    calls = session or AwsSession(options, clock)
    return Aws(actions=every_action(calls), checks=every_check(calls), parameter_types=PARAMETER_TYPES)
