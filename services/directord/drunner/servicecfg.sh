#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
# The first volume names the program for servicerunner, which is the same for two of them.
VOLUMES=("/etc/directord" "/srv/directord" "/run/directord")
EXTRACONTAINERS=()
SELFTEST=yes
SETTINGS=(
    "NETWORK||own|own: a bridge of this service alone; host: the host's network, for clients elsewhere|string"
    "AUTH||none|how clients prove themselves: none, key (the secret shared_key), curve (see the command keys)|string"
    "HEARTBEAT_INTERVAL||60|seconds between two signs of life of a client|int"
    "JOB_PORT||5555|the port for jobs|port"
    "TRANSFER_PORT||5556|the port for files|port"
    "HEARTBEAT_PORT||5557|the port for signs of life|port"
    "SHARE_PATH|||a place on this host that the server sees under the same path; empty: none|path"
    "CLIENTS|||clients on this host: NAME for one of this server, NAME@ADDRESS for one of another; client-add and client-rm change it|string"
    "POD||no|yes: a client in the network of the server itself; pod-up and pod-down change it|bool"
    "SWITCHES|||further switches of the program, before its mode|string"
)
SECRETS=(
    "shared_key||what clients and the server share, one line, for AUTH=key"
    "server.key||for AUTH=curve, made by the command keys"
    "client.key||for AUTH=curve, made by the command keys"
    "server.key_secret||for AUTH=curve, made by the command keys"
    "client.key_secret||for AUTH=curve, made by the command keys"
)
# A socket is nothing that could come back.
BACKUP_EXCLUDE=("*.sock")
