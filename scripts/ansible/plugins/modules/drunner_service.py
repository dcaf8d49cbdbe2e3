#!/usr/bin/python
"""A service of a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: drunner_service
short_description: Keep a service of a host as it should be
version_added: 1.0.0
description:
  - Installs, configures, updates and removes services that drunner makes of container images.
  - Nothing is done twice. A task whose service is as it should be is no change.
author:
  - the drunner authors
options:
  name:
    description: The service.
    type: str
    required: true
  state:
    description:
      - C(present) installs the service from I(image), and takes another I(image) by an update.
      - C(latest) also takes what the reference names now.
      - C(absent) removes the service and keeps its volumes.
      - C(obliterated) removes it with its data; a final backup is kept, unless I(purge).
      - C(restored) makes it from I(backup) where it is not installed.
    type: str
    choices: [present, latest, absent, obliterated, restored]
    default: present
  image:
    description: The image's reference.
    type: str
  settings:
    description:
      - Settings that the image declares. Others keep their values.
      - Of a service that stands they are set before an update, for its hooks to see them.
    type: dict
    default: {}
  secrets:
    description:
      - Texts that only files of root's hold, by their names. Others are kept.
      - They reach drunner on its standard input.
    type: dict
    default: {}
  accept_scripts:
    description: Digest of the scripts that may run as root.
    type: str
  pull:
    description: When the registry is asked; kept for the service.
    type: str
    choices: [auto, always, missing, never]
  purge:
    description: Keep no final backup of what is obliterated.
    type: bool
    default: false
  backup:
    description: The backup's file on the host, for C(restored).
    type: path
  replace:
    description: Replace the data of a service that stands; a change at each run.
    type: bool
    default: false
  partial:
    description: Go on where backup and image declare different volumes.
    type: bool
    default: false
  password:
    description: The backup's password.
    type: str
  password_file:
    description: The file with the backup's password.
    type: path
  identity_file:
    description: The file with the age identities that open the backup.
    type: path
extends_documentation_fragment:
  - drunner.host.drunner
notes:
  - Check mode and diff mode are supported. drunner foretells what it would do.
  - With C(latest), an update for nothing but the hooks to see changed settings is part of the
    change that check mode foretells, but not of its diff.
"""

EXAMPLES = r"""
- name: Install a blog, with a setting and a key
  drunner.host.drunner_service:
    name: blog
    image: registry.example.org/blog:3
    settings:
      PORT: 8080
    secrets:
      key: "{{ blog_key }}"

- name: Take the newest image
  drunner.host.drunner_service:
    name: blog
    image: registry.example.org/blog:3
    state: latest

- name: Bring it to another host
  drunner.host.drunner_service:
    name: blog
    state: restored
    backup: /var/backups/blog.dr

- name: Remove it, and keep its volumes
  drunner.host.drunner_service:
    name: blog
    state: absent
"""

RETURN = r"""
changes:
  description: What changed, or would, in drunner's words.
  returned: always
  type: list
  elements: str
answer:
  description: The last document that drunner answered with.
  returned: success
  type: dict
kind:
  description: The stable word for what went wrong.
  returned: failure
  type: str
  sample: image-not-found
message:
  description: What went wrong.
  returned: failure
  type: str
next:
  description: The command that leads out; empty where there is none.
  returned: failure
  type: str
retryable:
  description: Whether the same task can succeed later without anybody changing anything.
  returned: failure
  type: bool
rolled_back:
  description: Whether something had been changed, and all of it was undone.
  returned: failure
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.drunner.host.plugins.module_utils.drunner import (
    COMMON_ARGUMENTS,
    KEY_ARGUMENTS,
    Drunner,
    DrunnerError,
    restore,
)


def setting_text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def assignments(settings):
    return ["%s=%s" % (name, setting_text(settings[name])) for name in sorted(settings)]


def release_words(params):
    words = []
    if params["pull"]:
        words += ["--pull", params["pull"]]
    if params["accept_scripts"]:
        words += ["--accept-scripts", params["accept_scripts"]]
    return words


def install(drunner, params):
    """The answer, and whether the service stands with another image."""
    words = release_words(params)
    # Of a service that stands settings are no matter of its installation.
    if params["name"] not in drunner.names():
        for assignment in assignments(params["settings"]):
            words += ["--set", assignment]
    try:
        return drunner.change("install", *(words + [params["image"], params["name"]])), False
    except DrunnerError as failure:
        if failure.error["kind"] != "already-installed":
            raise
        return None, True


def set_secrets(drunner, params, is_foretold):
    answer = None
    for name in sorted(params["secrets"]):
        if is_foretold:
            # drunner knows nothing yet of a service that is only going to be installed.
            drunner.tell(["secret %s: set (new)" % name], [dict(
                before_header=params["name"], after_header=params["name"],
                before="", after="secret %s: set\n" % name)])
            continue
        answer = drunner.change("secret", params["name"], "set", name,
                                data=setting_text(params["secrets"][name]))
    return answer


def keep(drunner, params):
    answer, stands_otherwise = None, False
    is_installed_now = False
    if params["image"]:
        answer, stands_otherwise = install(drunner, params)
        is_installed_now = answer is not None and answer["changed"]
    if params["settings"] and not is_installed_now:
        answer = drunner.change("configure", params["name"], *assignments(params["settings"]))
    foretold = is_installed_now and drunner.module.check_mode
    answer = set_secrets(drunner, params, foretold) or answer
    if stands_otherwise or (params["state"] == "latest" and not is_installed_now):
        words = release_words(params)
        if stands_otherwise:
            words += ["--image", params["image"]]
        answer = drunner.change("update", *(words + [params["name"]]))
    return answer


def main():
    arguments = dict(
        name=dict(type="str", required=True),
        state=dict(type="str", default="present",
                   choices=["present", "latest", "absent", "obliterated", "restored"]),
        image=dict(type="str"),
        settings=dict(type="dict", default={}),
        secrets=dict(type="dict", default={}, no_log=True),
        accept_scripts=dict(type="str"),
        pull=dict(type="str", choices=["auto", "always", "missing", "never"]),
        purge=dict(type="bool", default=False),
        backup=dict(type="path"),
        replace=dict(type="bool", default=False),
        partial=dict(type="bool", default=False),
    )
    arguments.update(COMMON_ARGUMENTS)
    arguments.update(KEY_ARGUMENTS)
    module = AnsibleModule(
        argument_spec=arguments,
        supports_check_mode=True,
        required_if=[("state", "present", ["image"]), ("state", "restored", ["backup"])],
        mutually_exclusive=[("password", "password_file")],
    )
    drunner = Drunner(module)
    params = module.params
    try:
        if params["state"] == "absent":
            answer = drunner.change("uninstall", params["name"])
        elif params["state"] == "obliterated":
            purge = ["--purge"] if params["purge"] else []
            answer = drunner.change("obliterate", *(purge + [params["name"]]))
        elif params["state"] == "restored":
            answer = restore(drunner, params)
        else:
            answer = keep(drunner, params)
    except DrunnerError as failure:
        drunner.fail(failure)
    drunner.finish(answer=answer or {})


if __name__ == "__main__":
    main()
