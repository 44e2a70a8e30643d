"""Stratus' findings into signals."""

from __future__ import annotations

from twokey.core.errors import Json
from twokey.core.signals import Principal, RawNotification, Signal, SignalKind
from twokey.providers.reading import moment, obj, parsed, text, unreadable


class StratusNormaliser:
    """Reads findings."""

    def normalise(self, raw: RawNotification) -> tuple[Signal, ...]:
        """Return the signal in a notification; Invalid when it cannot be understood."""
        return self.normalise_json(parsed(raw.body), raw)

    def normalise_json(self, document: Json, raw: RawNotification) -> tuple[Signal, ...]:
        """Do the same with a document that was parsed already."""
        if not isinstance(document, dict) or not self.recognises(document):
            raise unreadable("it is no finding of Stratus")
        found = obj(document, "stratusFinding")
        number, token, seen = text(found, "number"), text(found, "token"), moment(text(found, "seen"))
        return (
            Signal(
                id=f"{number}/{text(found, 'revision')}",
                subject=number,
                kind=SignalKind.FINDING,
                provider="stratus",
                family="sentinel",
                type=text(found, "kind"),
                title=text(found, "title"),
                service="tokens",
                account=text(found, "project"),
                severity=7.0,
                detected_at=seen,
                updated_at=seen,
                principal=Principal(token, "Token", token),
                raw_id=raw.id,
            ),
        )

    def payload(self, signal: Signal, raw: RawNotification) -> Json:
        """Return the whole document: there is nothing around a finding."""
        return parsed(raw.body)

    def recognises(self, document: Json) -> bool:
        """Say whether a document looks like something Stratus sends."""
        return isinstance(document, dict) and "stratusFinding" in document
