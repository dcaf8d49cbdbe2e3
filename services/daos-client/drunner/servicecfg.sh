#!/bin/bash
# shellcheck disable=SC2034  # drunner reads what is assigned here
VOLUMES=("/var/run/daos_agent")
# The build writes another name in its place where it is given one.
EXTRACONTAINERS=("daos-agent:1")
SELFTEST=yes
SETTINGS=(
    "DAOS_CLIENT_UNAME|required||the client's user: its name|string"
    "DAOS_CLIENT_UID|required||its number, above 0|int"
    "DAOS_CLIENT_GNAME|required||the client's group: its name|string"
    "DAOS_CLIENT_GID|required||its number, above 0|int"
    "DAOS_ACCESS_POINTS|required||hosts of the DAOS management servers: ['host1', 'host2']|string"
    "DAOS_PORT||1001|the port of the access points|port"
    "DAOS_AUTH||yes|DAOS asks who the agent is; needs the secret daos_agent-certs|bool"
    "DAOS_IFACE_CFG||no|the agent takes the interface that the next three name, all of them|bool"
    "DAOS_IFACE_NUMA_NODE|||numa node of the interface|int"
    "DAOS_IFACE_NAME|||name of the interface: ib0|string"
    "DAOS_IFACE_DOMAIN_NAME|||domain name of the interface: mlx5_0|string"
    "NETWORK||host|the network of agent and clients: the host's, or one of the engine's by its name|string"
    "PID_MODE||agent|whose processes agent and clients share, so that it sees them: agent or host|string"
    "SECRET_BACKEND||file|who hands the certificates to the agent: file or swarm|string"
)
SECRETS=("daos_agent-certs||tarball (tar, xz) of daosCA.crt, agent.crt and agent.key, unless DAOS_AUTH=no|check")
# Nothing that lasts is in the volume.
BACKUP_EXCLUDE=("daos_agent.sock")
