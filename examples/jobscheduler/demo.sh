#!/bin/sh
# The JobScheduler's two examples of locks, with real commands under real locks.
#
# Example 1: job1 uses the lock exclusively, job2 and job3 share it; they are started in three different orders.
# Example 2: maintenance closes a lock that jobs share. They queue up, and all start when it is opened again.
set -eu
pylock --version >/dev/null  # where the command cannot start, nothing does
here=$(cd "$(dirname "$0")" && pwd)
PYLOCK_DIR=$(mktemp -d)
export PYLOCK_DIR
trap 'rm -rf "$PYLOCK_DIR"' EXIT

work_begins() { touch "$PYLOCK_DIR/work"; }  # from now on a job that has started goes on working
work_ends() { rm "$PYLOCK_DIR/work"; }

still_there() { sleep 0.02 && kill -0 "$1"; }  # still_there PID: wait a moment for it; its end is the end of all

has_started() { test -e "$PYLOCK_DIR/started.$1"; }  # and has said so
waits() { pylock status "$2" 2>/dev/null | grep -q "waits .* $1\$"; }
job() {  # job NAME LOCK [OPTIONS...]: start the job in the background, and return once it has started or waits
    name=$1 lock=$2
    shift 2
    echo "  start   $name"
    rm -f "$PYLOCK_DIR/started.$name"
    pylock run --quiet "$@" --reason "$name" "$lock" -- sh "$here/job.sh" "$name" &
    until has_started "$name" || waits "$name" "$lock"; do still_there $!; done
}
job1() { job job1 testLock --exclusive; }
job2() { job job2 testLock --shared; }
job3() { job job3 testLock --shared; }
in_order() {  # in_order JOB JOB JOB: start all three while the first one works
    work_begins
    for job in "$@"; do $job; done
    work_ends
    wait
}

echo "Example 1, order job1 -> job2 -> job3: the shared ones wait for the exclusive one, then run together"
in_order job1 job2 job3
echo
echo "Example 1, order job2 -> job3 -> job1: both shared ones run, the exclusive one waits for both"
in_order job2 job3 job1
echo
echo "Example 1, order job2 -> job1 -> job3: the same, as job3 joins job2 although job1 waits"
in_order job2 job1 job3
echo
echo "Example 2: maintenance. One order closes the lock that all jobs share, and waits until who runs has ended"
work_begins
job nightly maintain --shared
echo "  close   maintain"
sh "$here/maintenance.sh" close >"$PYLOCK_DIR/said" &
until grep -q "holds" "$PYLOCK_DIR/said"; do sleep 0.02; done
cat "$PYLOCK_DIR/said"
work_ends
wait
echo
echo "Jobs that are started now queue up"
work_begins
for name in report billing audit; do job "$name" maintain --shared; done
echo
echo "The weekend is over: the other order opens it, and all who wait get it by themselves, in their order"
echo "  open    maintain"
sh "$here/maintenance.sh" open >"$PYLOCK_DIR/said"
for name in report billing audit; do until has_started "$name"; do sleep 0.02; done; done
echo "What the opening said, of the moment when it opened; and who holds the lock now:"
cat "$PYLOCK_DIR/said"
pylock status maintain
work_ends
wait
