"""What a threat says of itself."""

import pytest

from registry.spec import ATTACKS, Threat


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_without_an_epsilon_is_minimal_and_only_one_with_it_has_curves(attack):
    threat = Threat(attack=attack)
    assert threat.is_minimal == (threat.epsilon is None)
    assert not (threat.is_minimal and threat.has_curves)


def test_a_family_is_what_threats_that_differ_in_epsilon_alone_have_in_common():
    one, other = (Threat(attack="pgd", epsilon=epsilon, steps=7) for epsilon in (0.1, 0.2))
    assert one.family == other.family != Threat(attack="pgd", epsilon=0.1).family
    assert one.family.id == "pgd-inf-steps=7"
