#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
VOLUMES=( "/config" )
EXTRACONTAINERS=()
