"""Event patterns mean what AWS documents."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core import patterns
from twokey.core.errors import Invalid

EVENT: dict[str, Any] = {
    "version": "0",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "012345679012",
    "time": "2017-10-02T16:24:49Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
    "detail": {
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
        "source-ip6": "2001:db8::7",
        "instance-id": "i-000000aaaaaa00000",
        "state": "running",
        "empty": "",
        "nothing": None,
        "yes": True,
        "path": "/usr/lib/x.png",
        "star": "a*b",
        "none-here": [],
        "tags": [1, "two", None],
        "deep": {"c1": 100},
    },
}


def detail(**fields: Any) -> dict[str, Any]:
    return {"detail": {name.replace("_", "-"): value for name, value in fields.items()}}


# The documented examples, and for each matcher a document that it must leave alone.
CASES: list[tuple[dict[str, Any], bool]] = [
    ({"source": ["aws.ec2"]}, True),
    ({"source": ["aws.s3", "aws.ec2"]}, True),
    ({"source": ["aws.s3"]}, False),
    ({"resources": EVENT["resources"], "detail": {"state": ["initializing", "running"]}}, True),
    ({"time": [{"prefix": "2017-10-02"}]}, True),
    ({"time": [{"prefix": "2018"}]}, False),
    ({"source": [{"prefix": {"equals-ignore-case": "AWS."}}]}, True),
    ({"source": [{"suffix": "ec2"}]}, True),
    ({"source": [{"suffix": {"equals-ignore-case": "EC2"}}]}, True),
    ({"source": [{"suffix": "EC2"}]}, False),
    ({"source": [{"equals-ignore-case": "AWS.EC2"}]}, True),
    ({"source": [{"wildcard": "a*.e*2"}]}, True),
    ({"source": [{"wildcard": "a*.e*3"}]}, False),
    (detail(star=[{"wildcard": "a\\*b"}]), True),
    (detail(state=[{"wildcard": "run\\*"}]), False),
    (detail(path=[{"wildcard": "*/lib/*"}]), True),
    (detail(path=[{"anything-but": {"wildcard": "*/lib/*"}}]), False),
    (detail(path=[{"anything-but": {"wildcard": ["*/bin/*", "*.jpg"]}}]), True),
    (detail(path=[{"anything-but": {"suffix": ".png"}}]), False),
    (detail(path=[{"anything-but": {"suffix": [".jpg", ".gif"]}}]), True),
    ({"region": [{"anything-but": {"prefix": "us-"}}]}, False),
    ({"region": [{"anything-but": {"prefix": ["eu-", "ap-"]}}]}, True),
    (detail(state=[{"anything-but": "initializing"}]), True),
    (detail(state=[{"anything-but": "running"}]), False),
    (detail(state=[{"anything-but": ["stopped", "running"]}]), False),
    (detail(state=[{"anything-but": {"equals-ignore-case": "RUNNING"}}]), False),
    (detail(state=[{"anything-but": {"equals-ignore-case": ["A", "B"]}}]), True),
    (detail(x_limit=[{"anything-but": [100, 200, 300]}]), True),
    (detail(x_limit=[{"anything-but": 301.8}]), False),
    (detail(missing=[{"anything-but": "x"}]), False),
    (detail(c_count=[{"anything-but": "5"}]), True),
    (detail(c_count=[{"numeric": [">", 0, "<=", 5]}], d_count=[{"numeric": ["<", 10]}]), True),
    (detail(x_limit=[{"numeric": ["=", 3.018e2]}]), True),
    (detail(c_count=[{"numeric": [">", 5]}]), False),
    (detail(c_count=[{"numeric": [">=", 5]}]), True),
    (detail(state=[{"numeric": [">", 0]}]), False),
    (detail(yes=[{"numeric": ["=", 1]}]), False),
    (detail(c_count=[5.0]), True),
    (detail(c_count=["5"]), False),
    (detail(yes=[True]), True),
    (detail(yes=[1]), False),
    (detail(yes=["true"]), False),
    (detail(nothing=[None]), True),
    (detail(nothing=[""]), False),
    (detail(empty=[""]), True),
    (detail(empty=[None]), False),
    (detail(missing=[None]), False),
    (detail(source_ip=[{"cidr": "10.0.0.0/24"}]), True),
    (detail(source_ip=[{"cidr": "10.0.1.0/24"}]), False),
    (detail(source_ip6=[{"cidr": "2001:db8::/32"}]), True),
    (detail(source_ip6=[{"cidr": "10.0.0.0/8"}]), False),
    (detail(state=[{"cidr": "10.0.0.0/8"}]), False),
    (detail(c_count=[{"exists": True}]), True),
    (detail(c_count=[{"exists": False}]), False),
    (detail(missing=[{"exists": False}]), True),
    (detail(missing=[{"exists": True}]), False),
    (detail(nothing=[{"exists": True}]), True),
    (detail(deep=[{"exists": False}]), True),  # exists looks at leaves only
    (detail(deep=[{"exists": True}]), False),
    (detail(none_here=[{"exists": False}]), True),
    ({"no": {"such": {"thing": [{"exists": False}]}}}, True),
    (detail(tags=["two"]), True),
    (detail(tags=[None]), True),
    (detail(tags=[{"anything-but": "two"}]), True),  # one of the values is something else
    (detail(tags=[3]), False),
    ({"source": {"x": ["aws.ec2"]}}, False),
    ({"$or": [{"source": ["aws.s3"]}, {"detail": {"state": ["running"]}}]}, True),
    ({"$or": [{"source": ["aws.s3"]}, {"detail": {"state": ["stopped"]}}]}, False),
    ({"source": ["aws.ec2"], "$or": [{"region": ["eu-1"]}, {"region": ["us-east-1"]}]}, True),
    ({"source": ["aws.s3"], "$or": [{"region": ["eu-1"]}, {"region": ["us-east-1"]}]}, False),
    (
        {
            "detail": {
                "$or": [
                    {"state": ["stopped"]},
                    {"d-count": [3], "$or": [{"c-count": [{"numeric": [">", 9]}]}, {"yes": [True]}]},
                ]
            }
        },
        True,
    ),
]


@pytest.mark.parametrize(("pattern", "expected"), CASES)
def test_a_documented_pattern_matches_what_aws_says_it_does(pattern: dict[str, Any], expected: bool) -> None:
    compiled = patterns.compile(pattern)
    assert compiled.matches(EVENT) is expected
    assert (compiled.matched(EVENT) is not None) is expected
    assert (compiled.why_not(EVENT) is None) is expected


@pytest.mark.parametrize("written", [300, 300.0, 3.0e2])
@pytest.mark.parametrize("seen", [300, 300.0, 3.0e2])
def test_a_number_is_the_same_however_it_is_written(written: float, seen: float) -> None:
    assert patterns.compile({"n": [written]}).matches({"n": seen})
    assert patterns.compile({"n": [{"numeric": ["=", written]}]}).matches({"n": seen})


def test_an_account_id_written_as_a_number_still_equals_itself() -> None:
    assert patterns.compile({"n": [123456789012]}).matches({"n": 123456789012})


EMPLOYEES: dict[str, Any] = {
    "employees": [
        [{"firstName": "John", "lastName": "Doe"}, {"firstName": "Anna", "lastName": "Smith"}],
        [{"firstName": "Peter", "lastName": "Jones", "age": 30}],
    ]
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"firstName": ["Anna"]}, True),
        ({"firstName": ["Anna"], "lastName": ["Smith"]}, True),
        ({"firstName": ["Anna"], "lastName": ["Jones"]}, False),
        ({"firstName": ["Anna"], "age": [{"exists": False}]}, True),
        ({"age": [{"exists": False}]}, False),  # somebody has an age
        ({"salary": [{"exists": False}]}, True),
        ({"age": [30, {"exists": False}]}, True),
        ({"firstName": ["Anna"], "$or": [{"lastName": ["Jones"]}, {"lastName": ["Smith"]}]}, True),
    ],
)
def test_the_fields_of_one_object_match_in_one_element_of_a_list(
    fields: dict[str, Any], expected: bool
) -> None:
    assert patterns.compile({"employees": fields}).matches(EMPLOYEES) is expected


def test_what_matches_only_across_elements_is_told_apart() -> None:
    miss = patterns.compile({"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}).why_not(EMPLOYEES)
    assert miss is not None
    assert (miss.path, miss.together) == ("employees", True)


def test_the_deciding_fields_come_with_their_values() -> None:
    compiled = patterns.compile(
        {
            "source": ["aws.ec2"],
            "$or": [{"region": ["eu-1"], "account": [{"prefix": "0"}]}, {"detail": {"state": ["running"]}}],
            "gone": [{"exists": False}],
        }
    )
    assert compiled.matched(EVENT) == {"source": "aws.ec2", "gone": None, "detail.state": "running"}


def test_the_first_field_that_failed_is_named_with_what_it_held() -> None:
    miss = patterns.compile({"source": ["aws.ec2"], "detail": {"state": ["stopped"]}}).why_not(EVENT)
    assert miss is not None
    assert (miss.path, miss.seen, miss.wanted) == ("detail.state", ("running",), '["stopped"]')


INVALID: list[tuple[object, str, str]] = [
    ([], "pattern.not_object", "$"),
    ({}, "pattern.empty", "$"),
    ({"a": {}}, "pattern.empty", "$.a"),
    ({"a": []}, "pattern.empty", "$.a"),
    ({"a": "x"}, "pattern.not_list", "$.a"),
    ({"a": {"b": 3}}, "pattern.not_list", "$.a.b"),
    ({"a": [[1]]}, "pattern.value", "$.a[0]"),
    ({"a": ["x", {"prefx": "y"}]}, "pattern.unknown_matcher", "$.a[1]"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "pattern.one_matcher", "$.a[0]"),
    ({"a": [{}]}, "pattern.one_matcher", "$.a[0]"),
    ({"a": [{"prefix": 3}]}, "pattern.text_wanted", "$.a[0].prefix"),
    ({"a": [{"prefix": {"suffix": "x"}}]}, "pattern.affix", "$.a[0].prefix"),
    ({"a": [{"exists": "true"}]}, "pattern.exists", "$.a[0].exists"),
    ({"a": [{"wildcard": "a**b"}]}, "pattern.wildcard_stars", "$.a[0].wildcard"),
    ({"a": [{"wildcard": "a\\b"}]}, "pattern.wildcard_escape", "$.a[0].wildcard"),
    ({"a": [{"wildcard": "a\\"}]}, "pattern.wildcard_escape", "$.a[0].wildcard"),
    ({"a": [{"cidr": "10.0.0.0"}]}, "pattern.cidr", "$.a[0].cidr"),
    ({"a": [{"cidr": "10.0.0.0/40"}]}, "pattern.cidr", "$.a[0].cidr"),
    ({"a": [{"numeric": ["<"]}]}, "pattern.numeric", "$.a[0].numeric"),
    ({"a": [{"numeric": ["!=", 3]}]}, "pattern.numeric", "$.a[0].numeric"),
    ({"a": [{"numeric": ["<", 3, ">", 1]}]}, "pattern.numeric", "$.a[0].numeric"),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "pattern.numeric", "$.a[0].numeric"),
    ({"a": [{"numeric": [">", True]}]}, "pattern.numeric", "$.a[0].numeric"),
    ({"a": [{"numeric": [">", 5.1e9]}]}, "pattern.numeric_limit", "$.a[0].numeric"),
    ({"a": [{"anything-but": [1, "x"]}]}, "pattern.anything_but", "$.a[0].anything-but"),
    ({"a": [{"anything-but": []}]}, "pattern.anything_but", "$.a[0].anything-but"),
    ({"a": [{"anything-but": None}]}, "pattern.anything_but", "$.a[0].anything-but"),
    ({"a": [{"anything-but": {"cidr": "::/0"}}]}, "pattern.unknown_matcher", "$.a[0].anything-but"),
    ({"a": [{"anything-but": {"prefix": ""}}]}, "pattern.empty", "$.a[0].anything-but.prefix"),
    ({"$or": [{"a": [1]}]}, "pattern.or", "$.$or"),
    ({"$or": {"a": [1]}}, "pattern.or", "$.$or"),
    ({"x": {"$or": [{"a": [1]}, {"numeric": [1]}]}}, "pattern.or_reserved", "$.x.$or[1]"),
]


@pytest.mark.parametrize(("pattern", "code", "where"), INVALID)
def test_a_wrong_pattern_is_refused_with_its_place(pattern: object, code: str, where: str) -> None:
    with pytest.raises(Invalid) as fault:
        patterns.compile(pattern)
    assert fault.value.message.code == code
    assert fault.value.message.params["where"] == where


@pytest.mark.parametrize(
    ("written", "nearest"), [("prefx", "prefix"), ("any-but", "anything-but"), ("Numeric", "numeric")]
)
def test_a_mistyped_matcher_is_told_the_nearest_one(written: str, nearest: str) -> None:
    with pytest.raises(Invalid) as fault:
        patterns.compile({"a": [{written: "x"}]})
    assert fault.value.message.params["nearest"] == nearest


def test_a_pattern_may_not_be_deeper_than_the_limit() -> None:
    pattern: dict[str, Any] = {"a": ["x"]}
    for _ in range(patterns.MAX_DEPTH):
        pattern = {"a": pattern}
    with pytest.raises(Invalid, match=r"pattern\.too_deep"):
        patterns.compile(pattern)


def test_required_values_are_what_every_match_must_have() -> None:
    compiled = patterns.compile(
        {
            "source": ["aws.ec2", "aws.s3"],
            "open": [{"prefix": "x"}],
            "some": ["a", {"prefix": "b"}],
            "$or": [{"d": {"k": ["1"]}}, {"d": {"k": ["2"]}, "e": ["3"]}],
        }
    )
    assert compiled.required_values("source") == {"aws.ec2", "aws.s3"}
    assert compiled.required_values("d.k") == {"1", "2"}
    assert compiled.required_values("e") is None
    assert compiled.required_values("open") is None
    assert compiled.required_prefixes("open") == {"x"}
    assert compiled.required_prefixes("some") == {"a", "b"}
    assert compiled.required_values("nowhere") is None


def test_hostile_documents_and_wildcards_cost_no_more_than_their_size() -> None:
    wild = patterns.compile({"a": [{"wildcard": "*a*a*a*a*a*a*a*a*a*b"}]})
    nested: Any = "x"
    for _ in range(100_000):
        nested = [nested]
    started = time.perf_counter()
    assert not wild.matches({"a": "a" * 200_000})
    assert not wild.matches({"a": "a" * 200_000 + "c"})
    assert patterns.compile({"a": ["x"]}).matches({"a": nested})
    assert not patterns.compile({"a": {"b": ["x"]}}).matches({"a": nested})
    assert time.perf_counter() - started < 2.0
    while isinstance(nested, list):  # taken apart by hand: freeing it at once would be the deep recursion
        nested = nested.pop()


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10), st.sampled_from([0.5, 1.0]), st.text("ab*", max_size=3)
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=12,
)
roots = st.dictionaries(st.sampled_from("xyz"), documents, max_size=3)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in leaves(item, (*path, name))]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item, path)]
    return [(path, value)]


def one_field(path: tuple[str, ...], test: Any) -> dict[str, Any]:
    pattern: Any = [test]
    for name in reversed(path):
        pattern = {name: pattern}
    return dict(pattern)


@given(roots)
def test_every_leaf_of_a_document_matches_the_pattern_that_names_it(document: dict[str, Any]) -> None:
    for path, value in leaves(document):
        compiled = patterns.compile(one_field(path, value))
        assert compiled.matched(document) == {".".join(path): value}
        assert patterns.compile(one_field(path, {"exists": True})).matches(document)
        assert not patterns.compile(one_field(path, {"exists": False})).matches(document)


@given(roots, st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), scalars)
def test_a_single_field_matches_exactly_when_a_leaf_there_equals_it(
    document: dict[str, Any], path: list[str], wanted: Any
) -> None:
    at = [value for where, value in leaves(document) if list(where) == path]
    equal = any(
        type(value) is type(wanted) and value == wanted
        if isinstance(wanted, bool | str | None)
        else not isinstance(value, bool | str | None) and value == wanted
        for value in at
    )
    assert patterns.compile(one_field(tuple(path), wanted)).matches(document) is equal
    assert patterns.compile(one_field(tuple(path), {"exists": False})).matches(document) is (not at)


@given(st.text("ab*\\", max_size=6), st.text("ab*\\", max_size=8))
def test_a_wildcard_agrees_with_the_obvious_slow_one(pattern: str, value: str) -> None:
    try:
        compiled = patterns.compile({"a": [{"wildcard": pattern}]})
    except Invalid:
        return
    assert compiled.matches({"a": value}) is slow(pattern, value)


def slow(pattern: str, value: str) -> bool:
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(slow(pattern[1:], value[start:]) for start in range(len(value) + 1))
    literal, rest = (pattern[1], pattern[2:]) if pattern[0] == "\\" else (pattern[0], pattern[1:])
    return bool(value) and value[0] == literal and slow(rest, value[1:])


junk = st.recursive(
    st.one_of(scalars, st.sampled_from([">", "=", "::/0"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["x", "$or", *patterns.MATCHERS]), inner, max_size=3),
    ),
    max_leaves=15,
)


@given(junk, roots)
def test_any_pattern_either_compiles_or_is_invalid_with_its_place(pattern: Any, document: Any) -> None:
    try:
        compiled = patterns.compile(pattern)
    except Invalid as fault:
        where = fault.message.params["where"]
    else:
        where = ""
    if where:
        assert where.startswith("$")
        return
    assert compiled.matches(document) is (compiled.matched(document) is not None)
    assert compiled.matches(document) is (compiled.why_not(document) is None)
