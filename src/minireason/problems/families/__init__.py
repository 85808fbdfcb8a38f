"""The procedural families, one file a domain.

To add one: write three functions beside the others of its domain - draw parameters (whole
numbers, in one canonical order), phrase them in at least three ways, work them out on a
`Scratch` - make a `Family` of them and enter it below. `tests/problems/test_families.py` wants a
slow, independent way to the answer under the same name.
"""

from __future__ import annotations

from minireason.problems.families import algebra, arithmetic, counting, geometry, number_theory
from minireason.problems.families.quadratics import QUADRATIC
from minireason.problems.family import Family

FAMILIES: dict[str, Family] = {
    "chain_sum": arithmetic.CHAIN_SUM,
    "order_of_operations": arithmetic.ORDER_OF_OPERATIONS,
    "fraction_sum": arithmetic.FRACTION_SUM,
    "percent": arithmetic.PERCENT,
    "shopping": arithmetic.SHOPPING,
    "average": arithmetic.AVERAGE,
    "linear_equation": algebra.LINEAR_EQUATION,
    "linear_system": algebra.LINEAR_SYSTEM,
    "polynomial_value": algebra.POLYNOMIAL_VALUE,
    "polynomial_product": algebra.POLYNOMIAL_PRODUCT,
    "sequence": algebra.SEQUENCE,
    "quadratic": QUADRATIC,
    "gcd_lcm": number_theory.GCD_LCM,
    "remainder": number_theory.REMAINDER,
    "modular_power": number_theory.MODULAR_POWER,
    "base_conversion": number_theory.BASE_CONVERSION,
    "multiples": number_theory.MULTIPLES,
    "congruences": number_theory.CONGRUENCES,
    "angles": geometry.ANGLES,
    "rectangle": geometry.RECTANGLE,
    "distance": geometry.DISTANCE,
    "circle": geometry.CIRCLE,
    "triangle_area": geometry.TRIANGLE_AREA,
    "menu": counting.MENU,
    "overlap": counting.OVERLAP,
    "committee": counting.COMMITTEE,
    "urn": counting.URN,
    "grid_paths": counting.GRID_PATHS,
    "expected_value": counting.EXPECTED_VALUE,
}
