"""When a cached listing is trusted: whatever the steps of the file system's timestamps, no change is missed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nvr.media.files.directory_cache import is_current, is_settled
from nvr.media.files.mtime import MTIME_GRANULARITY_NS, stored_mtime_ns

NOON_NS = 1_767_268_800 * 10**9
TIMES_NS = st.integers(0, 2**63 - 1)
DELAYS_NS = st.integers(0, 3 * MTIME_GRANULARITY_NS)
STEPS_NS = st.sampled_from((1, 100, 10**6, 4 * 10**6, 10 * 10**6, 10**9, MTIME_GRANULARITY_NS))


def rounded(at_ns: int, step_ns: int) -> int:
    """Return the mtime that a file system with this step stores for a change."""
    return at_ns - at_ns % step_ns


@given(changed_ns=TIMES_NS, step_ns=STEPS_NS, until_listing_ns=DELAYS_NS, until_change_ns=DELAYS_NS)
def test_a_change_after_the_listing_is_never_missed(
    changed_ns: int, step_ns: int, until_listing_ns: int, until_change_ns: int
) -> None:
    mtime_ns = rounded(changed_ns, step_ns)
    listed_ns = changed_ns + until_listing_ns
    later_mtime_ns = rounded(listed_ns + until_change_ns, step_ns)

    assert not is_current(later_mtime_ns, listed_mtime_ns=mtime_ns, listed_ns=listed_ns)


@given(changed_ns=TIMES_NS, step_ns=STEPS_NS, age_ns=st.integers(MTIME_GRANULARITY_NS + 1, 2**63))
def test_a_listing_of_a_settled_directory_is_current_until_its_mtime_changes(
    changed_ns: int, step_ns: int, age_ns: int
) -> None:
    mtime_ns = rounded(changed_ns, step_ns)

    assert is_current(mtime_ns, listed_mtime_ns=mtime_ns, listed_ns=changed_ns + age_ns)
    assert not is_current(mtime_ns + step_ns, listed_mtime_ns=mtime_ns, listed_ns=changed_ns + age_ns)
    assert not is_current(mtime_ns - step_ns, listed_mtime_ns=mtime_ns, listed_ns=changed_ns + age_ns)


def test_a_second_change_within_a_step_is_why_a_recent_mtime_is_not_trusted() -> None:
    second_ns = NOON_NS + 10**9

    assert rounded(second_ns, MTIME_GRANULARITY_NS) == NOON_NS
    assert not is_current(NOON_NS, listed_mtime_ns=NOON_NS, listed_ns=second_ns)


def test_an_mtime_settles_when_it_is_older_than_the_coarsest_step() -> None:
    assert not is_settled(NOON_NS, NOON_NS)
    assert not is_settled(NOON_NS, NOON_NS + 2 * 10**9)
    assert is_settled(NOON_NS, NOON_NS + 2 * 10**9 + 1)


@given(mtime_ns=TIMES_NS, now_ns=TIMES_NS, later_ns=DELAYS_NS)
def test_a_settled_mtime_stays_settled(mtime_ns: int, now_ns: int, later_ns: int) -> None:
    assert is_settled(mtime_ns, now_ns + later_ns) or not is_settled(mtime_ns, now_ns)


@given(now_ns=TIMES_NS, ahead_ns=DELAYS_NS)
def test_an_mtime_in_the_future_is_not_settled(now_ns: int, ahead_ns: int) -> None:
    assert not is_settled(now_ns + ahead_ns, now_ns)


@given(mtime_ns=st.integers(-(2**63), 2**63 - 1))
def test_a_stored_mtime_is_the_mtime_until_the_year_2262(mtime_ns: int) -> None:
    assert stored_mtime_ns(mtime_ns) == mtime_ns


@given(mtime_ns=st.integers(-(2**70), 2**70), step_ns=st.integers(1, 2**64 - 1))
def test_a_stored_mtime_fits_its_column_and_differs_after_each_change(mtime_ns: int, step_ns: int) -> None:
    assert -(2**63) <= stored_mtime_ns(mtime_ns) < 2**63
    assert stored_mtime_ns(mtime_ns) != stored_mtime_ns(mtime_ns + step_ns)
