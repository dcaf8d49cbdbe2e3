#!/usr/bin/env bats
# Volumes that drunner cannot reach at their mount points: an engine whose data root is in a mount
# namespace of its own, and volumes with options. Data goes through the engine, and what is lost on
# the way is only what README names.

# shellcheck disable=SC2154 # output and stderr are set by run
load harness

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

# An engine that answers here, and whose volumes are on a file system that nobody else sees.
hidden_engine() {
    local dockerd driver tries
    MAIN_ENGINE=$ENGINE
    OWN=$(mktemp -d "$WORLD/own.XXXXXX")
    mkdir "$OWN/data"
    dockerd=$(PATH=$PATH:/usr/sbin command -v dockerd)
    driver=$("$DOCKER" info --format '{{.Driver}}')
    printf '{}\n' >"$OWN/daemon.json"
    for ((tries = 0; tries < 600; tries++)); do
        if "$DOCKER" --host "unix://$OWN/s" version >/dev/null 2>&1; then break; fi
        # Its containerd may need longer than it waits for it.
        if [[ -z ${OWN_PID-} ]] || ! kill -0 "$OWN_PID" 2>/dev/null; then
            rm -f "$OWN/pid"
            # shellcheck disable=SC2016 # for the shell below to expand
            setsid unshare --mount bash -c 'mount -t tmpfs -o mode=700 none "$1" && exec "${@:2}"' \
                bash "$OWN/data" "$dockerd" --data-root "$OWN/data" --exec-root "$OWN/exec" \
                --pidfile "$OWN/pid" --host "unix://$OWN/s" --config-file "$OWN/daemon.json" \
                --bridge=none --iptables=false --ip6tables=false --storage-driver "$driver" \
                >>"$OWN/log" 2>&1 </dev/null 3>&- 4>&- &
            OWN_PID=$!
        fi
        sleep 0.1
    done
    "$DOCKER" save original/dtest original/dtest-2 | "$DOCKER" --host "unix://$OWN/s" load >/dev/null
    export DOCKER_HOST=unix://$OWN/s
    ENGINE=$DOCKER_HOST
    export TAGS_BEFORE
    TAGS_BEFORE=$(tags)
}

teardown() {
    local engine_pid tries
    harness_teardown || return 1
    [[ -n ${OWN-} ]] || return 0
    engine_pid=$(<"$OWN/pid")
    kill "$engine_pid"
    for ((tries = 0; tries < 300; tries++)); do
        [[ -d /proc/$engine_pid ]] || break
        sleep 0.1
    done
    ENGINE=$MAIN_ENGINE
}

# What a container sees of a volume: paths, modes, owners, seconds, sizes, targets, content.
seen() { # VOLUME
    "$DOCKER" run --rm --network none --user 0 --volume "$1:/v:ro" --entrypoint /bin/busybox \
        original/dtest sh -c 'cd /v && find . -exec stat -c "%n %F %A %u:%g %h %Y" {} \; | sort
            find . -type f -exec sha256sum {} \; | sort
            find . -type l -exec readlink {} \; | sort'
}

in_volume() { # VOLUME SCRIPT
    "$DOCKER" run --rm --network none --user 0 --volume "$1:/v" --entrypoint /bin/busybox \
        original/dtest sh -c "cd /v && $2"
}

@test "a whole life on an engine whose volumes nobody sees here" {
    hidden_engine
    expect 0 drunner install original/dtest s
    [[ ! -e $(mount_point drunner-s-data) ]]
    # The volume's root belongs to the image's user, with the mode that the image gave it.
    equals "$("$DOCKER" run --rm --network none --entrypoint /bin/busybox original/dtest stat -c '%a %u:%g' /data)" \
        "$(in_volume drunner-s-data 'stat -c "%a %u:%g" .')"
    expect 0 s write file "my data"
    in_volume drunner-s-data 'mkdir -p d/e; echo x >d/e/f; ln d/e/f d/g; ln -s /nowhere d/l
        mkfifo d/p; chmod 4711 d/e/f; chown 7:8 d/e/f; : >"d/new
line"; dd if=/dev/urandom of=large bs=1M count=9 2>/dev/null; touch -d "2001-02-03 04:05:06" d; chmod 2750 .'
    local before
    before=$(seen drunner-s-data)

    # backup: what is lost is said once, in the document and in the header.
    expect 0 drunner --json backup s b
    equals 1 "$(grep -c "read .*'drunner-s-data'.* through the container engine" <<<"$stderr")"
    contains "$stderr" "the engine's volumes are not on this machine"
    contains "$(jq -c .streamed <<<"$output")" drunner-s-data
    expect 0 drunner verify b
    expect 0 drunner --json show b
    equals true "$(jq -c '[.volumes[].streamed] | all' <<<"$output")"

    # update and its undo
    same "$before" "$(seen drunner-s-data)"
    "$DOCKER" tag original/dtest-2 original/dtest
    DTEST_FAIL=updateend expect 1 drunner update s
    contains "$stderr" "rolled back"
    # The data is that of before; a file with several names has lost its set-id bit, as said.
    same "${before//rws--x--x/rwx--x--x}" "$(seen drunner-s-data)"
    expect 0 drunner update s
    expect 0 s write file "newer data"
    expect 0 drunner rollback s --data
    expect 0 s read file
    equals "my data" "$output"

    # --replace, and one whose hook fails: nothing of it is seen
    expect 0 s write file "newer data"
    in_volume drunner-s-data 'echo z >only-here'
    local newer
    newer=$(seen drunner-s-data)
    DTEST_FAIL=restore expect 1 drunner restore b s --replace
    same "$newer" "$(seen drunner-s-data)"
    truncate -s -20 b
    expect 1 drunner restore b s --replace
    same "$newer" "$(seen drunner-s-data)"
    rm b
    expect 0 drunner backup s b
    expect 0 s write file "newest data"
    in_volume drunner-s-data 'rm only-here; echo z >after'
    expect 0 drunner restore b s --replace
    equals 1 "$(grep -c "written .*'drunner-s-data'.* through the container engine" <<<"$stderr")"
    same "$newer" "$(seen drunner-s-data)"

    # obliterate and undelete, restore under another name, a drill
    expect 0 drunner drill s
    expect 0 drunner obliterate s
    equals "" "$("$DOCKER" volume ls --quiet)"
    expect 0 drunner undelete s
    same "$newer" "$(seen drunner-s-data)"
    expect 0 drunner --json restore b copy
    contains "$(jq -c .streamed <<<"$output")" drunner-copy-data
    same "$newer" "$(seen drunner-copy-data)"
    expect 0 drunner status s
    expect 0 drunner status copy
    equals "" "$("$DOCKER" ps --all --quiet --filter label=drunner.scratch)"
}

# dtest with its first volume bound to $DEVICE.
install_on_device() {
    DEVICE=$BATS_TEST_TMPDIR/device
    # A volume that exists keeps its owner: the image's user.
    install -d -m 700 -o 22022 -g 22022 "$DEVICE"
    "$DOCKER" volume create --driver local --opt type=none --opt o=bind --opt "device=$DEVICE" \
        drunner-dtest-data >/dev/null
    expect 0 drunner install dtest
}

@test "a volume with options is never read at its empty mount point" {
    install_on_device
    expect 0 dtest write file "my data"
    [[ -e $DEVICE/file ]]
    equals "" "$(ls -A "$(mount_point drunner-dtest-data)")"
    expect 0 drunner --json backup dtest b
    # The other volume has no options, and is read as always.
    equals '["drunner-dtest-data"]' "$(jq -c .streamed <<<"$output")"
    contains "$stderr" "it is mounted with options"
    expect 0 dtest write file "newer data"
    touch "$DEVICE/only-here"
    DTEST_FAIL=restore expect 1 drunner restore b dtest --replace
    equals "newer data" "$(<"$DEVICE/file")"
    [[ -e $DEVICE/only-here ]]
    expect 0 drunner restore b dtest --replace
    equals "my data" "$(<"$DEVICE/file")"
    equals "" "$(find "$DEVICE" -name '.drunner-*' -o -name only-here)"
    expect 0 drunner restore b copy
    equals "my data" "$(<"$(mount_point drunner-copy-data)/file")"
    expect 0 drunner uninstall dtest
    refused "mounted with options" drunner restore b dtest --replace
    names_next "drunner install IMAGE dtest"
    expect 0 drunner install dtest
    expect 0 dtest read file
    equals "my data" "$output"
}

@test "an engine that falls silent or cuts its answer short in mid-stream: 1, and all is as before" {
    local before fault
    configure HEALTHUPTIME=0 ENGINETIMEOUT=10
    proxy_start
    install_on_device
    expect 0 dtest write file "my data"
    head -c 3000000 /dev/urandom >"$DEVICE/large"
    expect 0 drunner backup dtest b
    touch "$DEVICE/later"
    before=$(snapshot; listing "$DEVICE")
    for fault in cut=400000 stall refuse; do
        printf 'GET /archive:%s\n' "$fault" >"$PROXY_RULES"
        expect 1 drunner backup dtest c
        [[ ! -e c ]]
        # The answer to an archive that is sent is too short to be cut.
        printf 'PUT drunner-volumes:%s\n' "${fault/cut=*/lost}" >"$PROXY_RULES"
        expect 1 drunner restore b dtest --replace
        : >"$PROXY_RULES"
        same "$before" "$(snapshot; listing "$DEVICE")"
    done
    # Where not even the way back works, the next command goes it.
    printf 'PUT /archive:refuse\n' >"$PROXY_RULES"
    expect 1 drunner restore b dtest --replace
    names_next "drunner recover dtest"
    : >"$PROXY_RULES"
    expect 0 drunner recover dtest
    same "$before" "$(snapshot; listing "$DEVICE")"
}

# Peak memory in KiB of a command that succeeds.
peak_of() { # COMMAND...
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}

@test "memory stays bounded, whatever a streamed volume holds" {
    local megabytes=96 peak
    if [[ -n ${DRUNNER_ALL-} ]]; then megabytes=1024; fi
    install_on_device
    head -c "${megabytes}M" /dev/urandom >"$DEVICE/large"
    peak=$(peak_of drunner backup dtest b)
    ((peak < 64 * 1024)) || { printf 'backup: %s KiB\n' "$peak"; return 1; }
    peak=$(peak_of drunner restore b dtest --replace)
    ((peak < 64 * 1024)) || { printf 'restore: %s KiB\n' "$peak"; return 1; }
    equals "$((megabytes << 20))" "$(stat -c %s "$DEVICE/large")"
}
