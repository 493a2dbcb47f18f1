"""Whether what clients saw of a few items can have happened one after the other: the algorithm of Wing and Gong ("Testing
and Verifying Concurrent Objects", 1993) with Lowe's memory of what has been tried ("Testing for linearizability", 2016).

A history is a list of `Op`. An operation whose answer never came may have happened until its `end`, when nobody was
there any more who could do it, or not at all. The object is a pair of items, each a number or absent, so that transactions over both are part of the model.
"""
import dataclasses
import math

UNKNOWN = object()
REFUSED = "refused"


@dataclasses.dataclass
class Op:
    start: float
    end: float
    call: tuple
    result: object = None


def step(state, call, result):
    """The state after a call that gave this result, or None where the call cannot have given it."""
    kind, *arguments = call
    if kind == "read":
        (at,) = arguments
        return state if result is UNKNOWN or state[at] == result else None
    if kind == "read both":
        return state if result is UNKNOWN or state == tuple(result) else None
    if kind == "put":
        at, value = arguments
        return changed(state, {at: value})
    if kind == "delete":
        (at,) = arguments
        return changed(state, {at: None}) if result is UNKNOWN or state[at] == result else None
    if kind == "add":
        (at,) = arguments
        value = (state[at] or 0) + 1
        return changed(state, {at: value}) if result is UNKNOWN or value == result else None
    if kind == "swap":
        at, expected, value = arguments
        holds, after = state[at] == expected, {at: value}
    elif kind == "move":
        # One is taken from the first and given to the second, if there is one to take.
        holds = (state[0] or 0) > 0
        after = {0: (state[0] or 0) - 1, 1: (state[1] or 0) + 1}
    else:
        raise ValueError(kind)
    if not holds:
        return state if result is UNKNOWN or result == REFUSED else None
    return changed(state, after) if result is UNKNOWN or result != REFUSED else None


def changed(state, values):
    return tuple(values.get(at, value) for at, value in enumerate(state))


def is_linearizable(history, state=(None, None)):
    """Whether there is an order of the operations that explains every answer."""
    ops = sorted(history, key=lambda op: op.start)
    count = len(ops)
    optional = [op.result is UNKNOWN for op in ops]
    answered = sum(1 << at for at in range(count) if not optional[at])
    tried = set()
    stack = [(0, 0, state)]
    while stack:
        low, done, state = stack.pop()
        if not answered & ~done:
            return True
        while done >> low & 1:
            low += 1
        # Whoever comes next has begun before any that must come has ended, and not ended before one that came began.
        latest = ops[done.bit_length() - 1].start if done else -math.inf
        earliest, at, left = math.inf, low, []
        while at < count and ops[at].start <= earliest:
            if not done >> at & 1:
                if optional[at] and ops[at].end < latest:
                    done |= 1 << at
                else:
                    left.append(at)
                    earliest = earliest if optional[at] else min(earliest, ops[at].end)
            at += 1
        next_ones = []
        for at in sorted((at for at in left if ops[at].start <= earliest), key=lambda at: -ops[at].end):
            after = step(state, ops[at].call, ops[at].result)
            if after is None:
                continue
            if after == state and not optional[at] and ops[at].call[0] != "put":
                # With its answer it changes nothing wherever it comes: if it can come now, there is nothing else to try.
                next_ones = [(done | 1 << at, after)]
                break
            next_ones.append((done | 1 << at, after))
        for one in next_ones:
            if one not in tried:
                tried.add(one)
                stack.append((low, *one))
    return False
