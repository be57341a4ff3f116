"""Which faults come when: drawn from the seed and the number of control planes alone, so that a run can be repeated whatever its timing.

for step in plan.steps(seed, TABLE): step.pause_s, step.draws"""

import collections
import random

Draw = collections.namedtuple("Draw", "name target parameters")  # one fault; parameters as a dict
Step = collections.namedtuple("Step", "number pause_s draws")  # one fault, or two that begin together

_TOGETHER = 0.35  # how many steps have two faults
_TRIES = 4  # to find a second one that the first does not exclude


def _draw(random_of, kind, num_controls):
    return Draw(kind.name, random_of.choice(kind.targets_of(num_controls)), kind.parameters(random_of))


def _excludes(table, one, other):
    """Whether both change the same part."""
    return bool(table[one.name].touches(one.target) & table[other.name].touches(other.target))


def steps(seed, table, num_controls=1):
    """Without end. `table`: {name: kind of fault}, each with a target. Each kind comes once before one comes again, second ones aside."""
    random_of, names, bag, number = random.Random(seed), sorted(table), [], 0
    while True:
        if not bag:
            bag = random_of.sample(names, len(names))
        draws, number = [_draw(random_of, table[bag.pop()], num_controls)], number + 1
        if random_of.random() < _TOGETHER:
            others = [_draw(random_of, table[random_of.choice(names)], num_controls) for _ in range(_TRIES)]
            draws += [other for other in others if not _excludes(table, draws[0], other)][:1]
        yield Step(number, round(random_of.uniform(0.5, 3.0), 1), draws)


def text(step):
    return "step %d, after %.1f s: %s" % (step.number, step.pause_s, " and ".join(map(text_of_draw, step.draws)))


def text_of_draw(draw):
    words = ["%s=%s" % pair for pair in draw.parameters.items()]
    return " ".join([draw.name, draw.target, *words])
