#!/usr/bin/env bats
# Secrets: in files of root's, mounted read-only, in encrypted backups, and nowhere else.

load harness

store() { # SERVICE
    printf '%s\n' "$DRUNNER_PREFIX/var/lib/drunner/services/$1/secrets"
}

set_secret() { # CODE SERVICE NAME CONTENT
    printf '%s' "$4" >content
    run --separate-stderr drunner secret "$2" set "$3" <content
    equals "$1" "$status"
}

build_next() {
    DOCKER_BUILDKIT=0 "$DOCKER" build --quiet --build-arg "BASE_IMAGE=$BASE_IMAGE" \
        --build-arg VERSION=2 --tag secretive "$ROOT/tests/services/secretive" >/dev/null
}

@test "a secret is set once, and the second time nothing changes" {
    expect 0 drunner install secretive
    set_secret 0 secretive key one
    set_secret 3 secretive key one
    set_secret 0 secretive key two
    equals two "$(cat "$(store secretive)/key/content")"
    equals "600 0:0" "$(stat -c '%a %u:%g' "$(store secretive)/key/content")"
    equals 700 "$(stat -c %a "$(store secretive)")"
    expect 0 drunner secret secretive ls
    grep -qE '^key +set +3 B +[0-9]{4}-' <<<"$output"
    [[ $output != *two* ]]
    expect 0 drunner --json secret secretive ls
    equals '["key",true,true,3]' "$(jq -c '.secrets[0] | [.name, .set, .required, .size]' <<<"$output")"
    expect 0 drunner inspect secretive
    equals '["key"]' "$(jq -c .manifest.secrets <<<"$output")"
    expect 0 drunner secret secretive rm key
    expect 3 drunner secret secretive rm key
    [[ ! -e $(store secretive)/key ]]
}

@test "what is no secret is refused" {
    expect 0 drunner install secretive
    refused "the secret 'key' is empty" drunner secret secretive set key
    refused "'../x' is no name of a secret" drunner secret secretive set ../x
    refused "'set NAME', 'ls' or 'rm NAME' is meant" drunner secret secretive get key
    refused "no service 'nosuch'|'nosuch' is not installed" drunner secret nosuch ls
    head -c 524289 /dev/zero >large
    run --separate-stderr drunner secret secretive set key <large
    equals 1 "$status"
    says "larger than 512.0 KiB"
    run script -qec "drunner secret secretive set key" /dev/null
    contains "$output" "not read from a terminal"
    [[ ! -e $(store secretive)/key ]]
}

@test "declared secrets: what they are for, and no others" {
    build_with_config declared 'VOLUMES=()
        SECRETS=("token|required|opens the gate" "hint||may be given")'
    expect 0 drunner install declared
    expect 0 drunner secret declared ls
    grep -qE '^token +missing +opens the gate$' <<<"$output"
    set_secret 1 declared tokn x
    names_next "drunner secret declared ls"
    set_secret 0 declared hint x
    contains "$stderr" "still missing: token"
    build_with_config declared 'VOLUMES=() SECRETS=("one|two")'
    refused "SECRETS has 'one\|two'" drunner update declared
}

@test "an image looks at a content before it is taken" {
    local directory before
    directory=$(copy_of secretive)
    echo 'SECRETS=("key|required|begins with KEY|check" "free||")' >>"$directory/drunner/servicecfg.sh"
    # shellcheck disable=SC2016 # the script is to expand it
    sed -i '/^case /a checksecret) [[ $2 == key && $DRUNNER_OPERATION == secret ]]; grep -q ^KEY || die "no KEY" ;;' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" choosy
    expect 0 drunner install choosy
    set_secret 0 choosy key KEY1
    before=$(snapshot)
    set_secret 1 choosy key garbage
    contains "$stderr" "no KEY"
    contains "$stderr" "'checksecret' of the service failed with status 1"
    same "$before" "$(snapshot)"
    set_secret 3 choosy key KEY1
    set_secret 0 choosy key KEY2
    set_secret 0 choosy free garbage
    # What was shown and refused is nowhere, what was taken only in its store.
    set_secret 1 choosy key needle-in-a-haystack
    equals "" "$(grep -rl needle-in-a-haystack "$DRUNNER_PREFIX" || true)"
    set_secret 0 choosy key KEY-needle-in-a-haystack
    equals "$(store choosy)/key/content" "$(grep -rl needle-in-a-haystack "$DRUNNER_PREFIX")"
    set_secret 0 choosy key KEY2
    printf KEY3 >content
    # With --check nothing of the image runs.
    run --separate-stderr drunner --check secret choosy set key <content
    equals 0 "$status"
    equals KEY2 "$(cat "$(store choosy)/key/content")"
    expect 1 drunner servicecmd choosy checksecret
    names_next "drunner secret choosy set NAME"
}

@test "a drunner that is killed while the image looks leaves the secret as it was" {
    local directory before
    directory=$(copy_of secretive)
    echo 'SECRETS=("key|||check")' >>"$directory/drunner/servicecfg.sh"
    # shellcheck disable=SC2016 # the script is to expand it
    sed -i '/^case /a checksecret) echo $$ >"$SERVICETEMPDIR/looking"; sleep 300 ;;' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" slow
    expect 0 drunner install slow
    local looking=$DRUNNER_PREFIX/var/lib/drunner/services/slow/temp/looking
    before=$(snapshot)
    printf new >content
    "$DRUNNER_BINARY" secret slow set key <content >/dev/null 2>&1 3>&- &
    local setting=$!
    until [[ -s $looking ]]; do
        kill -0 "$setting"
        sleep 0.05
    done
    kill -KILL "$setting"
    wait "$setting" || true
    expect 0 drunner recover slow
    # Gone, or what is left of it waits for somebody to ask how it ended.
    local looker
    looker=$(<"$looking")
    [[ ! -e /proc/$looker || $(awk '{print $3}' "/proc/$looker/stat") == Z ]]
    rm "$looking"
    same "$before" "$(snapshot)"
    [[ ! -e $(store slow)/key ]]
}

@test "a secret is mounted read-only, for the user and with the mode that were asked for" {
    expect 0 drunner install secretive
    set_secret 0 secretive key "the content"
    expect 0 secretive look key 666:999 0440
    equals "-r--r-----the content" "$(tr -d '\n' <<<"$output")"
    expect 0 secretive look key
    equals "-r--------the content" "$(tr -d '\n' <<<"$output")"
    # The file of another user stays closed, in a container and on the host.
    run "$DOCKER" run --rm --user 1000:1000 \
        --mount "type=bind,source=$(store secretive)/key/666-999-0440,target=/key" secretive cat /key
    [[ $status != 0 && $output != *"the content"* ]]
    run setpriv --reuid 666 --regid 999 --clear-groups cat "$(store secretive)/key/666-999-0440"
    [[ $status != 0 ]]
    # A new content comes with the next start, also of a container that is only restarted.
    expect 0 secretive start
    set_secret 0 secretive key "another one"
    "$DOCKER" restart --time 2 secretive >/dev/null
    expect 0 secretive inside key
    equals "another one" "$output"
    expect 0 secretive look key 666:999 0440
    contains "$output" "another one"
    expect 3 drunner doctor secretive
}

@test "what is missing is named by the command that needs it, all of it" {
    expect 0 drunner install secretive
    expect 1 secretive start one two
    contains "$stderr" "secrets missing: one two; next: drunner secret secretive set one"
    set_secret 0 secretive one x
    expect 1 secretive start one two
    contains "$stderr" "secrets missing: two;"
    set_secret 0 secretive two x
    expect 0 secretive start one two
}

@test "an encrypted backup holds secrets, another one names what it leaves out" {
    printf 'pass\n' >password
    expect 0 drunner install secretive
    set_secret 0 secretive key precious
    set_secret 0 secretive other $'\x01bytes\n'
    expect 0 drunner backup secretive plain
    contains "$stderr" "secrets are left out: key, other (the backup is not encrypted)"
    expect 0 drunner backup secretive whole --password-file password
    [[ $stderr != *"left out"* ]]
    expect 0 drunner show plain
    contains "$output" "left out  secret key"
    expect 0 drunner --json show whole --password-file password
    equals '[["key","other"],[]]' "$(jq -c '[.secrets, .secrets_left_out]' <<<"$output")"

    expect 0 drunner restore whole copy --password-file password
    expect 0 copy inside key
    equals precious "$output"
    same "$(sha256sum <"$(store secretive)/other/content")" "$(sha256sum <"$(store copy)/other/content")"
    expect 0 drunner restore plain bare
    contains "$stderr" "secrets are missing: key, other"
    expect 1 bare start
    contains "$stderr" "secrets missing: key other"
    set_secret 0 bare key x
    expect 0 drunner secret bare rm other
    expect 0 bare start

    # Over a service that went on: its secrets become those of the backup, what came later stays.
    set_secret 0 secretive key changed
    set_secret 0 secretive later x
    expect 0 drunner restore whole secretive --replace --password-file password
    equals precious "$(cat "$(store secretive)/key/content")"
    equals x "$(cat "$(store secretive)/later/content")"
}

@test "update, rollback, recover and undelete keep secrets, uninstall says that they are gone" {
    expect 0 drunner install secretive
    set_secret 0 secretive key precious
    build_next
    expect 0 drunner update secretive
    expect 0 secretive inside key
    equals precious "$output"
    expect 0 drunner rollback secretive
    expect 0 secretive inside key
    rm -r "$DRUNNER_PREFIX/var/lib/drunner/services/secretive/"{service.json,releases}
    expect 0 drunner recover secretive
    expect 0 secretive inside key
    equals precious "$output"

    expect 0 drunner obliterate secretive
    run grep -rl precious "$DRUNNER_PREFIX"
    grep -qE '/undelete/secretive-[^/]*\.secrets/key/content$' <<<"$output"
    expect 0 drunner undelete secretive
    expect 0 secretive inside key
    equals precious "$output"
    equals "" "$(ls "$DRUNNER_PREFIX/var/lib/drunner/undelete")"

    expect 0 drunner uninstall secretive
    contains "$stderr" "its secrets are gone: key"
    run grep -rl precious "$DRUNNER_PREFIX"
    equals "" "$output"
    "$DOCKER" volume rm drunner-secretive-data >/dev/null
}

@test "a killed change of a secret is undone, or done, by recover" {
    expect 0 drunner install secretive
    set_secret 0 secretive key old
    expect 0 secretive look key
    local before number
    before=$(snapshot)
    printf new >content
    for number in 1 2 3 4 5 6 8 10 12; do
        run strace -f -o /dev/null -e trace=fsync -e "inject=fsync:signal=KILL:when=$number" \
            "$DRUNNER_BINARY" secret secretive set key <content
        run drunner recover secretive
        if [[ $(cat "$(store secretive)/key/content") == new ]]; then
            set_secret 0 secretive key old
        fi
        same "$before" "$(snapshot)"
    done
    for number in 1 2 3 4 5 6 8; do
        run strace -f -o /dev/null -e trace=fsync -e "inject=fsync:signal=KILL:when=$number" \
            "$DRUNNER_BINARY" secret secretive rm key
        run drunner recover secretive
        if [[ ! -e $(store secretive)/key ]]; then
            set_secret 0 secretive key old
            expect 0 secretive look key
        fi
        same "$before" "$(snapshot)"
    done
}

# ---- twenty planted secrets ----------------------------------------------------------------------

# Every place that a secret must not get to, once; what is found is written to `found`.
look_for_needles() {
    {
        cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null
        cat "$DRUNNER_PREFIX"/var/lib/drunner/services/*/journal* 2>/dev/null
    } | grep -aoFf needles >>found || true
}

look_everywhere() {
    look_for_needles
    {
        "$DOCKER" ps --all --quiet | xargs -r "$DOCKER" inspect
        "$DOCKER" ps --all --quiet | while read -r one; do "$DOCKER" logs "$one" 2>&1; done
        "$DOCKER" volume ls --quiet | xargs -r "$DOCKER" volume inspect
        "$DOCKER" images --quiet --no-trunc | sort -u | xargs -r "$DOCKER" image inspect
        cat "$WORLD/$DRUNNER_ENGINE.log"
        if command -v journalctl >/dev/null; then journalctl --since -10min --no-pager 2>/dev/null; fi
        cat spoken
    } </dev/null | grep -aoFf needles >>found || true
    # Of all of drunner's files, only the stores themselves.
    grep -rlaFf needles "$DRUNNER_PREFIX" | grep -v '/services/[^/]*/secrets/' >>found || true
    "$DRUNNER_BINARY" --json inspect secretive 2>/dev/null | grep -aoFf needles >>found || true
}

@test "twenty planted secrets are nowhere but in their store, from install to restore" {
    local number needle sampler
    mkdir planted
    for ((number = 1; number <= 20; number++)); do
        needle=$(head -c 600 /dev/urandom | tr -dc A-Za-z0-9 | head -c 33)
        printf '%s' "$needle" >"planted/secret-$number"
        {
            printf '%s\n' "$needle"
            printf '%s' "$needle" | base64 -w 0
            echo
        } >>needles
    done
    printf 'pass\n' >password
    : >found
    : >spoken
    # The search finds what is leaked: in an environment, a command line, a label.
    LEAK=$(cat planted/secret-1) bash -c 'while sleep 0.1; do :; done' \
        "$(cat planted/secret-2)" 3>&- 4>&- &
    for ((number = 0; number < 100; number++)); do
        look_for_needles
        if grep -qFf planted/secret-1 found && grep -qFf planted/secret-2 found; then break; fi
        sleep 0.1
    done
    kill $!
    "$DOCKER" create --name leak --label "leak=$(cat planted/secret-3)" secretive true >/dev/null
    look_everywhere
    "$DOCKER" rm leak >/dev/null
    for number in 1 2 3; do grep -qFf "planted/secret-$number" found; done
    : >found

    (
        # Not longer than the test itself, also where that fails.
        while [[ ! -e stop ]] && kill -0 $$ 2>/dev/null; do
            look_for_needles
            echo x >>samples
        done
    ) 3>&- 4>&- &
    sampler=$!
    witnessed() { # CODE COMMAND...
        expect "$@"
        printf '%s\n%s\n' "$output" "$stderr" >>spoken
        look_everywhere
    }
    witnessed 0 drunner install secretive
    for ((number = 1; number <= 20; number++)); do
        drunner -v secret secretive set "secret-$number" <"planted/secret-$number" >>spoken 2>&1
    done
    witnessed 0 secretive start
    for ((number = 1; number <= 20; number++)); do
        "$DOCKER" exec secretive cat "/run/secrets/secret-$number" | cmp - "planted/secret-$number"
    done
    build_next
    witnessed 0 drunner -v update secretive
    witnessed 0 drunner -v backup secretive plain
    witnessed 0 drunner -v backup secretive whole --password-file password
    witnessed 0 drunner -v restore whole copy --password-file password
    for ((number = 1; number <= 20; number++)); do
        "$DOCKER" exec copy cat "/run/secrets/secret-$number" | cmp - "planted/secret-$number"
    done
    witnessed 0 drunner -v restore whole secretive --replace --password-file password
    witnessed 0 drunner -v restore plain bare
    witnessed 1 bare start
    for ((number = 1; number <= 20; number++)); do contains "$stderr" "secret-$number"; done
    witnessed 0 drunner --json inspect secretive
    witnessed 0 drunner --json secret secretive ls
    touch stop
    wait "$sampler"
    zstd -dcq plain | grep -aoFf needles >>found || true
    grep -aoFf needles whole >>found || true
    equals "" "$(cat found)"
    (($(wc -l <samples) >= 20))
}
