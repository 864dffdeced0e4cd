"""The pool of actors against a stand-in for Ray, which says in the test's own order what ends and what dies."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from masu.bulk import pool, ray_engine
from masu.bulk.pool import run_on_actors
from masu.bulk.ray_engine import ShardWorker, threads_each
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


def run(ray, shards, size, least=1):
    return list(run_on_actors(ray, ray.actor, shards, (least, size), ray.do))


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
    stream = run_on_actors(ray, ray.actor, numbers(), (1, 2), ray.do)
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


def test_the_first_shard_waits_for_the_fewest_actors():
    ray = Ray()
    stream = run_on_actors(ray, ray.actor, range(9), (3, 4), ray.do)
    first = next(stream)
    assert ray.begun[:3] == [(0, 0), (1, 0), (2, 0)]
    assert sorted([first, *stream]) == list(range(9))
    assert run(Ray(), range(5), 2, 2) == [1, 2, 3, 4, 0]  # later on nobody waits for another
    ray = Ray(deadly=[(0, 0), (1, 0), (2, 0)])  # later on fewer are enough
    assert sorted(run(ray, range(5), 3, 3)) == list(range(5))


@pytest.mark.parametrize(("placed", "least"), [(0, 1), (2, 3)])
def test_too_few_actors_end_the_job(placed, least):
    with pytest.raises(InputError) as caught:
        run(Ray(placed=placed), range(5), 3, least)
    assert caught.value.code == "lost-process"
    assert f"found {placed} of {least} workers within 600 seconds, wanted workers" in str(caught.value)


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
    ("cores", "gpus", "workers", "threads"),
    [
        ([2], [2], 1, 2),
        ([2], [2], 2, 1),
        ([8], [8], 3, 2),
        ([2, 2, 3], [2, 2, 3], 2, 2),
        ([2, 2, 3], [2, 2, 3], 3, 2),
        ([0, 4, 4], [0, 4, 4], 2, 4),  # a head without cores
        ([1, 1], [1, 1], 2, 1),
        ([0, 16, 8], [0, 2, 1], 3, 8),  # as many places as GPUs
        ([0, 16, 8], [0, 1, 2], 3, 4),
        ([0], [0], 0, 1),  # machines that come later
    ],
)
def test_every_worker_has_its_threads_on_one_machine(cores, gpus, workers, threads):
    assert threads_each(cores, gpus, workers) == threads


class Cluster(Ray):
    """Machines with cores and GPUs, on which actors are placed as they are asked for."""

    def __init__(self, *machines):
        super().__init__()
        self.machines, self.asked = machines, []

    def nodes(self):
        return [
            {"Alive": True, "Resources": {"CPU": c, "GPU": g} if c or g else {}} for c, g in self.machines
        ]

    def remote(self, kind):
        assert kind is ShardWorker

        def asked(**resources):
            self.asked.append(resources)
            return SimpleNamespace(remote=lambda *given: self.given(given))

        return SimpleNamespace(options=asked)

    def given(self, given):
        actor = self.actor()
        actor.run = SimpleNamespace(remote=lambda number, alone: ("shard", actor.number, (number, alone)))
        return actor


@pytest.mark.parametrize(
    ("machines", "workers", "gpus", "actors", "threads"),
    [
        ([(0, 0), (4, 0), (4, 0)], None, False, 8, 1),
        ([(0, 0), (4, 0), (4, 0)], 2, False, 2, 4),
        ([(0, 0), (4, 0), (4, 0)], (1, 3), False, 3, 2),
        ([(2, 0)], (1, 6), False, 6, 1),
        ([(0, 0)], (1, 4), False, 4, 1),
        ([(0, 0), (16, 2), (8, 1)], None, True, 3, 8),
        ([(0, 0), (16, 2), (8, 0)], 1, True, 1, 16),
    ],
)
def test_what_workers_are_asked_of_the_cluster(monkeypatch, machines, workers, gpus, actors, threads):
    ray = Cluster(*machines)
    monkeypatch.setattr(ray_engine, "_cluster", lambda: nullcontext(ray))
    done = list(ray_engine.run_ray(None, None, range(9), lambda threads: None, workers, gpus=gpus))
    assert sorted(done) == list(range(9))
    assert ray.actors == actors
    assert ray.asked == [{"num_cpus": threads, "num_gpus": int(gpus), "max_restarts": 0}]


@pytest.mark.parametrize(
    ("machines", "workers", "gpus", "message"),
    [
        ([(4, 0)], 5, False, "workers: found 5, wanted at most 4, the cores; ask for fewer"),
        ([(8, 2)], 3, True, "workers: found 3, wanted at most 2, the GPUs; ask for fewer"),
        ([(8, 0)], None, True, "--engine ray: found a cluster without GPUs, wanted machines with GPUs; see 'ray status', or wait for machines with --workers MIN..MAX"),
    ],
)  # fmt: skip
def test_more_workers_than_the_cluster_has_room_for(monkeypatch, machines, workers, gpus, message):
    monkeypatch.setattr(ray_engine, "_cluster", lambda: nullcontext(Cluster(*machines)))
    with pytest.raises(InputError) as caught:
        list(ray_engine.run_ray(None, None, range(9), lambda threads: None, workers, gpus=gpus))
    assert str(caught.value) == message
