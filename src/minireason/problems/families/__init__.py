"""The procedural families, two or three files a domain.

To add one: write three functions beside the others of its kind - draw parameters (whole
numbers, in one canonical order), phrase them in at least three ways, work them out on a
`Scratch` - make a `Family` of them and enter it below. `tests/problems/test_families.py` wants a
slow, independent way to the answer under the same name.
"""

from __future__ import annotations

from minireason.problems.families import (
    algebra,
    arithmetic,
    chance,
    coordinates,
    counting,
    geometry,
    number_theory,
    polynomials,
    quadratics,
    remainders,
    sequences,
    stories,
)
from minireason.problems.family import Family

FAMILIES: dict[str, Family] = {
    "chain_sum": arithmetic.CHAIN_SUM,
    "order_of_operations": arithmetic.ORDER_OF_OPERATIONS,
    "fraction_sum": arithmetic.FRACTION_SUM,
    "percent": stories.PERCENT,
    "shopping": stories.SHOPPING,
    "average": stories.AVERAGE,
    "linear_equation": algebra.LINEAR_EQUATION,
    "linear_system": algebra.LINEAR_SYSTEM,
    "polynomial_value": polynomials.POLYNOMIAL_VALUE,
    "polynomial_product": polynomials.POLYNOMIAL_PRODUCT,
    "sequence": sequences.SEQUENCE,
    "quadratic": quadratics.QUADRATIC,
    "gcd_lcm": number_theory.GCD_LCM,
    "remainder": remainders.REMAINDER,
    "modular_power": remainders.MODULAR_POWER,
    "base_conversion": remainders.BASE_CONVERSION,
    "multiples": number_theory.MULTIPLES,
    "congruences": number_theory.CONGRUENCES,
    "angles": geometry.ANGLES,
    "rectangle": geometry.RECTANGLE,
    "distance": coordinates.DISTANCE,
    "circle": geometry.CIRCLE,
    "triangle_area": coordinates.TRIANGLE_AREA,
    "menu": counting.MENU,
    "overlap": counting.OVERLAP,
    "committee": counting.COMMITTEE,
    "urn": chance.URN,
    "grid_paths": counting.GRID_PATHS,
    "expected_value": chance.EXPECTED_VALUE,
}
