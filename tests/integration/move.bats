#!/usr/bin/env bats
# A service moves to another machine through a pipe: a second engine, a second prefix, and an `ssh`
# that runs its command there.

# shellcheck disable=SC2154 # stderr is set by run
load harness
# shellcheck source=tests/integration/world.bash
source "$BATS_TEST_DIRNAME/world.bash"

start_second_engine() {
    local driver
    SECOND=$(mktemp -d "$WORLD/second.XXXXXX")
    driver=$("$DOCKER" info --format '{{.Driver}}')
    mkdir -p "$SECOND/p/usr/local/bin"
    "$(world_program dockerd)" --data-root "$SECOND/data" --exec-root "$SECOND/exec" \
        --pidfile "$SECOND/pid" --host "unix://$SECOND/docker.sock" \
        --config-file "$WORLD/daemon.json" --bridge=none --iptables=false --ip6tables=false \
        --storage-driver "$driver" >"$SECOND/log" 2>&1 3>&- 4>&- </dev/null &
    SECOND_PID=$!
    disown "$SECOND_PID"
    world_wait "$SECOND_PID" "$DOCKER" --host "unix://$SECOND/docker.sock" version
    cat >"$BATS_TEST_TMPDIR/bin/ssh" <<SSH
#!/bin/bash
[[ \$1 == other ]] || exit 255
export DRUNNER_PREFIX=$SECOND/p DOCKER_HOST=unix://$SECOND/docker.sock
export PATH=$BATS_TEST_TMPDIR/bin:$SECOND/p/usr/local/bin:$WORLD/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec "\${@:2}"
SSH
    chmod +x "$BATS_TEST_TMPDIR/bin/ssh"
}

teardown_second_engine() {
    world_end "$SECOND_PID"
    awk -v root="$SECOND/" 'index($2, root) == 1 {print $2}' /proc/self/mounts | sort -r |
        xargs -r umount --lazy
    rm -rf --one-file-system "$SECOND"
}

@test "drunner backup S - | ssh other drunner restore -" {
    local data listing
    start_second_engine
    expect 0 drunner install dtest
    fill_dtest dtest
    data=$(mount_point drunner-dtest-data)
    listing=$(listing "$data")
    # Neither a registry nor the image is at the other end.
    drunner backup dtest - --with-image | ssh other drunner restore -
    expect 0 ssh other drunner status dtest
    expect 0 ssh other dtest selftest
    data=$("$DOCKER" --host "unix://$SECOND/docker.sock" volume inspect \
        --format '{{.Mountpoint}}' drunner-dtest-data)
    [[ $data == "$SECOND"/* ]]
    same "$listing" "$(listing "$data")"
    # A pipe that breaks leaves nothing at the other end, and the service here as it was.
    expect 0 ssh other drunner obliterate dtest
    drunner backup dtest - --with-image | head -c 200000 |
        expect 1 ssh other drunner restore -
    equals "" "$("$DOCKER" --host "unix://$SECOND/docker.sock" volume ls --quiet)"
    equals "" "$("$DOCKER" --host "unix://$SECOND/docker.sock" ps --all --quiet)"
    expect 0 drunner status dtest
    teardown_second_engine
}
