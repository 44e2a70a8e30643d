"""Azure's own addresses, of the public cloud and the national ones."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.sections import is_at

# https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
_ENTRA = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
)
_MANAGEMENT = ("management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn")
_SDK = "AZURE_AUTHORITY_HOST"  # the SDK itself reads this one, with and without a scheme


def elsewhere(authority: str, endpoint_url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return every address that is not Azure's own, by the variable that says so."""
    sdk = environment.get(_SDK, "")
    said = {
        "TWOKEY_AZURE_AUTHORITY": (authority, _ENTRA),
        "TWOKEY_AZURE_ENDPOINT_URL": (endpoint_url, _MANAGEMENT),
        _SDK: (sdk if "://" in sdk or not sdk else f"https://{sdk}", _ENTRA),
    }
    return {
        name: address for name, (address, hosts) in said.items() if address and not is_at(address, *hosts)
    }
