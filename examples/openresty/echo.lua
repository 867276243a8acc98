--- Sends everything back.

local resty = require "libws.resty"

local ws = resty.upgrade { compression = true }
if not ws then
  return -- upgrade() has told the client why.
end

for data, binary in ws:messages() do
  ws:send(data, { binary = binary })
  ws:drain() -- No faster than the client reads.
end
