-- wrk: calls of a tool, each with the next of the access tokens. Environment: TOKENS (a file, one a line).

local requests = {}
local number = 0
failures = 0 -- global, so that done() can read it from each thread
local threads = {}
local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"searchJobs","arguments":{"query":"baker"},"_meta":{'
  .. '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"wrk","version":"1"},'
  .. '"io.modelcontextprotocol/clientCapabilities":{}}}}'

function setup(thread)
  table.insert(threads, thread)
end

function init()
  for token in io.lines(os.getenv("TOKENS")) do
    table.insert(requests, wrk.format("POST", "/gpt/mcp", {
      ["Authorization"] = "Bearer " .. token, ["Accept"] = "application/json, text/event-stream", ["Content-Type"] = "application/json",
      ["User-Agent"] = "ChatGPT-User/1.0", ["MCP-Protocol-Version"] = "2026-07-28", ["Mcp-Method"] = "tools/call", ["Mcp-Name"] = "searchJobs",
    }, body))
  end
end

function request()
  number = number % #requests + 1
  return requests[number]
end

function response(status, _, answer)
  if status ~= 200 or answer:find('"isError":true', 1, true) or not answer:find('"content"', 1, true) then
    failures = failures + 1
    last = status .. " " .. answer
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
end
