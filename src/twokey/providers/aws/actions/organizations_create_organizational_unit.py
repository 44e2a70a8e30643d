"""aws.organizations.create_organizational_unit: make one new, empty unit, marked as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.faults import error_code
from twokey.providers.aws.organizations import CREATED_TAG, may_create_in, named_path
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import Calls, text


class CreateOrganizationalUnit:
    """Create a unit under a parent that is not the Root, with a tag that says which step made it.

    A unit of that name that another hand or another plan made is never adopted: its rules are not ours.
    """

    name = "aws.organizations.create_organizational_unit"
    effect = Effect.CREATE
    reversibility = Reversibility.ONLY_IF_UNCHANGED
    permissions: tuple[str, ...] = (
        *READ_TREE,
        "organizations:CreateOrganizationalUnit",
        "organizations:TagResource",
    )
    inputs: Mapping[str, str] = {"parent_id": "aws.ou_id", "name": "text"}
    outputs: tuple[str, ...] = ("ou_id", "parent_id")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.org = OrgReader(calls)

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as critical, as all that changes the organisation."""
        return Risk.CRITICAL

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say where the unit will stand."""
        parent, name = text(inputs, "parent_id"), text(inputs, "name")
        tree = self.org.tree(parent)
        if refusal := may_create_in(tree, parent) or _name_refusal(name):
            return Preview(refusal=refusal)
        if taken := self.org.units_named(parent, name):
            return Preview(refusal=message("aws.org.unit_name_taken", name=name, unit=taken[0]))
        return Preview(
            touches=(Touch("organizational-unit", f"{parent}/{name}", name),),
            observed={"parent_id": parent, "path": named_path(tree, parent)},
            notes=(message("aws.org.unit_will_stand", path=f"{named_path(tree, parent)} / {name}"),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the parent: the unit itself does not exist yet."""
        return {"parent_id": text(inputs, "parent_id")}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Create the unit, unless this very step has made it before."""
        parent, name = text(inputs, "parent_id"), text(inputs, "name")
        if refusal := may_create_in(self.org.tree(parent), parent) or _name_refusal(name):
            raise Refused(refusal.code, **refusal.params)
        if found := self._ours(parent, name, key):
            return {"ou_id": found, "parent_id": parent}
        try:
            made = self.org.call(
                "create_organizational_unit",
                ParentId=parent,
                Name=name,
                Tags=[{"Key": CREATED_TAG, "Value": tag_value(key)}],
            )
        except Refused as refused:
            if error_code(refused) != "DuplicateOrganizationalUnitException":
                raise
            # An answer that was cut off: botocore sent the call again by itself, and the first had arrived.
            return {"ou_id": self._ours(parent, name, key), "parent_id": parent}
        return {"ou_id": str(made["OrganizationalUnit"]["Id"]), "parent_id": parent}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Look for the unit with our tag."""
        parent = text(inputs, "parent_id")
        found = self._ours(parent, text(inputs, "name"), key)
        return Lookup(Found.DONE, {"ou_id": found, "parent_id": parent}) if found else Lookup(Found.NOT_DONE)

    def _ours(self, parent: str, name: str, key: str) -> str:
        for unit in self.org.units_named(parent, name):
            if self.org.tags(unit).get(CREATED_TAG) == tag_value(key):
                return unit
            raise Refused("aws.org.unit_name_taken", name=name, unit=unit)
        return ""


def tag_value(key: str) -> str:
    """Return a step's key in the characters that a tag's value may have."""
    return re.sub(r"[^\w .:/=+\-@]", "_", key)[:256]


def _name_refusal(name: str) -> Message | None:
    return None if re.fullmatch(r"[\w .:+=@-]{1,128}", name) else message("aws.org.bad_name", name=name)
