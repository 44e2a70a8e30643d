"""Running: the bot's process with its tasks and threads, all held and watched, and its graceful end."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from typing import TYPE_CHECKING

from twokey.core.errors import Invalid, Unavailable
from twokey.flow.intake import Intake
from twokey.ports import Source
from twokey.settings import Settings

if TYPE_CHECKING:
    from twokey.app import App
    from twokey.chat.slack.options import SlackOptions

log = logging.getLogger("twokey")
GRACE_S = 10.0


class Pump:
    """Carries notifications from one source into the record: acknowledged only when they are stored."""

    def __init__(self, source: Source, intake: Intake, stop: threading.Event) -> None:
        self._source, self._intake, self._stop = source, intake, stop
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name=f"pump {source.name}", daemon=True)

    @property
    def name(self) -> str:
        """Return the source's name."""
        return self._source.name

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def fault(self) -> str:
        """Say what is wrong, "" when nothing is."""
        return self._fault if self._thread.is_alive() else "has ended"

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self.once()
                failures, self._fault = 0, ""
            except (Unavailable, Invalid) as fault:
                failures += 1
                self._fault = str(fault)
                log.warning("source %s: %s", self._source.name, fault)
                self._stop.wait(min(60.0, 2.0**failures))

    def once(self) -> int:
        """Fetch, store, acknowledge: in this order."""
        batch = self._source.receive()
        if batch:
            self._intake.receive(batch)
            self._source.done(batch)
        return len(batch)


def run_bot(app: App) -> None:
    """Run everything until SIGTERM or SIGINT, and end gracefully: what is in hand is finished."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_bot(app))


def run_worker(app: App) -> None:
    """Run owed work until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("working")
    app.engine.run(stop)


async def _bot(app: App) -> None:
    from twokey.chat.slack.app import slack_bot
    from twokey.chat.slack.http_door import slack_route
    from twokey.chat.slack.options import Flows
    from twokey.chat.slack.sender import Sender
    from twokey.web import Door, Doors, web_app
    from twokey.web import serve as serve_web

    stop, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settings = app.settings
    options = slack_options(settings)
    flows = Flows(app.intake, app.response, app.containment, app.review)
    bot = slack_bot(flows, options, store=app.bell, clock=app.clock, rosters=app.rosters)
    sender = Sender(
        flows,
        options,
        store=app.bell,
        clock=app.clock,
        rosters=app.rosters,
        workers=bot.desk.workers,
        watch=bot.watch,
        announced=app.response.announced,
        lease=app.leads,
    )
    app.bell.listener = sender.wake
    bot.watch.need(sender.run(), "sender")
    engine = threading.Thread(target=app.engine.run, args=(ended,), name="engine", daemon=True)
    engine.start()
    pumps = [Pump(source, app.intake, ended) for source in app.sources]
    for pump in pumps:
        pump.start()

    def readiness() -> dict[str, str]:
        faults = bot.watch.faults()
        if not engine.is_alive() or not app.engine.alive():
            faults["engine"] = "has ended"
        for pump in pumps:
            if fault := pump.fault():
                faults[pump.name] = fault
        return faults

    web = web_app(
        app.intake.receive,
        doors=Doors(tuple(Door(name, secret) for name, secret in settings.doors().items())),
        clock=app.clock,
        readiness=readiness,
        slack=slack_route(bot, app.clock).app if settings.slack_signing_secret else None,
    )
    door = await bot.connect() if settings.slack_app_token else None
    log.info("serving on %s:%d", settings.http_host, settings.http_port)
    try:
        await serve_web(web, settings.http_host, settings.http_port, stop)
    finally:
        ended.set()
        if door is not None:
            await door.close()
        await asyncio.to_thread(engine.join, GRACE_S)
        await bot.close()
        app.store.close()


def slack_options(settings: Settings) -> SlackOptions:
    """Return what the chat needs of the settings."""
    from twokey.chat.slack.options import SlackOptions

    return SlackOptions(
        bot_token=settings.slack_bot_token,
        team=settings.slack_team,
        channel=settings.slack_channel,
        security_channel=settings.slack_security_channel,
        app_token=settings.slack_app_token,
        signing_secret=settings.slack_signing_secret,
        command=settings.slack_command,
        language=settings.language,
        api_url=settings.slack_api_url,
        enterprise=settings.slack_enterprise,
    )
