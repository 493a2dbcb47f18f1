# frozen_string_literal: true

# Runs a Ruby handler inside of a sandbox.
#
# Started ahead of time by the sandbox's init, it waits on descriptor 3. The cloud sends one `init` frame (environment,
# handler) and then one `invoke` frame per call; see frames.rs. Both lengths of a frame are big-endian 32-bit, then a JSON
# header, then the body.
#
# Messages, error objects and log formats are those of the Lambda Ruby runtime, as documented in "Define Lambda function
# handler in Ruby", "Lambda function errors in Ruby", "Lambda function logging in Ruby" and "Using the Lambda context
# object" of the Lambda Developer Guide.

require 'json'
require 'logger'
require 'socket'
require 'stringio'

$stdout.sync = true
$stderr.sync = true

module CloudletRuntime
  SCRIPT = File.expand_path(__FILE__)

  # Frames to and from the cloud.
  class Channel
    def initialize(descriptor)
      @socket = UNIXSocket.for_fd(descriptor)
      @socket.close_on_exec = true
    end

    def receive
      head, body = exactly(8).unpack('NN')
      [JSON.parse(exactly(head).force_encoding(Encoding::UTF_8)), body.zero? ? +'' : exactly(body)]
    end

    def send(header, body = '')
      header[:rss_kb] = peak_memory_kb
      text = JSON.generate(header).b
      @socket.write([text.bytesize, body.bytesize].pack('NN') + text + body.b)
    end

    private

    def exactly(count)
      data = count.zero? ? +'' : @socket.read(count)
      # The cloud has gone: nothing is left to do here.
      Process.exit!(0) if data.nil? || data.bytesize < count
      data
    end

    def peak_memory_kb
      File.read('/proc/self/status')[/^VmHWM:\s+(\d+)/, 1].to_i
    rescue StandardError
      0
    end
  end

  # Whole records to standard output, framed so that a record with newlines stays one event.
  def self.record(text)
    data = text.to_s.b.chomp
    frame = [0xa55a0003, data.bytesize, (Time.now.to_r * 1_000_000).to_i].pack('NNQ>') + data
    $stdout.flush
    $stdout.syswrite(frame)
  end

  class << self
    attr_accessor :request_id
  end

  # Lambda's format: the request id stands where others have nothing.
  class LogFormatter < Logger::Formatter
    def call(severity, time, progname, message)
      stamp = time.strftime('%Y-%m-%dT%H:%M:%S.%6N')
      id = CloudletRuntime.request_id
      format("%s, [%s #%d] %5s %s -- %s: %s\n", severity[0], stamp, Process.pid, severity, id, progname, msg2str(message))
    end
  end

  # A logger on standard output or error writes records of that format.
  module LoggerPatch
    class Device
      def write(text)
        CloudletRuntime.record(text)
      end

      def close; end
    end

    def initialize(device = nil, *rest, **options)
      if device.equal?($stdout) || device.equal?($stderr) || device.equal?(STDOUT) || device.equal?(STDERR)
        device = Device.new
        options[:formatter] ||= LogFormatter.new
      end
      super(device, *rest, **options)
    end
  end

  class Context
    attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name,
                :memory_limit_in_mb, :function_version, :identity, :client_context, :deadline_ms, :tenant_id

    def initialize(call)
      env = ENV
      @aws_request_id = call['id']
      @invoked_function_arn = call['arn']
      @log_group_name = env['AWS_LAMBDA_LOG_GROUP_NAME']
      @log_stream_name = env['AWS_LAMBDA_LOG_STREAM_NAME']
      @function_name = env['AWS_LAMBDA_FUNCTION_NAME']
      @memory_limit_in_mb = env['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
      @function_version = env['AWS_LAMBDA_FUNCTION_VERSION']
      @identity = JSON.parse(call['cognito']) if call['cognito']
      @client_context = JSON.parse(call['client_context']) if call['client_context']
      @deadline_ms = call['deadline_ms'].to_i
      @tenant_id = call['tenant']
    end

    def get_remaining_time_in_millis
      [@deadline_ms - (Time.now.to_f * 1000).to_i, 0].max
    end
  end

  class Runtime
    def initialize(channel, gems)
      @channel = channel
      @gems = gems
    end

    def serve
      @channel.send({ t: 'ready' })
      init, = @channel.receive
      begin
        initialise(init)
      rescue Exception => e # rubocop:disable Lint/RescueException - also what is no StandardError, such as SyntaxError
        answer = error_object(e, 'Init')
        report('Init error when loading handler ' + init['handler'].to_s, answer)
        @channel.send({ t: 'init_error', type: answer[:errorType] }, JSON.generate(answer))
        Process.exit!(1)
      end
      @channel.send({ t: 'init_ok' })
      loop { call(*@channel.receive) }
    end

    private

    def initialise(init)
      ENV.replace(init['env']) unless init['late']
      task = init['task_root']
      opt = init['opt_root']
      Dir.chdir(task)
      abi = RbConfig::CONFIG['ruby_version']
      $LOAD_PATH.unshift(task, "#{opt}/ruby/lib")
      folders = ["#{task}/vendor/bundle/ruby/#{abi}", "#{opt}/ruby/gems/#{abi}"]
      folders += ENV['GEM_PATH'].to_s.split(':')
      ENV['GEM_PATH'] = (folders + [@gems].compact).uniq.join(':')
      Gem.paths = { 'GEM_PATH' => (folders + Gem.path + [@gems].compact).uniq.join(':'), 'GEM_HOME' => Gem.dir }
      Logger.prepend(LoggerPatch)
      find_handler(init['handler'], task)
    end

    def find_handler(handler, task)
      parts = handler.split('.')
      unless [2, 3].include?(parts.length)
        raise ArgumentError, "Invalid handler #{handler}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where " \
                             'FILENAME corresponds with an existing Ruby source file FILENAME.rb, CLASS is an optional ' \
                             'module/class namespace and METHOD is a callable method. If using CLASS, METHOD must be a ' \
                             'class-level method.'
      end
      file = parts[0]
      @method = parts[-1].to_sym
      path = File.join(task, file)
      require(File.exist?("#{path}.rb") ? path : file)
      @owner = parts.length == 3 ? Kernel.const_get(parts[1]) : nil
    end

    def call(call, body)
      id = call['id']
      CloudletRuntime.request_id = id
      if call['trace']
        ENV['_X_AMZN_TRACE_ID'] = call['trace']
      else
        ENV.delete('_X_AMZN_TRACE_ID')
      end
      fatal = false
      begin
        event = body.empty? ? nil : JSON.parse(body.force_encoding(Encoding::UTF_8))
        answer = (@owner || Kernel).send(@method, event: event, context: Context.new(call))
        text = answer.is_a?(StringIO) || answer.is_a?(File) ? answer.read : JSON.generate(answer)
      rescue NoMemoryError, SystemExit, Interrupt, ScriptError, SystemStackError, StandardError => e
        # What is no StandardError ends the runtime, as on AWS.
        fatal = !e.is_a?(StandardError)
        failed = error_object(e, 'Function')
      end
      if failed
        report(fatal ? 'Critical exception from handler' : 'Error raised from handler method', failed)
        @channel.send({ t: 'error', id: id, type: failed[:errorType] }, JSON.generate(failed))
        Process.exit!(fatal ? 1 : 0) if fatal
      else
        $stdout.flush
        @channel.send({ t: 'response', id: id }, text.to_s)
      end
    end

    # The user's own frames: what comes after them is this file.
    def error_object(error, classification)
      trace = (error.backtrace || []).first(100).take_while { |line| !line.start_with?(SCRIPT) }
      { errorMessage: clean(error.message), errorType: "#{classification}<#{error.class}>", stackTrace: trace.map { |l| clean(l) } }
    end

    def clean(text)
      text.to_s.dup.force_encoding(Encoding::UTF_8).scrub
    end

    def report(what, answer)
      CloudletRuntime.record("#{what}\n#{JSON.pretty_generate(answer)}")
    end
  end
end

CloudletRuntime::Runtime.new(CloudletRuntime::Channel.new(3), ARGV[0]).serve
