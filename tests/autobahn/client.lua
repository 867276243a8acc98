-- The client of libws in Lua for Autobahn's fuzzing server.
--
--     lua client.lua ws://127.0.0.1:9001 AGENT
--
-- Asks how many cases there are, sends back what comes in each, and has the report
-- written. client.c and client.py are the same.
local libws = require "libws"

local server, agent = arg[1], arg[2]

-- Talks until the connection has ended.
local function converse(target, onmessage)
  local ws = libws.WebSocket(server .. target, nil, { max_message = false, proxy = "" })
  ws.onmessage = function(event) onmessage(ws, event) end
  libws.run()
end

local count
converse("/getCaseCount", function(_, event) count = tonumber(event.data) end)
assert(count, "no answer from " .. server)
for case = 1, count do
  converse(("/runCase?case=%d&agent=%s"):format(case, agent), function(ws, event)
    ws:send(event.data, { binary = event.binary })
  end)
end
converse("/updateReports?agent=" .. agent, function() end)
print(("%s: %d cases"):format(agent, count))
