#!/bin/sh
# A job chain: its lock is held over three steps, which are commands of their own. Two orders go through it at a time.
set -eu
pylock --version >/dev/null  # where the command cannot start, nothing does
here=$(cd "$(dirname "$0")" && pwd)
PYLOCK_DIR=$(mktemp -d)
CHAIN_PID=$$
export PYLOCK_DIR CHAIN_PID
trap 'rm -rf "$PYLOCK_DIR"' EXIT

step() {  # step ORDER NAME: what a scheduler would start as a command of its own
    echo "  $1  $2"
    sleep "${STEP_SECONDS:-0.1}"
}
through() {  # through ORDER: an order on its way through the chain
    keeper=$(sh "$here/begin.sh" chainLock "$1" --quiet)
    for name in extract transform load; do step "$1" "$name"; done
    sh "$here/end.sh" "$keeper"
}

echo "Two orders: the second begins when the first has gone through all of the chain"
keeper=$(sh "$here/begin.sh" chainLock "order A")
step "order A" "extract"
through "order B" &
until pylock status chainLock --json | grep -q '"place": 1'; do sleep 0.02 && kill -0 $!; done
pylock status chainLock
step "order A" "transform"
step "order A" "load"
sh "$here/end.sh" "$keeper"
wait
