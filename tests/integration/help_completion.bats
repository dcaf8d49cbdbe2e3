#!/usr/bin/env bats
# help, completion, --version: from one table.

load harness

commands() {
    printf '%s\n' install update uninstall obliterate recover backup restore list status inspect \
        enter servicecmd secret checkimage clean hold undelete doctor help completion new \
        container serve watch ensure diff trust test dev schedule
}

@test "--version prints one line" {
    expect 0 drunner --version
    [[ $output =~ ^drunner\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "help names every command, and knows each of them" {
    expect 0 drunner help
    local all=$output command
    for command in $(commands); do
        contains "$all" "$command"
        expect 0 drunner help "$command"
        contains "$output" "$command"
        expect 0 drunner "$command" --help
    done
    refused nosuch drunner help nosuch
}

@test "without a word drunner shows its help and is 1, or 0" {
    run --separate-stderr drunner
    [[ $status == 0 || $status == 1 ]]
    contains "$output$stderr" install
}

@test "the completion of bash offers the commands" {
    expect 0 drunner completion bash
    bash -n <<<"$output"
    local command
    for command in $(commands); do
        contains "$output" "$command"
    done
    expect 0 drunner completion zsh
    expect 0 drunner completion fish
    refused nosuchshell drunner completion nosuchshell
}

@test "no colours and no bars where there is no terminal" {
    expect 0 drunner install dtest
    [[ $output$stderr != *$'\e'* && $output$stderr != *$'\r'* ]]
    run script -qec "NO_COLOR=1 drunner list" /dev/null
    [[ $output != *$'\e['*m* ]]
}

@test "-q says nothing but errors" {
    expect 0 drunner -q install helloworld
    equals "" "$stderr"
    expect 1 drunner -q install as-root
    says root
}

@test "help and version need neither an engine nor a prefix that can be written" {
    DOCKER_HOST=unix:///nosuch DRUNNER_PREFIX=/proc/nosuch expect 0 drunner --version
    DOCKER_HOST=unix:///nosuch DRUNNER_PREFIX=/proc/nosuch expect 0 drunner help
}
