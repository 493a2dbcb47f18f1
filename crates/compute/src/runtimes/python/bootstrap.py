"""Runs a Python handler inside of a sandbox.

Started ahead of time by the sandbox's init, it imports the AWS SDK and waits on descriptor 3. The cloud sends one
`init` frame (environment, handler) and then one `invoke` frame per call; see frames.rs. Both lengths of a frame are
big-endian 32-bit, then a JSON header, then the body.

Messages, error payloads and log formats are those of the Lambda Python runtime, as documented in "Lambda function
errors in Python", "Logging with Python" and "Using the Lambda context object" of the Lambda Developer Guide.
"""

import importlib
import json
import os
import socket
import struct
import sys
import time
import traceback

SDK_ROOTS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
INDENT = "\u00a0"  # Lambda keeps traceback indentation with no-break spaces.


class Channel:
    """Frames to and from the cloud."""

    def __init__(self, sock):
        self.sock = sock

    def _exactly(self, count):
        data = bytearray(count)
        view = memoryview(data)
        got = 0
        while got < count:
            n = self.sock.recv_into(view[got:])
            if n == 0:
                # The cloud has gone: nothing is left to do here.
                os._exit(0)
            got += n
        return data

    def receive(self):
        head, body = struct.unpack(">II", self._exactly(8))
        header = json.loads(bytes(self._exactly(head)))
        return header, bytes(self._exactly(body)) if body else b""

    def send(self, header, body=b""):
        header["rss_kb"] = peak_memory_kb()
        head = json.dumps(header).encode()
        self.sock.sendall(struct.pack(">II", len(head), len(body)) + head + body)


def peak_memory_kb():
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Logs:
    """Whole records to standard output, framed so that a record with newlines stays one event."""

    TYPES = {"TRACE": 6, "DEBUG": 10, "INFO": 14, "WARN": 18, "WARNING": 18, "ERROR": 22, "CRITICAL": 26, "FATAL": 26}

    def __init__(self, json_format):
        self.json_format = json_format

    def log(self, message, level=None):
        data = message.encode("utf-8", "backslashreplace")
        kind = self.TYPES.get(level, 2) + (0 if self.json_format else 1)
        frame = struct.pack(">IIQ", 0xA55A0000 | kind, len(data), time.time_ns() // 1000) + data
        sys.stdout.flush()
        sys.stderr.flush()
        while frame:
            frame = frame[os.write(1, frame) :]

    def error(self, result, request_id):
        if self.json_format:
            record = {"timestamp": timestamp(time.time()), "level": "ERROR"}
            record.update(result)
            if request_id and not record.get("requestId"):
                record["requestId"] = request_id
            return self.log(json.dumps(record, ensure_ascii=False), "ERROR")
        line = "[ERROR]"
        if result.get("errorType"):
            line += " " + result["errorType"]
            if result.get("errorMessage"):
                line += ":"
        if result.get("errorMessage"):
            line += " " + result["errorMessage"]
        lines = [line]
        if result.get("stackTrace") is not None:
            lines.append("Traceback (most recent call last):")
            for element in result["stackTrace"]:
                for text in element.splitlines() or [""]:
                    bare = text.lstrip(" ")
                    lines.append(INDENT * (len(text) - len(bare)) + bare)
        self.log("\n".join(lines), "ERROR")


def timestamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".%03dZ" % (int(at * 1000) % 1000)


class Fault(Exception):
    """A failure to even reach the handler."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.trace = trace


def error_result(message, kind, trace, request_id=""):
    return {
        "errorMessage": message or "",
        "errorType": kind or "",
        "requestId": request_id or "",
        "stackTrace": trace or [],
    }


def result_of_exception(request_id=""):
    kind, value, tb = sys.exc_info()
    frames = traceback.extract_tb(tb)
    # The user's own frames: what comes before them is this file and the import machinery.
    first = next((i for i, frame in enumerate(frames) if frame.filename != __file__), 0)
    while first < len(frames) - 1 and frames[first].filename.startswith(("<frozen importlib", IMPORTLIB)):
        first += 1
    if isinstance(value, Fault):
        return error_result(str(value), value.kind, value.trace, request_id)
    try:
        text = str(value)
    except Exception:  # a broken __str__ of the user's exception
        text = "<unprintable %s object>" % kind.__name__
    return error_result(text, kind.__name__, traceback.format_list(frames[first:]), request_id)


IMPORTLIB = importlib.__file__


class CognitoIdentity:
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]

    def __init__(self, fields):
        fields = fields or {}
        self.cognito_identity_id = fields.get("cognitoIdentityId")
        self.cognito_identity_pool_id = fields.get("cognitoIdentityPoolId")

    def __repr__(self):
        return describe(self, self.__slots__)


class Client:
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]

    def __init__(self, fields):
        for name in self.__slots__:
            setattr(self, name, fields.get(name))

    def __repr__(self):
        return describe(self, self.__slots__)


class ClientContext:
    __slots__ = ["custom", "env", "client"]

    def __init__(self, fields):
        self.custom = fields.get("custom")
        self.env = fields.get("env")
        client = fields.get("client")
        self.client = Client(client) if isinstance(client, dict) else None

    def __repr__(self):
        return describe(self, self.__slots__)


def describe(value, names):
    return "%s([%s])" % (type(value).__name__, ",".join("%s=%s" % (n, getattr(value, n)) for n in names))


class LambdaContext:
    """The second argument of a handler."""

    NAMES = [
        "aws_request_id",
        "log_group_name",
        "log_stream_name",
        "function_name",
        "memory_limit_in_mb",
        "function_version",
        "invoked_function_arn",
        "client_context",
        "identity",
        "tenant_id",
    ]

    def __init__(self, call, runtime):
        env = os.environ
        self.aws_request_id = call["id"]
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = call["arn"]
        self.tenant_id = call.get("tenant")
        context = parse(call.get("client_context"), "Client Context")
        self.client_context = ClientContext(context) if isinstance(context, dict) else None
        self.identity = CognitoIdentity(parse(call.get("cognito"), "Cognito Identity"))
        self._epoch_deadline_time_in_ms = call["deadline_ms"]
        self._logs = runtime.logs

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def log(self, message):
        self._logs.log(str(message))

    def __repr__(self):
        return describe(self, self.NAMES)


def parse(text, what):
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as e:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (what, e))


def to_json(value):
    """As the Lambda runtime does: unicode as it is, Decimal as a number, NaN as NaN."""
    return json.dumps(value, ensure_ascii=False, default=decimal).encode("utf-8", "surrogatepass")


def decimal(value):
    if type(value).__name__ == "Decimal" and type(value).__module__ == "decimal":
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


class Runtime:
    def __init__(self, channel):
        self.channel = channel
        self.request_id = None
        self.handler = None
        self.logs = Logs(False)

    def preload(self, sdk):
        """What most handlers need, while nobody waits."""
        import collections.abc
        import datetime
        import decimal
        import logging
        import resource
        import threading

        if sdk:
            sys.path.append(sdk)
            try:
                import boto3
                import boto3.session
                import botocore.client
                import botocore.httpsession
                import botocore.signers
            except Exception:  # pragma: no cover - a broken SDK is the function's to report when it imports it
                pass

    def initialise(self, init):
        if not init.get("late"):
            os.environ.clear()
            os.environ.update(init["env"])
        time.tzset()
        task = init["task_root"]
        opt = init["opt_root"]
        os.chdir(task)
        version = "python%d.%d" % sys.version_info[:2]
        before = [task]
        before += [p for p in os.environ.get("PYTHONPATH", "").split(":") if p and p != "/var/runtime"]
        before += [os.path.join(opt, "python", "lib", version, "site-packages"), os.path.join(opt, "python")]
        sys.path[:0] = before
        self.prefer_own_sdk(before)
        self.logs = Logs(os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON")
        self.set_up_logging(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper())
        for name in ("exit", "quit"):
            import _sitebuiltins
            import builtins

            setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
        self.handler = self.find_handler(init["handler"])

    @staticmethod
    def prefer_own_sdk(roots):
        """A function that packages its own boto3 gets its own, whole."""

        def brings(name):
            return any(os.path.exists(os.path.join(r, name)) or os.path.exists(os.path.join(r, name + ".py")) for r in roots)

        if any(brings(name) for name in SDK_ROOTS):
            for name in list(sys.modules):
                if name.partition(".")[0] in SDK_ROOTS:
                    del sys.modules[name]
        importlib.invalidate_caches()

    def set_up_logging(self, level):
        import logging

        runtime = self

        class Handler(logging.Handler):
            def emit(self, record):
                runtime.logs.log(self.format(record), record.levelname)

        class Text(logging.Formatter):
            converter = time.gmtime

        class Json(logging.Formatter):
            STANDARD = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "aws_request_id"}

            def format(self, record):
                out = {
                    "timestamp": timestamp(record.created),
                    "level": record.levelname,
                    "message": record.getMessage(),
                    "logger": record.name,
                }
                if record.exc_info:
                    kind, value, tb = record.exc_info
                    if kind is not None:
                        out["errorType"] = kind.__name__
                        out["errorMessage"] = str(value)
                        out["stackTrace"] = traceback.format_tb(tb)
                        out["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
                for key, value in record.__dict__.items():
                    if key not in self.STANDARD and key not in out:
                        out[key] = value
                out["requestId"] = runtime.request_id or ""
                return json.dumps(out, ensure_ascii=False, default=str)

        def identify(record):
            record.aws_request_id = runtime.request_id or ""
            return True

        handler = Handler()
        if self.logs.json_format:
            handler.setFormatter(Json())
        else:
            layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
            handler.setFormatter(Text(layout, "%Y-%m-%dT%H:%M:%S"))
        handler.addFilter(identify)
        root = logging.getLogger()
        root.addHandler(handler)
        if level == "TRACE":
            level = "DEBUG"
        elif level == "FATAL":
            level = "CRITICAL"
        if isinstance(logging.getLevelName(level), int):
            root.setLevel(level)

    @staticmethod
    def find_handler(handler):
        module, dot, name = handler.rpartition(".")
        if not dot:
            raise Fault(
                "Runtime.MalformedHandlerName",
                "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % handler,
            )
        if module.split(".")[0] in sys.builtin_module_names:
            raise Fault(
                "Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module
            )
        try:
            loaded = importlib.import_module(module.replace("/", "."))
        except ImportError as e:
            raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module, e))
        except SyntaxError as e:
            trace = ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)]
            raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, e), trace)
        try:
            return getattr(loaded, name)
        except AttributeError:
            raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (name, module))

    def call(self, call, body):
        self.request_id = call["id"]
        if call.get("trace"):
            os.environ["_X_AMZN_TRACE_ID"] = call["trace"]
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            context = LambdaContext(call, self)
            try:
                event = json.loads(body.decode("utf-8")) if body else None
            except ValueError as e:
                raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e)
            answer = self.handler(event, context)
            try:
                answer = to_json(answer)
            except Exception as e:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % e)
        except Exception:
            result = result_of_exception(call["id"])
            self.logs.error(result, call["id"])
            flush()
            return self.channel.send(
                {"t": "error", "id": call["id"], "type": result["errorType"]}, to_json(result)
            )
        flush()
        self.channel.send({"t": "response", "id": call["id"]}, answer)

    def serve(self):
        """From the first frame to the end of the sandbox."""
        init, _ = self.channel.receive()
        try:
            self.initialise(init)
        except Exception:
            result = result_of_exception()
            self.logs.error(result, None)
            flush()
            self.channel.send({"t": "init_error", "type": result["errorType"]}, to_json(result))
            os._exit(1)
        flush()
        self.channel.send({"t": "init_ok"})
        while True:
            self.call(*self.channel.receive())


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the user may have put anything there, or closed it
            pass


def prepare_streams():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")


def run(sdk=None):
    """Serves the cloud on descriptor 3 until the end of the sandbox."""
    os.set_inheritable(3, False)
    runtime = Runtime(Channel(socket.socket(fileno=3)))
    if sdk:
        runtime.preload(sdk)
    runtime.channel.send({"t": "ready"})
    runtime.serve()


if __name__ == "__main__":
    prepare_streams()
    run(sys.argv[1] if len(sys.argv) > 1 else None)
