"""Found by a Python that starts with this folder on its path: a linear model that texts can break.

毒 raises, 崩 kills the process, 慢 takes a while, 卡 never ends, after it has made the file FAULTS_STUCK; while the file
FAULTS_SICK exists, everything raises. With FAULTS_LOADING loading never ends, after it has made a file of that name and its id.
"""

import os
import signal
import time
from pathlib import Path

from duobiao.models.linear import LinearBackend

_logits = LinearBackend.logits
_from_bundle = LinearBackend.from_bundle.__func__


def _loading(cls, bundle):
    place = os.environ.get("FAULTS_LOADING")
    if place:
        Path(f"{place}.{os.getpid()}").touch()
    while place:
        time.sleep(60)
    return _from_bundle(cls, bundle)


def _broken(self, pairs, *rest, **more):
    texts = "".join(text for text, _ in pairs)
    sick = os.environ.get("FAULTS_SICK")
    if "毒" in texts or (sick and Path(sick).exists()):
        raise RuntimeError("secret of the inside: /etc/model")
    if "崩" in texts:
        os.kill(os.getpid(), signal.SIGKILL)
    if "卡" in texts and "FAULTS_STUCK" in os.environ:
        Path(os.environ["FAULTS_STUCK"]).touch()
    while "卡" in texts:
        time.sleep(60)
    if "慢" in texts:
        time.sleep(0.4)
    return _logits(self, pairs, *rest, **more)


LinearBackend.logits = _broken
LinearBackend.from_bundle = classmethod(_loading)
