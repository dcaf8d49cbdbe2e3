#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
# Two volumes, one of them several directories deep: their order and names matter.
VOLUMES=(
    "/data"              # what `write` and `read` work on
    "/var/lib/witness"   # what backupstart leaves for restore
)
EXTRACONTAINERS=()
