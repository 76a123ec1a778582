from collections.abc import Sequence

import numpy as np

from models.face.musetalk.orders import COLLECT_S, Mouth, Order, OrderQueue, Sound, bucket_for

CHEAP: dict[int, float] = {}


def order(session: int, deadline_s: float, *, pictures: int = 2, region: int = 64, restart: bool = False) -> Order[str]:
    sounds: Sequence[Sound] = [Sound(0, np.zeros(1, np.float32), restart=True)] if restart else []
    mouths = [Mouth(frame, 1.0, 0, 10) for frame in range(pictures)]
    return Order(session, 0, (region, region), mouths, sounds, 640, 1.0, deadline_s, f"{session}@{deadline_s:g}")


def filled(*orders: Order[str]) -> OrderQueue[str]:
    queue: OrderQueue[str] = OrderQueue()
    for each in orders:
        queue.put(each, 0.0)
    return queue


def taken(queue: OrderQueue[str], cost_s: dict[int, float] = CHEAP) -> list[str]:
    return [each.ticket for each in queue.take(0.0, cost_s)]


def test_the_most_urgent_comes_first_and_sessions_share_a_batch() -> None:
    queue = filled(order(1, 0.3), order(2, 0.1), order(3, 0.2))
    assert taken(queue) == ["2@0.1", "3@0.2", "1@0.3"]
    assert taken(queue) == []


def test_a_batch_holds_no_more_than_the_largest_bucket() -> None:
    queue = filled(*(order(session, 0.1 + session, pictures=4) for session in range(5)))
    assert len(taken(queue)) == 4
    assert taken(queue) == ["4@4.1"]


def test_the_orders_of_one_session_stay_in_their_order() -> None:
    queue = filled(order(1, 0.5), order(1, 0.2), order(2, 0.4))
    assert taken(queue) == ["2@0.4", "1@0.5", "1@0.2"]


def test_regions_of_another_size_wait_for_the_next_batch() -> None:
    queue = filled(order(1, 0.1), order(2, 0.2, region=96), order(3, 0.3))
    assert taken(queue) == ["1@0.1", "3@0.3"]
    assert taken(queue) == ["2@0.2"]


def test_a_window_that_begins_anew_does_not_mix_with_pictures_of_the_old_one() -> None:
    queue = filled(order(1, 0.1), order(1, 0.2, restart=True), order(1, 0.3), order(2, 0.4))
    assert taken(queue) == ["1@0.1", "2@0.4"]
    assert taken(queue) == ["1@0.2", "1@0.3"]


def test_an_urgent_picture_is_not_delayed_by_a_large_batch() -> None:
    cost_s = {1: 0.01, 2: 0.02, 4: 0.04, 8: 0.08, 16: 0.16}
    queue = filled(order(1, 0.03, pictures=1), *(order(session, 1.0) for session in range(2, 8)))
    assert taken(queue, cost_s) == ["1@0.03"]
    assert len(taken(queue, cost_s)) == 6


def test_when_all_are_late_the_largest_batch_catches_up() -> None:
    cost_s = {1: 0.01, 2: 0.02, 4: 0.04, 8: 0.08, 16: 0.16}
    queue = filled(*(order(session, -0.1) for session in range(8)))
    assert len(taken(queue, cost_s)) == 8


def test_the_first_order_waits_a_moment_for_company_but_a_full_batch_does_not() -> None:
    queue = filled(order(1, 0.1))
    assert queue.ready_in_s(0.0) == COLLECT_S
    assert queue.ready_in_s(COLLECT_S) == 0.0
    for session in range(2, 9):
        queue.put(order(session, 0.1), 0.0)
    assert queue.ready_in_s(0.0) == 0.0
    taken(queue)
    assert queue.ready_in_s(0.0) is None


def test_what_a_session_cancels_is_gone_and_nothing_else() -> None:
    queue = filled(order(1, 0.1), order(2, 0.2), order(1, 0.3))
    assert [each.ticket for each in queue.discard(1)] == ["1@0.1", "1@0.3"]
    assert taken(queue) == ["2@0.2"]


def test_a_batch_is_filled_up_to_the_next_bucket() -> None:
    assert [bucket_for(count) for count in (1, 2, 3, 5, 9, 16)] == [1, 2, 4, 8, 16, 16]
