#!/usr/bin/env bats
# backup: the file, its manners, and the hooks around it.

# shellcheck disable=SC2154 # stderr is set by run
load harness

setup_dtest() {
    expect 0 drunner install dtest
    fill_dtest dtest
    forget_calls
}

@test "stock tools open a backup" {
    setup_dtest
    expect 0 drunner backup dtest b
    zstd --decompress --stdout b | tar --list >members
    grep -q precious members
    grep -q servicerunner members
}

@test "a backup is private, and leaves nothing beside it" {
    setup_dtest
    expect 0 drunner backup dtest b
    equals 600 "$(stat -c %a b)"
    equals b "$(ls -A)"
}

@test "backupstart runs before, backupend after, also when the backup fails" {
    setup_dtest
    expect 0 drunner backup dtest b
    equals "backupstart backupend" "$(calls | xargs)"
    forget_calls
    DTEST_FAIL=backupstart expect 1 drunner backup dtest c
    says backupstart
    equals "backupstart backupend" "$(calls | xargs)"
    forget_calls
    expect 1 drunner backup dtest /nosuch/directory/d
    [[ $(calls | grep -c backupstart) == $(calls | grep -c backupend) ]]
    equals b "$(ls -A)"
}

@test "a backupend that fails is reported with 1" {
    setup_dtest
    DTEST_FAIL=backupend expect 1 drunner backup dtest b
    says backupend
}

@test "a backup changes nothing of the service" {
    setup_dtest
    local before
    before=$(snapshot)
    expect 0 drunner backup dtest "$BATS_TEST_TMPDIR/b"
    # service.json remembers the backup.
    same "$(grep -v '  ./.*/service.json$' <<<"$before")" \
        "$(snapshot | grep -v '  ./.*/service.json$')"
    expect 0 drunner backup dtest "$BATS_TEST_TMPDIR/c"
}

@test "an existing file is never written over" {
    setup_dtest
    echo mine >b
    refused "'?b'?" drunner backup dtest b
    equals mine "$(cat b)"
    equals "" "$(calls)"
}

@test "- writes to a pipe, and is refused on a terminal" {
    setup_dtest
    drunner backup dtest - >file
    zstd --test --quiet file
    drunner backup dtest - | cat >through
    zstd --decompress --stdout through | tar --list | grep -q precious
    run script -qec "drunner backup dtest -" /dev/null
    equals 1 "$status"
}

@test "without a file the backup goes below backups/" {
    setup_dtest
    expect 0 drunner backup dtest
    local files
    files=("$DRUNNER_PREFIX"/var/lib/drunner/backups/dtest/*)
    equals 1 "${#files[@]}"
    [[ ${files[0]} =~ /[0-9]{8}T[0-9]{6}Z\.tar\.zst$ ]]
    expect 0 drunner restore "${files[0]}" copy
}

@test "a passphrase never leads to a file that anybody can read" {
    setup_dtest
    PASS="a passphrase" expect 0 drunner backup dtest b
    equals age-encryption.org/v1 "$(head -c 21 b)"
    PASS="another" expect 1 drunner restore b copy
    says "password|key"
    expect 1 drunner restore b copy
    PASS="a passphrase" expect 0 drunner restore b copy
    PASS="" expect 1 drunner backup dtest c
    [[ ! -e c ]]
}

@test "backup of what is not installed is 1" {
    refused nosuch drunner backup nosuch b
    [[ ! -e b ]]
}

state_of() { # CONTAINER
    "$DOCKER" inspect --format '{{.State.Status}}' "$1"
}

# How often the container was started, and how often paused: what an engine's events tell.
events_of() { # CONTAINER EVENT SINCE
    "$DOCKER" events --since "$3" --until "$(date +%s)" --filter "container=$1" \
        --filter "event=$2" --format '{{.Action}}' | wc -l
}

@test "--stop and --pause hold the service, and let go of it again" {
    local since
    expect 0 drunner install longrunner
    since=$(date +%s)
    sleep 1
    expect 0 drunner backup longrunner b --stop
    equals running "$(state_of longrunner)"
    sleep 1
    (($(events_of longrunner die "$since") == 1))
    zstd --decompress --stdout b | tar --extract --to-stdout volumes/1/log | tail -n 1 | grep -qx ended
    expect 0 drunner backup longrunner c --pause
    equals running "$(state_of longrunner)"
    expect 1 drunner backup longrunner d --pause --stop
    says "exclude each other"
    expect 1 drunner backup longrunner /nosuch/directory/d --stop
    equals running "$(state_of longrunner)"
    expect 0 drunner status longrunner
}

@test "SIGTERM in the middle: backupend runs, containers run, no file stands" {
    expect 0 drunner install dtest
    printf 'HOOKENV="DTEST_CALLS DTEST_FAIL DTEST_HANG"\n' >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    local signal pid tries
    for signal in TERM INT; do
        forget_calls
        # bats runs background jobs with SIGINT ignored; env gives it back.
        DTEST_HANG=backupstart env --default-signal=INT "$DRUNNER_BINARY" backup dtest b --stop \
            >/dev/null 2>&1 3>&- &
        pid=$!
        for ((tries = 0; tries < 300; tries++)); do
            if calls | grep -q '^backupstart'; then break; fi
            sleep 0.1
        done
        kill "-$signal" "$pid"
        local code=0
        wait "$pid" || code=$?
        equals 1 "$code"
        equals "backupstart backupend" "$(calls | xargs)"
        [[ ! -e b ]]
        expect 0 drunner status dtest
    done
}

@test "a missing volume is an error, and none is made" {
    setup_dtest
    "$DOCKER" rm drunner-keep-dtest >/dev/null
    "$DOCKER" volume rm drunner-dtest-data >/dev/null
    refused drunner-dtest-data drunner backup dtest b
    [[ ! -e b ]]
    equals "" "$(calls)"
    expect 0 drunner recover dtest --empty
}

@test "what --exclude and BACKUP_EXCLUDE name is left out, and recorded" {
    local directory data
    directory=$(copy_of dtest)
    printf 'BACKUP_EXCLUDE=("/data/cache/*")\n' >>"$directory/drunner/servicecfg.sh"
    build_directory "$directory" excluding
    expect 0 drunner install excluding
    data=$(mount_point drunner-excluding-data)
    mkdir "$data/cache"
    touch "$data/cache/big" "$data/kept" "$data/a.tmp"
    expect 0 drunner backup excluding b --exclude '*.tmp' --json
    equals '["/data/cache/*","*.tmp"]' "$(jq -c .excludes <<<"$output")"
    zstd --decompress --stdout b | tar --list >members
    grep -q /kept members
    run ! grep -q "cache/big\|a\.tmp" members
    equals '["/data/cache/*","*.tmp"]' "$(zstd --decompress --stdout b |
        tar --extract --to-stdout drunner/header.json | jq -c .excludes)"
}

@test "sockets are skipped and said; data that went missing is warned of" {
    setup_dtest
    local data
    data=$(mount_point drunner-dtest-data)
    perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un($ARGV[0])) || die' \
        "$data/s"
    expect 0 drunner backup dtest b
    contains "$stderr" "is a socket, left out"
    rm "$data/random"
    expect 0 drunner backup dtest c
    contains "$stderr" "less than half"
}

@test "a disk that is too small is refused before a hook runs, or leaves nothing" {
    setup_dtest
    mkdir small
    mount -t tmpfs -o size=64k none small
    expect 1 drunner backup dtest small/b
    says "were free in .*/small', and the volumes hold"
    equals "" "$(ls -A small)"
    equals "backupstart backupend" "$(calls | xargs)"
    expect 0 drunner backup dtest b
    forget_calls
    refused "are missing" drunner backup dtest small/b
    equals "" "$(calls)"
    umount small
}

@test "keys: recipients, password files, and what contradicts itself" {
    setup_dtest
    age-keygen -o id1 2>/dev/null
    age-keygen -o id2 2>/dev/null
    expect 0 drunner backup dtest r --recipient "$(age-keygen -y id1)" \
        --recipient "$(age-keygen -y id2)"
    age --decrypt -i id2 r | zstd --decompress --stdout | tar --list | grep -q precious
    expect 0 drunner verify r --identity id1
    expect 1 drunner verify r
    PASS=x refused "password and --recipient" drunner backup dtest c --recipient age1nonsense
    refused "age1nonsense" drunner backup dtest c --recipient age1nonsense
    printf 'a phrase\n' >pass
    expect 0 drunner backup dtest p --password-file pass
    PASS="a phrase" expect 0 drunner verify p
    : >empty
    refused "is empty" drunner backup dtest c --password-file empty
    refused "level" drunner backup dtest c --level 20
    expect 0 drunner backup dtest plain --level 19
    PASS=x expect 1 drunner verify plain
    says "not encrypted"
    PASS=x expect 0 drunner verify plain --plain
    zstd --decompress --stdout plain | zstd -q >again
    expect 1 drunner verify again
    expect 0 drunner verify again --no-trailer
    expect 0 drunner restore again copy --no-trailer
}

@test "--with-image: a restore needs no registry, and no tag of the engine moves" {
    local id before
    expect 0 drunner install helloworld
    id=$(image_id helloworld)
    expect 0 drunner backup helloworld b --with-image
    expect 0 drunner backup helloworld without
    expect 0 drunner verify b
    expect 0 drunner show b --json
    equals true "$(jq .image_embedded <<<"$output")"
    zstd --decompress --stdout b | tar --extract --to-stdout --wildcards 'drunner/image/*' |
        tar --list | grep -qx manifest.json
    expect 0 drunner obliterate helloworld
    "$DOCKER" rmi helloworld original/helloworld >/dev/null
    "$DOCKER" image inspect "$id" >/dev/null 2>&1 && "$DOCKER" rmi "$id" >/dev/null
    before=$(tags)
    expect 1 drunner restore without copy
    expect 0 drunner restore b copy
    contains "$stderr" "was in it"
    equals "$id" "$(image_id "$("$DOCKER" inspect --format '{{.Config.Image}}' drunner-keep-copy)")"
    same "$before" "$(tags | grep -v '^localhost/drunner:')"
    expect 0 copy help
    expect 0 drunner obliterate copy
    # Back as it was for the tests that follow.
    zstd --decompress --stdout b | tar --extract --to-stdout --wildcards 'drunner/image/*' |
        "$DOCKER" load --quiet >/dev/null
    "$DOCKER" tag "$id" helloworld
    "$DOCKER" tag "$id" original/helloworld
}

@test "room is said before a backup and a restore" {
    expect 0 drunner install dtest
    expect 0 drunner backup dtest "$PWD/first"
    grep -qE "^the volumes of 'dtest' hold [0-9.]+ [KMG]?i?B, and [0-9.]+ [KMGT]iB are free in '$PWD'" <<<"$stderr"
    expect 0 drunner backup dtest "$PWD/second"
    grep -qE "^the last backup of 'dtest' took [0-9.]+ [KMG]?i?B, and [0-9.]+ [KMGT]iB are free in '$PWD'" <<<"$stderr"
    expect 0 drunner restore first copy
    grep -qE "^the backup takes [0-9.]+ [KMG]?i?B as it is packed, and [0-9.]+ [KMGT]iB are free in '/" <<<"$stderr"
}
