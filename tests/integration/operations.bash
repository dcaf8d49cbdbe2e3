# shellcheck shell=bash
# What the tests of faults share: the operations, the state that counts, and the verdict: after a
# fault and one `drunner recover --all` the machine is as before, or as after a good run.
#
# DRUNNER_ALL=1 runs every case, otherwise a sample: the seed is printed, DRUNNER_SEED=N repeats it.
# drunner speaks to the engine through the proxy all the time, as a service stays with its socket.

# shellcheck disable=SC2154  # output, stderr and status are set by run
# shellcheck disable=SC2034  # the tests read what is set here

# NAME|PREPARE|ARGUMENTS. PREPARE brings the machine to where the operation begins, from wherever
# it is. A new operation is a new line, and nothing else.
OPERATIONS=(
    'install|nothing|install steady'
    'update|outdated|update steady'
    'backup|installed|backup steady out'
    'restore|backed_up|restore b copy'
    'recover|scripts_lost|recover steady'
    'uninstall|installed|uninstall steady'
    'obliterate|installed|obliterate steady'
    'purge|installed|obliterate --purge steady'
    'undelete|obliterated|undelete steady'
    'rollback|updated|rollback steady'
    'rollback-data|updated|rollback --data steady'
    'replace|outlived|restore --replace b steady'
)

# ---- where operations begin ----------------------------------------------------------------------

nothing() {
    local name
    for name in steady copy; do
        "$DRUNNER_BINARY" obliterate --purge "$name" >/dev/null 2>&1 || (($? == 3))
    done
    rm -rf out "$DRUNNER_PREFIX/var/lib/drunner/undelete"
    use_version 1
}

use_version() { # 1|2
    local image=steady
    if [[ $1 == 2 ]]; then image=steady-2; fi
    "$DOCKER" --host "$ENGINE" tag "original/$image" steady
}

installed() {
    nothing
    drunner install steady >/dev/null
    fill_steady
}

outdated() {
    installed
    use_version 2
}

backed_up() {
    if [[ ! -f b ]]; then
        installed
        drunner backup steady b >/dev/null 2>&1
    fi
    nothing
}

scripts_lost() {
    installed
    rm -r "$DRUNNER_PREFIX/var/lib/drunner/services/steady/releases"
    rm "$DRUNNER_PREFIX/usr/local/bin/steady"
}

obliterated() {
    installed
    drunner obliterate steady >/dev/null 2>&1
}

updated() {
    outdated
    drunner update steady >/dev/null 2>&1
    printf 'written since\n' >"$(mount_point drunner-steady-data)/since"
    touch -d '2001-02-03 04:05:06' "$(mount_point drunner-steady-data)"{,/since}
}

# There is a backup, and the service went on.
outlived() {
    backed_up
    installed
    printf 'written since\n' >"$(mount_point drunner-steady-data)/precious"
    touch -d '2001-02-03 04:05:06' "$(mount_point drunner-steady-data)/precious"
}

# Owners, modes, times, links, attributes: what a volume is compared by.
fill_steady() {
    local data more
    data=$(mount_point drunner-steady-data)
    more=$(mount_point drunner-steady-more)
    mkdir -p "$data/deep/er"
    printf 'precious\n' >"$data/precious"
    printf '%s' {1..20000} >"$data/large"
    ln "$data/precious" "$data/deep/hard"
    ln -s ../precious "$data/deep/er/soft"
    printf 'x' >"$more/"$'name with \n a line'
    chmod 04751 "$data/large"
    chown 22022:33 "$data/precious"
    setfattr -n user.colour -v green "$data/precious"
    setfacl -m u:1234:r "$data/large"
    find "$data" "$more" -mindepth 1 ! -name version -exec touch -h -d '2001-02-03 04:05:06' {} +
}

# ---- the state that counts -----------------------------------------------------------------------

ask_engine() { # PATH
    curl -sS --fail --unix-socket "${ENGINE#unix://}" "http://engine/v1.41$1"
}

# The same after each good run: without operations' ids, times of the run, and what only remembers
# (failed and pulled images). What drunner looked into an image with may be left where the engine
# failed: it is labelled and "drunner clean" takes it.
state() {
    local name directory
    (
        cd "$DRUNNER_PREFIX" || exit 1
        find . \( -path ./run -o -path ./var/log -o -path './var/lib/drunner/i*' -o \
            -path ./etc \) -prune -o \( ! -type d -o -path './var/lib/drunner/services/*' \) \
            -printf '%p|%y|%m|%U:%G|%l\n' | sed -E 's/-[0-9]{8}[0-9TZ]*\.tar/-TIME.tar/' | sort
        find . -path './var/lib/drunner/services/*' -type f ! -name service.json \
            ! -name variables.sh ! -name data.tar.zst -print0 | sort -z | xargs -0 -r sha256sum
        find . -name data.tar.zst | sort | while read -r name; do kept_copy "$name"; done
        find . -name variables.sh -print0 | sort -z | xargs -0 -r grep -Hv '^INSTALLTIME='
        find . -name service.json -print0 | sort -z | xargs -0 -r \
            jq -cS 'del(.failed_digests, .pulled, .last_backup.at, .last_backup.written_bytes) | walk(if type == "object" then
                        with_entries(select(.key | endswith("_at") | not)) else . end)'
    )
    find . -mindepth 1 -printf 'here %p|%y|%m\n' | sort
    ask_engine '/containers/json?all=1' | jq -r '.[] |
        select(.Labels["drunner.scratch"] as $word | $word == null or $word == "fill") |
        [.Names[0], .State, .ImageID, (.Labels | del(.["drunner.operation"]) | tojson),
            ([.Mounts[] | "\(.Name):\(.Destination)"] | sort | join(" "))] |
        "container " + join(" ")' | sort
    ask_engine /images/json | jq -r '.[] | .Id as $id | .RepoTags[]? | "tag \(.) \($id)"' | sort
    ask_engine /networks | jq -r '.[] | "network " + .Name' | sort
    while read -r name directory; do
        printf 'volume %s\n' "$name"
        (cd "${directory%/_data}" && find . -mindepth 1 -maxdepth 1 -printf '%p|%m|%U:%G\n')
        listing "$directory" | sed -E 's#^(\./version\|.*\|)[0-9.]+$#\1#'
    done < <(ask_engine /volumes | jq -r '.Volumes // [] | sort_by(.Name)[] |
        select(.Labels["drunner.scratch"] == null) | "\(.Name) \(.Mountpoint)"')
    ask_engine /volumes | jq -r '.Volumes // [] | sort_by(.Name)[] |
        select(.Labels["drunner.scratch"] == null) |
        "labels \(.Name) \(.Labels // {} | del(.["drunner.operation"]) | tojson)"'
}

# The data that an update put aside in a file, which has the times of the run in it.
kept_copy() { # FILE
    local tree
    tree=$(mktemp -d "$BATS_TEST_TMPDIR/tree.XXXXXX")
    zstd -dcq "$1" | tar -x -C "$tree" --wildcards 'volumes/*'
    (
        cd "$tree" || exit 1
        find . -printf 'kept %p|%y|%m|%U:%G|%l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 -r sha256sum
    )
    rm -rf "$tree"
}

forget_scratch() {
    "$DOCKER" --host "$ENGINE" ps --all --quiet --filter label=drunner.scratch |
        xargs -r "$DOCKER" --host "$ENGINE" rm --force --volumes >/dev/null
    "$DOCKER" --host "$ENGINE" volume ls --quiet --filter label=drunner.scratch |
        xargs -r "$DOCKER" --host "$ENGINE" volume rm >/dev/null
}

# ---- the sample ----------------------------------------------------------------------------------

all_cases() {
    [[ ${DRUNNER_ALL-} == 1 ]]
}

# Tells the seed of this test's sample, and sows it.
sow() {
    SEED=${DRUNNER_SEED:-$RANDOM}
    RANDOM=$SEED
    CASES=0
    MIXED=0
    STRUCK=0
}

# COUNT of the lines on stdin, every one of them with DRUNNER_ALL=1.
pick() { # COUNT
    local lines at
    mapfile -t lines
    if all_cases || ((${#lines[@]} <= $1)); then
        PICKED=("${lines[@]}")
        return
    fi
    PICKED=()
    for ((at = 0; at < $1; at++)); do
        local one=$((RANDOM % ${#lines[@]}))
        PICKED+=("${lines[one]}")
        unset "lines[one]"
        lines=("${lines[@]}")
    done
}

# ---- a case --------------------------------------------------------------------------------------

# A good run of an operation: what was BEFORE and AFTER, the requests that it made (REQUESTS), and
# how often it made each system call of CALLS (in COUNTED, "CALL COUNT"; "journal:CALL" where it
# was on the journal), and which lines of the journal announce a hook that runs (HOOKS).
# shellcheck disable=SC2034
CALLS=(write fdatasync fsync rename renameat2 mkdir symlink link linkat unlink unlinkat rmdir)
learn() { # ROW
    IFS='|' read -r OPERATION PREPARE ARGUMENTS <<<"$1"
    read -ra ARGUMENTS <<<"$ARGUMENTS"
    SERVICE=steady
    if [[ ${ARGUMENTS[*]} == *copy* ]]; then SERVICE=copy; fi
    JOURNAL=$DRUNNER_PREFIX/var/lib/drunner/services/$SERVICE/journal
    : >"$PROXY_RULES"
    "$PREPARE"
    BEFORE=$(state)
    : >"$PROXY_RECORD"
    expect 0 strace -y -o "$BATS_TEST_TMPDIR/trace" -e "trace=$(IFS=,; echo "${CALLS[*]}")" \
        "$DRUNNER_BINARY" "${ARGUMENTS[@]}"
    REQUESTS=$(wc -l <"$PROXY_RECORD")
    AFTER=$(state)
    [[ $BEFORE != "$AFTER" ]]
    COUNTED=$(awk -F'(' -v journal="<$JOURNAL" '!/^[a-z0-9]+\(/ {next} {count[$1]++}
        index($0, journal) {count["journal:" $1]++}
        END {for (call in count) print call, count[call]}' "$BATS_TEST_TMPDIR/trace" | sort)
    HOOKS=$(awk -v journal="<$JOURNAL" 'index($0, journal) && /^write/ {line++
        if ($0 ~ /"{\\"group\\"/) print line}' "$BATS_TEST_TMPDIR/trace")
    NOW=$AFTER
}

counted() { # CALL
    sed -n "s/^$1 //p" <<<"$COUNTED"
}

# The machine is where the operation begins.
begin() {
    : >"$PROXY_RULES"
    if [[ $NOW == "$BEFORE" ]]; then return; fi
    "$PREPARE"
    same "$BEFORE" "$(state)"
}

# Runs the operation of the last learn with the proxy's RULE in force, "" for none; KILL in it is a
# command that kills this drunner. WRAPPER comes before drunner.
run_with_rule() { # RULE [WRAPPER...]
    : >"$PROXY_RECORD"
    # shellcheck disable=SC2016 # the shell below is to expand it, and to become drunner
    run --separate-stderr bash -c '
        kill="kill -KILL $$; while kill -0 $$; do sleep 0.01; done"
        printf "%s\n" "${1//KILL/$kill}" >"$2"
        shift 2
        exec "$@"' rules "$1" "$PROXY_RULES" "${@:2}" "$DRUNNER_BINARY" "${ARGUMENTS[@]}"
    : >"$PROXY_RULES"
    REACHED=no
    if [[ -n $1 ]] && (($(wc -l <"$PROXY_RECORD") >= ${1%%:*})); then REACHED=yes; fi
}

# After the run: its exit is one of drunner's own or of the kill, and the machine is as before or as
# after a good run. Counts; a mixed state is told and does not end the test.
verdict() { # WHAT
    local told=$status words=$stderr code=0 again=0 recovered patience=${PATIENCE:-0}
    CASES=$((CASES + 1))
    if [[ $told != 0 || $REACHED == yes ]]; then STRUCK=$((STRUCK + 1)); fi
    recovered=$("$DRUNNER_BINARY" recover --all 2>&1) || code=$?
    NOW=$(state)
    for ((; patience > 0; patience--)); do
        if [[ $NOW == "$BEFORE" || $NOW == "$AFTER" ]]; then break; fi
        sleep 0.2
        NOW=$(state)
    done
    "$DRUNNER_BINARY" recover --all >/dev/null 2>&1 || again=$?
    case $told/$code in
        137/[03] | 1/[03] | 0/3) ;;
        *) wrong "$1" "exit $told, then recover --all $code: $words $recovered" ;;
    esac
    # Who cannot write cannot say it either.
    if [[ $told == 1 && $code == 0 && $1 != "'write' fails"* ]] && ! grep -q '^next: .*recover' <<<"$words"; then
        wrong "$1" "something was left, and no way out named: $words"
    elif [[ $told == 0 && $NOW != "$AFTER" ]]; then
        wrong "$1" "it said that it had succeeded" \
            "$(diff <(echo "$AFTER") <(echo "$NOW") || true)"
    elif [[ $NOW != "$BEFORE" && $NOW != "$AFTER" ]]; then
        wrong "$1" "a mixed state (exit $told: $words; recover: $recovered); against the old one:" \
            "$(diff <(echo "$BEFORE") <(echo "$NOW") || true)" "against the new one:" \
            "$(diff <(echo "$AFTER") <(echo "$NOW") || true)"
    elif ((again != 3)); then
        wrong "$1" "a second recover --all found something"
    fi
    forget_scratch
}

wrong() { # WHAT WORDS...
    MIXED=$((MIXED + 1))
    printf '%s: %s\n' "$OPERATION" "$1"
    shift
    printf '    %s\n' "$@"
    # The next case must not build on it.
    nothing || true
    NOW=
}

# The last line of a test.
summary() {
    proxy_stop
    printf '# %s: %s cases, %s struck, %s mixed states; DRUNNER_SEED=%s%s\n' \
        "$BATS_TEST_DESCRIPTION" "$CASES" "$STRUCK" "$MIXED" "$SEED" \
        "$(all_cases || printf ' (a sample; DRUNNER_ALL=1 is all)')" >&3
    ((MIXED == 0 && CASES > 0))
}
