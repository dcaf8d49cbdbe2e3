"""What every module of the collection takes."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment(object):
    DOCUMENTATION = r"""
options:
  executable:
    description: The drunner program, as a path or as a name on the PATH.
    type: str
    default: drunner
  prefix:
    description: The directory below which drunner keeps everything, C(DRUNNER_PREFIX).
    type: path
  engine:
    description: The container engine's socket, as C(unix:///path).
    type: str
  wait:
    description: Seconds to wait for another drunner that works on the service.
    type: int
"""
