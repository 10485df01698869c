-- wrk: posts a form for each token of a list, each sent once. Refreshes go on with the tokens that they were given, behind the others of the list.
-- Environment: FORM (what the form says before the token), CLIENT_ID, CLIENT_SECRET, TOKENS (a file, one a line), THREADS,
-- KEEP and NEXT (files for the access tokens and refresh tokens that it is given; none by default).

local tokens, at = {}, 1
failures = 0 -- global, so that done() can read it from each thread
local threads = {}

function setup(thread)
  thread:set("index", #threads)
  table.insert(threads, thread)
end

local function open(name)
  local file = os.getenv(name) and io.open(os.getenv(name) .. "." .. index, "w")
  if file then file:setvbuf("line") end
  return file
end

function init()
  local number = 0
  for token in io.lines(os.getenv("TOKENS")) do
    if number % tonumber(os.getenv("THREADS")) == index then
      table.insert(tokens, token)
    end
    number = number + 1
  end
  form = os.getenv("FORM")
  credentials = "&client_id=" .. os.getenv("CLIENT_ID") .. "&client_secret=" .. os.getenv("CLIENT_SECRET")
  headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  isRefresh = form:find("^grant_type=refresh_token") ~= nil
  kept, following = open("KEEP"), open("NEXT")
end

local function fail(why)
  failures = failures + 1
  last = why
end

function request()
  local token = tokens[at]
  at = at + 1
  if not token then
    fail("the list of tokens was too short")
  end
  return wrk.format("POST", wrk.path, headers, form .. (token or "none-left") .. credentials)
end

function response(status, _, body)
  if status ~= 200 then
    return fail(status .. " " .. body)
  end
  if isRefresh then
    local token = body:match('"refresh_token":"([^"]+)"')
    table.insert(tokens, token)
    if following then following:write(token, "\n") end
  end
  if kept then
    kept:write(body:match('"access_token":"([^"]+)"'), "\n")
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
  io.write(string.format("RESULT %.0f %.2f %.2f %d %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, errors, summary.requests))
end
