#!/usr/bin/python
"""A service from a backup."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: drunner_restore
short_description: Make a service from a backup
version_added: 1.0.0
description:
  - Makes a service from a backup, under its own or another name.
  - A service that stands is no change, unless I(replace).
author:
  - the drunner authors
options:
  name:
    description: The service.
    type: str
    required: true
  backup:
    description: The backup's file on the host.
    type: path
    required: true
    aliases: [file]
  image:
    description: Restore onto this image.
    type: str
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
  - Check mode and diff mode are supported.
"""

EXAMPLES = r"""
- name: Make a copy of the blog
  drunner.host.drunner_restore:
    name: copy
    backup: /var/backups/blog.dr
    identity_file: /root/drunner-identity.txt
"""

RETURN = r"""
changes:
  description: What changed, or would, in drunner's words.
  returned: always
  type: list
  elements: str
answer:
  description: The document that drunner answered with; empty where the service stands.
  returned: success
  type: dict
kind:
  description: The stable word for what went wrong.
  returned: failure
  type: str
  sample: not-installed
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


def main():
    arguments = dict(
        name=dict(type="str", required=True),
        backup=dict(type="path", required=True, aliases=["file"]),
        image=dict(type="str"),
        replace=dict(type="bool", default=False),
        partial=dict(type="bool", default=False),
    )
    arguments.update(COMMON_ARGUMENTS)
    arguments.update(KEY_ARGUMENTS)
    module = AnsibleModule(
        argument_spec=arguments,
        supports_check_mode=True,
        mutually_exclusive=[("password", "password_file")],
    )
    drunner = Drunner(module)
    try:
        answer = restore(drunner, module.params)
    except DrunnerError as failure:
        drunner.fail(failure)
    drunner.finish(answer=answer or {})


if __name__ == "__main__":
    main()
