#!/usr/bin/env bats
# backup: the file, its manners, and the hooks around it.

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
    same "$before" "$(snapshot)"
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
