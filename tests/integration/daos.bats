#!/usr/bin/env bats
# services/daos-client, with the stand-ins of tests/standins/daos: an agent and its clients.

load harness
load ansible
load daos
load readme
load swarm

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

teardown() {
    stop_swarm_engine
    harness_teardown
}

setup_file() {
    export ENGINE=$DOCKER_HOST
    daos_build_images
    mkdir -p "$BATS_FILE_TMPDIR/made"
    cd "$BATS_FILE_TMPDIR/made" || return 1
    daos_make_certificates
}

teardown_file() {
    "$DOCKER" rmi --force daos-client daos-agent:1 "$BASE_IMAGE-daos" "$BASE_IMAGE-daos-agent" >/dev/null 2>&1 || true
}

certificates() {
    printf '%s\n' "$BATS_FILE_TMPDIR/made/certs.txz"
}

set_certificates() { # CODE SERVICE FILE
    run --separate-stderr drunner secret "$2" set daos_agent-certs <"$3"
    equals "$1" "$status"
}

@test "every row of its table holds, with the stand-ins" {
    start_swarm_engine "$BASE_IMAGE-daos" "$BASE_IMAGE-daos-agent"
    swarm swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >/dev/null
    printf foreign | swarm secret create foreign - >/dev/null
    run --separate-stderr env "DOCKER_HOST=unix://$SWARM/d.sock" "$ROOT/tests/acceptance/daos" \
        --standin --certificates "$(certificates)" "$BASE_IMAGE-daos" "$BASE_IMAGE-daos-agent"
    printf '%s\n' "$output" "$stderr"
    printf '# %s\n' "${lines[@]}" >&3
    equals 0 "$status"
    equals 14 "$(grep -c '| passed |$' <<<"$output")"
    equals foreign "$(swarm secret ls --format '{{.Name}}')"
    equals "" "$(swarm ps --all --quiet)$(swarm service ls --quiet)$(swarm volume ls --quiet)"
}

@test "README.md's commands of it work" {
    ln -s "$BATS_FILE_TMPDIR/made/certs" certs
    works_as_it_stands README.md 5 daos
    expect 0 drunner obliterate daos --purge
}

@test "its images keep every rule, and that the agent starts as root is said aloud" {
    passes 8 daos-client
    expect 0 drunner checkimage "$ROOT/services/daos-client" --level 8
    run drunner checkimage daos-client
    contains "$output" "the extra container 'daos-agent:1' starts as root"
    # The agent goes on as somebody else, and clients have no power at all.
    expect 0 drunner install daos-client daos
    daos_configure daos DAOS_AUTH=no
    expect 0 daos start
    run -0 "$DOCKER" exec daos-agent ps -o user,args
    grep -q '^daos_age.*/usr/bin/daos_agent' <<<"$output"
    grep -q '^root .*docker-init' <<<"$output"
    run -0 drunner enter daos -c 'grep CapEff /proc/self/status'
    contains "$output" 0000000000000000
    local agent
    agent=$("$DOCKER" exec daos-agent pidof daos_agent)
    run -0 "$DOCKER" exec daos-agent grep -E '^Cap(Eff|Bnd)' "/proc/$agent/status"
    equals "0000000000000000 0000000000000000" "$(awk '{print $2}' <<<"$output" | xargs)"
}

@test "what makes no sense is named, all of it, and nothing is started" {
    expect 0 drunner install daos-client daos
    daos_configure daos DAOS_AUTH=no
    expect 0 drunner configure daos "DAOS_CLIENT_UNAME=a:b" DAOS_CLIENT_UID=0 PID_MODE=container \
        "DAOS_ACCESS_POINTS=one'] #" SECRET_BACKEND=vault DAOS_IFACE_NAME='$(id)'
    expect 1 daos start
    contains "$stderr" "DAOS_CLIENT_UNAME is 'a:b'"
    contains "$stderr" "DAOS_CLIENT_UID is '0', where a number above 0 is meant"
    contains "$stderr" "DAOS_ACCESS_POINTS is "
    contains "$stderr" "PID_MODE is 'container', where agent or host is meant"
    contains "$stderr" "SECRET_BACKEND is 'vault'"
    contains "$stderr" "DAOS_IFACE_NAME is "
    expect 0 drunner configure daos "${DAOS_ARGUMENTS[@]}" SECRET_BACKEND=swarm PID_MODE=host --clear DAOS_IFACE_NAME
    expect 1 daos start
    contains "$stderr" "gives no container the host's processes"
    # A Swarm is never made.
    expect 0 drunner configure daos PID_MODE=agent
    expect 1 daos start
    contains "$stderr" "manages no Swarm (it is 'inactive'), and daos does not make one; next: docker swarm init"
    equals inactive "$("$DOCKER" info --format '{{.Swarm.LocalNodeState}}')"
    equals "" "$(containers_of daos)"
    expect 1 daos daos version
    expect 3 daos stop
    # Not in a way that an agent could be told by other means either.
    run -1 "$DOCKER" run --rm --network host --env 'DAOS_ACCESS_POINTS=one two#' --env DAOS_AUTH=no daos-agent:1
    contains "$output" "is 'two#', where a word is meant"
}

# Prints every file of these in which a part of the key or of its tarball stands.
find_key() { # FILE...
    python3 - "$BATS_FILE_TMPDIR/made" "$@" <<'PY'
import sys, base64
made, files = sys.argv[1], sys.argv[2:]
packed = open(made + "/certs.txz", "rb").read()
needles = [line for line in open(made + "/certs/agent.key", "rb").read().split(b"\n") if len(line) > 40]
# In any alignment: parts of the tarball as it is, and as base64.
needles += [packed[i:i + 24] for i in range(64, len(packed) - 24, 24)]
needles += [base64.b64encode(packed[i:])[:32] for i in (300, 301, 302)]
assert len(needles) > 50
for name in files:
    data = open(name, "rb").read()
    if any(needle in data for needle in needles):
        print(name)
PY
}

@test "no part of the key is in inspect, ps, a log, or a backup that is not encrypted" {
    : >seen
    (
        # Not longer than the test itself, also where that fails.
        while [[ ! -e enough ]] && kill -0 $$ 2>/dev/null; do
            ps -efww >>seen
            cat /proc/[0-9]*/environ >>seen 2>/dev/null || true
            echo x >>samples
            sleep 0.1
        done
    ) 3>&- 4>&- &
    local sampler=$!
    expect 0 drunner -v install daos-client daos
    run drunner -v secret daos set daos_agent-certs <"$(certificates)"
    printf '%s\n' "$output" >spoken
    daos_configure daos
    expect 0 daos start
    expect 0 daos daos pool autotest p1
    expect 0 drunner -v backup daos plain
    printf '%s\n' "$stderr" >>spoken
    expect 0 drunner --json inspect daos
    printf '%s\n' "$output" >>spoken
    "$DOCKER" ps --all --quiet | xargs "$DOCKER" inspect >inspected
    "$DOCKER" image inspect daos-client daos-agent:1 >>inspected
    "$DOCKER" logs daos-agent >logs 2>&1
    cat "$WORLD/docker.log" "$DRUNNER_PREFIX"/var/log/drunner/* >>logs
    zstd -dcq plain >unpacked
    touch enough
    wait "$sampler"
    (($(wc -l <samples) >= 10))
    grep -q daos_agent inspected && grep -q stand-in logs && grep -q DAOS_ACCESS_POINTS unpacked
    equals "" "$(find_key seen spoken inspected logs unpacked plain)"
    # Of all of drunner's files only the store has it, for root alone. The search finds what is there.
    mapfile -t files < <(find "$DRUNNER_PREFIX" -type f)
    equals "$(printf '%s\n' "$DRUNNER_PREFIX"/var/lib/drunner/services/daos/secrets/daos_agent-certs/*)" \
        "$(find_key "${files[@]}" | sort)"
    equals "400 600" "$(stat -c %a "$DRUNNER_PREFIX"/var/lib/drunner/services/daos/secrets/daos_agent-certs/* | sort | xargs)"
    # In the agent's container it is in memory, and in no layer on the disk.
    equals tmpfs "$("$DOCKER" exec daos-agent stat -f -c %T /etc/daos/certs)"
    run "$DOCKER" diff daos-agent
    [[ $output != *agent.key* ]]
}

@test "a backup brings it back under another name, with the certificates where it is encrypted" {
    printf 'pass\n' >password
    expect 0 drunner install daos-client daos
    daos_configure daos
    set_certificates 0 daos "$(certificates)"
    expect 0 daos start
    expect 0 drunner backup daos plain
    expect 0 drunner backup daos whole --password-file password
    expect 0 drunner drill daos whole --password-file password
    expect 0 drunner restore whole copy --password-file password
    expect 0 copy daos pool autotest p1
    contains "$output" "uid=666(foo)"
    expect 0 drunner obliterate --purge copy
    expect 0 drunner restore plain copy
    contains "$stderr" "secrets missing: daos_agent-certs"
    contains "$(copy status)" "state: stopped"
    set_certificates 0 copy "$(certificates)"
    expect 0 copy start
    # Over a service that runs, and both at once: each sees its own clients.
    expect 0 drunner restore plain copy --replace
    expect 0 copy daos pool autotest p1
    expect 0 daos daos pool autotest p1
    # Another user than the images were built for.
    expect 0 drunner configure daos DAOS_CLIENT_UNAME=joan DAOS_CLIENT_UID=4711
    expect 0 daos stop
    expect 0 daos start
    expect 0 daos daos standin whoami
    contains "$output" "uid=4711(joan)"
    equals joan "$(echo 'id -un' | drunner enter daos)"
    # A call leaves the list alone that somebody reads.
    equals "one two" "$(printf 'one\ntwo\n' | while read -r word; do daos daos version >&2; echo "$word"; done | xargs)"
}

@test "a failed update brings the old agent back" {
    expect 0 drunner install daos-client daos
    daos_configure daos DAOS_AUTH=no
    expect 0 daos start
    local directory
    directory=$(copy_of daos-client)
    sed -i 's/^    install | updateend) .*/    install) start_if_configured ;;\n    updateend) exit 1 ;;/' \
        "$directory/drunner/servicerunner"
    printf 'FROM daos-client\nCOPY drunner /drunner\n' >"$directory/Dockerfile"
    build_directory "$directory" daos-client
    expect 1 drunner update daos
    expect 0 daos daos pool autotest p1
    expect 0 daos selftest
}

@test "its playbook keeps it on a host" {
    ansible_setup
    printf '#!/bin/bash\nexec /usr/bin/python3 "$@"\n' >python
    chmod +x python
    printf '[old]\nold-host ansible_connection=local ansible_become=false ansible_python_interpreter=%q\n' \
        "$PWD/python" >inventory
    printf '{"daos_certificates": "%s", "backup_password": "open-sesame"}' \
        "$(base64 -w 0 "$(certificates)")" >vault.json
    play() {
        expect 0 env ANSIBLE_STDOUT_CALLBACK=ansible_document ansible-playbook -i inventory -e @vault.json \
            "$ROOT/services/daos-client/playbook.yml" </dev/null
    }
    play
    # A service, a backup, its copy to take there, and the agent.
    equals 4 "$(jq --slurp 'last.stats["old-host"].changed' <<<"$output")"
    expect 0 daos-client daos pool autotest p1
    contains "$output" "signed=yes"
    play
    equals 0 "$(jq --slurp 'last.stats["old-host"].changed' <<<"$output")"
}
