"""Names of Azure regions, services and words that several sources spell differently."""

from __future__ import annotations

# One API writes the geography first (us-west); everywhere else these have it last (westus).
_TURNED = frozenset(("us", "europe", "asia", "india"))

_SERVICES = {
    "microsoft.compute/virtualmachines": "Virtual Machines",
    "microsoft.compute/virtualmachinescalesets": "Virtual Machine Scale Sets",
    "microsoft.compute/virtualmachinescalesets/virtualmachines": "Virtual Machine Scale Sets",
    "microsoft.containerservice/managedclusters": "Azure Kubernetes Service (AKS)",
    "microsoft.keyvault/vaults": "Key Vault",
    "microsoft.sql/servers/databases": "SQL Database",
    "microsoft.storage/storageaccounts": "Storage",
    "microsoft.web/sites": "App Service",
    "microsoft.network/vpngateways": "VPN Gateway",
    "microsoft.network/virtualnetworkgateways": "VPN Gateway",
    "microsoft.network/loadbalancers": "Load Balancer",
}

_CAUSES = {
    "platforminitiated": "PlatformInitiated",
    "userinitiated": "UserInitiated",
    "customerinitiated": "CustomerInitiated",
    "vminitiated": "VMInitiated",
    "unknown": "Unknown",
}
# "Not Applicaple" stands in a published table.
_CATEGORIES = {
    "planned": "Planned",
    "unplanned": "Unplanned",
    "notapplicable": "NotApplicable",
    "notapplicaple": "NotApplicable",
    "unknown": "Unknown",
}
_STATES = {
    name.lower(): name for name in ("Available", "Unavailable", "Degraded", "Unknown", "Active", "Resolved")
}


def region(name: str) -> str:
    """Fold a region's name: West US, us-west and westus are one."""
    words = name.lower().split("-")
    if len(words) > 1 and words[0] in _TURNED:
        words = [words[1], words[0], *words[2:]]
    return "".join(words).replace(" ", "")


def service(resource_type: str) -> str:
    """Return the name of the service that a resource type belongs to, or the type itself."""
    return _SERVICES.get(resource_type.lower(), resource_type)


def resource_type(resource_id: str) -> str:
    """Return the type in a resource id: Microsoft.Compute/virtualMachines."""
    parts = [part for part in resource_id.split("/") if part]
    places = [index for index, part in enumerate(parts) if part.lower() == "providers"]
    if not places or len(parts) < places[-1] + 3:
        return ""
    rest = parts[places[-1] + 1 :]
    return "/".join([rest[0], *rest[1::2]])


def cause(name: str) -> str:
    """Return one spelling of who caused it; a word that is not known stays as it is."""
    return _CAUSES.get(_squeezed(name), name)


def category(name: str) -> str:
    """Return one spelling of planned or not."""
    return _CATEGORIES.get(_squeezed(name), name)


def state(name: str) -> str:
    """Return one spelling of a health state."""
    return _STATES.get(_squeezed(name), name)


def _squeezed(name: str) -> str:
    return name.lower().replace(" ", "").replace("-", "")
