import hashlib
import subprocess
import sys

import pytest

from minireason.seeding import derive_seed


def test_a_seed_is_the_top_63_bits_of_the_parts_sha256():
    digest = hashlib.sha256(b"0\x1frollout").hexdigest()
    assert derive_seed(0, "rollout") == int(digest[:16], 16) // 2


@pytest.mark.parametrize(
    ("first", "second"), [(("ab", "c"), ("a", "bc")), ((1, 2), (12,)), (("a",), ("a", ""))]
)
def test_other_parts_give_another_seed(first, second):
    assert derive_seed(*first) != derive_seed(*second)


def test_a_seed_fits_a_signed_64_bit_column():
    assert all(0 <= derive_seed("bits", n) < 2**63 for n in range(1000))


def test_a_seed_is_the_same_in_every_process():
    code = "from minireason.seeding import derive_seed; print(derive_seed('a', 1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == derive_seed("a", 1)
