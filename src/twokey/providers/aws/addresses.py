"""AWS's own addresses: whoever answers at another one could say anything about who is who and what is done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from twokey.sections import is_at

# A service's host, or a VPC endpoint's; what customers get below it (buckets, gateways, instances) has other forms.
# https://docs.aws.amazon.com/general/latest/gr/rande.html
_REGION = r"([a-z]{2,4}(-[a-z]+)+-[0-9]|us-gov)"
_SUFFIX = r"(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov)"
_OWN = re.compile(
    rf"[a-z0-9-]+(\.{_REGION})?\.{_SUFFIX}|vpce-[a-z0-9-]+\.[a-z0-9-]+\.{_REGION}\.vpce\.{_SUFFIX}"
)
_SDK = "AWS_ENDPOINT_URL"  # the SDK itself reads this, and one for each service


def elsewhere(endpoint_url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return every address that is not AWS's own, by the variable that says so."""
    said = {"TWOKEY_AWS_ENDPOINT_URL": endpoint_url} if endpoint_url else {}
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        said |= {
            name: value
            for name, value in environment.items()
            if value and (name == _SDK or name.startswith(f"{_SDK}_"))
        }
    return {name: address for name, address in said.items() if not _is_own(address)}


def _is_own(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, is_whole = parts.hostname or "", parts.path in ("", "/")
    except ValueError:
        return False
    return is_whole and is_at(address, host) and _OWN.fullmatch(host) is not None
