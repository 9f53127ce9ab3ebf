#!/bin/sh
# The JobScheduler's two examples of locks, with real commands under real locks.
#
# Example 1: job1 uses the lock exclusively, job2 and job3 share it; they are started in three different orders.
# Example 2: maintenance closes a lock that jobs share. They queue up, and all start when it is opened again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PYLOCK_DIR=$(mktemp -d)
export PYLOCK_DIR
trap 'rm -rf "$PYLOCK_DIR"' EXIT

job() {  # job NAME LOCK [OPTIONS...]: start the job in the background, and return once it holds or waits
    name=$1 lock=$2
    shift 2
    echo "  start   $name"
    pylock run --quiet "$@" --reason "$name" "$lock" -- sh "$here/job.sh" "$name" &
    until pylock status "$lock" --json 2>/dev/null | grep -q "\"reason\": \"$name\""; do sleep 0.02; done
}
job1() { job job1 testLock --exclusive; }
job2() { job job2 testLock --shared; }
job3() { job job3 testLock --shared; }

echo "Example 1, order job1 -> job2 -> job3: the shared ones wait for the exclusive one, then run together"
job1; job2; job3; wait
echo
echo "Example 1, order job2 -> job3 -> job1: both shared ones run, the exclusive one waits for both"
job2; job3; job1; wait
echo
echo "Example 1, order job2 -> job1 -> job3: the same, as job3 joins job2 although job1 waits"
job2; job1; job3; wait
echo
echo "Example 2: maintenance. Capacity 0 closes the lock; who comes meanwhile waits"
job nightly maintain --shared
pylock set maintain --capacity 0 --drain
job report maintain --shared
job billing maintain --shared
echo
pylock status maintain
echo
echo "The weekend is over: all who wait start"
pylock set maintain --capacity unlimited
wait
