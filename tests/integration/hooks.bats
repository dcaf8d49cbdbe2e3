#!/usr/bin/env bats
# The hooks of VERSION=2, one by one, and what their exit codes mean.

load harness

# An image that writes down its calls. DTEST_FAIL is HOOK:STATUS; with HOOK:loud the hook ends with
# 127 after a word.
build_hooked() { # TAG VERSION [CONFIG-LINE]
    local directory
    directory=$(copy_of helloworld)
    printf 'VOLUMES=("/data")\nVERSION=%s\n%s\n' "$2" "${3-}" >"$directory/drunner/servicecfg.sh"
    cat >"$directory/drunner/servicerunner" <<'RUNNER'
#!/bin/bash
printf '%s\n' "$*" >>"$DTEST_CALLS"
case ${DTEST_FAIL-} in
    "$1:loud")
        echo "a word"
        exit 127
        ;;
    "$1:"*) exit "${DTEST_FAIL#*:}" ;;
esac
exit 0
RUNNER
    echo "$1" >"$directory/drunner/tag"
    build_directory "$directory" "$1"
}

# What was called, with directories that only drunner knows as DIR, joined by commas.
called() {
    sed -E 's#/[^ ]*/(files|hook|backup)[^ ]*$#DIR#; s# /[^ ]+$# DIR#' "$DTEST_CALLS" 2>/dev/null |
        paste -sd, || true
}

# Runs drunner with a hook that ends so, and demands exit code and calls.
with() { # HOOK:STATUS CODE CALLS drunner ARGUMENTS...
    local fail=$1 code=$2 expected=$3
    shift 3
    forget_calls
    DTEST_FAIL=$fail expect "$code" "$@"
    equals "$expected" "$(called)"
}

@test "install_end" {
    build_hooked two 2
    local ending
    for ending in 1 loud; do
        DTEST_FAIL=install_end:$ending refused 'install_end' drunner install two
    done
    for ending in 0 3 127; do
        with "install_end:$ending" 0 install_end drunner install two
        expect 0 drunner obliterate two --purge
    done
}

@test "update_start and update_end" {
    build_hooked two 2
    build_hooked other 2
    local ending
    expect 0 drunner install two
    for ending in 1 loud; do
        DTEST_FAIL=update_start:$ending rolled_back 'update_start' drunner update two --image other
        forget_calls
        DTEST_FAIL=update_end:$ending rolled_back 'update_end' drunner update two --image other
        equals update_start,update_end "$(called)"
    done
    with update_start:3 0 update_start,update_end drunner update two --image other
    with update_end:127 0 update_start,update_end drunner update two --image two
    with update_start:127 0 update_start,update_end drunner rollback two
}

@test "an update between the versions calls the hook of each release by its own name" {
    build_hooked one 1
    build_hooked two 2
    expect 0 drunner install one
    with : 0 updatestart,update_end drunner update one --image two
    with : 0 update_start,updateend drunner update one --image one
}

@test "backup_start and backup_end" {
    build_hooked two 2
    expect 0 drunner install two
    with : 0 'backup_start DIR,backup_end DIR' drunner backup two b1
    equals 1 "$(cut -d' ' -f2 "$DTEST_CALLS" | sort -u | wc -l)"
    with backup_start:1 1 'backup_start DIR,backup_end DIR' drunner backup two b2
    [[ ! -e b2 ]]
    with backup_end:1 1 'backup_start DIR,backup_end DIR' drunner backup two b3
    with backup_start:3 0 'backup_start DIR,backup_end DIR' drunner backup two b4
    with backup_end:127 0 'backup_start DIR,backup_end DIR' drunner backup two b5
    with backup_start:loud 1 'backup_start DIR,backup_end DIR' drunner backup two b6
}

@test "restore_end" {
    build_hooked two 2
    expect 0 drunner install two
    expect 0 drunner backup two b
    local before
    before=$(snapshot)
    with restore_end:1 1 'install_end,restore_end DIR,uninstall_start' drunner restore b copy
    same "$before" "$(snapshot)"
    with restore_end:3 0 'install_end,restore_end DIR' drunner restore b copy
    with restore_end:127 0 'restore_end DIR' drunner restore b copy --replace
    with restore_end:loud 1 'restore_end DIR' drunner restore b copy --replace
}

@test "uninstall_start and obliterate_start" {
    build_hooked two 2
    local ending
    for ending in 0 1 3 127 loud; do
        expect 0 drunner install two
        with "uninstall_start:$ending" 0 uninstall_start drunner uninstall two
    done
    for ending in 0 3 127; do
        expect 0 drunner install two
        with "obliterate_start:$ending" 0 obliterate_start drunner obliterate two --purge
    done
    for ending in 1 loud; do
        expect 0 drunner install two
        with "obliterate_start:$ending" 1 obliterate_start drunner obliterate two --purge
        equals "" "$(engine_objects)"
    done
    expect 0 drunner install two
    rm "$DRUNNER_PREFIX/var/lib/drunner/services/two/imagename.sh"
    with : 0 uninstall_start,install_end drunner recover two
}

@test "enter_start" {
    build_hooked two 2
    expect 0 drunner install two
    with : 0 'enter_start,enter a -b' drunner enter two a -b
    with enter_start:127 0 'enter_start,enter' two enter
    with enter_start:1 1 'enter_start' drunner enter two
    with enter:3 3 'enter_start,enter' drunner enter two
}

@test "status_start and status_end" {
    build_hooked two 2
    expect 0 drunner install two
    local ending
    for ending in 0 3 127; do
        with "status_start:$ending" 0 status_start,status_end drunner status two
        with "status_end:$ending" 0 status_start,status_end drunner status two
    done
    with status_end:1 1 status_start,status_end drunner status two
    contains "$output" status_end
    forget_calls
    DTEST_FAIL=status_start:1 expect 1 drunner status two
    contains "$output" status_start
}

@test "servicecmd_start and servicecmd_end" {
    build_hooked two 2
    expect 0 drunner install two
    with : 0 'servicecmd_start work it -x,work it -x,servicecmd_end work it -x' two work it -x
    with servicecmd_start:127 0 'servicecmd_start work,work,servicecmd_end work' two work
    with servicecmd_end:3 0 'servicecmd_start work,work,servicecmd_end work' two work
    with servicecmd_start:1 1 'servicecmd_start work' two work
    with servicecmd_end:1 1 'servicecmd_start work,work,servicecmd_end work' two work
    with work:3 3 'servicecmd_start work,work,servicecmd_end work' two work
    # A command that is not there is no hook that is not there.
    with work:127 1 'servicecmd_start work,work,servicecmd_end work' two work
}

@test "in version 1 a hook that ends with 127 failed, and none of the new names is called" {
    build_hooked one 1
    DTEST_FAIL=install:127 refused 'install' drunner install one
    expect 0 drunner install one
    with : 0 'work' one work
    with : 0 'enter' drunner enter one
    forget_calls
    expect 0 drunner status one
    equals "" "$(called)"
    with backupstart:127 1 'backupstart DIR,backupend DIR' drunner backup one b
}

@test "HOOKS is accepted, and decides nothing" {
    build_hooked one 1 'HOOKS=(install "backupstart")'
    with : 0 install drunner install one
    with : 0 'backupstart DIR,backupend DIR' drunner backup one b
    with : 0 uninstall drunner uninstall one
    expect 0 drunner obliterate one --purge
}
