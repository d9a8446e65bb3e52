"""A program with a loop of its own: the office lives on it, and there is no other thread.

Two hundred questions wait for a slow answer at a time, while a feed is heard.
"""

import asyncio
import sys

import bureau
from bureau import Retry, Team


@bureau.task(retry=Retry.exponential(3))
class Ask:
    number: int


async def main(path: str) -> None:
    async with bureau.open(path, tenant="Larkfield") as office:
        asked, all_asked = 0, asyncio.Event()

        @office.agent(Ask)
        async def ask(run, payload):
            nonlocal asked
            asked += 1
            if asked == 200:
                all_asked.set()
            await all_asked.wait()  # as long as the slowest of them all: nobody holds a thread
            return payload.number * 2

        async def hear():
            async for event in office.feed(Team):
                print("heard of", event.after.name)
                return

        office.enqueue_all(Ask(number) for number in range(200))
        living = asyncio.create_task(office.serve())
        hearing = asyncio.create_task(hear())
        await all_asked.wait()
        while not hearing.done():
            office[Team].insert(Team(name=f"Team {office[Team].count()}"))
            await asyncio.sleep(0.05)
        while office["tasks"].count("status < \"completed\""):
            await asyncio.sleep(0.01)
        print(office["tasks"].count("status = \"completed\""), "answers")
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
