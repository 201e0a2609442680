# Hands in one bill run and one batch over HTTP, with Ruby. Needs BILLRUNNER_URL and BILLRUNNER_API_KEY.

require "json"
require "net/http"

SOURCE = ENV.fetch("BILLRUNNER_SOURCE", "shop")
RESELLER = "0199a000-0000-7000-8000-000000000001"

def event(id, provider, billing_period)
  data = { reseller_id: RESELLER, provider: provider, billing_period: billing_period, run_id: "monthly" }
  { specversion: "1.0", id: id, source: SOURCE, type: "billrunner.bill_run.start.v1", data: data }
end

# Sends until there is an answer, which is safe: the same id is the same job.
def post(media_type, body)
  uri = URI("#{ENV.fetch("BILLRUNNER_URL")}/v1/jobs")
  headers = { "Authorization" => "Bearer #{ENV.fetch("BILLRUNNER_API_KEY")}", "Content-Type" => media_type }
  5.times do |attempt|
    wait = 2**attempt
    begin
      http = Net::HTTP.new(uri.host, uri.port)
      http.use_ssl = uri.scheme == "https"
      http.open_timeout = http.read_timeout = 30
      answer = http.start { |connection| connection.post(uri.path, JSON.generate(body), headers) }
      return answer.code.to_i, JSON.parse(answer.body) unless [408, 429, 502, 503, 504].include?(answer.code.to_i)
      wait = Integer(answer["Retry-After"] || wait)
    rescue SystemCallError, IOError, Timeout::Error => error
      warn "no answer: #{error.message}"
    end
    sleep wait
  end
  abort "billrunner does not answer"
end

def hand_in(what, event)
  status, answer = post("application/cloudevents+json", event)
  case status
  when 202 then puts "#{what}: accepted"
  when 200 then puts "#{what}: accepted before"
  when 409 then puts "#{what}: conflict, the id was used for another payload"
  else abort "#{what}: refused: #{answer["detail"]}"
  end
end

hand_in("first", event("ruby-1", "aws", "2026-08"))
hand_in("repeat", event("ruby-1", "aws", "2026-08"))
hand_in("other", event("ruby-1", "aws", "2026-09"))

batch = [event("ruby-2", "google", "2026-08"), event("ruby-3", "aws", "2026-13")]
status, answer = post("application/cloudevents-batch+json", batch)
abort "batch: refused: #{answer["detail"]}" unless status == 200
puts "batch: statuses #{answer["results"].map { |result| result["status"] }.join(" ")}"
