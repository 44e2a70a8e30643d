"""One spelling for Azure's services: alarms and resource types name them otherwise than the provider's posts."""

from __future__ import annotations

from functools import lru_cache

from twokey.providers.reading import once, service_key

_ALIASES = {
    "kubernetesserviceaks": "aks",
    "kubernetesservice": "aks",
    "appserviceweb": "appservice",
    "appservicelinux": "appservice",
    "storageaccounts": "storage",
}


@lru_cache(maxsize=2048)  # asked of every notification, and services are few
def keys_of(*names: str) -> tuple[str, ...]:
    """Return what spellings of services have in common: "App Service (Linux)" and Microsoft.Web/App Service are one."""
    folded = (service_key(name) for name in names)
    return once(_ALIASES.get(one, one) for one in folded)
