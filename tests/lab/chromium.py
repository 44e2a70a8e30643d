"""A real Chromium without a window, driven over its own DevTools protocol: a tab and a virtual device a person."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from twokey.demo.slack.background import BackgroundLoop

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
    "--window-size=1000,1200",
)  # fmt: skip
_DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
_PATIENCE_S = 30.0


@dataclass
class Wire:
    """The one connection to a browser; what it tells unasked is kept."""

    background: BackgroundLoop
    socket: aiohttp.ClientWebSocketResponse
    told: list[dict[str, Any]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Call one method and return its result."""
        return self.background.run(self._call(method, session, params))

    async def _call(self, method: str, session: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        to = {"sessionId": session} if session else {}
        await self.socket.send_json({"id": number, "method": method, "params": params, **to})
        while True:
            said = json.loads(await self.socket.receive_str(timeout=_PATIENCE_S))
            if said.get("id") == number:
                assert "error" not in said, (method, said["error"])
                return dict(said["result"])
            self.told.append(said)


@dataclass
class Tab:
    """A person's own window, which shares no cookie and no device with another's."""

    wire: Wire
    session: str
    device: str = ""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call one method of this tab."""
        return self.wire.call(method, self.session, **params)

    def open(self, url: str) -> int:
        """Open an address and return the status of the answer."""
        assert "errorText" not in (found := self.call("Page.navigate", url=url)), found
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return int(self.js("performance.getEntriesByType('navigation')[0].responseStatus"))

    def js(self, expression: str) -> Any:
        """Return the value of an expression on the page."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true and return its value."""
        end = time.monotonic() + _PATIENCE_S
        while not (value := self.js(expression)):
            assert time.monotonic() < end, (expression, self.text())
            time.sleep(0.05)
        return value

    def text(self) -> str:
        """Return what stands on the page."""
        return str(self.js("document.body.innerText"))

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element, wherever it is on the page."""
        middle = (
            f"(box => (box.scrollIntoView(), box = box.getBoundingClientRect(), [box.x + box.width / 2, "
            f"box.y + box.height / 2]))(document.querySelector({json.dumps(selector)}))"
        )
        x, y = self.js(middle)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Put the cursor into a field, take out what is there, and type."""
        self.click(selector)
        self.js(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def verifies(self, is_verified: bool) -> None:
        """Say whether the device finds the finger that it asks for to be its person's."""
        self.call("WebAuthn.setUserVerified", authenticatorId=self.device, isUserVerified=is_verified)

    def picture(self, to: Path) -> None:
        """Write what the whole page looks like."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        to.write_bytes(base64.b64decode(found["data"]))


@dataclass(frozen=True)
class Browser:
    """A Chromium that runs."""

    wire: Wire

    def tab(self) -> Tab:
        """Open a window of its own for one person, who has a device of their own."""
        context = self.wire.call("Target.createBrowserContext")["browserContextId"]
        target = self.wire.call("Target.createTarget", url="about:blank", browserContextId=context)
        found = self.wire.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self.wire, found["sessionId"])
        for domain in ("Log", "Runtime"):
            tab.call(f"{domain}.enable")
        tab.call("WebAuthn.enable", enableUI=False)
        tab.device = tab.call("WebAuthn.addVirtualAuthenticator", options=_DEVICE)["authenticatorId"]
        return tab

    def complaints(self) -> list[str]:
        """Return what the browser held against the pages: their policy, errors of scripts, what it warns of.

        An answer that is not 200 is none: whoever opens a page looks at its status.
        """
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown")
        said = [told["params"] for told in self.wire.told if told.get("method") in kinds]
        return [json.dumps(one) for one in said if one.get("entry", {}).get("source") != "network"]


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Start a Chromium whose profile is in a folder, and end it after the block."""
    assert CHROMIUM is not None
    log = (folder / "chromium.log").open("wb")
    command = [CHROMIUM, *_SWITCHES, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with BackgroundLoop("chromium") as background:
                session, socket = background.run(_connected(folder / "profile" / "DevToolsActivePort"))
                wire = Wire(background, socket)
                try:
                    yield Browser(wire)
                    wire.call("Browser.close")
                    process.wait(_PATIENCE_S)
                finally:
                    background.run(session.close())
        finally:
            process.kill()


async def _connected(found: Path) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    """Return the connection to a browser that writes where it listens."""
    end = time.monotonic() + _PATIENCE_S
    while not (found.exists() and found.read_text().count("\n")):
        assert time.monotonic() < end, "Chromium did not start"
        time.sleep(0.05)
    port, path = found.read_text().split("\n")[:2]
    session = aiohttp.ClientSession()
    return session, await session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0)
