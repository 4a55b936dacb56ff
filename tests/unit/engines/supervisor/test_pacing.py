"""How long the supervisor waits."""

from engines.supervisor.pacing import Pacing


def test_room_is_looked_for_more_often_than_a_download_is_tried():
    """Both waits double; a look at the memory costs nothing."""
    pacing = Pacing()
    assert [pacing.prepare_again(failures) for failures in (1, 2, 9)] == [10, 20, 300]
    assert [pacing.admit_again(failures) for failures in (1, 2, 9)] == [10, 20, 30]
