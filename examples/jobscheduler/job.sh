#!/bin/sh
# A job of the JobScheduler example: says when it starts and ends, and works for a moment in between.
echo "          $1 starts ($PYLOCK_MODE)"
sleep "${JOB_SECONDS:-0.4}"
echo "          $1 ends"
