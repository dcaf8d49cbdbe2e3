#!/usr/bin/env bats
# The schemas of --json: templates/schemas/COMMAND.json for every command, error.json for failures.

load harness

setup_file() {
    export SCHEMAS=$ROOT/templates/schemas
    cat >"$BATS_FILE_TMPDIR/validate.py" <<'PYTHON'
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
text = sys.stdin.read()
wrong = [e for e in Draft202012Validator(schema).iter_errors(json.loads(text))]
for error in wrong:
    print("%s: %s: %s" % (sys.argv[1], list(error.absolute_path), error.message))
    for inner in error.context:
        print("    %s: %s" % (list(inner.absolute_path), inner.message))
sys.exit(1 if wrong else 0)
PYTHON
}

# The document fits the schema.
fits() { # SCHEMA
    if ! /usr/bin/python3 "$BATS_FILE_TMPDIR/validate.py" "$SCHEMAS/$1.json" <<<"$output"; then
        printf '%s\n' "$output"
        return 1
    fi
}

# Runs a command with --json; its document fits the schema of its own name. $DONE notes it.
answers() { # CODE COMMAND ARGUMENTS...
    local code=$1 command=$2
    shift
    expect "$code" drunner --json "$@"
    equals 1 "$(jq --slurp length <<<"$output")"
    fits "$command"
    DONE+=("$command")
}

# Whether there is something to do depends on the host.
answers_somehow() { # COMMAND
    run --separate-stderr drunner --json "$1"
    fits "$1"
    DONE+=("$1")
}

# Runs a command that fails: its document is an error.
fails() { # KIND COMMAND ARGUMENTS...
    local kind=$1
    shift
    expect 1 drunner --json "$@" </dev/null
    fits error
    equals "$kind" "$(jq -r .error.kind <<<"$output")"
}

# The commands of `drunner help`'s table.
commands() {
    drunner help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort
}

@test "every command has a schema, and no schema is for anything else" {
    same "$({ commands && printf 'error\nevent\nversion\n'; } | sort)" \
        "$(cd "$SCHEMAS" && printf '%s\n' *.json | sed 's/\.json$//' | sort)"
}

@test "a schema says what is in a document and nothing else: what is missing or strange is refused" {
    expect 0 drunner --json list
    fits list
    local document=$output
    for filter in '.strange = 1' 'del(.command)' '.command = "other"' '.services = "none"'; do
        output=$(jq -c "$filter" <<<"$document")
        run ! fits list
        output=$document
    done
    # Every object of every schema is closed, but for the two that repeat what others define.
    equals '["container.json","inspect.json"]' "$(
        cd "$SCHEMAS" && for file in *.json; do
            jq -c --arg file "$file" '[.. | objects | select(.type? == "object" and
                has("additionalProperties") == false) | $file]' "$file"
        done | jq -c --slurp 'add | unique'
    )"
}

@test "every command's documents fit its schema" {
    DONE=()
    printf 'open sesame' >key
    answers 0 install configurable --check --diff
    answers 0 install configurable --set PORT=81 --diff
    answers 3 install configurable
    answers 0 install dtest
    answers 0 configure configurable PORT=80 --check --diff
    answers 0 configure configurable OWNER=me
    answers 3 configure configurable OWNER=me
    answers 0 settings configurable
    expect 0 drunner --json secret dtest set key --diff <key
    fits secret
    answers 0 secret dtest ls
    answers 0 secret dtest rm key --check
    answers 0 hold dtest
    answers 0 list
    answers 0 list --names
    answers 0 list --all
    answers 0 status --all
    answers 0 backup --all
    answers 3 restore --all "$DRUNNER_PREFIX/var/lib/drunner/backups"
    answers 3 prune dtest --keep last=1 --check --diff
    mkdir "$DRUNNER_PREFIX/etc/cron.d"
    answers 0 schedule verify daily dtest --check --diff
    answers 0 schedule verify daily dtest
    answers 3 schedule verify daily dtest
    answers 0 schedule run verify:dtest
    answers 0 schedule list
    answers 0 schedule remove verify:dtest
    answers 0 log
    answers 0 log --verify
    answers 0 logs dtest
    "$DOCKER" tag helloworld "$REGISTRY/there"
    push "$REGISTRY/there"
    answers 0 registry test "$REGISTRY/there"
    answers 0 metrics
    answers 0 update --all
    answers 3 update --all
    answers 0 hold --off dtest
    answers 3 update dtest
    answers 0 diff dtest dtest-2
    answers 0 trust dtest --sha256 "$(jq -r .sha256 <<<"$output")"
    answers 0 backup dtest "$PWD/b" --check --diff
    answers 0 backup dtest "$PWD/b"
    answers 0 verify b
    answers 1 verify b key
    answers 0 show b
    answers 0 drill dtest "$PWD/b"
    answers 0 status dtest
    answers 0 inspect dtest
    "$DOCKER" tag dtest-2 dtest
    answers 0 update dtest --check --diff
    answers 0 update --all
    answers 0 rollback dtest
    answers 0 restore b copy --check --diff
    answers 0 restore b copy
    answers 0 keygen --check
    answers 0 keygen
    answers 0 new blog
    answers 0 checkimage dtest
    answers 1 checkimage dtest "$REGISTRY/nosuch"
    answers 0 checkimage --rules
    answers 0 checkimage --explain "$(jq -r '.rules[0].id' <<<"$output")"
    answers 0 test helloworld
    answers 3 recover dtest
    answers 3 recover --all
    answers_somehow doctor
    answers_somehow clean
    answers 0 container list
    answers 3 ensure
    answers 0 uninstall configurable
    answers 3 uninstall configurable
    expect 0 drunner install dtest left
    expect 0 drunner uninstall left
    answers 0 list --all
    equals '["/data","/var/lib/witness"]' "$(jq -c '[.left[] | select(.service == "left") | .path]' <<<"$output")"
    expect 0 drunner obliterate --purge left
    answers 0 obliterate copy
    answers 0 undelete --list
    answers 0 undelete copy --check --diff
    answers 0 undelete copy
    answers 0 obliterate --purge copy
    answers 0 help
    answers 0 completion bash
    expect 0 drunner --json --version
    fits version
    answers 0 dev --build-arg "BASE_IMAGE=$BASE_IMAGE" "$ROOT/services/helloworld" shown
    equals '["enter","serve","servicecmd","watch"]' "$(comm -23 <(commands) \
        <(printf '%s\n' "${DONE[@]}" | sort -u) | jq -Rc --slurp 'split("\n") - [""]')"
    # What these write is not drunner's: no document of theirs could fit.
    for command in enter serve servicecmd watch; do
        output='{}'
        run ! fits "$command"
    done
}

@test "every command's failure fits error.json, and says whether trying again helps" {
    fails usage nosuch
    local command
    for command in $(commands); do
        fails usage "$command" --nosuch
    done
    fails not-installed status nosuch
    fails image-not-found install "$REGISTRY/nosuch"
    equals false "$(jq .error.retryable <<<"$output")"
    fails registry-unreachable install 127.0.0.1:1/nosuch
    equals true "$(jq .error.retryable <<<"$output")"
    fails engine-unreachable --host unix:///nosuch install helloworld
    equals true "$(jq .error.retryable <<<"$output")"
    expect 0 drunner install steady
    exec 8>"$DRUNNER_PREFIX/run/drunner/steady.lock"
    flock 8
    fails locked update steady
    equals true "$(jq .error.retryable <<<"$output")"
    exec 8>&-
}

@test "who reads no further ends no drunner by a signal" {
    expect 0 drunner install helloworld
    local codes
    drunner list | head -n 1
    for command in list '--json list' '--json inspect helloworld' help 'completion bash'; do
        # shellcheck disable=SC2086  # words
        codes=$(drunner $command 2>/dev/null | false; printf '%s' "${PIPESTATUS[0]}")
        [[ $codes == 0 || $codes == 1 ]]
    done
    # Nobody reads from the beginning: the pipe is closed before drunner writes.
    mkfifo pipe
    codes=$( (sleep 0.2 && exec drunner --json list) 2>/dev/null | true; printf '%s' "${PIPESTATUS[0]}")
    [[ $codes == 0 || $codes == 1 ]]
}

# Every line on stderr of a command with --progress json is an event.
tells_events() { # CODE ARGUMENTS...
    local code=$1 line
    shift
    run --separate-stderr drunner --progress json "$@"
    equals "$code" "$status"
    [[ -n $stderr ]]
    EVENTS=$stderr
    while IFS= read -r line; do
        output=$line fits event
    done <<<"$EVENTS"
}

@test "--progress json: what happens meanwhile is one event a line, and the error is one" {
    expect 0 drunner install dtest
    copy=$(copy_of helloworld)
    echo '# told' >>"$copy/drunner/servicerunner"
    build_directory "$copy" told
    expect 0 drunner install told
    expect 0 drunner backup told told.tar.zst --with-image
    expect 0 drunner obliterate --purge told
    "$DOCKER" rmi told >/dev/null
    tells_events 0 restore told.tar.zst -v
    jq -se 'any(.event == "detail")' <<<"$EVENTS" >/dev/null
    # Enough for the work to take long enough to be told of.
    head -c 200M /dev/urandom >"$("$DOCKER" volume inspect --format '{{.Mountpoint}}' drunner-dtest-data)/big"
    tells_events 0 backup dtest b
    jq -se 'any(.event == "progress" and .activity == "backup") and any(.event == "end")' \
        <<<"$EVENTS" >/dev/null
    printf '#!/bin/bash\nprintf "\\377 said\\n" >&2\nexit 1\n' \
        >"$DRUNNER_PREFIX/var/lib/drunner/services/dtest/drunner/servicerunner"
    tells_events 1 backup dtest c
    jq -se 'any(.event == "output") and (last | .event == "error" and .kind == "script-failed")' \
        <<<"$EVENTS" >/dev/null
    tells_events 1 update nosuch
    run --separate-stderr drunner list --progress xml
    equals 1 "$status"
    contains "$stderr" "takes 'json', not 'xml'"
}
