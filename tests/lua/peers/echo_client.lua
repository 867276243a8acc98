-- A client under test: sends text and bytes of many sizes to an echo server,
-- compares, closes with 1000, and prints the extensions.
--
--     lua echo_client.lua URL [no-compression] [ca=FILE]
local libws = require "libws"

local options = { max_message = 32 * 1024 * 1024, max_send_queue = 64 * 1024 * 1024 }
for i = 2, #arg do
  if arg[i] == "no-compression" then
    options.compression = false
  else
    options.ca = arg[i]:match "^ca=(.*)$"
  end
end

--- So many bytes, printable or all kinds.
local function pattern(size, first, period)
  local bytes = {}
  for i = 1, period do
    bytes[i] = string.char(first + i - 1)
  end
  return table.concat(bytes):rep(math.ceil(size / period)):sub(1, size)
end

local ws = assert(libws.connect(arg[1], options))
for _, size in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 65537, 1024 * 1024, 16 * 1024 * 1024 } do
  for _, message in ipairs { { pattern(size, 32, 95), false }, { pattern(size, 0, 251), true } } do
    ws:send(message[1], { binary = message[2] })
    local data, binary = ws:receive(20)
    assert(data == message[1] and binary == message[2], size)
  end
end
ws:close(1000, "done")
local code, reason, is_clean = ws:waitClosed(20)
assert(code == 1000 and reason == "done" and is_clean, code)
print("extensions: " .. ws.extensions)
