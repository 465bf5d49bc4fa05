"""Which label joins which sample: event times decide, whatever the cuts into batches, faults and zombies."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from streams.labels.plain import Rules
from tests.consistency.late_reader import EXPIRED, OWN
from tests.streams.labels import play
from tests.streams.labels.reference import Fates, joins
from tests.streams.labels.world import Label, P, Sample, Worker, World


@given(world=play.fair_worlds(), moves=play.moves)
@settings(max_examples=150)
def test_a_sample_joins_its_first_label_in_time_however_both_topics_are_cut_and_interleaved(
    world: World, moves: list[play.Move]
) -> None:
    crew = [Worker(world), Worker(world)]
    for move in moves:
        play.perform(world, crew, move, play.fair)
    play.finish(world, crew, play.fair)
    log = play.plain_log(world)
    expected = joins(world.samples, world.labels, world.rules)
    found = {row.id: (row.label, row.label_time) for row in log.joined}
    assert found == {id_: (label.label, label.time) for id_, label in expected.items()}
    assert len(found) == len(log.joined), "a sample was joined twice"
    for row in log.joined:
        assert row.weight == world.samples[row.offset].weight * expected[row.id].weight
    play.assert_alike(world, crew)
    # Every sample and every label has exactly one fate.
    (desk,) = log.desks.values()
    learned = [row.id for row in log.learned]
    assert sorted([*learned, *(id_ for _, id_ in log.gone), *desk.waiting]) == sorted(
        s.id for s in world.samples
    )
    fates = len(found) + len(desk.early) + log.counts["repeated"] + log.counts["unmatched"]
    assert fates == len(world.labels)


@given(world=play.wild_worlds(), moves=play.moves)
@settings(max_examples=300)
def test_every_sample_and_label_meets_the_fate_that_the_rules_give_it_event_by_event(
    world: World, moves: list[play.Move]
) -> None:
    crew = [Worker(world), Worker(world)]
    for move in moves:
        play.perform(world, crew, move, play.always)
    play.finish(world, crew, play.always)
    assert_as_by_the_rules(world, crew)


@given(world=play.wild_worlds(limits=(1, 3)), moves=play.moves)
@settings(max_examples=100)
def test_over_the_limit_the_oldest_samples_are_let_go(world: World, moves: list[play.Move]) -> None:
    crew = [Worker(world), Worker(world)]
    for move in moves:
        play.perform(world, crew, move, play.always, shrinks=False)
    play.finish(world, crew, play.always)
    assert_as_by_the_rules(world, crew)


def assert_as_by_the_rules(world: World, crew: list[Worker]) -> None:
    """The log says what the reference says of the batches that count; all who read it agree."""
    log = play.plain_log(world)
    fates = Fates(world.samples, world.labels, world.rules, world.remembered).play(world.batches())
    assert fates.sample_fates == list(range(len(world.samples)))
    assert fates.label_fates == list(range(len(world.labels)))
    (desk,) = log.desks.values()
    times = {(row.offset, row.label, row.label_time) for row in log.joined}
    labels = world.labels
    assert times == {(s, labels[k].label, labels[k].time) for s, k in fates.joined}
    assert len(log.joined) == len(fates.joined)
    assert [row.offset for row in log.learned if row.event == OWN] == fates.own
    negative = [row.offset for row in log.learned if row.event == EXPIRED]
    gone = [id_ for _, id_ in log.gone]
    let_go = [*([] if world.rules.negative else fates.expired), *fates.dropped]
    assert sorted(negative) == sorted(fates.expired if world.rules.negative else [])
    assert Counter(gone) == Counter(world.samples[at].id for at in let_go)
    assert {id_: row.offset for id_, row in desk.waiting.items()} == fates.waiting
    assert {id_: early[4] for id_, early in desk.early.items()} == fates.early
    counts = dict(log.counts)
    assert counts.get("repeated", 0) == len(fates.repeated)
    assert counts.get("unmatched", 0) == len(fates.late) + len(fates.unmatched)
    assert counts.get("dropped", 0) == len(fates.dropped)
    assert counts.get("corrections", 0) == sum(label.correction for label in labels)
    assert_letters(world, crew, fates)
    play.assert_alike(world, crew)
    fold = crew[0].view.fold
    document, plain = fold.document(), log.labels()
    mine = {name: document["delays"][name] for name in plain["delays"]}
    assert {**{name: document[name] for name in plain}, "delays": mine} == plain
    assert fold.standings[P].waiting == len(fates.waiting)


def assert_letters(world: World, crew: list[Worker], fates: Fates) -> None:
    """The dead letters of the batches that count are those of the reference."""
    sent = [crew_member.refused for crew_member in crew]
    letters = []
    for record in world.counted():
        key = record.worker, record.seq
        letters += next(refused[key] for refused in sent if key in refused)
        assert record.number("dead_letters") == len(next(refused[key] for refused in sent if key in refused))
    assert sorted(letters) == fates.letters


def test_samples_in_the_store_alone_wait_again_when_the_batch_that_let_them_go_is_lost() -> None:
    samples = [Sample("a", 0), Sample("b", 10), Sample("z", 1000)]
    world = World(samples, [Label("a", 5)], Rules(horizon=20, patience=5, negative=False, limit=1000))
    worker = Worker(world)
    worker.read()
    worker.stand()
    worker.process(2, 0)
    worker.send(1)
    worker.read()
    worker.save()
    assert worker.shrink(100) == 2
    worker.process(1, 0, ended=True)  # "a" and "b" are let go …
    worker.send(1, lost=True)  # … and nobody hears of it
    assert sorted(worker.whole()) == ["a", "b"]
    worker.stand()
    worker.process(0, 1)
    play.finish(world, [worker], play.always)
    assert [row.id for row in play.plain_log(world).joined] == ["a"]
    assert_as_by_the_rules(world, [worker])
