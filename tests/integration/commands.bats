#!/usr/bin/env bats
# A service's own commands: streams, exit codes, arguments, directory, terminal.

load harness

setup_dtest() {
    expect 0 drunner install dtest
    forget_calls
}

@test "binary data goes through a command unchanged" {
    setup_dtest
    head -c 5242880 /dev/urandom >random
    dtest cat <random | cmp - random
    dtest echo-stdin <random | cmp - random
}

@test "0 and 3 stay, everything else becomes 1 and is named" {
    setup_dtest
    expect 0 dtest code 0
    expect 3 dtest code 3
    expect 1 dtest code 1
    expect 1 dtest code 42
    says 42
    expect 1 dtest nosuch
    expect 1 drunner servicecmd dtest code 42
    says 42
    expect 3 drunner servicecmd dtest code 3
}

@test "a command that dies by a signal is 1" {
    setup_dtest
    local runner=$DRUNNER_PREFIX/var/lib/drunner/services/dtest/drunner/servicerunner
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i '2i [[ ${1-} != die ]] || kill -TERM $$' "$(readlink -f "$runner")"
    expect 1 dtest die
    says "."
}

@test "arguments reach the script untouched" {
    setup_dtest
    expect 0 dtest args --json -v "" "two words" '$HOME' '*' -- --help
    equals "$(printf '%s\n' --json -v "" "two words" '$HOME' '*' -- --help)" "$output"
    expect 0 drunner servicecmd dtest args --json --help
    equals "$(printf '%s\n' --json --help)" "$output"
}

@test "drunner enter passes its words on whole" {
    setup_dtest
    expect 0 drunner enter dtest -c "echo hi"
    equals hi "$output"
    expect 0 dtest enter -c "echo hi"
    equals hi "$output"
    expect 3 drunner enter dtest -c "exit 3"
    expect 1 drunner enter dtest -c "exit 42"
}

@test "a command runs in the caller's directory, with the caller's environment" {
    setup_dtest
    mkdir "a b"
    cd "a b"
    expect 0 dtest pwd
    equals "$PWD" "$output"
    MY_KEY="is here" expect 0 dtest env
    contains "$output" "MY_KEY=is here"
}

@test "a hook gets nothing of the caller's: no environment, no directory, no stdin" {
    local directory
    directory=$(copy_of dtest)
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i '/^case \$SUBCOMMAND in/i if [[ $SUBCOMMAND == install ]]; then { env; echo "in $PWD"; umask; read -r line || line=none; echo "stdin $line"; } >"$DRUNNER_PREFIX/seen"; fi' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" nosy
    echo "an archive" | MY_KEY="is here" PASS=secret drunner install nosy
    local seen
    seen=$(cat "$DRUNNER_PREFIX/seen")
    contains "$seen" "in /"
    contains "$seen" "stdin none"
    contains "$seen" "0022"
    contains "$seen" "DRUNNER_OPERATION=install"
    contains "$seen" "DOCKER_HOST=$DOCKER_HOST"
    [[ $seen != *MY_KEY* && $seen != *secret* ]]
}

@test "on a terminal the command has a terminal" {
    setup_dtest
    run script -qec "drunner enter dtest -c 'test -t 0 && test -t 1 && echo a terminal'" /dev/null
    contains "$output" "a terminal"
}

@test "a script's own docker run takes the installed image until update" {
    setup_dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 dtest image
    equals 1 "$output"
    expect 0 dtest version
    equals 1 "$output"
}

@test "hook names and drunner's verbs are not commands of a service" {
    setup_dtest
    local word
    for word in install updatestart updateend backupstart backupend restore uninstall obliterate \
        backup update recover rollback; do
        expect 1 dtest "$word"
        says "$word"
    done
    equals "" "$(calls)"
    expect 1 dtest backup
    names_next "drunner backup dtest"
}

@test "a service without a word shows its help" {
    setup_dtest
    expect 0 dtest
    contains "$stderr" "dtest is the witness"
    expect 0 dtest help
}

@test "a command of a service that is not installed is refused" {
    refused "nosuch" drunner servicecmd nosuch help
    refused "nosuch" drunner enter nosuch
}

@test "a result that cannot be written: what was done stands and is told, what was asked is an error" {
    run --separate-stderr bash -c 'drunner install helloworld >/dev/full'
    equals 0 "$status"
    contains "$stderr" 'it is done, but cannot write to standard output'
    expect 0 drunner status helloworld
    run --separate-stderr bash -c 'drunner list >/dev/full'
    equals 1 "$status"
    run --separate-stderr bash -c 'drunner install helloworld --json >/dev/full'
    equals 3 "$status"
    run --separate-stderr bash -c 'drunner status nosuch --json >/dev/full'
    equals 1 "$status"
    says 'nosuch'
}
