"""The tests' own authenticator."""

from datetime import UTC, datetime

from twokey.stepup import TotpStepUp
from twokey.testing.codes import Authenticator


def test_every_code_is_good_now_and_none_is_given_twice(tmp_path):
    phone, file = Authenticator(), tmp_path / "totp"
    file.touch(mode=0o600)
    file.write_text(f"p-ben: {phone.secret}\n")
    seen = {TotpStepUp(file).verify("p-ben", phone.code(), datetime.now(UTC)) for _ in range(2)}
    assert len(seen) == 2
    assert None not in seen


def test_a_code_that_was_only_shown_is_the_next_one():
    phone = Authenticator()
    assert phone.shown() == phone.code()
    assert phone.secret not in repr(phone)
