#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
# What this image declares to drunner, which reads it as data: plain values in plain quotes.

# Directories in the container whose content must outlive it: kept, backed up, restored.
VOLUMES=("@VOLUME@")

# Further images that the scripts start; pulled at install and update.
EXTRACONTAINERS=()

# yes: an install or update whose selftest fails is undone.
SELFTEST=yes

# Which names the hooks have.
VERSION=@VERSION@

# What the operator chooses: NAME|required|default|text|type.
SETTINGS=(@SETTINGS@)
