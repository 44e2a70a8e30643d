"""aws.organizations.list_parents: where an account stands in the organisation."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, NotFound
from twokey.core.runbooks import Target
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.organizations import named_path
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import text


class ListParents(Reads):
    """Record the parent of an account, which its way back needs."""

    name = "aws.organizations.list_parents"
    permissions: tuple[str, ...] = READ_TREE
    inputs: Mapping[str, str] = {"child_id": "aws.account_id"}
    outputs: tuple[str, ...] = ("parent_id", "path")

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read the parent and the path in names."""
        child = text(inputs, "child_id")
        tree = OrgReader(self.calls).tree(child)
        if child not in tree.accounts:
            raise NotFound("aws.org.account_not_in_organization", account=child)
        return {"parent_id": tree.accounts[child], "path": named_path(tree, child)}
