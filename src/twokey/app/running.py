"""Running: the bot's process with its tasks and threads, all held and watched, and its graceful end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.app.logs import start_logging
from twokey.core.errors import TwokeyError
from twokey.flow.containment import Containment
from twokey.flow.intake import Intake
from twokey.flow.intake.liveness import SourceLiveness
from twokey.flow.roster_changes import RosterWatch
from twokey.flow.stamping import Stamping
from twokey.ports import Clock, Route, Source, Store
from twokey.settings import Settings

if TYPE_CHECKING:
    from twokey.app import App
    from twokey.chat.delivery.sender import Sender
    from twokey.chat.slack.app import SlackBot
    from twokey.chat.slack.options import Flows, SlackOptions
    from twokey.web import WebApp

log = logging.getLogger("twokey")
GRACE_S = 6.0  # how long work in hand may take to its end
LISTEN_EVERY_S = 60.0
LEAVE_S = 9.0  # and everything together: who asked us to end waits ten seconds before he kills
DIED = 70  # the exit code when a part that must live has ended: whoever supervises starts us again


class Poller:
    """Carries notifications from one source into the record: acknowledged only when they are stored."""

    def __init__(self, source: Source, intake: Intake, stop: threading.Event) -> None:
        self._source, self._intake, self._stop = source, intake, stop
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name=f"poller {source.name}", daemon=True)

    @property
    def name(self) -> str:
        """Return the source's name."""
        return self._source.name

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Say whether it still fetches."""
        return self._thread.is_alive()

    def fault(self) -> str:
        """Say what is wrong, "" when nothing is."""
        return self._fault if self._thread.is_alive() else "has ended"

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self.once()
                failures, self._fault = 0, ""
            except TwokeyError as fault:  # also a right or a queue that is missing: somebody will mend it
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
    start_logging(app.hide)
    asyncio.run(_bot(app))


def run_worker(app: App) -> None:
    """Run owed work until SIGTERM or SIGINT."""
    start_logging(app.hide)
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        _leave_after(LEAVE_S)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    log.info("working")
    gc.freeze()
    app.engine.run(stop)


async def _bot(app: App) -> None:
    from twokey.chat.slack.app import slack_bot
    from twokey.chat.slack.options import Flows
    from twokey.web import serve as serve_web

    stop, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def end(code: int = 0) -> None:
        stop.set()
        ended.set()  # the engine begins nothing more while the web door answers what it has
        _leave_after(LEAVE_S, code)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    settings = app.settings
    options = slack_options(settings)
    flows = Flows(app.intake, app.response, app.containment, app.review, app.watch)
    bot = slack_bot(flows, options, store=app.hooked, clock=app.clock, rosters=app.rosters)
    sender = _sender(app, bot, flows, options)
    app.hooked.on_commit = sender.wake
    bot.supervisor.spawn_required(sender.run(), "sender")
    await asyncio.to_thread(app.watch.catch_up)
    threads = BackgroundThreads(app, bot, ended)
    bot.supervisor.spawn_required(
        _look_around(
            RosterWatch(app.hooked, app.clock, app.rosters),
            build_listening(settings, app.hooked, app.clock),
            threads.silent,
        ),
        "listening",
    )
    if app.stamping:
        bot.supervisor.spawn_required(_stamp(app.stamping, threads.stampless), "stamping")
    web = web_door(app, bot, threads.readiness)
    door = bot.connect() if settings.slack_app_token else None
    bot.supervisor.watch_alive("inbox", lambda: web.state.inbox.is_alive)
    serving = bot.supervisor.spawn_required(
        serve_web(web, settings.http_host, settings.http_port, stop, hide=app.hide), "web"
    )
    log.info("serving on %s:%d", settings.http_host, settings.http_port)
    died = ""
    gc.freeze()  # what was loaded stays: looking through it for garbage again and again stops everything
    try:
        died = await bot.supervisor.first_ended(stop)
        if serving.done() and not serving.cancelled():
            serving.result()  # it may say why, as an address that is taken does
        if died:
            log.critical("%s has ended: the process ends too, to be started again", died)
            end(DIED)
        await asyncio.wait([serving])
    finally:
        ended.set()
        if door is not None:
            await door.close()
        await asyncio.to_thread(threads.engine.join, GRACE_S)
        await bot.close()
        if threads.engine.is_alive():
            _leave(DIED if died else 0)
        app.store.close()
    if died:
        raise SystemExit(DIED)


class BackgroundThreads:
    """The threads that do owed work and fetch notifications, all of them in the register; and how everything is."""

    def __init__(self, app: App, bot: SlackBot, ended: threading.Event) -> None:
        self._app, self._supervisor = app, bot.supervisor
        self.silent: dict[str, str] = {}  # sources of which nothing was heard for long
        self.stampless: dict[str, str] = {}  # the trail, where no time stamp is had for long
        self.engine = threading.Thread(target=app.engine.run, args=(ended,), name="engine", daemon=True)
        self.engine.start()
        self._supervisor.watch_alive("engine", self.engine.is_alive)
        self._pollers = [Poller(source, app.intake, ended) for source in app.sources]
        for poller in self._pollers:
            poller.start()
            self._supervisor.watch_alive(poller.name, poller.is_alive)

    def readiness(self) -> dict[str, str]:
        """Return what is wrong, by part."""
        faults = {**self.silent, **self.stampless, **self._supervisor.faults()}
        if not self.engine.is_alive() or not self._app.engine.alive():
            faults["engine"] = "has ended"
        for poller in self._pollers:
            if fault := poller.fault():
                faults[poller.name] = fault
        return faults


def _sender(app: App, bot: SlackBot, flows: Flows, options: SlackOptions) -> Sender:
    from twokey.chat.slack.app import slack_sender

    return slack_sender(
        flows,
        options,
        store=app.store,  # not the hooked one: its own changes need not wake it
        clock=app.clock,
        rosters=app.rosters,
        pools=bot.dispatcher.pools,
        supervisor=bot.supervisor,
        announced=app.response.announced_in,
        lease=app.leads,
        checkpoint=app.checkpoint,
    )


def web_door(app: App, bot: SlackBot, readiness: Callable[[], Mapping[str, str]]) -> WebApp:
    """Return every address that the process answers to."""
    from twokey.chat.slack.http_door import slack_route
    from twokey.web import Inbox, web_app

    inbox = Inbox(app.intake.receive)
    routes = [route for module in app.settings.modules for route in module.routes(inbox, app.clock)]
    if app.settings.slack_signing_secret:
        routes.append(slack_route(bot, app.clock))
    if app.settings.public_url:
        routes += passkey_pages(app.containment, app.settings)
    return web_app(inbox, routes, readiness=readiness, hide=app.hide)


def passkey_pages(containment: Containment, settings: Settings) -> list[Route]:
    """Return the pages on which people sign, and make passkeys."""
    from urllib.parse import urlsplit

    from twokey.app.passkey_links import Links
    from twokey.web.passkeys import passkey_routes

    host = urlsplit(settings.public_url).hostname or ""
    return passkey_routes(Links(containment, host, settings.language), settings.public_url)


async def _look_around(roster: RosterWatch, listening: SourceLiveness, silent: dict[str, str]) -> None:
    """Look now and then whether the roster is another one and whether every source still speaks.

    What cannot be looked at now can be in a minute.
    """
    while True:
        try:
            await asyncio.to_thread(roster.look)
            found = await asyncio.to_thread(listening.look)
            silent.clear()
            silent.update({name: f"ok, but silent since {at:%Y-%m-%dT%H:%MZ}" for name, at in found.items()})
        except TwokeyError as fault:
            log.warning("the roster or silence could not be looked at: %s", fault)
        await asyncio.sleep(LISTEN_EVERY_S)


async def _stamp(stamping: Stamping, stampless: dict[str, str]) -> None:
    """Owe a time stamp whenever one is due; an authority that does not answer stops nothing and is told of."""
    while True:
        try:
            await asyncio.to_thread(stamping.owe)
            since = await asyncio.to_thread(stamping.overdue)
            stampless.clear()
            if since:
                stampless["time stamps"] = f"ok, but none since {since:%Y-%m-%dT%H:%MZ}"
        except TwokeyError as fault:
            log.warning("whether a time stamp is due could not be looked for: %s", fault)
        await asyncio.sleep(LISTEN_EVERY_S)


def build_listening(settings: Settings, store: Store, clock: Clock) -> SourceLiveness:
    """Make what knows which sources are silent."""
    after = timedelta(hours=settings.silent_after_h)
    return SourceLiveness(store, clock, settings.heard_from(), after, clock.now())


def _leave_after(seconds: float, code: int = 0) -> None:
    timer = threading.Timer(seconds, _leave, [code])
    timer.daemon = True
    timer.start()


def _leave(code: int = 0) -> None:
    """End the process with work in hand: a call to a cloud cannot be called back, but a run survives this."""
    log.warning(
        "leaving before the work in hand is over: it is on record, and the next start goes on with it"
    )
    logging.shutdown()
    os._exit(code)


def slack_options(settings: Settings) -> SlackOptions:
    """Return what the chat needs of the settings."""
    from twokey.chat.slack.options import SlackOptions

    return SlackOptions(
        bot_token=settings.slack_bot_token,
        team=settings.slack_team,
        channel=settings.slack_channel,
        security_channel=settings.slack_security_channel,
        fallback_channel=settings.slack_fallback_channel,
        fallback_after_s=settings.slack_fallback_after_s,
        app_token=settings.slack_app_token,
        signing_secret=settings.slack_signing_secret,
        command=settings.slack_command,
        per_second=settings.slack_per_second,
        language=settings.language,
        api_url=settings.slack_api_url,
        enterprise=settings.slack_enterprise,
        rehearsal=", ".join(
            f"{name.removeprefix('TWOKEY_')} {host}" for name, host in settings.elsewhere.items()
        ),
    )
