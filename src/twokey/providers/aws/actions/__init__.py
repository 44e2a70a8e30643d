"""What twokey can do in AWS: one action, one file. A new one is added to the tuple below."""

from __future__ import annotations

from collections.abc import Callable

from twokey.ports import Action
from twokey.providers.aws.actions.cloudtrail_assert_no_success import AssertNoSuccess
from twokey.providers.aws.actions.cloudtrail_export_events import ExportEvents
from twokey.providers.aws.actions.cloudtrail_find_persistence import FindPersistence
from twokey.providers.aws.actions.iam_delete_user_policy import DeleteUserPolicy
from twokey.providers.aws.actions.iam_get_access_key_last_used import GetAccessKeyLastUsed
from twokey.providers.aws.actions.iam_put_user_policy import PutUserPolicy
from twokey.providers.aws.actions.iam_simulate_denied import SimulateDenied
from twokey.providers.aws.actions.iam_snapshot_user import SnapshotUser
from twokey.providers.aws.actions.iam_update_access_key import UpdateAccessKey
from twokey.providers.aws.actions.organizations_attach_policy import AttachPolicy
from twokey.providers.aws.actions.organizations_create_organizational_unit import CreateOrganizationalUnit
from twokey.providers.aws.actions.organizations_create_policy import CreatePolicy
from twokey.providers.aws.actions.organizations_delete_organizational_unit import DeleteOrganizationalUnit
from twokey.providers.aws.actions.organizations_delete_policy import DeletePolicy
from twokey.providers.aws.actions.organizations_detach_policy import DetachPolicy
from twokey.providers.aws.actions.organizations_list_parents import ListParents
from twokey.providers.aws.actions.organizations_list_policies_for_target import ListPoliciesForTarget
from twokey.providers.aws.actions.organizations_move_account import MoveAccount
from twokey.providers.aws.actions.s3_merge_bucket_policy import MergeBucketPolicy
from twokey.providers.aws.actions.s3_restore_bucket_policy import RestoreBucketPolicy
from twokey.providers.aws.session import Calls

ACTIONS: tuple[Callable[[Calls], Action], ...] = (
    AssertNoSuccess,
    AttachPolicy,
    CreateOrganizationalUnit,
    CreatePolicy,
    DeleteOrganizationalUnit,
    DeletePolicy,
    DeleteUserPolicy,
    DetachPolicy,
    ExportEvents,
    FindPersistence,
    GetAccessKeyLastUsed,
    ListParents,
    ListPoliciesForTarget,
    MergeBucketPolicy,
    MoveAccount,
    PutUserPolicy,
    RestoreBucketPolicy,
    SimulateDenied,
    SnapshotUser,
    UpdateAccessKey,
)


def every_action(calls: Calls) -> dict[str, Action]:
    """Return every action by its name."""
    return {action.name: action for action in (make(calls) for make in ACTIONS)}
