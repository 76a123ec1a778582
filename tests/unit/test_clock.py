from peer_remote.clock import MediaClock


class Hands:
    """A clock that moves only when told, or by sleeping."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now_s += seconds


async def test_it_sleeps_until_a_position_is_due() -> None:
    hands = Hands()
    clock = MediaClock(now=lambda: hands.now_s, sleep=hands.sleep)
    for beat in range(1, 4):
        await clock.wait_for(beat * 1_920)
    assert hands.slept == [0.04, 0.04, 0.04]


async def test_a_short_stall_is_caught_up() -> None:
    hands = Hands()
    clock = MediaClock(now=lambda: hands.now_s, sleep=hands.sleep)
    hands.now_s += 0.1
    await clock.wait_for(1_920)
    await clock.wait_for(2 * 1_920)
    await clock.wait_for(3 * 1_920)
    assert hands.slept == [0.02]
    assert clock.rebases == 0


async def test_a_long_stall_moves_the_origin_instead_of_bursting() -> None:
    hands = Hands()
    clock = MediaClock(now=lambda: hands.now_s, sleep=hands.sleep)
    hands.now_s += 1.0
    await clock.wait_for(1_920, leads=True)
    await clock.wait_for(2 * 1_920, leads=True)
    assert hands.slept == [0.04]
    assert clock.rebases == 1


async def test_a_late_track_does_not_move_the_clock_of_the_others() -> None:
    hands = Hands()
    clock = MediaClock(now=lambda: hands.now_s, sleep=hands.sleep)
    hands.now_s += 1.0
    await clock.wait_for(1_920)
    assert clock.rebases == 0


async def test_media_time_counts_samples_whatever_the_wall_clock_does() -> None:
    hands = Hands()
    clock = MediaClock(now=lambda: hands.now_s, sleep=hands.sleep, epoch_s=1_700_000_000.0)
    before_s = clock.media_s(2 * 1_920)
    hands.now_s += 1.0
    await clock.wait_for(2 * 1_920, leads=True)
    assert before_s == clock.media_s(2 * 1_920) == 1_700_000_000.08
