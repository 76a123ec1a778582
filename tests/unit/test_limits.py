from signaling.limits import Backoff, TokenBucket


def test_a_burst_passes_and_the_message_after_it_does_not() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=3, now_s=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]


def test_patience_is_rewarded_at_the_rate_and_up_to_the_burst() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=3, now_s=0)
    for _ in range(3):
        bucket.take(0)
    assert bucket.take(0.125)
    assert not bucket.take(0.125)
    assert [bucket.take(60) for _ in range(4)] == [True, True, True, False]


def test_attempts_come_ever_later_up_to_a_bound() -> None:
    slowest = Backoff(lambda: 1.0)
    assert [round(slowest.next_s(), 3) for _ in range(7)] == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    slowest.reset()
    assert round(slowest.next_s(), 3) == 0.4


def test_no_attempt_comes_at_once() -> None:
    fastest = Backoff(lambda: 0.0)
    assert {fastest.next_s() for _ in range(5)} == {0.2}
