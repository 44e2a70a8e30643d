"""A Slack on the loopback, for real Bolt and real slack_sdk to talk to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from aiohttp import web

from .background import BackgroundLoop
from .delivery import Delivery, Transport
from .faults import FaultScript, RateLimit
from .model import Call, Channel, Member, Message, View, Workspace
from .people import Person, seen_channel
from .render import as_html, as_text
from .signed_http import SignedHttp
from .socket_mode import SocketMode
from .web_api import WebApi

P = ParamSpec("P")
T = TypeVar("T")


class FakeSlack:
    """One workspace with one app: `with FakeSlack() as slack:`; every method may be called from any thread."""

    bot_token = "xoxb-fake-0000000001-bot"
    app_token = "xapp-1-A0FAKE0001-0000000001-app"
    signing_secret = "fake-signing-secret-0000000000001"

    def __init__(self, port: int = 0, *, bot_name: str = "twokey") -> None:
        self.state = Workspace()
        self.state.bot_name = bot_name
        self.state.members[self.bot_user_id] = Member(
            self.bot_user_id, bot_name, bot_name, self.team_id, "", is_bot=True
        )
        self.deliveries: list[Delivery] = []
        self._background = BackgroundLoop("fake-slack")
        self.socket = SocketMode(self._background, self.state.app_id)
        self._api = WebApi(self.state, self.socket, self.bot_token, self.app_token)
        self.transport: Transport = self.socket
        self._port = port
        self._runner: web.AppRunner | None = None

    # Life

    def start(self) -> Self:
        """Begin to listen."""
        self._background.start()
        self._background.run(self._listen())
        return self

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._background.run(self._close())
        self._background.stop()

    async def _listen(self) -> None:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.add_routes(self._api.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = int(self._runner.addresses[0][1])
        self.state.base_url = f"http://127.0.0.1:{self._port}"

    async def _close(self) -> None:
        await self.socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What the app is configured with

    @property
    def api_url(self) -> str:
        """Return the base_url for the app's Web API client."""
        return f"{self.state.base_url}/api/"

    @property
    def team_id(self) -> str:
        """Return the workspace's id."""
        return self.state.team_id

    @property
    def app_id(self) -> str:
        """Return the app's id."""
        return self.state.app_id

    @property
    def bot_user_id(self) -> str:
        """Return the bot's user id."""
        return self.state.bot_user_id

    @property
    def bot_id(self) -> str:
        """Return the bot's id."""
        return self.state.bot_id

    # Who and what there is

    def add_user(
        self,
        name: str,
        *,
        real_name: str = "",
        user_id: str | None = None,
        email: str | None = None,
        team_id: str | None = None,
        is_bot: bool = False,
        deleted: bool = False,
        is_restricted: bool = False,
        is_ultra_restricted: bool = False,
        locale: str = "en-US",
        tz: str = "Etc/UTC",
        tz_offset: int = 0,
    ) -> Person:
        """Add an account; another `team_id` makes it a stranger from Slack Connect."""
        member = Member(
            id=user_id or self.state.next_id("U"),
            name=name,
            real_name=real_name or name.title(),
            team_id=team_id or self.team_id,
            email=email if email is not None else f"{name}@example.com",
            is_bot=is_bot,
            deleted=deleted,
            is_restricted=is_restricted,
            is_ultra_restricted=is_ultra_restricted,
            is_stranger=team_id not in (None, self.team_id),
            locale=locale,
            tz=tz,
            tz_offset=tz_offset,
        )
        with self.state.lock:
            self.state.members[member.id] = member
        return Person(self, member)

    def add_channel(
        self,
        name: str,
        *,
        channel_id: str | None = None,
        is_private: bool = False,
        is_shared: bool = False,
        is_ext_shared: bool = False,
        is_archived: bool = False,
        bot_is_member: bool = True,
        members: list[Person] | None = None,
    ) -> Channel:
        """Add a channel; everybody is in it unless `members` says who."""
        channel = Channel(
            id=channel_id or self.state.next_id("C"),
            name=name,
            is_private=is_private,
            is_shared=is_shared,
            is_ext_shared=is_ext_shared,
            is_archived=is_archived,
            bot_is_member=bot_is_member,
            members=None if members is None else {person.id for person in members} | {self.bot_user_id},
        )
        with self.state.lock:
            self.state.channels[channel.id] = channel
        return channel

    def add_group(self, handle: str, people: list[Person]) -> str:
        """Add a user group and return its id."""
        group_id = self.state.next_id("S")
        with self.state.lock:
            self.state.groups[group_id] = (handle, [person.id for person in people])
        return group_id

    def user(self, name: str) -> Person:
        """Find an account by id or name."""
        for member in self.state.members.values():
            if name in (member.id, member.name):
                return Person(self, member)
        raise AssertionError(f"nobody is called {name!r}")

    def channel(self, name: Channel | str) -> Channel:
        """Find a channel by id or name."""
        return seen_channel(self, name)

    # How the app is reached

    def via_socket(self) -> SocketMode:
        """Deliver what people do through Socket Mode (the default)."""
        self.transport = self.socket
        return self.socket

    def via_http(
        self,
        url: str,
        *,
        signature: str = "valid",
        headers: dict[str, str] | None = None,
        timeout: float = 3.0,
    ) -> SignedHttp:
        """Deliver what people do to this request URL; see SignedHttp for bad signatures."""
        transport = SignedHttp(url, self.signing_secret, signature, headers or {}, timeout)
        self.transport = transport
        return transport

    def wait_connected(self, count: int = 1, timeout: float = 10) -> None:
        """Wait until the app is connected through Socket Mode."""
        self.wait_for(lambda: self.socket.connected >= count, timeout)

    # What goes wrong

    @property
    def faults(self) -> FaultScript:
        """Return the script of failures to come."""
        return self._api.faults

    def tell_time_by(self, now: Callable[[], float]) -> None:
        """Write the log by this clock, which a test may drive, from now on."""
        self._api.now = now

    def limit_rate(self, per_second: float = 1.0, burst: int = 1) -> None:
        """Hold the app to Slack's rate per channel."""
        self._api.rate_limit = RateLimit(per_second, burst)

    def unlimit_rate(self) -> None:
        """Let the app post as fast as it likes."""
        self._api.rate_limit = None

    # What there is to see

    def calls(self, method: str | None = None) -> list[Call]:
        """Return the requests so far, oldest first; posts to a response_url are `response_url`."""
        with self.state.lock:
            return [call for call in self.state.calls if method in (None, call.method)]

    def log(self) -> list[str]:
        """Return what reached Slack as lines of its own log, as the history checker reads it."""
        return [
            json.dumps(
                {
                    "method": call.method,
                    "ok": bool(call.answer.get("ok")),
                    "channel": call.answer.get(
                        "channel", call.args.get("channel") or call.args.get("channel_id", "")
                    ),
                    # a shared file has no time stamp of its own
                    "ts": call.answer.get("ts") or next((f["id"] for f in call.answer.get("files", ())), ""),
                    "thread_ts": call.args.get("thread_ts", ""),
                    "error": call.error or "",
                }
            )
            for call in self.calls()
        ]

    def messages(self, channel: Channel | str) -> list[Message]:
        """Return what stands in the channel itself, oldest first."""
        with self.state.lock:
            found = self.channel(channel).messages
            return [m for m in found if not m.deleted and (not m.is_reply or m.broadcast)]

    def thread(self, channel: Channel | str, ts: str) -> list[Message]:
        """Return the message and its replies."""
        with self.state.lock:
            found = self.channel(channel).messages
            return [m for m in found if not m.deleted and ts in (m.ts, m.thread_ts)]

    def ephemerals(self, user: Person | str, channel: Channel | str | None = None) -> list[Message]:
        """Return what only this person sees."""
        user_id = user if isinstance(user, str) else user.id
        place = None if channel is None else self.channel(channel).id
        with self.state.lock:
            return [
                m
                for m in self.state.ephemerals
                if m.ephemeral_to == user_id and not m.deleted and place in (None, m.channel)
            ]

    def direct_messages(self, user: Person) -> list[Message]:
        """Return what the bot and this person wrote to each other."""
        with self.state.lock:
            return self.messages(self.state.direct(user.id))

    def view_of(self, user: Person | str) -> View | None:
        """Return the modal this person is looking at."""
        with self.state.lock:
            return self.state.top_view(user if isinstance(user, str) else user.id)

    def home_of(self, user: Person) -> View | None:
        """Return this person's home tab."""
        with self.state.lock:
            return self.state.homes.get(user.id)

    def names(self) -> Mapping[str, str]:
        """Return what people see in place of ids."""
        return self.state.names()

    def show(self, content: Message | View, width: int = 80) -> str:
        """Return a message or modal as a person sees it, as lines of plain text."""
        return as_text(content, self.names(), width)

    def page(self, channel: Channel | str, user: Person | None = None) -> str:
        """Return a channel with its threads as HTML; with `user`, also what only this person sees."""
        place = self.channel(channel)
        with self.state.lock:
            seen: list[Message | View] = [m for m in place.messages if not m.deleted]
            if user is not None:
                seen += self.ephemerals(user, place)
                view = self.view_of(user)
                seen += [view] if view is not None else []
            return as_html(seen, self.names(), channel=place.name, app=self.state.bot_name)

    def wait_for(
        self,
        condition: Callable[[], T | None],
        timeout: float = 10,
        *,
        every: float = 0.01,
    ) -> T:
        """Wait until this is true (or found) and return it."""
        until = time.monotonic() + timeout
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > until:
                last = [{"method": c.method, "status": c.status, "error": c.error} for c in self.calls()[-8:]]
                raise AssertionError(f"still not so after {timeout} s; the last calls: {last}")
            time.sleep(every)

    def locked(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something to the workspace while nobody else does."""
        with self.state.lock:
            return work(*args, **kwargs)
