#!/usr/bin/env bats
# The Ansible collection, with a real ansible-playbook on this host.

load harness
load ansible

setup_file() {
    ansible_setup
}

# Runs tasks on this host; afterwards $output is what Ansible says, documents included.
play() { # CODE TASKS-FILE ARGUMENTS...
    local code=$1 tasks=$2
    shift 2
    {
        printf '%s\n' '- hosts: localhost' '  connection: local' '  gather_facts: false' \
            '  vars: {ansible_python_interpreter: /usr/bin/python3}' '  tasks:'
        sed 's/^/    /' "$tasks"
    } >playbook.yml
    run --separate-stderr env ANSIBLE_STDOUT_CALLBACK=ansible_document ansible-playbook -i localhost, \
        playbook.yml "$@" </dev/null
    if [[ $status != "$code" ]]; then
        printf '%s: exit %s\n%s\n%s\n' "$tasks" "$status" "$output" "$stderr"
        return 1
    fi
}

# Of each task: its name, and what a jq filter makes of its result.
results() { # FILTER
    jq -c ".plays[].tasks[] | [.task.name, (.hosts.localhost | $1)]" <<<"$output"
}

changed_tasks() {
    jq '.stats.localhost.changed' <<<"$output"
}

whole_world() {
    (cd "$DRUNNER_PREFIX" && listing .)
    engine_state
    tags
}

life() {
    cat >life.yml <<'YAML'
- name: helloworld
  drunner.host.drunner_service: {name: helloworld, image: helloworld}
- name: configurable
  drunner.host.drunner_service:
    name: configurable
    image: configurable
    settings: {PORT: 8080, PUBLIC: true, OWNER: "it's me"}
    secrets: {key: open-sesame}
YAML
    cat >backup.yml <<'YAML'
- name: backup of today
  drunner.host.drunner_backup: {name: configurable, max_age: 3600, password: open-barley}
- name: backup of a name
  drunner.host.drunner_backup:
    name: helloworld
    file: "{{ playbook_dir }}/hello.dr"
    password: open-barley
YAML
}

@test "--check --diff foretells the first run and changes nothing; the second run changes nothing" {
    life
    local before foretold
    before=$(whole_world)
    play 0 life.yml --check --diff
    same "$before" "$(whole_world)"
    foretold=$(results '[.changed, .changes, .diff]')
    contains "$foretold" 'secret key: set'
    contains "$foretold" '8080'
    play 0 life.yml --diff
    same "$foretold" "$(results '[.changed, .changes, .diff]')"
    equals 2 "$(changed_tasks)"
    expect 0 configurable show
    equals 'my blog|8080|yes' "$output"

    play 0 backup.yml --check
    equals 2 "$(changed_tasks)"
    [[ ! -e hello.dr ]]
    cat life.yml backup.yml >both.yml
    play 0 both.yml
    equals 2 "$(changed_tasks)"
    expect 0 env PASS=open-barley drunner verify hello.dr
    # A real run takes the locks, so only what is no lock is compared.
    before=$(snapshot)
    play 0 both.yml --diff
    equals 0 "$(changed_tasks)"
    same "$before" "$(snapshot)"

    # Ansible's own words show what it hands to the module, and that is no secret.
    run env -u ANSIBLE_STDOUT_CALLBACK ansible-playbook -vvv -i localhost, playbook.yml --diff
    equals 0 "$status"
    contains "$output" 'changed=0'
    contains "$output" 'VALUE_SPECIFIED_IN_NO_LOG_PARAMETER'
    [[ $output != *open-sesame* && $output != *open-barley* ]]
}

@test "a change of each kind is foretold, made, and made once" {
    expect 0 drunner install steady
    expect 0 drunner install configurable
    expect 0 drunner backup configurable "$PWD/b"
    "$DOCKER" tag steady-2 steady
    cat >changes.yml <<'YAML'
- name: latest
  drunner.host.drunner_service: {name: steady, image: steady, state: latest}
- name: settings of what stands
  drunner.host.drunner_service:
    {name: configurable, image: configurable, settings: {PORT: 81}, secrets: {key: sesame-open}}
- name: restored
  drunner.host.drunner_service: {name: copy, state: restored, backup: "{{ playbook_dir }}/b"}
- name: restore
  drunner.host.drunner_restore: {name: other, backup: "{{ playbook_dir }}/b"}
YAML
    cat >removals.yml <<'YAML'
- name: absent
  drunner.host.drunner_service: {name: steady, state: absent}
- name: obliterated
  drunner.host.drunner_service: {name: copy, state: obliterated, purge: true}
- name: info
  drunner.host.drunner_info: {name: configurable}
YAML
    local before foretold count file
    for file in changes.yml:4 removals.yml:2; do
        count=${file#*:}
        before=$(whole_world)
        play 0 "${file%:*}" --check --diff
        same "$before" "$(whole_world)"
        foretold=$(results '[.changed, .diff]')
        equals "$count" "$(changed_tasks)"
        play 0 "${file%:*}" --diff
        same "$foretold" "$(results '[.changed, .diff]')"
        play 0 "${file%:*}"
        equals 0 "$(changed_tasks)"
    done
    equals '["configurable","81",["key"],["configurable","other"]]' "$(
        jq -c '.plays[0].tasks[-1].hosts.localhost | [.service.service,
            (.settings[] | select(.name == "PORT").value), [.secrets[].name],
            ([.services[].service] | sort)]' <<<"$output"
    )"
    # Its volumes were kept.
    expect 0 drunner obliterate --purge steady
}

@test "a failed task says kind, message and next" {
    cat >failing.yml <<'YAML'
- name: failing
  drunner.host.drunner_service: {name: failing, image: failing-install}
  ignore_errors: true
- name: no such image
  drunner.host.drunner_service: {name: nosuch, image: "127.0.0.1:1/nosuch"}
  ignore_errors: true
- name: no such service
  drunner.host.drunner_backup: {name: nosuch}
  ignore_errors: true
YAML
    play 0 failing.yml
    equals '["failing",[true,"script-failed",true,false,true]]
["no such image",[true,"registry-unreachable",true,true,false]]
["no such service",[true,"not-installed",true,false,false]]' \
        "$(results '[.failed, .kind, (.message != "" and (.next | type) == "string"), .retryable,
            .rolled_back]')"
}

@test "every module documents itself" {
    local module file
    for file in "$ROOT"/scripts/ansible/plugins/modules/*.py; do
        module=drunner.host.$(basename "$file" .py)
        expect 0 ansible-doc -t module --json "$module"
        jq -e --arg name "$module" '.[$name] | .doc.options.executable and
            (.examples | length > 0) and .return.message' <<<"$output" >/dev/null
    done
}
