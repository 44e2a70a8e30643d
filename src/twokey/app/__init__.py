"""Wiring: makes the parts and hands them over; the only module that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.app.aws import aws_options, aws_sources, aws_vouch
from twokey.app.azure import azure_session, azure_sources, azure_vouch
from twokey.app.bell import Bell
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
from twokey.ports import (
    Checkpoint,
    Classifier,
    Clock,
    Cloud,
    Cursors,
    Engine,
    Handle,
    Normaliser,
    Parked,
    Rosters,
    Source,
    StepUp,
    Store,
    Vouch,
    no_checkpoint,
    no_dispute,
)
from twokey.settings import Settings

if TYPE_CHECKING:
    from twokey.catalog.library import FileLibrary
    from twokey.store import Completions, SqlStore


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
    bell: Bell
    rosters: Rosters
    intake: Intake
    response: Response
    containment: Containment
    executor: Executor
    review: Review
    engine: Engine
    sources: tuple[Source, ...]
    leads: Callable[[], bool]  # whether this process is the one that speaks in the chat
    checkpoint: Checkpoint


def build(settings: Settings, *, clock: Clock | None = None, checkpoint: Checkpoint = no_checkpoint) -> App:
    """Make every part. A cloud, a rule file or a template that cannot load stops the start."""
    from twokey.store.leading import Leader

    clock = clock or SystemClock()
    record = open_record(settings, clock)
    bell = Bell(record)
    rosters = build_rosters(settings)
    clouds, sources = _clouds(settings, clock, StoredCursors(bell, clock))
    library = build_library(settings)
    planner = Planner(clouds, settings.config)
    intake = Intake(
        bell,
        clock,
        normalisers(settings),
        classifier(settings),
        workspace=settings.slack_team,
        enterprise=settings.slack_enterprise,
        storm_window=timedelta(seconds=settings.storm_window_s),
        checkpoint=checkpoint,
        cause_wait=timedelta(seconds=settings.azure_annotation_wait_s),
        vouch=vouch(settings),
    )
    containment = Containment(bell, clock, rosters, library, planner, _step_up(settings))
    executor = Executor(bell, clock, rosters, library, planner, checkpoint)
    review = replace(build_review(settings, bell, clock, rosters), checkpoint=checkpoint)
    handle = job_handlers(intake, containment, executor, review)
    engine = _engine(settings, record, clock, handle, dead_letter_handler(intake, executor, bell))
    return App(
        settings=settings,
        clock=clock,
        store=record,
        bell=bell,
        rosters=rosters,
        intake=intake,
        response=Response(bell, clock, rosters),
        containment=containment,
        executor=executor,
        review=review,
        engine=engine,
        sources=sources,
        leads=Leader(settings.database_url),
        checkpoint=checkpoint,
    )


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
        completions=completions(),
    )


def look_at_record(settings: Settings) -> SqlStore:
    """Open a record as it is: nothing is migrated, and a file that is not there is not made."""
    from twokey.store import open_store

    path = settings.database_url.removeprefix("sqlite:///")
    if path != settings.database_url and not Path(path).exists():
        raise NotFound("audit.no_record", path=path)
    return open_store(settings.database_url, SystemClock(), completions=completions())


def completions() -> Completions:
    """Return what gives typed answers to signals and incidents that were written before readers gave them."""
    from twokey.providers.aws import answers as aws
    from twokey.providers.azure import answers as azure

    by_cloud = {"aws": aws, "azure": azure}

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
    renderer = PostmortemRenderer(settings.templates_dir, zone=settings.timezone)
    return Review(record, clock, rosters, PostmortemPublisher(renderer, [target]))


def build_rosters(settings: Settings) -> Rosters:
    """Make what reads the roster file."""
    from twokey.catalog.roster import FileRosters

    return FileRosters(settings.roster_file)


def build_library(settings: Settings) -> FileLibrary:
    """Make what reads the runbooks, checked against every cloud that the program knows."""
    from twokey.catalog.library import FileLibrary

    return FileLibrary(settings.runbooks_dir, clouds_for_checking())


def clouds_for_checking() -> dict[str, Cloud]:
    """Return every cloud's actions and checks, without touching a network or needing a setting."""
    from twokey.providers import aws, azure
    from twokey.providers.azure.session import AzureOptions, AzureSession

    return {
        "aws": aws.provider(aws.AwsOptions(), SystemClock()),
        "azure": azure.provider(AzureSession(AzureOptions(tenant="", subscriptions=()))),
    }


def normalisers(settings: Settings | None = None) -> dict[str, Normaliser]:
    """Return every cloud's reader of notifications; they need no SDK."""
    from twokey.providers.aws.normalise import AwsNormaliser
    from twokey.providers.azure.normalise import AzureNormaliser

    known = settings or Settings()
    own_roles = (known.aws_role_name, known.aws_organizations_role_name)
    return {"aws": AwsNormaliser(own_roles), "azure": AzureNormaliser()}


def vouch(settings: Settings) -> Vouch:
    """Return what asks a signal's own cloud for whom its source may not speak."""
    by_cloud = {"aws": aws_vouch(settings), "azure": azure_vouch(settings)}

    def dispute(signal: Signal, raw: RawNotification) -> Message | None:
        return by_cloud.get(signal.provider, no_dispute)(signal, raw)

    return dispute


def classifier(settings: Settings) -> Classifier:
    """Load the rules."""
    from twokey.catalog.rules import load_rules

    readers = normalisers(settings)
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


def _clouds(
    settings: Settings, clock: Clock, cursors: Cursors
) -> tuple[dict[str, Cloud], tuple[Source, ...]]:
    """Load the clouds that are configured, and the queues and lists that are read."""
    clouds: dict[str, Cloud] = {}
    sources: tuple[Source, ...] = ()
    if "aws" in settings.clouds:
        from twokey.providers import aws
        from twokey.providers.aws.session import AwsSession

        options = aws_options(settings)
        session = AwsSession(options, clock)
        clouds["aws"] = aws.provider(options, clock, session=session)
        sources = aws_sources(settings, session, cursors)
    if "azure" in settings.clouds:
        from twokey.providers import azure

        subscribed = azure_session(settings)
        clouds["azure"] = azure.provider(subscribed)
        sources += azure_sources(settings, subscribed, clock, cursors)
    return clouds, sources


def _step_up(settings: Settings) -> StepUp:
    from twokey.stepup import TotpStepUp

    return TotpStepUp(settings.totp_file)


def _engine(settings: Settings, record: SqlStore, clock: Clock, handle: Handle, given_up: Parked) -> Engine:
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
