# shellcheck shell=bash
# The collection where ansible-playbook finds it, and nothing of the user's own Ansible.

ansible_setup() { # from setup_file
    export ANSIBLE_COLLECTIONS_PATH=$BATS_FILE_TMPDIR/collections ANSIBLE_NOCOLOR=1
    export ANSIBLE_HOME=$BATS_FILE_TMPDIR/ansible ANSIBLE_LOCAL_TEMP=$BATS_FILE_TMPDIR/ansible/tmp
    export ANSIBLE_REMOTE_TEMP=$BATS_FILE_TMPDIR/ansible/remote ANSIBLE_CONFIG=$BATS_FILE_TMPDIR/ansible.cfg
    export LC_ALL=C.UTF-8 ANSIBLE_NOCOWS=1 ANSIBLE_RETRY_FILES_ENABLED=0
    : >"$ANSIBLE_CONFIG"
    mkdir -p "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/drunner"
    cp -R "$ROOT/scripts/ansible" "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/drunner/host"
}
