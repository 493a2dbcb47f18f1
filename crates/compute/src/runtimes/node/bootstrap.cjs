'use strict';
/* Runs a Node.js handler inside of a sandbox.
 *
 * Started ahead of time by the sandbox's init, it waits on descriptor 3. The cloud sends one `init` frame (environment,
 * handler) and then one `invoke` frame per call; see frames.rs. Both lengths of a frame are big-endian 32-bit, then a
 * JSON header, then the body.
 *
 * Messages, error objects and log formats are those of the Lambda Node.js runtime, as documented in "Define Lambda
 * function handler in Node.js", "Lambda function logging in Node.js", "Using the Lambda context object" and "Response
 * streaming" of the Lambda Developer Guide.
 */

const fs = require('fs');
const net = require('net');
const path = require('path');
const util = require('util');
const { Module, createRequire } = require('module');
const { pathToFileURL } = require('url');
const { Writable } = require('stream');

/* ---- the line to the cloud ---- */

class Channel {
  constructor(fd) {
    this.held = Buffer.alloc(0);
    this.parts = [];
    this.size = 0;
    this.waiting = null;
    this.socket = new net.Socket({ fd, readable: true, writable: true });
    this.socket.on('data', (data) => this.take(data));
    // The cloud has gone: nothing is left to do here.
    this.socket.on('close', () => process.reallyExit(0));
    this.socket.on('error', () => process.reallyExit(0));
  }

  take(data) {
    this.parts.push(data);
    this.size += data.length;
    this.deliver();
  }

  /* Gives the next whole frame to who waits for it. */
  deliver() {
    if (!this.waiting || this.size < 8) return;
    if (this.parts.length > 1 && this.parts[0].length < 8) this.join();
    const head = this.parts[0].readUInt32BE(0);
    const body = this.parts[0].readUInt32BE(4);
    if (this.size < 8 + head + body) return;
    this.join();
    const all = this.parts[0];
    const header = JSON.parse(all.toString('utf8', 8, 8 + head));
    const frame = [header, all.subarray(8 + head, 8 + head + body)];
    const rest = all.subarray(8 + head + body);
    this.parts = rest.length ? [rest] : [];
    this.size = rest.length;
    const waiting = this.waiting;
    this.waiting = null;
    // While the user's code runs, only what it waits for keeps the event loop alive.
    this.socket.unref();
    waiting(frame);
  }

  join() {
    if (this.parts.length > 1) this.parts = [Buffer.concat(this.parts, this.size)];
  }

  receive(then) {
    this.waiting = then;
    this.socket.ref();
    this.deliver();
  }

  send(header, body, done) {
    body = body || Buffer.alloc(0);
    header.rss_kb = process.resourceUsage().maxRSS;
    const head = Buffer.from(JSON.stringify(header));
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(head.length, 0);
    lengths.writeUInt32BE(body.length, 4);
    this.socket.ref();
    const wrote = this.socket.write(Buffer.concat([lengths, head, body]), () => {
      if (!this.waiting) this.socket.unref();
      if (done) done();
    });
    return wrote;
  }

  /* For the last words before the end: the event loop may never turn again. */
  sendNow(header, body) {
    header.rss_kb = process.resourceUsage().maxRSS;
    const head = Buffer.from(JSON.stringify(header));
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(head.length, 0);
    lengths.writeUInt32BE(body.length, 4);
    writeAll(3, Buffer.concat([lengths, head, body]));
  }
}

function writeAll(fd, bytes) {
  while (bytes.length) {
    try {
      bytes = bytes.subarray(fs.writeSync(fd, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/* ---- logs ---- */

const LEVELS = { TRACE: [1, 6], DEBUG: [2, 10], INFO: [3, 14], WARN: [4, 18], ERROR: [5, 22], FATAL: [6, 26] };

const logs = { json: false, least: 0, requestId: undefined };

/* One record, framed so that a record with newlines stays one event. */
function record(level, text) {
  const data = Buffer.from(text, 'utf8');
  const head = Buffer.alloc(16);
  head.writeUInt32BE(0xa55a0000 + LEVELS[level][1] + (logs.json ? 0 : 1), 0);
  head.writeUInt32BE(data.length, 4);
  head.writeBigUInt64BE(BigInt(Date.now()) * 1000n, 8);
  writeAll(1, Buffer.concat([head, data]));
}

function errorFields(error) {
  return {
    errorType: (error.constructor && error.constructor.name) || 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : [],
  };
}

function jsonText(level, values) {
  const out = { timestamp: new Date().toISOString(), level, requestId: logs.requestId };
  if (values.length === 1) {
    out.message = values[0];
    try {
      const plain = (_, value) => (value instanceof Error ? { ...errorFields(value), ...value } : value);
      return JSON.stringify(out, plain);
    } catch (_) {
      out.message = util.format(values[0]);
      return JSON.stringify(out);
    }
  }
  out.message = util.format(...values);
  const error = values.find((value) => value instanceof Error);
  if (error) Object.assign(out, errorFields(error));
  return JSON.stringify(out);
}

function log(level, values) {
  if (logs.json) {
    if (LEVELS[level][0] >= logs.least) record(level, jsonText(level, values));
    return;
  }
  record(level, `${new Date().toISOString()}\t${logs.requestId}\t${level}\t${util.format(...values)}`);
}

/* A failure of the function, as the runtime itself logs it. */
function logFailure(what, error) {
  if (logs.json) return log('ERROR', [what, error]);
  log('ERROR', [`${what} \t${JSON.stringify(loggable(error))}`.replace(/%/g, '%%')]);
}

function loggable(error) {
  if (!(error instanceof Error)) {
    return { errorType: typeof error, errorMessage: String(error), stack: [] };
  }
  const own = {};
  for (const name of Object.keys(error)) if (!['name', 'message', 'stack'].includes(name)) own[name] = error[name];
  const out = { errorType: error.name, errorMessage: error.message, ...own, stack: (error.stack || '').split('\n') };
  try {
    JSON.stringify(out);
    return out;
  } catch (_) {
    return { errorType: error.name, errorMessage: error.message, stack: out.stack };
  }
}

function patchConsole() {
  const names = { log: 'INFO', info: 'INFO', debug: 'DEBUG', warn: 'WARN', error: 'ERROR', trace: 'TRACE', fatal: 'FATAL' };
  for (const [name, level] of Object.entries(names)) console[name] = (...values) => log(level, values);
}

/* ---- errors ---- */

class Fault extends Error {
  constructor(kind, message) {
    super(message);
    this.name = kind;
  }
}

/* What the caller of the function is told. */
function answerOf(error) {
  try {
    if (error instanceof Error || (util.types.isNativeError && util.types.isNativeError(error))) {
      return {
        errorType: String(error.name).replace(/\x7F/g, '%7F'),
        errorMessage: String(error.message).replace(/\x7F/g, '%7F'),
        trace: String(error.stack || '').replace(/\x7F/g, '%7F').split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch (_) {
    return { errorType: 'handled', errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack', trace: [] };
  }
}

/* ---- finding the handler ---- */

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (_) {
    return null;
  }
}

/* Whether Node takes `file` for an ECMAScript module. */
function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (file.endsWith('.cjs')) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (fs.existsSync(manifest)) return (readJson(manifest) || {}).type === 'module';
    if (folder === path.dirname(folder) || path.basename(folder) === 'node_modules') return false;
  }
}

function isFile(name) {
  try {
    return fs.statSync(name).isFile();
  } catch (_) {
    return false;
  }
}

async function load(file) {
  return isModule(file) ? import(pathToFileURL(file).href) : require(file);
}

async function userModule(root, folder, name) {
  const base = path.resolve(root, folder, name);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    if (isFile(base + extension)) return load(base + extension);
  }
  // A package of node_modules or of a layer.
  let found;
  try {
    const wanted = folder ? path.posix.join(folder, name) : name;
    found = createRequire(path.join(root, 'index.js')).resolve(wanted);
  } catch (_) {
    const error = new Fault('Runtime.ImportModuleError', '');
    error.message = `Error: Cannot find module '${name}'\nRequire stack:\n- /var/runtime/index.mjs`;
    throw error;
  }
  return load(found);
}

async function findHandler(root, handler) {
  if (handler.includes('..')) {
    throw new Fault('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(handler);
  const folder = handler.slice(0, handler.length - base.length);
  const match = /^([^.]*)\.(.*)$/.exec(base);
  if (!match) throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
  let loaded;
  try {
    loaded = await userModule(root, folder, match[1]);
  } catch (error) {
    if (error instanceof SyntaxError) throw renamed('Runtime.UserCodeSyntaxError', error);
    if (error && ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(error.code)) {
      throw renamed('Runtime.ImportModuleError', error);
    }
    throw error;
  }
  const walk = (from) => match[2].split('.').reduce((at, name) => (at === undefined || at === null ? undefined : at[name]), from);
  let found = walk(loaded);
  if (found === undefined && loaded && loaded.default) found = walk(loaded.default);
  if (found === undefined || found === null) {
    throw new Fault('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  }
  if (typeof found !== 'function') throw new Fault('Runtime.HandlerNotFound', `${handler} is not a function`);
  return found;
}

function renamed(kind, error) {
  const fault = new Fault(kind, String(error));
  fault.stack = error.stack;
  return fault;
}

/* ---- response streaming ---- */

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const HTTP_RESPONSE = 'application/vnd.awslambda.http-integration-response';

function provideAwslambda() {
  const awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof (options && options.highWaterMark) === 'number') handler[HIGH_WATER] = options.highWaterMark;
      return handler;
    },
    HttpResponseStream: {
      from(stream, prelude) {
        stream.setContentType(HTTP_RESPONSE);
        // The metadata, then eight zero bytes, then what the function writes.
        stream._prelude(Buffer.concat([Buffer.from(JSON.stringify(prelude || {})), Buffer.alloc(8)]));
        return stream;
      },
    },
  };
  globalThis.awslambda = awslambda;
}

class ResponseStream extends Writable {
  constructor(runtime, id, highWaterMark) {
    super({ highWaterMark: highWaterMark || 64 * 1024 });
    this.runtime = runtime;
    this.id = id;
    this.type = 'application/octet-stream';
    this.begun = false;
    this.held = null;
  }

  setContentType(type) {
    if (this.begun) throw new Fault('Runtime.InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this.type = type;
  }

  _prelude(bytes) {
    this.held = bytes;
  }

  start() {
    if (this.begun) return;
    this.begun = true;
    this.runtime.channel.send({ t: 'stream', id: this.id, type: this.type });
    if (this.held) this.runtime.channel.send({ t: 'chunk', id: this.id }, this.held);
  }

  _write(chunk, encoding, done) {
    if (!Buffer.isBuffer(chunk) && !(chunk instanceof Uint8Array)) chunk = Buffer.from(String(chunk), encoding);
    this.start();
    this.runtime.channel.send({ t: 'chunk', id: this.id }, chunk, done);
  }

  write(chunk, encoding, done) {
    // As on AWS: what is neither text nor bytes goes out as JSON.
    if (typeof chunk !== 'string' && !Buffer.isBuffer(chunk) && !(chunk && chunk.constructor === Uint8Array)) {
      chunk = JSON.stringify(chunk);
    }
    return super.write(chunk, encoding, done);
  }

  _final(done) {
    this.start();
    done();
  }
}

/* ---- calls ---- */

class Runtime {
  constructor(channel) {
    this.channel = channel;
    this.handler = null;
    this.call = null;
    this.whenEmpty = null;
    process.on('beforeExit', () => {
      const then = this.whenEmpty;
      this.whenEmpty = null;
      if (then) then();
    });
    process.on('uncaughtException', (error) => this.die('Uncaught Exception', error, answerOf(error), 129));
    process.on('unhandledRejection', (reason, promise) => {
      const error = new Fault('Runtime.UnhandledPromiseRejection', '');
      error.message = reason === undefined || reason === null ? String(reason) : String(reason);
      error.stack = error.stack.replace(/^[^\n]*/, `Runtime.UnhandledPromiseRejection: ${error.message}`);
      error.reason = reason;
      error.promise = promise;
      this.die('Unhandled Promise Rejection', error, answerOf(error), 128);
    });
  }

  /* Nothing can be relied upon any more: says what happened and ends. */
  die(what, error, answer, code) {
    if (error.promise) error.reason = loggable(error.reason);
    if (error.promise) error.promise = {};
    logFailure(what, error);
    const body = Buffer.from(JSON.stringify(answer));
    if (this.call) this.channel.sendNow({ t: 'error', id: this.call, type: answer.errorType }, body);
    else if (!this.handler) this.channel.sendNow({ t: 'init_error', type: answer.errorType }, body);
    process.exit(code);
  }

  async initialise(init) {
    if (!init.late) {
      for (const name of Object.keys(process.env)) delete process.env[name];
      Object.assign(process.env, init.env);
    }
    process.chdir(init.task_root);
    Module._initPaths();
    logs.json = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
    const level = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()];
    logs.least = level ? level[0] : 0;
    patchConsole();
    provideAwslambda();
    const handler = await findHandler(init.task_root, init.handler);
    const version = /^AWS_Lambda_nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV || '');
    this.modern = version !== null && Number(version[1]) >= 24;
    if (this.modern && handler.length >= 3 && !handler[STREAMING]) {
      throw new Fault(
        'Runtime.CallbackHandlerDeprecated',
        'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You will need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.',
      );
    }
    this.handler = handler;
  }

  next() {
    this.call = null;
    this.whenEmpty = null;
    this.channel.receive(([call, body]) => this.invoke(call, body));
  }

  fail(id, error) {
    if (this.call !== id) return;
    const answer = answerOf(error);
    logFailure('Invoke Error', error);
    this.call = null;
    this.channel.send({ t: 'error', id, type: answer.errorType }, Buffer.from(JSON.stringify(answer)));
    this.next();
  }

  complete(id, result) {
    if (this.call !== id) {
      log('ERROR', ['Invocation has already been reported as done. Cannot call complete more than once per invocation.']);
      return;
    }
    let body;
    try {
      const text = JSON.stringify(result === undefined ? null : result);
      body = Buffer.from(text === undefined ? 'null' : text);
    } catch (error) {
      return this.fail(id, new Fault('Runtime.UnmarshallableResponse', `Unable to stringify response body as json: ${error.message}`));
    }
    this.call = null;
    this.channel.send({ t: 'response', id }, body);
    this.next();
  }

  invoke(call, body) {
    const id = call.id;
    this.call = id;
    logs.requestId = id;
    if (call.trace) process.env._X_AMZN_TRACE_ID = call.trace;
    else delete process.env._X_AMZN_TRACE_ID;
    // A handler that neither answers nor waits for anything has answered null.
    this.whenEmpty = () => setImmediate(() => this.call === id && this.complete(id, null));
    let event, context;
    try {
      context = this.context(call);
      event = JSON.parse(body.length ? body.toString('utf8') : 'null');
    } catch (error) {
      return this.fail(id, error);
    }
    if (this.handler[STREAMING]) return this.stream(id, event, context);
    let waits = true;
    const done = (error, result) => {
      this.whenEmpty = null;
      if (error !== undefined && error !== null) this.fail(id, error);
      else this.complete(id, result);
    };
    const callback = (error, result) => {
      if (error !== undefined && error !== null) return done(error);
      if (!waits) return done(null, result);
      if (this.call === id) this.whenEmpty = () => setImmediate(() => this.complete(id, result));
      return undefined;
    };
    if (!this.modern) {
      Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
        enumerable: true,
        get: () => waits,
        set: (value) => {
          waits = value;
        },
      });
      context.done = done;
      context.succeed = (result) => done(null, result);
      context.fail = (error) => done(error === undefined || error === null ? 'handled' : error);
    }
    try {
      const result = this.modern ? this.handler(event, context) : this.handler(event, context, callback);
      if (result && typeof result.then === 'function') {
        result.then((value) => done(null, value), (error) => done(error === undefined || error === null ? 'handled' : error));
      } else if (this.modern) {
        done(null, result);
      }
    } catch (error) {
      done(error === undefined || error === null ? 'handled' : error);
    }
  }

  stream(id, event, context) {
    const stream = new ResponseStream(this, id, this.handler[HIGH_WATER]);
    let over = false;
    const end = (error) => {
      if (over) return;
      over = true;
      this.whenEmpty = null;
      if (error === undefined) {
        this.call = null;
        this.channel.send({ t: 'end', id });
        return this.next();
      }
      if (!stream.begun) return this.fail(id, error);
      const answer = answerOf(error);
      logFailure('Invoke Error', error);
      this.call = null;
      this.channel.send({ t: 'error', id, type: answer.errorType }, Buffer.from(JSON.stringify(answer)));
      return this.next();
    };
    stream.on('finish', () => end());
    stream.on('error', (error) => end(error));
    this.whenEmpty = () => {
      if (!over && !stream.writableEnded) end(new Fault('Runtime.NodejsExit', 'the event loop is empty and the response stream was not ended'));
    };
    try {
      const result = this.handler(event, stream, context);
      if (!result || typeof result.then !== 'function') {
        throw new Fault('Runtime.InvalidStreamingHandler', 'Streaming does not support non-async handlers.');
      }
      result.then(() => {
        if (!stream.writableEnded) stream.end();
      }, (error) => end(error === undefined || error === null ? 'handled' : error));
    } catch (error) {
      end(error);
    }
  }

  context(call) {
    const env = process.env;
    const parse = (text, what) => {
      if (!text) return undefined;
      try {
        return JSON.parse(text);
      } catch (error) {
        throw new Fault('Runtime.LambdaContextUnmarshalError', `Cannot parse ${what} as json: ${error.message}`);
      }
    };
    return {
      functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
      functionName: env.AWS_LAMBDA_FUNCTION_NAME,
      memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: parse(call.client_context, 'client context'),
      identity: parse(call.cognito, 'cognito identity'),
      invokedFunctionArn: call.arn,
      awsRequestId: call.id,
      tenantId: call.tenant || undefined,
      getRemainingTimeInMillis: () => Math.max(0, call.deadline_ms - Date.now()),
    };
  }
}

function main() {
  const channel = new Channel(3);
  const runtime = new Runtime(channel);
  channel.receive(async ([init]) => {
    // The handler's module may take its time; its promises must not find an empty event loop.
    const alive = setInterval(() => {}, 1 << 30);
    try {
      await runtime.initialise(init);
    } catch (error) {
      const answer = answerOf(error);
      logFailure('Uncaught Exception', error);
      channel.sendNow({ t: 'init_error', type: answer.errorType }, Buffer.from(JSON.stringify(answer)));
      process.exit(1);
    }
    clearInterval(alive);
    channel.send({ t: 'init_ok' });
    runtime.next();
  });
  channel.send({ t: 'ready' });
}

main();
