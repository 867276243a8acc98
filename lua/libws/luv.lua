--- libws inside luv (libuv).
--
--   require "libws.luv".attach()
--   local ws = libws.WebSocket(url) ...
--   require "luv".run()

local luv = require "luv"
local libws = require "libws"

local bridge = {}

--- Has libuv's loop run `loop` (default: libws.loop()).
function bridge.attach(loop)
  loop = loop or libws.loop()
  local poll = luv.new_poll(loop:fd())

  local function turn()
    loop:step(0)
    if not loop:is_alive() then
      poll:stop() -- So that libuv's run() may end.
    end
  end

  loop:attach {
    start = function()
      poll:start("r", turn)
    end,
  }
end

return bridge
