# shellcheck shell=bash
# An engine for one test, in a network namespace of its own, so that a Swarm is the test's.
#
#   start_swarm_engine IMAGE...   SWARM is its directory; it has these images of the run's engine
#   swarm ARGUMENTS...            docker, on it
#   stop_swarm_engine             from teardown

start_swarm_engine() { # IMAGE...
    not_on_podman "these tests start a Docker engine of their own"
    SWARM=$BATS_TEST_TMPDIR/swarm
    mkdir "$SWARM"
    echo '{}' >"$SWARM/daemon.json"
    local driver
    driver=$("$DOCKER" info --format '{{.Driver}}')
    unshare --net /bin/sh -c 'ip link set lo up && exec "$@"' sh "$(world_dockerd)" \
        --data-root "$SWARM/data" --exec-root "$SWARM/exec" --pidfile "$SWARM/pid" \
        --host "unix://$SWARM/d.sock" --config-file "$SWARM/daemon.json" --bridge=none \
        --iptables=false --ip6tables=false --storage-driver "$driver" \
        >"$SWARM/log" 2>&1 3>&- 4>&- </dev/null &
    SWARM_PID=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if swarm version >/dev/null 2>&1; then break; fi
        sleep 0.1
    done
    "$DOCKER" save "$@" | swarm load >/dev/null
}

world_dockerd() {
    if [[ -x /usr/bin/dockerd ]]; then echo /usr/bin/dockerd; else command -v dockerd; fi
}

# docker, on the engine of this file.
swarm() {
    "$DOCKER" --host "unix://$SWARM/d.sock" "$@"
}

# Ends it, where it was started.
stop_swarm_engine() {
    [[ -n ${SWARM_PID-} ]] || return 0
    swarm swarm leave --force >/dev/null 2>&1 || true
    kill "$SWARM_PID" 2>/dev/null || true
    wait "$SWARM_PID" 2>/dev/null || true
    local mount
    awk -v root="$SWARM/" 'index($2, root) == 1 {print $2}' /proc/self/mounts | sort -r |
        while read -r mount; do umount --lazy "$mount" 2>/dev/null || true; done
}
