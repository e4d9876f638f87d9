"""Work that is shared by all who ask for the same at the same time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.shared import Shared


def test_who_asks_meanwhile_shares_the_next_work() -> None:
    begun, go = [], threading.Event()

    def work(key: str) -> int:
        begun.append(key)
        number = len(begun)
        if number == 1:
            go.wait(30)
        return number

    async def ask() -> list[int]:
        shared = Shared(work)
        first = [asyncio.create_task(shared("a")) for _ in range(2)]
        while not begun:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(shared("a")) for _ in range(3)]
        other = asyncio.create_task(shared("b"))
        assert await other == 2, "another question does not wait"
        later.pop().cancel()
        go.set()
        results = await asyncio.gather(*first, *later)
        assert (shared._begun, shared._next) == ({}, {})
        return results

    assert asyncio.run(ask()) == [1, 1, 3, 3]


def test_what_it_raises_everybody_gets() -> None:
    def fail(key: str) -> int:
        raise LookupError(key)

    async def ask() -> None:
        shared = Shared(fail)
        found = await asyncio.gather(*(shared("a") for _ in range(2)), return_exceptions=True)
        assert [str(each) for each in found] == ["a", "a"]
        with pytest.raises(LookupError):
            await shared("a")

    asyncio.run(ask())
