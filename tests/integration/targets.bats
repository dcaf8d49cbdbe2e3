#!/usr/bin/env bats
# Backups that another program keeps: restic's repositories and rclone's remotes.

load harness
load readme

with_restic() {
    printf 'restic-pass' >restic-pass
    export RESTIC_CACHE_DIR=$PWD/cache
    RESTIC_PASSWORD_FILE=$PWD/restic-pass restic -q init -r "$PWD/repo"
    configure HEALTHUPTIME=0 "TARGETENV='RESTIC_PASSWORD_FILE=$PWD/restic-pass'"
    R=restic:$PWD/repo
}

own_restic() { RESTIC_PASSWORD_FILE=$PWD/restic-pass restic -r "$PWD/repo" "$@"; }

snapshots() { own_restic snapshots --json | jq length; }

with_rclone() {
    mkdir remote
    printf '[far]\ntype = alias\nremote = %s\n' "$PWD/remote" >rclone.conf
    configure HEALTHUPTIME=0 "TARGETENV='RCLONE_CONFIG=$PWD/rclone.conf'"
    F=rclone:far:backups
}

# Every attribute of the data that says something.
data_of() { # SERVICE
    local directory
    directory=$("$DOCKER" volume inspect --format '{{.Mountpoint}}' "drunner-$1-data")
    (cd "$directory" && find . -printf '%P %y %m %U:%G %s %T@ %l\n' | sort &&
        find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

fill() { # SERVICE
    local directory
    directory=$("$DOCKER" volume inspect --format '{{.Mountpoint}}' "drunner-$1-data")
    mkdir -p "$directory/deep"
    head -c 3M /dev/urandom >"$directory/deep/noise"
    ln -s noise "$directory/deep/link"
    seq 100000 >"$directory/numbers"
    chmod 4711 "$directory/numbers"
}

@test "restic: backup, prune and restore, and the data is the same" {
    with_restic
    expect 0 drunner install dtest
    fill dtest
    data_of dtest >before
    local state
    state=$(snapshot)
    tree_of_repository() { (cd repo && find . -type f | sort); }
    tree_of_repository >tree
    expect 0 drunner backup dtest "$R" --check
    same "$state" "$(snapshot)"
    tree_of_repository | cmp - tree
    expect 0 drunner backup dtest "$R" --json
    local first
    first=$(jq -r .file <<<"$output")
    equals "$R" "${first%#*}"
    equals "${first#*#}" "$(own_restic snapshots --json | jq -r '.[0].short_id')"
    equals '["drunner","drunner-service=dtest"]' "$(own_restic snapshots --json | jq -c '.[0].tags')"
    # restic's own program gives back what drunner reads.
    own_restic dump "${first#*#}" /dtest.tar.zst >first
    expect 0 drunner verify first
    expect 0 drunner verify "$R" dtest
    contains "$output" "a backup of 'dtest'"

    echo changed >"$("$DOCKER" volume inspect --format '{{.Mountpoint}}' drunner-dtest-data)/numbers"
    expect 0 drunner backup dtest "$R"
    # A snapshot that is not drunner's, and one of another service, stay out of it.
    echo foreign | own_restic -q backup --stdin --stdin-filename foreign
    expect 0 drunner install helloworld
    expect 0 drunner backup --all "$R"
    equals 5 "$(snapshots)"
    expect 0 drunner prune dtest --target "$R" --keep last=2 --check --json
    equals 5 "$(snapshots)"
    equals '[["last"],["last"],[]]' "$(jq -c '[.services[0].backups[].rules]' <<<"$output")"
    expect 0 drunner prune --all --target "$R" --keep last=2
    equals 4 "$(snapshots)"
    expect 3 drunner prune --all --target "$R" --keep last=2
    own_restic -q check
    # Another host's service of the same name is not this one's to remove, but to bring back.
    own_restic dump latest --tag drunner,drunner-service=dtest /dtest.tar.zst >dumped
    own_restic -q backup --host elsewhere --stdin --stdin-filename dtest.tar.zst --tag drunner \
        --tag drunner-service=dtest <dumped
    expect 0 drunner prune dtest --target "$R" --keep last=1
    equals 4 "$(snapshots)"
    equals 1 "$(own_restic snapshots --host elsewhere --json | jq length)"
    expect 0 drunner verify "$R" dtest

    expect 0 drunner obliterate --purge dtest
    expect 0 drunner restore "$R" dtest copy
    equals changed "$(cat "$("$DOCKER" volume inspect --format '{{.Mountpoint}}' drunner-copy-data)/numbers")"
    expect 0 drunner obliterate --purge copy
    # An older one by its id: that of the first is gone.
    refused "there is no backup '${first#*#}' of 'dtest'" drunner restore "$R" dtest --snapshot "${first#*#}"
    expect 0 drunner restore first dtest
    data_of dtest >after
    cmp before after
    expect 0 drunner backup dtest "$R" --json
    expect 0 drunner restore "$R" dtest copy --snapshot "$(jq -r .file <<<"$output" | sed 's/.*#//')"
    data_of copy | sed 's/copy/dtest/' >after
    cmp before after
}

@test "restic: with a key it keeps what only that key opens" {
    with_restic
    drunner keygen key 2>/dev/null >public
    expect 0 drunner install dtest
    printf precious >content
    drunner secret dtest set key <content
    expect 0 drunner backup dtest "$R" --recipient "$(cat public)"
    expect 1 drunner verify "$R" dtest
    expect 0 drunner verify "$R" dtest --identity key
    expect 0 drunner restore "$R" dtest copy --identity key
    equals precious "$(cat "$DRUNNER_PREFIX/var/lib/drunner/services/copy/secrets/key/content")"
    # The newest needs the key to be judged, unless it is what the last backup wrote.
    expect 3 drunner prune dtest --target "$R" --keep last=1
}

@test "restic: what fails leaves no snapshot, and the service as it was" {
    with_restic
    expect 0 drunner install dtest
    fill dtest
    local state
    state=$(snapshot)
    printf wrong >restic-pass
    expect 1 drunner backup dtest "$R"
    tells "'restic' failed"
    same "$state" "$(snapshot)"
    printf restic-pass >restic-pass
    expect 1 drunner backup dtest restic:"$PWD/nosuch"
    tells "'restic' failed"
    refused "a password stands in the target" drunner backup dtest restic:rest:https://user:secret@host/
    expect 1 drunner restore restic:"$PWD/nosuch" dtest copy
    tells "'restic' failed"
    refused "there is no backup of 'nosuch'" drunner restore "$R" nosuch
    refused "say whose" drunner restore "$R"
    refused "say whose" drunner verify "$R"
    refused "is no place for backups" drunner backup dtest rclone:nowhere
    refused "is no place for backups" drunner backup dtest rclone:sftp,pass=secret:there
    run --separate-stderr env "PATH=$BATS_TEST_TMPDIR/none" "$DRUNNER_BINARY" backup dtest "$R"
    equals 1 "$status"
    says "the program 'restic' is not here"
    # A hook that fails, and one that is killed.
    DTEST_FAIL=backupend expect 1 drunner backup dtest "$R"
    equals 0 "$(snapshots)"
    same "$state" "$(snapshot)"
    # Killed in the middle: no snapshot of a half.
    head -c 100M /dev/urandom >"$("$DOCKER" volume inspect --format '{{.Mountpoint}}' drunner-dtest-data)/big"
    local signal
    for signal in TERM KILL; do
        drunner backup dtest "$R" >/dev/null 2>&1 3>&- &
        local pid=$!
        until pgrep -f "stdin-filename dtest.tar.zst" >/dev/null; do
            kill -0 "$pid"
            sleep 0.02
        done
        sleep 0.3
        kill -"$signal" "$pid"
        wait "$pid" || true
        for ((i = 0; i < 300; i++)); do
            pgrep -f "stdin-filename dtest.tar.zst" >/dev/null || break
            sleep 0.1
        done
        run drunner recover dtest
        equals 0 "$(snapshots)"
    done
    # What was killed left its lock, which keeps nobody away.
    for _ in 1 2; do expect 0 drunner backup dtest "$R"; done
    expect 0 drunner prune dtest --target "$R" --keep last=1
    equals 1 "$(snapshots)"
}

# A program of that name that goes before the real one, which is $REAL to it.
before_the_real() { # PROGRAM SCRIPT
    local real
    real=$(PATH=${PATH//$PWD\/before:/} && command -v "$1")
    mkdir -p before
    printf '#!/bin/bash\nREAL=%s\n%s\n' "$real" "$2" >"before/$1"
    chmod +x "before/$1"
    PATH=$PWD/before:$PATH
}

@test "what does not read back is taken away again, from restic and from rclone" {
    with_restic
    mkdir remote
    printf '[far]\ntype = alias\nremote = %s\n' "$PWD/remote" >rclone.conf
    configure HEALTHUPTIME=0 \
        "TARGETENV='RESTIC_PASSWORD_FILE=$PWD/restic-pass RCLONE_CONFIG=$PWD/rclone.conf'"
    expect 0 drunner install dtest
    local state path=$PATH
    state=$(snapshot)
    # shellcheck disable=SC2016 # it is the script's to expand
    before_the_real restic 'if [[ $1 == dump ]]; then "$REAL" "$@" | tr a b; else exec "$REAL" "$@"; fi'
    expect 1 drunner backup dtest "$R"
    says "does not read back as it was written"
    PATH=$path
    equals 0 "$(snapshots)"
    # shellcheck disable=SC2016
    before_the_real rclone 'if [[ $1 == cat ]]; then "$REAL" "$@" | tr a b; else exec "$REAL" "$@"; fi'
    expect 1 drunner backup dtest rclone:far:backups
    says "does not read back as it was written"
    PATH=$path
    # shellcheck disable=SC2016
    before_the_real rclone '[[ $1 != moveto ]] || exit 9; exec "$REAL" "$@"'
    expect 1 drunner backup dtest rclone:far:backups
    says "'rclone' failed with status 9"
    PATH=$path
    equals "" "$(find remote -type f)"
    # Read back whole, and then the backup could not be noted down: it did not succeed.
    for target in "$R" rclone:far:backups; do
        # shellcheck disable=SC2016
        before_the_real rclone '"$REAL" "$@"; code=$?; if [[ $1 == moveto ]]; then kill -TERM $PPID; fi; exit $code'
        # shellcheck disable=SC2016
        before_the_real restic '"$REAL" "$@"; code=$?; if [[ $1 == dump ]]; then kill -TERM $PPID; fi; exit $code'
        expect 1 drunner backup dtest "$target"
        says "interrupted by SIGTERM"
        PATH=$path
    done
    equals 0 "$(snapshots)"
    equals "" "$(find remote -type f)"
    same "$state" "$(snapshot)"
}

@test "restic: alone it is the repository of the environment" {
    with_restic
    printf '%s' "$PWD/repo" >repository
    configure HEALTHUPTIME=0 \
        "TARGETENV='RESTIC_PASSWORD_FILE=$PWD/restic-pass RESTIC_REPOSITORY_FILE=$PWD/repository'"
    expect 0 drunner install dtest
    expect 0 drunner backup dtest restic:
    equals 1 "$(snapshots)"
    refused "--snapshot names one of the backups of a target" drunner verify repository --snapshot x
    refused "--snapshot names one of the backups of a target" drunner restore repository --snapshot x
}

@test "restic: a snapshot whose content was replaced is refused" {
    with_restic
    expect 0 drunner install dtest
    printf 'no backup' | own_restic -q backup --stdin --stdin-filename dtest.tar.zst --tag drunner \
        --tag drunner-service=dtest
    expect 1 drunner verify "$R" dtest
    expect 1 drunner restore "$R" dtest copy
    [[ ! -e $DRUNNER_PREFIX/var/lib/drunner/services/copy ]]
    expect 1 drunner prune dtest --target "$R" --keep last=1
    says "no backup of 'dtest' is whole"
    equals 1 "$(snapshots)"
}

@test "restic: no password is in a command line, the log, the trail or an answer" {
    with_restic
    expect 0 drunner install dtest
    fill dtest
    (
        while [[ ! -e stop ]] && kill -0 $$ 2>/dev/null; do
            cat /proc/[0-9]*/cmdline 2>/dev/null || true
        done | tr '\0' ' ' >seen
    ) 3>&- 4>&- &
    local sampler=$!
    expect 0 drunner -v backup dtest "$R" --json
    printf '%s\n' "$output" "$stderr" >said
    touch stop
    wait "$sampler"
    grep -q "stdin-filename dtest.tar.zst" seen
    run ! grep -q restic-pass said
    run ! grep -rq "restic-pass$" "$DRUNNER_PREFIX/var"
    run ! grep -qw "RESTIC_PASSWORD=restic-pass" seen
}

@test "rclone: backup, prune and restore, as files of a BACKUPDIR" {
    with_rclone
    expect 0 drunner install dtest
    fill dtest
    data_of dtest >before
    expect 0 drunner backup dtest "$F" --json
    [[ $(jq -r .file <<<"$output") =~ ^rclone:far:backups/dtest/[0-9TZ]*\.tar\.zst$ ]]
    expect 0 drunner backup dtest "$F"
    expect 0 drunner backup --all "$F"
    equals 3 "$(find remote/backups/dtest -type f | wc -l)"
    echo note >remote/backups/dtest/note
    expect 0 drunner verify "$F" dtest
    expect 0 drunner prune dtest --target "$F" --keep last=1
    equals 2 "$(find remote/backups/dtest -type f | wc -l)"
    [[ -e remote/backups/dtest/note ]]
    # They are plain backups.
    expect 0 drunner verify remote/backups/dtest/*.tar.zst
    expect 0 drunner restore "$F" dtest copy
    data_of copy >after
    cmp before after
    expect 0 drunner obliterate --purge copy
    # One that was changed there.
    local file
    file=$(printf '%s\n' remote/backups/dtest/*.tar.zst)
    printf X | dd of="$file" bs=1 seek=100000 conv=notrunc status=none
    expect 1 drunner verify "$F" dtest
    expect 1 drunner restore "$F" dtest copy
    [[ ! -e $DRUNNER_PREFIX/var/lib/drunner/services/copy ]]
    expect 1 drunner prune dtest --target "$F" --keep last=1
}

@test "rclone: what fails leaves nothing there" {
    with_rclone
    expect 0 drunner install dtest
    expect 1 drunner backup dtest rclone:nosuch:backups
    tells "'rclone' failed"
    DTEST_FAIL=backupend expect 1 drunner backup dtest "$F"
    equals "" "$(find remote -type f)"
    # A remote that is full.
    mkdir full
    mount -t tmpfs -o size=1m tmpfs full
    fill dtest
    printf '[far]\ntype = alias\nremote = %s\n' "$PWD/full" >rclone.conf
    expect 1 drunner backup dtest "$F"
    equals "" "$(find full -type f)"
    umount full
}

@test "what README.md types about targets works" {
    export RESTIC_CACHE_DIR=$PWD/cache
    configure HEALTHUPTIME=0 "TARGETENV='RESTIC_PASSWORD_FILE=$PWD/restic.pass'"
    expect 0 drunner install dtest
    works_as_it_stands README.md 7 targets
}
