# The jobs of the comparison, for Sidekiq: loaded by its server and by sidekiq_run.rb.
require "sidekiq"
require "pg"

REDIS = { url: "unix://#{ENV.fetch("REDIS_SOCKET")}", size: 20 }
Sidekiq.configure_client { |config| config.redis = REDIS }
Sidekiq.configure_server { |config| config.redis = REDIS }
Sidekiq.logger.level = Logger::ERROR

class Noop
  include Sidekiq::Worker
  sidekiq_options retry: false

  def perform
  end
end

# Reads a row and inserts a row in one transaction, on a connection of its thread's own.
class Realistic
  include Sidekiq::Worker
  sidekiq_options retry: false

  def self.connection
    Thread.current[:bench_connection] ||= PG.connect(ENV.fetch("DATABASE_URL")).tap do |connection|
      connection.prepare("read", "SELECT name FROM billrunner.bench_accounts WHERE id = $1")
      connection.prepare("write", "INSERT INTO billrunner.bench_entries (account_id, name) VALUES ($1, $2)")
    end
  end

  def perform(account_id)
    connection = self.class.connection
    connection.transaction do
      name = connection.exec_prepared("read", [account_id]).getvalue(0, 0)
      connection.exec_prepared("write", [account_id, name])
    end
  end
end
