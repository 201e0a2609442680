# Pushes jobs in bulk to the Sidekiq servers that run, and prints the seconds from the first push to the last job.
#
#     ruby sidekiq_run.rb noop|realistic COUNT PROCESSES
require "sidekiq/api"
require_relative "sidekiq_jobs"

scenario, count, processes = ARGV[0], Integer(ARGV[1]), Integer(ARGV[2])
sleep 0.05 until Sidekiq::ProcessSet.new.size >= processes

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

def push(scenario, count)
  arguments = scenario == "noop" ? ->(_) { [] } : ->(n) { [n % 1000] }
  (0...count).each_slice(1000) do |numbers|
    Sidekiq::Client.push_bulk("class" => scenario == "noop" ? Noop : Realistic, "args" => numbers.map(&arguments))
  end
end

if scenario == "noop"
  started = now
  push(scenario, count)
  # A job that was taken and still runs is overlooked: in Sidekiq's favour.
  sleep 0.002 until Sidekiq.redis { |redis| redis.llen("queue:default") }.zero?
else
  database = PG.connect(ENV.fetch("DATABASE_URL"))
  servers = ENV.fetch("SIDEKIQ_PIDS").split.map(&:to_i)
  # As with ours, all jobs are there when the clock starts.
  Process.kill("STOP", *servers)
  push(scenario, count)
  started = now
  Process.kill("CONT", *servers)
  sleep 0.01 until database.exec("SELECT last_value FROM billrunner.bench_entries_id_seq").getvalue(0, 0).to_i >= count
end
puts now - started
