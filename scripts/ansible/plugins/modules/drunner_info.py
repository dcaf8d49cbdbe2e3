#!/usr/bin/python
"""What services a host has."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: drunner_info
short_description: Tell what services a host has
version_added: 1.0.0
description:
  - Lists the installed services, and tells everything of one. It changes nothing.
author:
  - the drunner authors
options:
  name:
    description: A service to tell everything of.
    type: str
extends_documentation_fragment:
  - drunner.host.drunner
notes:
  - Check mode is supported.
"""

EXAMPLES = r"""
- name: Look at the blog
  drunner.host.drunner_info:
    name: blog
  register: blog
"""

RETURN = r"""
services:
  description: The installed services, as C(drunner list --json) tells them.
  returned: success
  type: list
  elements: dict
service:
  description: The service I(name), as C(drunner inspect --json) tells it.
  returned: when I(name) is given
  type: dict
settings:
  description: Its settings.
  returned: when I(name) is given
  type: list
  elements: dict
secrets:
  description: Names, sizes and times of its secrets, never what they hold.
  returned: when I(name) is given
  type: list
  elements: dict
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
    Drunner,
    DrunnerError,
)


def main():
    module = AnsibleModule(
        argument_spec=dict(COMMON_ARGUMENTS, name=dict(type="str")), supports_check_mode=True)
    drunner = Drunner(module)
    name = module.params["name"]
    results = {}
    try:
        results["services"] = drunner.ask("list")["services"]
        if name:
            # A service that is broken is told like any other.
            results["service"] = drunner.ask("inspect", name, accepts_error=True)
            results["settings"] = drunner.ask("settings", name)["settings"]
            results["secrets"] = drunner.ask("secret", name, "ls")["secrets"]
    except DrunnerError as failure:
        drunner.fail(failure)
    module.exit_json(changed=False, **results)


if __name__ == "__main__":
    main()
