"""The other side of `cloudlet_wire::echo`: a process that takes requests apart and makes answers."""

import base64
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build():
    """The path of the echo program: `CLOUDLET_ECHO`, or built with cargo."""
    given = os.environ.get("CLOUDLET_ECHO")
    if given:
        return given
    command = ["cargo", "build", "-q", "-p", "cloudlet-wire", "--example", "echo", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "echo":
            return message["executable"]
    raise RuntimeError("cargo did not say where the echo program is")


class Echo:
    def __init__(self):
        self.process = subprocess.Popen(
            [build()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, **asked):
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the echo program went away"
        answer = json.loads(line)
        assert "wrong" not in answer, answer
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


def decode(answer):
    return base64.b64decode(answer["body"])
