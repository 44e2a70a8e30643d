"""Wiring: makes the parts and hands them over; the only module that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.app.on_commit import HookedStore
from twokey.clouds import CLOUDS
from twokey.core.errors import Message, NotFound
from twokey.core.incidents import Incident
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, Signal, raw_id
from twokey.flow.containment import Containment
from twokey.flow.execution.run import Executor
from twokey.flow.handlers import dead_letter_handler, job_handlers
from twokey.flow.incidents.commands import Response
from twokey.flow.intake import Intake
from twokey.flow.intake.cursors import StoredCursors
from twokey.flow.planning.planner import Planner
from twokey.flow.review.drafts import Review
from twokey.flow.stamping import Stamping
from twokey.flow.watch import Watch
from twokey.ports import (
    AuthorizeSource,
    Checkpoint,
    Classifier,
    Clock,
    Cloud,
    CloudModule,
    DeadLetterHandler,
    DocumentReader,
    Engine,
    JobHandler,
    NoPasskeys,
    Passkeys,
    Rosters,
    Source,
    Store,
    authorize_every_source,
    no_checkpoint,
)
from twokey.settings import Settings

if TYPE_CHECKING:
    from twokey.catalog.library import FileLibrary
    from twokey.publish.redact import Disclosure
    from twokey.store import Completions, SqlStore
    from twokey.timestamps import Rfc3161Stamper
    from twokey.web.secrets import Hide


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock that everybody else asks


@dataclass(frozen=True)
class App:
    """Every part of one running twokey."""

    settings: Settings
    clock: Clock
    store: SqlStore
    hooked: HookedStore  # the same record, which wakes the sender after every change
    rosters: Rosters
    intake: Intake
    response: Response
    containment: Containment
    executor: Executor
    review: Review
    watch: Watch
    stamping: Stamping | None  # None where no authority is set
    engine: Engine
    sources: tuple[Source, ...]
    hide: Hide  # takes the secrets of our endpoints' addresses out of a text
    leads: Callable[[], bool]  # whether this process is the one that speaks in the chat
    checkpoint: Checkpoint


def build(settings: Settings, *, clock: Clock | None = None, checkpoint: Checkpoint = no_checkpoint) -> App:
    """Make every part. A cloud, a rule file or a template that cannot load stops the start."""
    from twokey.stepup import TotpStepUp
    from twokey.store.leading import Leader
    from twokey.web.passkeys import PAGES
    from twokey.web.secrets import hiding

    clock = clock or SystemClock()
    record = open_record(settings, clock)
    store = HookedStore(record)
    rosters = build_rosters(settings)
    cursors = StoredCursors(store, clock)
    connected = {module.name: module.connect(clock, cursors) for module in settings.configured}
    library = build_library(settings)
    planner = Planner({name: made.cloud for name, made in connected.items()}, settings.config)
    intake = Intake(
        store,
        clock,
        normalisers(settings.modules),
        classifier(settings),
        workspace=settings.slack_team,
        enterprise=settings.slack_enterprise,
        storm_window=timedelta(seconds=settings.storm_window_s),
        checkpoint=checkpoint,
        cause_wait=max(module.cause_wait for module in settings.modules),
        authorize_source=source_authorization(settings),
    )
    passkeys = build_passkeys(settings)
    step_up = TotpStepUp(settings.totp_file)
    containment = Containment(store, clock, rosters, library, planner, step_up, passkeys)
    executor = Executor(store, clock, rosters, library, planner, checkpoint, settings.limits, passkeys)
    review = replace(build_review(settings, store, clock, rosters), checkpoint=checkpoint)
    watch = Watch(store, clock, rosters, planner, timedelta(days=settings.review_after_days))
    stamping = build_stamping(settings, store, clock)
    handle = job_handlers(intake, containment, executor, review, watch, stamping)
    engine = build_engine(settings, record, clock, handle, dead_letter_handler(intake, executor, store))
    return App(
        settings=settings,
        clock=clock,
        store=record,
        hooked=store,
        rosters=rosters,
        intake=intake,
        response=Response(store, clock, rosters),
        containment=containment,
        executor=executor,
        review=review,
        watch=watch,
        stamping=stamping,
        engine=engine,
        sources=tuple(source for made in connected.values() for source in made.sources),
        hide=hiding([PAGES, *(prefix for module in settings.modules for prefix in module.secret_prefixes)]),
        leads=Leader(settings.database_url),
        checkpoint=checkpoint,
    )


def build_passkeys(settings: Settings) -> Passkeys:
    """Make what verifies signatures; without a public address there are none."""
    if not settings.public_url:
        return NoPasskeys()
    from twokey.passkeys import WebPasskeys

    return WebPasskeys(settings.public_url)


def open_record(settings: Settings, clock: Clock | None = None) -> SqlStore:
    """Open the database; an empty SQLite file is set up, any other must have been migrated."""
    from twokey.store import open_store

    is_postgres = settings.database_url.startswith("postgres")
    defer = None
    if is_postgres:
        from twokey.engine.deferring import defer_jobs

        defer = defer_jobs
    return open_store(
        settings.database_url,
        clock or SystemClock(),
        defer=defer,
        migrate=not is_postgres,
        completions=completions(settings.modules),
    )


def look_at_record(settings: Settings) -> SqlStore:
    """Open a record as it is: nothing is migrated, and a file that is not there is not made."""
    from twokey.store import open_store

    path = settings.database_url.removeprefix("sqlite:///")
    if path != settings.database_url and not Path(path).exists():
        raise NotFound("audit.no_record", path=path)
    return open_store(settings.database_url, SystemClock(), completions=completions(settings.modules))


def completions(modules: Iterable[CloudModule] = CLOUDS) -> Completions:
    """Return what gives typed answers to signals and incidents that were written before readers gave them."""
    by_cloud = {module.name: module for module in modules}

    def incident(found: Incident) -> Incident:
        cloud = by_cloud.get(found.provider)
        return found if found.has_answers or cloud is None else cloud.complete_incident(found)

    def sighting(seen: Sighting) -> Sighting:
        signal, cloud = seen.signal, by_cloud.get(seen.signal.provider)
        if signal.has_answers or cloud is None:
            return seen
        return replace(seen, signal=cloud.complete_signal(signal))

    return {Incident: incident, Sighting: sighting}


def build_response(settings: Settings) -> Response:
    """Make only what looks at incidents of a record that exists: no cloud, no chat."""
    return Response(look_at_record(settings), SystemClock(), build_rosters(settings))


def build_review(settings: Settings, record: Store, clock: Clock, rosters: Rosters) -> Review:
    """Make only what writes post-mortems."""
    from twokey.publish.folder import PostmortemFolder
    from twokey.publish.git import GitRepository
    from twokey.publish.render import PostmortemRenderer
    from twokey.publish.targets import PostmortemPublisher

    folder = settings.postmortems_dir
    target = GitRepository(folder) if settings.postmortems_git else PostmortemFolder(folder)
    renderer = PostmortemRenderer(
        settings.templates_dir, disclosure(settings.modules), zone=settings.timezone
    )
    return Review(record, clock, rosters, PostmortemPublisher(renderer, [target]))


def build_stamping(settings: Settings, record: Store, clock: Clock) -> Stamping | None:
    """Make what has the trail's head stamped, where the settings name an authority."""
    if (stamper := build_stamper(settings)) is None:
        return None
    return Stamping(record, clock, stamper, timedelta(seconds=settings.tsa_every_s))


def build_stamper(settings: Settings) -> Rfc3161Stamper | None:
    """Make what asks the authority, and checks what it gave; None where none is set."""
    if not settings.tsa_url:
        return None
    from twokey.timestamps import Rfc3161Stamper

    return Rfc3161Stamper(settings.tsa_url, settings.tsa_ca)


def disclosure(modules: Iterable[CloudModule] = CLOUDS) -> Disclosure:
    """Make what knows which texts outsiders may read."""
    from twokey.publish.redact import Disclosure

    return Disclosure({module.name: module.public for module in modules})


def build_rosters(settings: Settings) -> Rosters:
    """Make what reads the roster file."""
    from twokey.catalog.roster import FileRosters

    return FileRosters(settings.roster_file, tuple(module.scope for module in settings.modules))


def build_library(settings: Settings) -> FileLibrary:
    """Make what reads the runbooks, checked against every cloud that the program knows."""
    from twokey.catalog.library import FileLibrary

    return FileLibrary(settings.runbooks_dir, declarations(settings.modules))


def declarations(modules: Iterable[CloudModule] = CLOUDS) -> dict[str, Cloud]:
    """Return every cloud's actions and checks for whoever checks a runbook, without a setting or a network."""
    return {module.name: module.declarations(SystemClock()) for module in modules}


def normalisers(modules: Iterable[CloudModule] = CLOUDS) -> dict[str, DocumentReader]:
    """Return every cloud's reader of notifications; they need no SDK."""
    return {module.name: module.normaliser() for module in modules}


def source_authorization(settings: Settings) -> AuthorizeSource:
    """Return what asks a signal's own cloud for whom its source may not speak."""
    by_cloud = {module.name: module.source_authorization() for module in settings.modules}

    def authorize(signal: Signal, raw: RawNotification) -> Message | None:
        return by_cloud.get(signal.provider, authorize_every_source)(signal, raw)

    return authorize


def classifier(settings: Settings) -> Classifier:
    """Load the rules."""
    from twokey.catalog.rules import load_rules

    readers = normalisers(settings.modules)
    return load_rules(
        settings.rules_dir, payload=lambda signal, raw: readers[raw.provider].payload(signal, raw)
    )


def replay(app: App, files: list[Path], provider: str, speed: float) -> int:
    """Receive recorded notifications from files, as if they had just arrived; return how many were new."""
    from twokey.catalog.recordings import recorded

    new = 0
    for body in recorded(files, speed):
        source = f"{provider}.file:replay"
        raw = RawNotification(raw_id(source, body), source, body, app.clock.now())
        new += len(app.intake.receive([raw]))
    return new


def serve(settings: Settings, *, checkpoint: Checkpoint = no_checkpoint) -> None:
    """Run the bot until SIGTERM or SIGINT."""
    from twokey.app.running import run_bot

    run_bot(build(settings, checkpoint=checkpoint))


def work(settings: Settings, *, checkpoint: Checkpoint = no_checkpoint) -> None:
    """Run owed work only, until SIGTERM or SIGINT."""
    from twokey.app.running import run_worker

    run_worker(build(settings, checkpoint=checkpoint))


def build_engine(
    settings: Settings, record: SqlStore, clock: Clock, handle: JobHandler, given_up: DeadLetterHandler
) -> Engine:
    """Make what runs owed jobs: on Postgres for many machines, else in threads of this process."""
    if settings.database_url.startswith("postgres"):
        from twokey.engine.procrastinate import ProcrastinateEngine

        return ProcrastinateEngine(
            settings.database_url,
            handle,
            given_up,
            clock,
            workers=settings.workers,
            heartbeat_s=settings.lease_s / 3,
            silent_s=settings.lease_s,
            rescue=f"* * * * * */{max(1, int(settings.lease_s / 3))}",
        )
    from twokey.engine.embedded import EmbeddedEngine

    return EmbeddedEngine(
        record.jobs(), handle, given_up, clock, workers=settings.workers, lease_s=settings.lease_s
    )
