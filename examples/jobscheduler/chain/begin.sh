#!/bin/sh
# begin.sh LOCK ORDER [OPTION...]: take the lock for a chain of steps, wait until it is held, and print who keeps it.
#
# Each step of a chain is a command of its own, so somebody else must hold the lock over all of them: a sleep, which
# `pylock run --exec` becomes once it has the lock. It needs next to no memory, and is in a session of its own, so that the
# end of the first step does not end it. If the chain never comes to its end it lets go after CHAIN_SECONDS; or, where
# all steps are started by one process, CHAIN_PID, as soon as that has ended, however it ends.
set -eu
lock=$1 order=$2
shift 2
keeper=$(setsid pylock run --exec "$@" --reason "chain $order" "$lock" -- sh -c '
    echo $$
    [ -z "$1" ] || exec tail --pid="$1" --sleep-interval=0.1 -f /dev/null >/dev/null 2>&1
    exec sleep "$0" >/dev/null 2>&1' "${CHAIN_SECONDS:-86400}" "${CHAIN_PID:-}" &)
# The substitution ends when nobody can write into it any more: the lock is held, or was not to be had.
test -n "$keeper" || exit 75
echo "$keeper"
