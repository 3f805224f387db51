"""Found by a Python that starts with this folder on its path: a linear model that texts can break.

毒 raises, 崩 kills the process, 慢 takes a while, 卡 never ends; while the file named by FAULTS_SICK exists, everything raises.
"""

import os
import signal
import time
from pathlib import Path

from duobiao.models.linear import LinearBackend

_logits = LinearBackend.logits


def _broken(self, pairs, *rest, **more):
    texts = "".join(text for text, _ in pairs)
    sick = os.environ.get("FAULTS_SICK")
    if "毒" in texts or (sick and Path(sick).exists()):
        raise RuntimeError("secret of the inside: /etc/model")
    if "崩" in texts:
        os.kill(os.getpid(), signal.SIGKILL)
    while "卡" in texts:
        time.sleep(60)
    if "慢" in texts:
        time.sleep(0.4)
    return _logits(self, pairs, *rest, **more)


LinearBackend.logits = _broken
