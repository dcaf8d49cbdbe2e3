#!/usr/bin/env bats
# The kernel fails a system call in the middle of a backup or a restore: each ends with 0 and is
# right, or with 1, and then nothing stands under the final name and the service is as before.
#
# A sample, from a seed that is printed; with DRUNNER_ALL=1 every call.

load harness
eval "harness_$(declare -f teardown)"

setup_file() {
    export SEED=${SEED:-$RANDOM}
    printf '# seed %s (SEED=%s repeats it)\n' "$SEED" "$SEED" >&3
}

# A service whose hooks ask nothing of the engine, with something of everything in its volume.
setup_service() {
    local data
    expect 0 drunner install simplesecrets
    data=$(mount_point drunner-simplesecrets-secrets)
    mkdir -p "$data/sub/directory"
    seq 1 300000 >"$data/numbers"
    printf 'secret\n' >"$data/sub/key"
    ln "$data/sub/key" "$data/hard link"
    ln -s sub/key "$data/link"
    mkfifo "$data/fifo"
    truncate -s 5M "$data/hole"
    setfattr -n user.note -v value "$data/numbers"
    setfacl -m u:1234:r "$data/sub/key"
    chown -R 22022:22022 "$data"
}

# How often one thread or process of the command makes the calls, at most.
most_calls() { # CALLS COMMAND...
    local calls=$1
    shift
    strace -f -qq -e trace="$calls" -e signal=none -o trace "$@" >/dev/null 2>&1 || return 1
    cut -d' ' -f1 trace | sort | uniq -c | sort -n | tail -n 1 | awk '{print $1}'
}

# The numbers of the calls that fail, each in a run of its own.
chosen() { # MOST
    if [[ -n ${DRUNNER_ALL-} ]]; then
        seq 1 "$1"
    else
        shuf --random-source=<(yes "$SEED") -i 1-"$1" -n 3
    fi
}

# A program that cannot be loaded has not begun: ld.so ends it with 127.
not_loaded() {
    [[ $status == 127 ]] && grep -q 'error while loading shared libraries' <<<"$stderr"
}

run_with_fault() { # CALLS ERROR NUMBER COMMAND...
    local calls=$1 error=$2 number=$3
    shift 3
    printf '%s %s, number %s\n' "$calls" "$error" "$number"
    run --separate-stderr strace -f -qq -e trace="$calls" -e signal=none -o /dev/null \
        -e inject="$calls:error=$error:when=$number" "$@"
    printf 'exit %s\n%s\n' "$status" "$stderr"
}

# Where the undo met a fault of its own, or the work behind the commit did, recover finishes it:
# back, or past the commit forward.
finish() { # SERVICE
    committed=no
    if [[ -e $DRUNNER_PREFIX/var/lib/drunner/services/$1/journal.committed ]]; then
        committed=yes
    fi
    if grep -q '^next: drunner recover' <<<"$stderr" ||
        [[ -e $DRUNNER_PREFIX/var/lib/drunner/services/$1/journal ]]; then
        drunner recover "$1" >/dev/null || [[ $? == 3 ]]
    fi
}

without_manifest() { # SNAPSHOT
    grep -v '  ./.*/service.json$' <<<"$1"
}

break_backup() { # CALLS ERROR
    local calls=$1 error=$2 before number most succeeded=$BATS_TEST_TMPDIR/succeeded
    setup_service
    mkdir target "$succeeded"
    most=$(most_calls "$calls" drunner backup simplesecrets "$succeeded/b")
    before=$(snapshot)
    printf 'at most %s calls\n' "$most"
    for number in $(chosen "$most"); do
        run_with_fault "$calls" "$error" "$number" drunner backup simplesecrets target/b
        finish simplesecrets
        [[ $status == 0 ]] || not_loaded || equals 1 "$status"
        if [[ $status == 0 || $committed == yes ]]; then
            expect 0 drunner verify target/b
            rm target/b
            # It is the service's last backup now.
            same "$(without_manifest "$before")" "$(without_manifest "$(snapshot)")"
            before=$(snapshot)
        fi
        equals "" "$(ls -A target)"
        same "$before" "$(snapshot)"
    done
}

break_restore() { # CALLS ERROR
    local calls=$1 error=$2 before number most data
    setup_service
    data=$(volume_listing drunner-simplesecrets-secrets)
    expect 0 drunner backup simplesecrets b
    expect 0 drunner obliterate --purge simplesecrets
    before=$(snapshot)
    most=$(most_calls "$calls" drunner restore b copy)
    expect 0 drunner obliterate --purge copy
    printf 'at most %s calls\n' "$most"
    for number in $(chosen "$most"); do
        run_with_fault "$calls" "$error" "$number" drunner restore b copy
        finish copy
        [[ $status == 0 ]] || not_loaded || equals 1 "$status"
        if [[ $status == 0 || $committed == yes ]]; then
            expect 0 drunner status copy
            same "$data" "$(volume_listing drunner-copy-secrets)"
            expect 0 drunner obliterate --purge copy
        fi
        same "$before" "$(snapshot)"
    done
}

@test "backup: no space to write" { break_backup write ENOSPC; }
@test "backup: writing fails" { break_backup write,writev,pwrite64 EIO; }
@test "backup: reading fails" { break_backup read,pread64 EIO; }
@test "backup: syncing fails" { break_backup fsync,fdatasync,syncfs EIO; }
@test "backup: opening fails" { break_backup openat,openat2 EIO; }
@test "backup: naming fails" { break_backup rename,renameat,renameat2,linkat ENOSPC; }

@test "restore: no space to write" { break_restore write,pwrite64,pwritev2 ENOSPC; }
@test "restore: writing fails" { break_restore write,writev,pwrite64,pwritev2 EIO; }
@test "restore: reading fails" { break_restore read,pread64 EIO; }
@test "restore: syncing fails" { break_restore fsync,fdatasync,syncfs EIO; }
@test "restore: opening fails" { break_restore openat,openat2 EIO; }
@test "restore: naming fails" { break_restore rename,renameat,renameat2,linkat,symlinkat ENOSPC; }
@test "restore: making and marking fails" { break_restore mkdir,mkdirat,mknodat,fchown,fchmod,fsetxattr EIO; }

@test "a file system that has no direct writes" {
    local data
    setup_service
    data=$(volume_listing drunner-simplesecrets-secrets)
    # In a backup one thread writes by pwrite64; in a restore the first one, of large files.
    expect 0 strace -f -qq -o trace -e trace=pwrite64 -e inject=pwrite64:error=EINVAL:when=1 \
        drunner backup simplesecrets b
    grep -q 'EINVAL.*INJECTED' trace
    expect 0 drunner verify b
    expect 0 drunner obliterate --purge simplesecrets
    expect 0 strace -qq -o trace -e trace=pwrite64 -e inject=pwrite64:error=EINVAL:when=1 \
        drunner restore b copy
    grep -q 'EINVAL.*INJECTED' trace
    same "$data" "$(volume_listing drunner-copy-secrets)"
}

small_file_system() {
    SMALL=$BATS_TEST_TMPDIR/small
    mkdir "$SMALL"
    mount -t tmpfs -o size=64m none "$SMALL"
}

teardown() {
    if [[ -n ${SMALL-} ]]; then umount "$SMALL"; fi
    harness_teardown
}

@test "a file system that is too small for a backup" {
    setup_service
    head -c 80M /dev/urandom >"$(mount_point drunner-simplesecrets-secrets)/large"
    small_file_system
    local before
    before=$(snapshot)
    expect 1 drunner backup simplesecrets "$SMALL/b"
    says "[Nn]o space"
    equals "" "$(ls -A "$SMALL")"
    equals 0 "$(df --output=used "$SMALL" | tail -n 1 | tr -d ' ')"
    same "$before" "$(snapshot)"
    run --separate-stderr bash -c 'drunner backup simplesecrets - >"$1/b"' bash "$SMALL"
    equals 1 "$status"
    says "[Nn]o space"
    rm "$SMALL/b"
    same "$before" "$(snapshot)"
    # With room the same succeeds.
    expect 0 drunner backup simplesecrets b
    expect 0 drunner verify b
}
