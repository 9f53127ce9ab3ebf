#!/bin/sh
# A job of the JobScheduler example: says when it starts and ends, and works as long as there is work.
echo "          $1 starts ($PYLOCK_MODE)"
touch "$PYLOCK_DIR/started.$1"
while test -e "$PYLOCK_DIR/work"; do sleep 0.02; done
echo "          $1 ends"
