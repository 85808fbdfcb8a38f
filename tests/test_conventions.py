import pytest

from minireason.conventions import Conventions


def test_settings_change_what_they_name_and_nothing_else():
    changed = Conventions.from_settings({"rounded_digits": 0, "units_optional": False})
    assert changed == Conventions(rounded_digits=0, units_optional=False)
    assert Conventions.from_settings({}) == Conventions()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounded_digit": 0}, "no convention 'rounded_digit'; the nearest is 'rounded_digits'"),
        ({"rounded_digits": True}, "rounded_digits is True; it must be a whole number from 0"),
        ({"rounded_digits": -1}, "rounded_digits is -1; it must be a whole number from 0"),
        ({"units_optional": 1}, "units_optional is 1; it must be true or false"),
    ],
)
def test_a_setting_that_cannot_be_says_what_can(settings, message):
    with pytest.raises(ValueError, match=message):
        Conventions.from_settings(settings)
