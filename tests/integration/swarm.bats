#!/usr/bin/env bats
# Secrets for a Swarm: given to one that is there, never making one. The engine of this file is its
# own, in a network namespace of its own: the Swarm is the test's.

load harness

start_swarm_engine() {
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
    "$DOCKER" save secretive | swarm load >/dev/null
}

world_dockerd() {
    if [[ -x /usr/bin/dockerd ]]; then echo /usr/bin/dockerd; else command -v dockerd; fi
}

# docker, on the engine of this file.
swarm() {
    "$DOCKER" --host "unix://$SWARM/d.sock" "$@"
}

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

teardown() {
    export DOCKER_HOST=$ENGINE
    swarm swarm leave --force >/dev/null 2>&1 || true
    kill "$SWARM_PID" 2>/dev/null || true
    wait "$SWARM_PID" 2>/dev/null || true
    local mount
    awk -v root="$SWARM/" 'index($2, root) == 1 {print $2}' /proc/self/mounts | sort -r |
        while read -r mount; do umount --lazy "$mount" 2>/dev/null || true; done
    harness_teardown
}

@test "a secret is given to a Swarm that is there, and only then" {
    start_swarm_engine
    export DOCKER_HOST=unix://$SWARM/d.sock
    expect 0 drunner install secretive
    printf 'the content' >content
    drunner secret secretive set key <content

    expect 1 secretive publish key
    contains "$stderr" "manages no Swarm (it is 'inactive')"
    equals inactive "$(swarm info --format '{{.Swarm.LocalNodeState}}')"
    expect 0 secretive withdraw

    swarm swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >/dev/null
    printf foreign | swarm secret create foreign - >/dev/null
    expect 1 secretive publish nosuch
    contains "$stderr" "secrets missing: nosuch"
    expect 0 secretive publish key
    local published=$output
    expect 0 secretive publish key
    equals "$published" "$output"
    run swarm secret inspect "$published"
    [[ $output != *"the content"* && $output != *"$(base64 -w 0 <content)"* ]]
    swarm service create --detach --name served --restart-condition none \
        --secret "source=$published,target=key,uid=22022,mode=0400" \
        secretive /bin/sh -c 'cat /run/secrets/key' >/dev/null 2>&1
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if [[ $(swarm service logs --raw served 2>/dev/null) == "the content" ]]; then break; fi
        sleep 0.1
    done
    equals "the content" "$(swarm service logs --raw served)"
    swarm service rm served >/dev/null

    # Another content is another secret there; none but the service's own are taken away.
    printf 'the next' >content
    drunner secret secretive set key <content
    expect 0 secretive publish key
    [[ $output != "$published" ]]
    for ((tries = 0; tries < 100; tries++)); do
        run secretive withdraw
        if [[ $status == 0 ]]; then break; fi
        sleep 0.1
    done
    equals foreign "$(swarm secret ls --format '{{.Name}}')"
    equals active "$(swarm info --format '{{.Swarm.LocalNodeState}}')"
    expect 0 drunner obliterate --purge secretive
    equals "" "$(swarm ps --all --quiet)"
}
