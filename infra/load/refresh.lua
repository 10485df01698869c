-- wrk: refreshes through HTTP. Every connection continues its own chain: the refresh token of an answer is the next request's.
-- Environment: CLIENT_ID, CLIENT_SECRET, TOKENS (a file with one live refresh token a line, enough for every connection and one to spare),
-- DELAY (milliseconds each connection waits before it asks again; none by default).

local free = {}
failures = 0 -- global, so that done() can read it from each thread
local threads = {}

function setup(thread)
  thread:set("index", #threads)
  table.insert(threads, thread)
end

function init()
  local number = 0
  for token in io.lines(os.getenv("TOKENS")) do
    if number % tonumber(os.getenv("THREADS")) == index then
      table.insert(free, token)
    end
    number = number + 1
  end
  credentials = "&client_id=" .. os.getenv("CLIENT_ID") .. "&client_secret=" .. os.getenv("CLIENT_SECRET")
  headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
end

if os.getenv("DELAY") then
  local pause = tonumber(os.getenv("DELAY"))
  function delay()
    return pause
  end
end

function request()
  local token = table.remove(free, 1)
  return wrk.format("POST", "/oauth/token", headers, "grant_type=refresh_token&refresh_token=" .. (token or "none-left") .. credentials)
end

function response(status, _, body)
  local token = status == 200 and body:match('"refresh_token":"([^"]+)"')
  if token then
    table.insert(free, token)
  else
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
  io.write(string.format("RESULT %.0f %.2f %.2f %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors))
  io.write(string.format("P95 %.2f\n", latency:percentile(95) / 1000))
end
