"""Calls of drunner, and what they answer, for the modules of the collection."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json

EXIT_ERROR = 1

COMMON_ARGUMENTS = dict(
    executable=dict(type="str", default="drunner"),
    prefix=dict(type="path"),
    engine=dict(type="str"),
    wait=dict(type="int"),
)

KEY_ARGUMENTS = dict(
    password=dict(type="str", no_log=True),
    password_file=dict(type="path", no_log=False),
    identity_file=dict(type="path", no_log=False),
)


class DrunnerError(Exception):
    """drunner's answer where it failed: kind, message, next, retryable, rolled_back."""

    def __init__(self, error):
        super(DrunnerError, self).__init__(error["message"])
        self.error = error


class Drunner(object):
    """The drunner of one task: it adds up what its calls change, and their diffs."""

    def __init__(self, module):
        self.module = module
        self.changed = False
        self.diff = []
        self.changes = []
        self.environment = {}
        if module.params["prefix"]:
            self.environment["DRUNNER_PREFIX"] = module.params["prefix"]
        if module.params.get("password"):
            self.environment["PASS"] = module.params["password"]

    def ask(self, *words, **options):
        """The document of a command; options: data for its stdin, accepts_error for an answer
        with exit code 1 that is no failure."""
        command = [self.module.params["executable"], "--json"]
        if self.module.params["engine"]:
            command += ["--host", self.module.params["engine"]]
        if self.module.params["wait"] is not None:
            command += ["--wait", str(self.module.params["wait"])]
        command += list(words)
        code, output, errors = self.module.run_command(
            command, data=options.get("data", ""), binary_data=True,
            environ_update=self.environment)
        try:
            document = json.loads(output)
        except ValueError:
            raise DrunnerError(dict(
                kind="system", next="", retryable=False, rolled_back=False,
                message=errors.strip() or "drunner answered no document"))
        if "error" in document:
            raise DrunnerError(document["error"])
        if code == EXIT_ERROR and not options.get("accepts_error"):
            raise DrunnerError(dict(
                kind="broken", next="", retryable=False, rolled_back=False,
                message=errors.strip() or "drunner failed"))
        return document

    def change(self, *words, **options):
        """As ask, for a command that changes something: foretold only, in check mode."""
        switches = []
        if self.module.check_mode:
            switches.append("--check")
        if self.module._diff:
            switches.append("--diff")
        # The switches stand first: what follows a service's name may be the service's own.
        document = self.ask(*(switches + list(words)), **options)
        if document.get("changed"):
            self.tell(document.get("changes", []), document.get("diff", []))
        return document

    def tell(self, changes, diff):
        self.changed = True
        self.changes += changes
        if self.module._diff:
            for one in diff:
                self.merge(one)

    def merge(self, one):
        """Adds a diff. Two of the same text become one: in check mode the second call did not see
        what the first would have done, so its lines are moved over, in drunner's order."""
        for earlier in self.diff:
            if earlier["after_header"] == one["after_header"]:
                break
        else:
            self.diff.append(one)
            return
        if earlier["after"] == one["before"]:
            earlier["after"] = one["after"]
            return
        before, after = one["before"].splitlines(), one["after"].splitlines()
        lines = [line for line in earlier["after"].splitlines()
                 if line in after or line not in before]
        lines += [line for line in after if line not in before]
        lines.sort(key=lambda line: line.split(": ", 1)[0])
        earlier["after"] = "".join(line + "\n" for line in lines)

    def names(self):
        return self.ask("list", "--names")["names"]

    def finish(self, **results):
        if self.module._diff:
            results["diff"] = self.diff
        self.module.exit_json(changed=self.changed, changes=self.changes, **results)

    def fail(self, failure):
        """What was changed before the failure stays told."""
        error = failure.error
        self.module.fail_json(
            msg=error["message"] + (" (next: %s)" % error["next"] if error["next"] else ""),
            kind=error["kind"], message=error["message"], next=error["next"],
            retryable=error["retryable"], rolled_back=error["rolled_back"],
            changed=self.changed, changes=self.changes)


def key_words(params):
    """The options that open a backup. A password in the task goes through the environment."""
    words = []
    if params.get("password_file"):
        words += ["--password-file", params["password_file"]]
    if params.get("identity_file"):
        words += ["--identity", params["identity_file"]]
    return words


def restore(drunner, params):
    """Makes the service from a backup; one that stands stays, unless it is to be replaced."""
    if not params["replace"] and params["name"] in drunner.names():
        return None
    words = key_words(params)
    if params.get("image"):
        words += ["--image", params["image"]]
    if params["replace"]:
        words.append("--replace")
    if params["partial"]:
        words.append("--partial")
    return drunner.change("restore", *(words + [params["backup"], params["name"]]))
