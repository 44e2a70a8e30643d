"""What a page for outsiders may say about Azure, and the shapes that it must never show."""

from __future__ import annotations

import re

from twokey.ports import PublicNames

_REGIONS = frozenset(
    [
        "australiacentral",
        "australiaeast",
        "australiasoutheast",
        "brazilsouth",
        "canadacentral",
        "canadaeast",
        "centralindia",
        "centralus",
        "eastasia",
        "eastus",
        "eastus2",
        "francecentral",
        "germanywestcentral",
        "israelcentral",
        "italynorth",
        "japaneast",
        "japanwest",
        "koreacentral",
        "koreasouth",
        "mexicocentral",
        "northcentralus",
        "northeurope",
        "norwayeast",
        "polandcentral",
        "qatarcentral",
        "southafricanorth",
        "southcentralus",
        "southeastasia",
        "southindia",
        "spaincentral",
        "swedencentral",
        "switzerlandnorth",
        "uaenorth",
        "uksouth",
        "ukwest",
        "westcentralus",
        "westeurope",
        "westindia",
        "westus",
        "westus2",
        "westus3",
    ]
)


def _region(region: str) -> str:
    squeezed = region.replace(" ", "").lower()
    return squeezed if squeezed in _REGIONS else ""


PUBLIC = PublicNames(
    title="Microsoft Azure",
    region=_region,
    services={
        "app service": "Azure App Service",
        "azure active directory": "Microsoft Entra ID",
        "azure kubernetes service": "Azure Kubernetes Service",
        "azure sql database": "Azure SQL Database",
        "cosmos db": "Azure Cosmos DB",
        "key vault": "Azure Key Vault",
        "microsoft entra id": "Microsoft Entra ID",
        "sql database": "Azure SQL Database",
        "storage": "Azure Storage",
        "virtual machines": "Azure Virtual Machines",
        "virtual network": "Azure Virtual Network",
    },
    tracking_id=r"[A-Z0-9]{4}-[A-Z0-9]{3}",
    wholes=(("azure-resource", re.compile(r"/subscriptions/[^\s`|]*", re.I)),),
    domains=("azure.com", "windows.net", "azurewebsites.net"),
)
