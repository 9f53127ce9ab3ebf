#!/bin/sh
# begin.sh LOCK ORDER [OPTION...]: take the lock for a chain of steps, wait until it is held, and print who keeps it.
#
# Each step of a chain is a command of its own, so somebody else must hold the lock over all of them: a sleep, which
# `pylock run --exec` becomes once it has the lock. It needs next to no memory, is in a session of its own, so that the
# end of the first step does not end it, and if the chain never comes to its end it lets go after CHAIN_SECONDS.
set -eu
lock=$1 order=$2
shift 2
keeper=$(setsid pylock run --exec "$@" --reason "chain $order" "$lock" -- \
    sh -c 'echo $$; exec sleep "$0" >/dev/null 2>&1' "${CHAIN_SECONDS:-86400}" &)
# The substitution ends when nobody can write into it any more: the lock is held, or was not to be had.
test -n "$keeper" || exit 75
echo "$keeper"
