#!/usr/bin/env bats
# --check: the answer of the real run, and nothing done for it; --diff: what changes, as texts.
#
# DRUNNER_ALL=1 tries 500 random states, otherwise a sample: the seed is printed, DRUNNER_SEED=N
# repeats it.

# shellcheck disable=SC2154  # output, stderr and status are set by run

load harness
load operations

# Everything below the prefix and the directory of the test, and everything on the engine.
whole_world() {
    local directory
    {
        printf '%s\0' "$DRUNNER_PREFIX" .
        ask_engine /volumes | jq -j '.Volumes // [] | sort_by(.Name) |
            map(.Mountpoint + "\u0000") | add // empty'
    } >"$BATS_TEST_TMPDIR/places"
    while IFS= read -r -d '' directory; do
        find "$directory" -printf '%p|%y|%m|%U:%G|%n|%l|%s|%T@\n' | sort
        find "$directory" -type f -print0 | sort -z | xargs -0 -r sha256sum
    done <"$BATS_TEST_TMPDIR/places"
    ask_engine '/containers/json?all=1' |
        jq -c 'sort_by(.Id)[] | [.Id, .Names, .State, .ImageID, .Labels]'
    ask_engine /images/json | jq -c 'sort_by(.Id)[] | [.Id, .RepoTags, .RepoDigests]'
    ask_engine /volumes | jq -c '.Volumes // [] | sort_by(.Name)[] | [.Name, .Labels]'
    ask_engine /networks | jq -c 'sort_by(.Id)[] | [.Id, .Name]'
}

# What --check may ask the engine: reads, and a container for looking into an image, which is never
# started.
forbidden_requests() {
    changing_requests | grep -vE \
        '^(POST [^ ]*/containers/create\?name=drunner-scratch-|DELETE [^ ]*/containers/(drunner-scratch-|[0-9a-f]{64}))' ||
        true
}

# Runs a command with --check and then for good; both must answer with this code, or with the same
# one where it is "?". $foretold and $told keep their JSON documents.
agree() { # CODE ARGUMENTS...
    local code=$1 asked=$1 before
    shift
    before=$(whole_world)
    : >"$PROXY_RECORD"
    run --separate-stderr drunner "$@" --json --check --diff <"$SECRET"
    foretold=$output
    local first=$status
    equals "" "$(forbidden_requests)"
    if (($(grep -c 'POST' "$PROXY_RECORD") > 1)); then
        printf 'more than one container:\n%s\n' "$(changing_requests)"
        return 1
    fi
    same "$before" "$(whole_world)"
    if [[ $code == '?' ]]; then code=$first; fi
    run --separate-stderr drunner "$@" --json --diff <"$SECRET"
    told=$output
    # What a hook does is nobody's to foretell.
    if [[ $asked == "?" && $(jq -r '.error.kind?' <<<"$told") == script-failed ]]; then return; fi
    if [[ $first != "$code" || $status != "$code" ]]; then
        printf '%s: foretold %s, then %s, not %s\n%s\n%s\n%s\n' \
            "$*" "$first" "$status" "$code" "$foretold" "$told" "$stderr"
        return 1
    fi
    if [[ $code == 1 ]]; then
        equals "$(jq -r .error.kind <<<"$told")" "$(jq -r .error.kind <<<"$foretold")"
        return
    fi
    local changed=false
    if [[ $code == 0 ]]; then changed=true; fi
    jq -e --argjson changed "$changed" '.check == true and .changed == $changed and
        (.changes | type == "array") and (.changed == (.changes + .diff | length > 0)) and
        (.diff | all(keys == ["after", "after_header", "before", "before_header"]))' \
        <<<"$foretold" >/dev/null || {
        printf '%s:\n%s\n' "$*" "$foretold"
        return 1
    }
    jq -e --argjson changed "$changed" '.check == null and .changed == $changed' \
        <<<"$told" >/dev/null
}

begin_check() {
    SECRET=$BATS_TEST_TMPDIR/secret
    printf 'nobody may see this' >"$SECRET"
    proxy_start
}

@test "every command foretells its answer, asks only, and leaves host and engine as they are" {
    begin_check
    agree 3 uninstall steady
    agree 1 update steady
    agree 1 install nosuch/image
    agree 0 install steady
    agree 3 install steady
    agree 3 update steady
    agree 3 recover steady
    agree 3 rollback steady
    use_version 2
    agree 0 update --all
    agree 3 update --all
    agree 0 rollback steady
    agree 0 secret steady set key
    agree 3 secret steady set key
    agree 0 secret steady rm key
    agree 0 hold steady
    agree 3 hold steady
    agree 0 trust steady --sha256 "$(printf 'a%.0s' {1..64})"
    agree 0 backup steady "$PWD/b"
    agree 1 backup steady "$PWD/b"
    agree 0 drill steady "$PWD/b"
    agree 0 restore b copy
    agree 1 restore b copy
    agree 0 restore --replace b copy
    rm -r "$DRUNNER_PREFIX/var/lib/drunner/services/steady/releases"
    agree 1 update steady
    agree 0 recover steady
    rm "$DRUNNER_PREFIX/usr/local/bin/steady"
    agree 0 doctor --fix
    agree 0 uninstall steady
    agree 0 install steady
    agree 0 obliterate steady
    agree 0 undelete steady
    agree 0 obliterate --purge copy
    agree 3 obliterate copy
    agree 0 new blog
    agree 0 keygen key.txt
}

@test "an image that is absent is described by its registry, and not pulled" {
    begin_check
    local directory id second
    directory=$(copy_of steady)
    printf 'LABEL test=%s\n' "$BATS_TEST_NUMBER" >>"$directory/Dockerfile"
    build_directory "$directory" "$REGISTRY/blog"
    push "$REGISTRY/blog"
    id=$(image_id "$REGISTRY/blog")
    "$DOCKER" --host "$ENGINE" rmi "$REGISTRY/blog" >/dev/null
    agree 0 install "$REGISTRY/blog"
    equals "$id" "$(jq -r .image_id <<<"$foretold")"
    equals "$id" "$(jq -r .image_id <<<"$told")"
    contains "$(jq -r '.changes[]' <<<"$foretold")" 'unknown until pulled'
    agree 3 update blog
    printf 'LABEL second=yes\n' >>"$directory/Dockerfile"
    build_directory "$directory" "$REGISTRY/blog"
    push "$REGISTRY/blog"
    second=$(image_id "$REGISTRY/blog")
    "$DOCKER" --host "$ENGINE" tag "$id" "$REGISTRY/blog"
    "$DOCKER" --host "$ENGINE" rmi "$second" >/dev/null 2>&1 || true
    agree 0 update blog
    equals "$second" "$(jq -r .image_id <<<"$foretold")"
    equals "$second" "$(jq -r .image_id <<<"$told")"
    agree 3 update blog
}

@test "a host without drunner's directories stays without them" {
    rm -r "$DRUNNER_PREFIX"
    expect 0 drunner install steady --check
    contains "$output" 'volume drunner-steady-data: /data (new)'
    contains "$output" 'nothing was changed (--check)'
    expect 3 drunner uninstall steady --check
    expect 1 drunner update steady --check
    expect 1 drunner --check checkimage steady
    says "does not take --check"
    [[ ! -e $DRUNNER_PREFIX ]]
}

@test "--diff shows scripts and settings as a diff, and no secret" {
    expect 0 drunner install dtest
    local directory
    directory=$(copy_of dtest)
    sed -i '3i # a line more' "$directory/drunner/servicerunner"
    build_directory "$directory" dtest
    expect 0 drunner update dtest --check --diff
    contains "$output" '--- dtest/drunner/servicerunner'
    contains "$output" '+# a line more'
    contains "$output" "-image id: $(jq -r '.. | .image_id? // empty' \
        <<<"$(drunner inspect dtest --json)" | head -n 1)"
    printf 'sesame' >secret
    expect 0 drunner secret dtest set key --diff <secret
    contains "$output" '+secret key: set'
    printf 'sesame, open' >secret
    expect 0 drunner secret dtest set key --diff --json <secret
    contains "$output" 'secret key: (changed)'
    [[ $output$stderr != *sesame* ]]
}

@test "what was interrupted is told and left alone" {
    begin_check
    installed
    use_version 2
    local journal=$DRUNNER_PREFIX/var/lib/drunner/services/steady/journal
    # What a drunner that was killed before its first step leaves.
    printf '{"journal":1,"operation":"%s","verb":"update","command":"drunner update steady","engine":"%s","pid":1,"started":"2026-01-01T00:00:00Z"}\n' \
        "$(printf '0%.0s' {1..32})" "${DOCKER_HOST#unix://}" >"$journal"
    local before
    before=$(whole_world)
    expect 1 drunner update steady --check
    says "interrupted"
    names_next "drunner recover steady"
    expect 0 drunner recover steady --check
    contains "$output" "undoes the interrupted 'drunner update steady'"
    expect 0 drunner uninstall steady --check
    same "$before" "$(whole_world)"
    expect 0 drunner recover steady
    expect 3 drunner recover steady --check
}

# ---- random states -------------------------------------------------------------------------------

STATES=(nothing installed installed installed outdated updated backed_up scripts_lost obliterated)
EVENTS=(
    'docker stop steady' 'docker rm --force steady' 'docker tag original/steady-2 steady'
    'docker tag original/steady steady' 'docker rmi steady' 'docker rm drunner-keep-steady'
    'rm -f p/usr/local/bin/steady' 'rm -f p/var/lib/drunner/services/steady/service.json'
    'rm -rf p/var/lib/drunner/services/steady/releases' 'docker rmi localhost/drunner:steady.1'
    'drunner hold steady' 'true' 'true' 'true'
)
COMMANDS=(
    'install steady' 'update steady' 'update --all' 'rollback steady' 'uninstall steady'
    'obliterate steady' 'obliterate --purge steady' 'undelete steady' 'recover steady'
    'recover steady steady' 'backup steady' 'restore b steady' 'restore --replace b steady'
    'restore b copy' 'drill steady b' 'hold --off steady' 'secret steady set key' 'clean'
    'recover --all'
)

one_of() { # WORD...
    local words=("$@")
    printf '%s\n' "${words[RANDOM % $#]}"
}

@test "in random states --check and the real run answer alike" {
    begin_check
    sow
    local count=12 number state event command
    if all_cases; then count=500; fi
    for ((number = 0; number < count; number++)); do
        state=$(one_of "${STATES[@]}")
        # The subshell of one_of does not move the generator on.
        RANDOM=$((SEED + number * 3 + 1))
        event=$(one_of "${EVENTS[@]}")
        RANDOM=$((SEED + number * 3 + 2))
        command=$(one_of "${COMMANDS[@]}")
        RANDOM=$((SEED + number * 3 + 3))
        "$state" >/dev/null
        (
            cd "$BATS_TEST_TMPDIR" || exit 1
            # shellcheck disable=SC2317  # the events call it
            docker() { "$DOCKER" --host "$ENGINE" "$@"; }
            $event >/dev/null 2>&1 || true # the words of a command
        )
        printf 'DRUNNER_SEED=%s, case %s: %s, %s, %s\n' "$SEED" "$number" "$state" "$event" \
            "$command"
        # shellcheck disable=SC2086  # words
        agree '?' $command
    done
    nothing
}
