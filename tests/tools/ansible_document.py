"""Ansible's words as one JSON document for each playbook, for the tests of the collection.

Ansible's own callback of that kind is in a collection that ansible-core comes without.
"""

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: ansible_document
type: stdout
short_description: one JSON document for each playbook
description: plays[].tasks[] with task.name and hosts.HOST, the result of each, and stats.HOST.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ansible_document"

    def v2_playbook_on_start(self, playbook):
        self.plays = []

    def v2_playbook_on_play_start(self, play):
        self.plays.append({"tasks": []})

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.plays[-1]["tasks"].append({"task": {"name": task.get_name()}, "hosts": {}})

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result, **words):
        hosts = self.plays[-1]["tasks"][-1]["hosts"]
        hosts[result._host.get_name()] = {**result._result, **words}

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.v2_runner_on_ok(result, failed=True)

    def v2_runner_on_unreachable(self, result):
        self.v2_runner_on_ok(result, unreachable=True)

    def v2_runner_on_skipped(self, result):
        self.v2_runner_on_ok(result, skipped=True)

    def v2_playbook_on_stats(self, stats):
        sums = {host: stats.summarize(host) for host in stats.processed}
        self._display.display(self._dump_results({"plays": self.plays, "stats": sums}))
