--- How fast libws.codec takes messages in and hands them out, without any I/O:
-- gigabytes per second of binary messages of 64 KiB, from a client engine to a
-- server engine, for each direction's half of the work.
--
--     lua codec.lua [SECONDS]

local codec = require "libws.codec"

local SIZE = 64 * 1024
local SECONDS = tonumber(arg[1]) or 1

--- Carries all output of one engine to another.
local function carry(from, to)
  for bytes in from.output, from do
    to:feed(bytes)
    repeat
      local kind = to:next()
      if kind == codec.REQUEST then
        to:accept()
      end
    until not kind
  end
end

local client, server = codec.conn("client", 0, { compression = false }), codec.conn("server", 0)
client:connect "ws://127.0.0.1/"
carry(client, server)
carry(server, client)

--- Returns bytes per second of processor time.
local function measure(step)
  local start, count = os.clock(), 0
  repeat
    for _ = 1, 100 do
      step()
    end
    count = count + 100
    local elapsed = os.clock() - start
    if elapsed >= SECONDS then
      return count * SIZE / elapsed
    end
  until false
end

local data = ("\1\2\3\4"):rep(SIZE / 4)

--- A server's frame made by a server is what a client reads.
server:send(data, true)
local frame = server:output()

local sent = measure(function()
  server:send(data, true)
  server:output()
end)
local received = measure(function()
  client:feed(frame)
  repeat
  until not client:next()
end)
print(('{"send": %.2f, "receive": %.2f}'):format(sent / 1e9, received / 1e9))
