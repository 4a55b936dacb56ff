"""Places in a queue: order of service, and leaving from anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.pool.queue import Priority, Queue
from tests.unit.gateway.builders import JumpingLoop


@given(st.lists(st.sampled_from(Priority), max_size=12), st.data())
def test_service_is_by_class_and_then_by_arrival(priorities, data):
    async def service():
        queue = Queue()
        places = [queue.join(priority, None) for priority in priorities]
        gone = data.draw(st.lists(st.sampled_from(places), unique_by=id)) if places else []
        for place in gone:
            queue.leave(place)
        left = [place for place in places if place not in gone]
        assert list(queue) == sorted(left, key=lambda place: place.priority)
        assert queue.length == len(left)

    loop = JumpingLoop()
    loop.run_until_complete(service())
    loop.close()


async def test_places_may_leave_while_turns_are_given():
    queue = Queue()
    for _ in range(3):
        queue.join(Priority.NORMAL, None)
    for place in queue:
        queue.leave(place)
    assert queue.length == 0
