# shellcheck shell=bash
# The collection where ansible-playbook finds it, and nothing of the user's own Ansible. With
# ANSIBLE_STDOUT_CALLBACK=ansible_document it prints what happened as a document.

ansible_setup() { # from setup_file
    export ANSIBLE_COLLECTIONS_PATH=$BATS_FILE_TMPDIR/collections ANSIBLE_NOCOLOR=1
    export ANSIBLE_HOME=$BATS_FILE_TMPDIR/ansible ANSIBLE_LOCAL_TEMP=$BATS_FILE_TMPDIR/ansible/tmp
    export ANSIBLE_REMOTE_TEMP=$BATS_FILE_TMPDIR/ansible/remote ANSIBLE_CONFIG=$BATS_FILE_TMPDIR/ansible.cfg
    export LC_ALL=C.UTF-8 ANSIBLE_NOCOWS=1 ANSIBLE_RETRY_FILES_ENABLED=0
    export ANSIBLE_CALLBACK_PLUGINS=$BATS_FILE_TMPDIR/callbacks
    : >"$ANSIBLE_CONFIG"
    mkdir "$ANSIBLE_CALLBACK_PLUGINS"
    cp "$ROOT/tests/tools/ansible_document.py" "$ANSIBLE_CALLBACK_PLUGINS"
    mkdir -p "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/drunner"
    cp -R "$ROOT/scripts/ansible" "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/drunner/host"
}
