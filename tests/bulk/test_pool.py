"""The pool of actors against a stand-in for Ray, which says in the test's own order what ends and what dies."""

from types import SimpleNamespace

import pytest

from masu.bulk import pool
from masu.bulk.pool import run_on_actors
from masu.bulk.ray_engine import threads_each
from masu.errors import InputError


class DiedError(Exception):
    pass


class Ray:
    """References are (kind, actor, shard); the last one given is the first that ends."""

    exceptions = SimpleNamespace(
        RayActorError=DiedError,
        NodeDiedError=DiedError,
        OutOfMemoryError=DiedError,
        WorkerCrashedError=DiedError,
    )

    def __init__(self, deadly=(), placed=10**6, stillborn=0):
        self.deadly, self.placed, self.stillborn = set(deadly), placed, stillborn
        self.actors, self.killed, self.begun = 0, [], []

    def actor(self):
        self.actors += 1
        number = self.actors
        return SimpleNamespace(number=number, ready=SimpleNamespace(remote=lambda: ("ready", number, None)))

    def do(self, actor, shard, deaths):
        self.begun.append((shard, deaths))
        return ("shard", actor.number, (shard, deaths))

    def wait(self, references, num_returns, timeout):
        there = [one for one in references if one[0] == "shard" or one[1] <= self.placed]
        assert there or timeout, "waits for ever"
        return there[-1:], []

    def get(self, reference):
        kind, actor, what = reference
        if kind == "ready" and actor <= self.stillborn:
            raise DiedError
        if kind == "shard" and what in self.deadly:
            raise DiedError
        return what and what[0]

    def kill(self, actor):
        self.killed.append(actor.number)


def run(ray, shards, size):
    return list(run_on_actors(ray, ray.actor, shards, size, ray.do))


def test_every_shard_once_and_free_actors_are_given_back():
    ray = Ray()
    assert sorted(run(ray, range(7), 3)) == list(range(7))
    assert ray.begun == [(n, 0) for n in range(7)]
    assert len(set(ray.killed)) == len(ray.killed)


def test_shards_are_taken_up_as_actors_are_free():
    taken = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    ray = Ray()
    stream = run_on_actors(ray, ray.actor, numbers(), 2, ray.do)
    next(stream)
    assert len(taken) <= 4


def test_a_shard_whose_actor_dies_is_done_again_and_knows_how_often():
    ray = Ray(deadly=[(2, 0), (2, 1), (4, 0)])
    assert sorted(run(ray, range(5), 2)) == list(range(5))
    assert [deaths for shard, deaths in ray.begun if shard == 2] == [0, 1, 2]
    assert [deaths for shard, deaths in ray.begun if shard == 4] == [0, 1]
    assert ray.actors == 2 + 3


def test_actors_that_find_no_place_are_not_waited_for():
    ray = Ray(placed=1)
    assert sorted(run(ray, range(5), 3)) == list(range(5))


def test_no_actor_at_all_ends_the_job():
    with pytest.raises(InputError, match="found no worker within 600 seconds, wanted workers") as caught:
        run(Ray(placed=0), range(5), 3)
    assert caught.value.code == "lost-process"


def test_actors_that_die_when_they_start_end_the_job():
    assert run(Ray(stillborn=pool.STARTS - 1), [7], 1) == [7]
    with pytest.raises(InputError, match="3 workers in a row that died when they started"):
        run(Ray(stillborn=pool.STARTS), [7], 1)


def test_an_error_of_an_actor_is_the_job_s():
    ray = Ray()
    ray.get = lambda reference: InputError("the store is away") if reference[0] == "shard" else True
    with pytest.raises(InputError, match="the store is away"):
        run(ray, range(5), 2)


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [([2], 1, 2), ([2], 2, 1), ([8], 3, 2), ([2, 2, 3], 2, 2), ([2, 2, 3], 3, 2), ([0, 4, 4], 2, 4), ([1, 1], 2, 1)],
)  # fmt: skip
def test_every_worker_has_its_threads_on_one_machine(cores, workers, threads):
    assert threads_each(cores, workers) == threads
