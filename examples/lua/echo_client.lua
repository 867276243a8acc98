-- echo_client.lua - sends lines to a server and prints what comes back.
--
--     lua echo_client.lua [URL] < lines
--
-- A script that waits for each answer: no handlers, no coroutines.
local libws = require "libws"

local ws = assert(libws.connect(arg[1] or "ws://127.0.0.1:8080"))
for line in io.lines() do
  ws:send(line)
  local answer, why = ws:receive(5)
  if not answer then
    error("no answer: " .. why)
  end
  print(answer)
end

ws:close(1000, "done")
local code, reason = ws:waitClosed()
print(("closed: %d %s"):format(code, reason))
