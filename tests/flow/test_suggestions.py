"""The runbook that was written for what arrived comes first; nothing that does not fit comes at all."""

from dataclasses import replace

from twokey.core.responsibility import Label
from twokey.core.runbooks import Target
from twokey.core.signals import Principal
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT


def first(world):
    return [book.id for book in world.containment.suggestions("INC-1")]


def test_the_runbook_that_was_meant_for_it_comes_first(world):
    triggers = ({"source": "aws.guardduty", "type_prefix": "UnauthorizedAccess:IAMUser/"},)
    world.library.runbooks[LEAKED_KEY] = replace(world.library.runbooks[LEAKED_KEY], triggers=triggers)
    world.incident()
    assert first(world)[0] == LEAKED_KEY


def test_every_condition_of_a_trigger_must_be_so_and_an_unknown_one_never_is(world):
    book = world.library.runbooks[QUARANTINE_ACCOUNT]
    world.incident()
    for trigger in (
        {"source": "aws.guardduty", "type_prefix": "Impact:S3/"},
        {"source": "aws.securityhub", "type_prefix": "Unauthorized"},
        {"source": "aws.guardduty", "moon": "full"},
        {},
    ):
        world.library.runbooks[QUARANTINE_ACCOUNT] = replace(book, triggers=(trigger,))
        assert first(world)[-1] == QUARANTINE_ACCOUNT


def test_what_is_known_goes_before_what_must_be_asked_for(world):
    world.incident(principal=Principal("deploy"))
    assert first(world) == [PROTECT_BUCKETS, QUARANTINE_ACCOUNT, LEAKED_KEY]


def test_an_unknown_verdict_may_be_contained_and_the_providers_own_may_not(world):
    world.incident(label=Label.CUSTOMER_CONFIG)
    assert len(first(world)) == 3


def test_the_scope_of_the_keys_is_where_the_plan_acts(world):
    """A parameter that names another account moves the plan there, with the roles it needs."""
    world.incident()
    world.cloud.state.keys["AKIAOTHERACCOUNT0000"] = type(world.cloud.state.keys["AKIAIOSFODNN7EXAMPLE"])(
        "444455556666", "other"
    )
    plan = world.previews("ana", account_id="444455556666", access_key_id="AKIAOTHERACCOUNT0000")
    assert plan.target == Target("444455556666", "eu-central-1")


def meant_for(world, runbook, kind):
    triggers = ({"source": "aws.guardduty", "type": kind},)
    world.library.runbooks[runbook] = replace(world.library.runbooks[runbook], triggers=triggers)


def test_only_this_incidents_own_signals_suggest(world):
    meant_for(world, QUARANTINE_ACCOUNT, "Impact:S3/Other")
    world.incident("f1")
    world.incident(
        "f2", type="Impact:S3/Other", principal=Principal("other", "IAMUser", "AKIAOTHEROTHEROTHER1")
    )
    assert len(world.incidents()) == 2
    assert first(world)[-1] == QUARANTINE_ACCOUNT


def test_of_a_long_storm_the_latest_two_hundred_signals_suggest(world):
    meant_for(world, QUARANTINE_ACCOUNT, "Impact:S3/First")
    world.incident("f0", type="Impact:S3/First")
    world.arrives(*(world.finding(f"f{number}") for number in range(1, 200)))
    world.works()
    assert len(world.incidents()) == 1
    assert first(world)[0] == QUARANTINE_ACCOUNT  # the first is the 200th, seen from the end
    world.arrives(world.finding("f200"))
    world.works()
    assert first(world)[-1] == QUARANTINE_ACCOUNT
