-- wrk: distinct user.created events of Clerk, each signed for itself.
-- Environment: WEBHOOK_KEY (the signing key in hex), RUN (makes ids unique).

local ffi = require("ffi")
ffi.cdef [[
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *md, const void *key, int key_length, const unsigned char *data, size_t length, unsigned char *out, unsigned int *out_length);
  int EVP_EncodeBlock(unsigned char *base64, const unsigned char *data, int length);
]]
local function library()
  for _, name in ipairs({ "libcrypto.so.3", "libcrypto.so.1.1", "crypto" }) do
    local found, crypto = pcall(ffi.load, name)
    if found then return crypto end
  end
  error("OpenSSL's libcrypto is missing")
end
local crypto = library()
local digest, base64 = ffi.new("unsigned char[32]"), ffi.new("unsigned char[48]")
local key = os.getenv("WEBHOOK_KEY"):gsub("..", function(hex) return string.char(tonumber(hex, 16)) end)
local threads, number = {}, 0
failures = 0 -- global, so that done() can read it from each thread

local function sign(text)
  crypto.HMAC(crypto.EVP_sha256(), key, #key, text, #text, digest, nil)
  return "v1," .. ffi.string(base64, crypto.EVP_EncodeBlock(base64, digest, 32))
end

local body = [[{"data":{"banned":false,"birthday":"","created_at":1654012591514,"email_addresses":[{"created_at":1654012591514,"email_address":"%s@example.com","id":"idn_29w83yL7CwVlJXylYLxcslromF1",]] ..
  [["linked_to":[],"object":"email_address","updated_at":1654012591835,"verification":{"attempts":null,"expire_at":null,"status":"verified","strategy":"admin"}}],"external_accounts":[],"external_id":null,]] ..
  [["first_name":"Example","gender":"","id":"%s","image_url":"https://img.clerk.example/%s","last_name":"Example","last_sign_in_at":1654012591514,"locked":false,"object":"user","password_enabled":true,]] ..
  [["phone_numbers":[],"primary_email_address_id":"idn_29w83yL7CwVlJXylYLxcslromF1","primary_phone_number_id":null,"private_metadata":{},"public_metadata":{},"two_factor_enabled":false,"unsafe_metadata":{},]] ..
  [["updated_at":1654012591835,"username":null,"web3_wallets":[]},"instance_id":"ins_123","object":"event","timestamp":1654012591835,"type":"user.created"}]]

function setup(thread)
  thread:set("index", #threads)
  table.insert(threads, thread)
end

function request()
  number = number + 1
  local name = os.getenv("RUN") .. "_" .. index .. "_" .. number
  local text, id, time = body:format(name, "user_" .. name, name), "msg_" .. name, tostring(os.time())
  return wrk.format("POST", "/webhooks/clerk", { ["Content-Type"] = "application/json", ["svix-id"] = id, ["svix-timestamp"] = time, ["svix-signature"] = sign(id .. "." .. time .. "." .. text) }, text)
end

function response(status, _, answer)
  if status ~= 200 or answer ~= '{"received":true}' then
    failures = failures + 1
    last = status .. " " .. answer
  end
end

function done(summary, latency)
  local failed = 0
  for _, thread in ipairs(threads) do
    failed = failed + (thread:get("failures") or 0)
    if thread:get("last") then io.stderr:write("last failure: " .. thread:get("last") .. "\n") end
  end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout + failed
  io.write(string.format("RESULT %.0f %.2f %.2f %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors))
end
