#!/bin/sh
# The maintenance job of example 2, for its two orders: "close" lets nobody start any more and waits until all who run
# have ended; "open" lets everybody start again who has queued up meanwhile.
set -eu
case $1 in
    close) pylock set maintain --capacity 0 --reason "kernel update" --drain ;;
    open) pylock set maintain --capacity unlimited ;;
    *) echo "usage: maintenance.sh close|open" >&2; exit 2 ;;
esac
