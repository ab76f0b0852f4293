"""What the group's coordinator answers while it can't answer: no offsets is not "nothing is committed"."""

from __future__ import annotations

import pytest
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchResponse_v1, OffsetFetchResponse_v3

from app.transport.group_member import _check_offsets_are_known


class Coordinator:
    """Notes whether aiokafka was told to look for another one."""

    moved = False

    def coordinator_dead(self) -> None:
        self.moved = True


def test_a_coordinator_that_is_still_loading_is_asked_again() -> None:
    coordinator = Coordinator()
    with pytest.raises(GroupLoadInProgressError) as raised:
        _check_offsets_are_known(coordinator, OffsetFetchResponse_v3(0, [], GroupLoadInProgressError.errno))
    assert raised.value.retriable
    assert not coordinator.moved


def test_a_coordinator_that_has_moved_is_looked_for() -> None:
    coordinator = Coordinator()
    with pytest.raises(NotCoordinatorForGroupError) as raised:
        _check_offsets_are_known(coordinator, OffsetFetchResponse_v3(0, [], NotCoordinatorForGroupError.errno))
    assert raised.value.retriable
    assert coordinator.moved


@pytest.mark.parametrize("answer", [OffsetFetchResponse_v3(0, [], 0), OffsetFetchResponse_v1([])])
def test_an_answer_without_an_error_is_taken(answer: object) -> None:
    _check_offsets_are_known(Coordinator(), answer)
