"""aws.organizations.delete_organizational_unit: remove a unit of ours, once it is empty again."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.organizations import OrgTree, accounts_under, is_unit, named_path, units_under
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import Calls, is_later, text


class DeleteOrganizationalUnit:
    """Delete a unit that carries our tag and holds nothing. Looked at by us: not every emulator refuses."""

    name = "aws.organizations.delete_organizational_unit"
    effect = Effect.DELETE
    reversibility = Reversibility.IRREVERSIBLE
    permissions: tuple[str, ...] = (*READ_TREE, "organizations:DeleteOrganizationalUnit")
    inputs: Mapping[str, str] = {"ou_id": "aws.ou_id"}
    outputs: tuple[str, ...] = ("ou_id",)

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.org = OrgReader(calls)

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as critical, as all that changes the organisation."""
        return Risk.CRITICAL

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the unit. That it still holds the account is no refusal yet: an earlier step moves it out."""
        if is_later(inputs.get("ou_id")):
            return Preview()
        unit = text(inputs, "ou_id")
        tree = self.org.tree(unit)
        if refusal := _refusal(tree, unit):
            return Preview(refusal=refusal)
        path = named_path(tree, unit) if unit in tree.units else ""
        return Preview(
            touches=(Touch("organizational-unit", unit, path),),
            observed={"path": path},
            notes=(message("aws.org.unit_goes", path=path or unit),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep where it stood and what it was called."""
        unit = self.org.tree(text(inputs, "ou_id")).units.get(text(inputs, "ou_id"))
        return {"parent_id": unit.parent, "name": unit.name} if unit else {}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Delete it, unless it is gone already."""
        unit = text(inputs, "ou_id")
        tree = self.org.tree(unit)
        if refusal := _refusal(tree, unit):
            raise Refused(refusal.code, **refusal.params)
        if unit in tree.units:
            count = len(accounts_under(tree, unit)) + len(units_under(tree, unit))
            if count:
                raise Refused("aws.org.unit_not_empty", target=unit, count=count)
            self.org.call("delete_organizational_unit", OrganizationalUnitId=unit)
        return {"ou_id": unit}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read whether it is gone."""
        unit = text(inputs, "ou_id")
        gone = unit not in self.org.tree(unit).units
        return Lookup(Found.DONE, {"ou_id": unit}) if gone else Lookup(Found.NOT_DONE)


def _refusal(tree: OrgTree, unit: str) -> Message | None:
    if not is_unit(unit):
        return message("aws.org.not_a_unit", target=unit)
    if unit in tree.units and not tree.units[unit].created_by:
        return message("aws.org.unit_not_ours", target=unit)
    return None
