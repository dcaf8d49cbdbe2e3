#!/usr/bin/python
"""A backup of a service."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: drunner_backup
short_description: Have a verified backup of a service
version_added: 1.0.0
description:
  - Writes everything of a service to one file, and verifies it.
  - With I(file) there is one backup. A file that stands is verified, and then no change.
  - With I(max_age) a backup that is young enough, and still stands, is no change.
  - With neither each run makes a backup.
author:
  - the drunner authors
options:
  name:
    description: The service.
    type: str
    required: true
  file:
    description: The backup's file on the host; else drunner chooses its name.
    type: path
  max_age:
    description: How many seconds old the last backup may be.
    type: int
  while_reading:
    description: What the service's containers do while its volumes are read.
    type: str
    choices: [run, pause, stop]
    default: run
  exclude:
    description: Patterns of what is left out.
    type: list
    elements: str
    default: []
  with_image:
    description: Put the image in, so that a restore needs no registry.
    type: bool
    default: false
  recipients:
    description: Encrypt for these age recipients.
    type: list
    elements: str
    default: []
  password:
    description: Encrypt with this password.
    type: str
  password_file:
    description: Encrypt with the password in this file.
    type: path
  identity_file:
    description:
      - The age identities that verify a I(file) that stands and is for I(recipients).
      - Without them such a file counts because it is there. drunner leaves no unfinished file.
    type: path
extends_documentation_fragment:
  - drunner.host.drunner
notes:
  - Check mode and diff mode are supported.
"""

EXAMPLES = r"""
- name: Have a backup of today
  drunner.host.drunner_backup:
    name: blog
    max_age: 86400

- name: Have the backup before the move
  drunner.host.drunner_backup:
    name: blog
    file: /var/backups/blog.dr
    password_file: /root/backup-password
"""

RETURN = r"""
file:
  description: The backup's file.
  returned: success
  type: str
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

import datetime
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.drunner.host.plugins.module_utils.drunner import (
    COMMON_ARGUMENTS,
    KEY_ARGUMENTS,
    Drunner,
    DrunnerError,
    key_words,
)


def standing_file(drunner, params):
    """What is known of the file that the task names, None where there is none."""
    if not os.path.lexists(params["file"]):
        return None
    if params["recipients"] and not params["identity_file"]:
        return dict(file=params["file"])
    answer = drunner.ask("verify", *(key_words(params) + [params["file"]]))
    if answer["service"] != params["name"]:
        raise DrunnerError(dict(
            kind="file-exists", next="", retryable=False, rolled_back=False,
            message="'%s' is a backup of '%s', not of '%s'"
                    % (params["file"], answer["service"], params["name"])))
    return dict(answer, file=params["file"])


def young_backup(drunner, params):
    """The last backup, None where it is too old or gone."""
    last = drunner.ask("status", params["name"], accepts_error=True).get("last_backup")
    if last is None or not os.path.isfile(last["file"]):
        return None
    # drunner's times are UTC, to the second.
    written = datetime.datetime.strptime(last["at"][:len("2026-01-02T03:04:05")],
                                         "%Y-%m-%dT%H:%M:%S")
    age = datetime.datetime.utcnow() - written
    return last if age.total_seconds() <= params["max_age"] else None


def backup(drunner, params):
    words = ["--password-file", params["password_file"]] if params["password_file"] else []
    for recipient in params["recipients"]:
        words += ["--recipient", recipient]
    for pattern in params["exclude"]:
        words += ["--exclude", pattern]
    if params["while_reading"] != "run":
        words.append("--" + params["while_reading"])
    if params["with_image"]:
        words.append("--with-image")
    words.append(params["name"])
    if params["file"]:
        words.append(params["file"])
    return drunner.change("backup", *words)


def main():
    arguments = dict(
        name=dict(type="str", required=True),
        file=dict(type="path"),
        max_age=dict(type="int"),
        while_reading=dict(type="str", default="run", choices=["run", "pause", "stop"]),
        exclude=dict(type="list", elements="str", default=[]),
        with_image=dict(type="bool", default=False),
        recipients=dict(type="list", elements="str", default=[]),
    )
    arguments.update(COMMON_ARGUMENTS)
    arguments.update(KEY_ARGUMENTS)
    module = AnsibleModule(
        argument_spec=arguments,
        supports_check_mode=True,
        mutually_exclusive=[("file", "max_age"), ("password", "password_file")],
    )
    drunner = Drunner(module)
    params = module.params
    try:
        answer = None
        if params["file"]:
            answer = standing_file(drunner, params)
        elif params["max_age"] is not None:
            answer = young_backup(drunner, params)
        if answer is None:
            answer = backup(drunner, params)
    except DrunnerError as failure:
        drunner.fail(failure)
    drunner.finish(file=answer["file"], answer=answer)


if __name__ == "__main__":
    main()
