#!/usr/bin/env bats
# A service moves to another machine through a pipe: a second engine, a second prefix, and an `ssh`
# that runs its command there.

# shellcheck disable=SC2154 # stderr is set by run
load harness
# shellcheck source=tests/integration/world.bash
source "$BATS_TEST_DIRNAME/world.bash"

start_second_engine() {
    not_on_podman "these tests start a Docker engine of their own"
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

# Ten services whose scripts write down when they begin and end to be installed; all but one of them
# come after that one, whose name is the last.
@test "a host with ten services is lost: restore --all brings all of them back, in their order" {
    local directory name kept=$BATS_TEST_TMPDIR/kept
    start_second_engine
    directory=$(copy_of helloworld)
    sed -i 's|^VOLUMES=()|VOLUMES=("/data")|' "$directory/drunner/servicecfg.sh"
    # shellcheck disable=SC2016 # the service expands it
    sed -i 's/^case/[[ ${DRUNNER_OPERATION-} != restore ]] || printf "%s %s\\n" "$SUBCOMMAND" "$SERVICENAME" >>"$DTEST_CALLS"\n&/' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" first
    echo 'AFTER=("zz" "missing")' >>"$directory/drunner/servicecfg.sh"
    build_directory "$directory" after-zz
    configure HEALTHUPTIME=0 BACKUPDIR="$kept"
    expect 0 drunner install first zz
    for name in a b c d e f g h i; do expect 0 drunner install after-zz "$name"; done
    for name in a b c d e f g h i zz; do
        printf 'of %s\n' "$name" >"$(mount_point "drunner-$name-data")/$name"
        head -c 100000 /dev/urandom >"$(mount_point "drunner-$name-data")/random"
        volume_listing "drunner-$name-data" >"$name.listing"
    done
    expect 0 drunner backup --all --with-image -j 4
    equals 10 "$(grep -c '  written ' <<<"$output")"

    # Nothing of the host but its backups is left, and one of those is damaged.
    mkdir -p "$SECOND/p/etc/drunner"
    cp "$DRUNNER_PREFIX/etc/drunner/config.sh" "$SECOND/p/etc/drunner/"
    cp "$(printf '%s\n' "$kept"/c/*)" "$kept/c/29990101T000000Z.tar.zst"
    truncate -s -100 "$kept/c/29990101T000000Z.tar.zst"
    : >"$DTEST_CALLS"
    expect 0 ssh other drunner restore --all "$kept" -j 4 --json
    equals 10 "$(jq '[.services[] | select(.result == "restored")] | length' <<<"$output")"
    # zz was there before any other began.
    equals 'restore zz' "$(sed -n 2p "$DTEST_CALLS")"
    equals 'install zz' "$(sed -n 1p "$DTEST_CALLS")"
    expect 0 ssh other drunner status --all
    for name in a b c d e f g h i zz; do
        same "$(<"$name.listing")" "$(listing "$("$DOCKER" --host "unix://$SECOND/docker.sock" \
            volume inspect --format '{{.Mountpoint}}' "drunner-$name-data")")"
    done
    expect 3 ssh other drunner restore --all "$kept"
    # The first is lost for good: the others are restored all the same, and told.
    for name in zz i; do expect 0 ssh other drunner obliterate --purge "$name"; done
    truncate -s -100 "$kept"/zz/*
    expect 1 ssh other drunner restore --all "$kept" --json
    equals '["i",true,"zz",false]' \
        "$(jq -c '[.services[] | select(.service | IN("i", "zz")) | .service, .changed]' <<<"$output")"
    contains "$stderr" "'zz' failed, and 'i' comes after it"
    teardown_second_engine
}
