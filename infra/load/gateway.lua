-- wrk: calls through the gateway (or its peers), each with the next of the access tokens. Environment: TOKENS (a file, one a line).

local requests = {}
local number = 0
failures = 0 -- global, so that done() can read it from each thread
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  for token in io.lines(os.getenv("TOKENS")) do
    table.insert(requests, wrk.format("GET", "/gpt/jobs/search?query=baker", { ["Authorization"] = "Bearer " .. token, ["Accept"] = "application/json", ["User-Agent"] = "ChatGPT-User/1.0" }))
  end
end

function request()
  number = number % #requests + 1
  return requests[number]
end

function response(status, _, body)
  if status ~= 200 then
    failures = failures + 1
    last = status .. " " .. body
  end
end

function done(summary, latency)
  local failed = 0
  for _, thread in ipairs(threads) do
    failed = failed + (thread:get("failures") or 0)
    if thread:get("last") then
      io.stderr:write("last failure: " .. thread:get("last") .. "\n")
    end
  end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout + failed
  io.write(string.format("RESULT %.0f %.2f %.2f %d %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors, summary.requests))
  io.write(string.format("P95 %.2f\n", latency:percentile(95) / 1000))
end
