#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
VOLUMES=("/world")
EXTRACONTAINERS=()
SELFTEST=yes
SETTINGS=(
    "PORT|||the port of this host that players connect to; empty: one that is free|port"
)
