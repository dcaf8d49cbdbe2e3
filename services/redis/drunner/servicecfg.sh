#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
VOLUMES=("/data")
EXTRACONTAINERS=()
SELFTEST=yes
SETTINGS=(
    "PORT|||the port of this host that clients connect to, once the password is set; empty: none|port"
    "MAXMEMORY||64mb|how much data the server takes at most: 100mb, 1gb|string"
)
SECRETS=("password||what clients say first; without it the server is on no port")
# The dump goes into the backup by itself, and is not there twice.
BACKUP_EXCLUDE=("dump.rdb" "temp-*.rdb")
