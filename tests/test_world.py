"""Several real processes: what they tell each other, and that none is left behind."""

import os
import time

import pytest
from processes import command

from minireason.world import ALONE, join


def ranks_and_values():
    world = join()
    world.wait()
    return world.rank, world.size, world.gather(10 * world.rank), world.of_main(os.getpid)


def test_every_process_learns_what_the_others_and_the_main_one_say(processes):
    (first, second) = processes(2, ranks_and_values).results()
    assert first == (0, 2, [0, 10], first[3])
    assert second == (1, 2, [0, 10], first[3])


def test_a_world_of_one_needs_no_other():
    assert join() is ALONE
    assert (ALONE.gather(7), ALONE.of_main(lambda: 8)) == ([7], 8)


def fails_in_the_main_one():
    try:
        join().of_main(lambda: 1 // 0)
    except ZeroDivisionError as error:
        return str(error)


def test_an_error_of_the_main_process_is_everybodys(processes):
    first, second = processes(2, fails_in_the_main_one).results()
    assert first == second and "zero" in first


def sleeps_in_one():
    world = join()
    world.wait()  # the first one may end only when the second has met it
    if world.rank:
        print("asleep", flush=True)
        time.sleep(1000)


def test_a_process_that_hangs_is_killed_and_named(processes):
    begun = processes(2, sleeps_in_one)
    begun.wait_for("asleep", ranks=[1])
    with pytest.raises(AssertionError, match=r"sleeps_in_one: \[1\] of 2 hang"):
        begun.wait(timeout_s=3)
    assert not any(member.is_alive() for member in begun.members)


def test_the_command_line_may_be_what_is_carried_out(processes):
    begun = processes(2, command, "run", "no-such-recipe.toml")
    assert begun.wait() == [2, 2]
    assert "no-such-recipe.toml" in begun.output(0)
