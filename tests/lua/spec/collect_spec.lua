-- Lifetime and garbage collection (behaviour section O).
local libws = require "libws"
local support = require "support"

describe("the collector", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  local function collect()
    for _ = 1, 4 do
      collectgarbage()
    end
  end

  --- Opens a socket to a raw peer, which nothing but `listen(ws)` refers to.
  -- Returns the peer and a weak table with the socket.
  local function open_and_forget(listen)
    local listener = support.listen()
    local weak = setmetatable({}, { __mode = "v" })
    local peer
    local function open()
      local ws = libws.WebSocket(listener.url, nil, { loop = support.loop })
      weak.ws = ws
      peer = support.accept_raw(listener)
      support.run_until(function()
        return ws.readyState == 1
      end)
      listen(ws)
    end
    open()
    listener.close()
    collect()
    return peer, weak
  end

  for _, kind in ipairs { "message", "error", "close" } do
    it("leaves an open socket with a listener for " .. kind .. " (row 287)", function()
      local got
      local peer, weak = open_and_forget(function(ws)
        ws:addEventListener(kind, function(ev)
          got = ev.type
        end)
      end)
      assert.is_true(weak.ws ~= nil)
      if kind == "message" then
        peer:write(support.frame(0x81, "x"))
      else
        peer:close()
      end
      support.run_until(function()
        return got
      end)
      assert.are.equal(kind, got)
    end)
  end

  it("closes an open socket that nobody can hear of (row 288)", function()
    local peer, weak = open_and_forget(function(ws)
      ws.onopen = function() end
    end)
    assert.is_true(weak.ws == nil)
    local first, payload = peer:read_frame()
    assert.are.same({ 0x88, "" }, { first, payload })
    peer:close()
    support.run_until(function()
      return not support.loop:is_alive()
    end)
  end)

  it("leaves a closing socket with a listener for close (row 289)", function()
    local closed
    local peer, weak = open_and_forget(function(ws)
      ws.onclose = function()
        closed = true
      end
      ws:close()
    end)
    assert.is_true(weak.ws ~= nil)
    peer:read_frame()
    peer:write(support.frame(0x88, ""))
    peer:close()
    support.run_until(function()
      return closed
    end)
  end)

  it("loses nothing that was sent (row 290)", function()
    local size = 1024 * 1024
    local peer = open_and_forget(function(ws)
      ws:sendBinary(("x"):rep(size))
    end)
    local got = 0
    support.run_until(function()
      peer:fill()
      got = got + #peer.input
      peer.input = ""
      return got >= size + 14 + 6 -- Head and mask; the empty Close frame.
    end)
    assert.are.equal(size + 14 + 6, got)
    peer:close()
  end)

  it("takes a closed socket, whatever its handlers refer to (rows 291, 292)", function()
    local closed
    local peer, weak = open_and_forget(function(ws)
      ws.onmessage = function()
        ws:send "x"
      end
      ws.onclose = function()
        closed = ws.url
      end
    end)
    assert.is_true(weak.ws ~= nil)
    peer:close()
    support.run_until(function()
      return closed
    end)
    support.loop:step(0) -- The event and its listeners are let go.
    collect()
    assert.is_true(weak.ws == nil)
  end)

  it("has a socket read on that nobody can receive from", function()
    local server = support.serve_flood()
    local function open_and_forget_unread()
      local ws = assert(support.connect(server.url, { close_timeout = false }))
      while ws:stats().messages_received < 16 do
        support.loop:step(0.005)
      end
    end
    open_and_forget_unread()
    collect()
    support.run_until(function()
      return support.loop:stats().sockets == 0
    end)
  end)

  it("leaves a socket that a coroutine waits for", function()
    local got
    local peer, weak = open_and_forget(function(ws)
      support.loop:spawn(function()
        got = ws:receive()
      end)
    end)
    assert.is_true(weak.ws ~= nil)
    peer:write(support.frame(0x81, "x"))
    support.run_until(function()
      return got
    end)
  end)

  it("has open sockets say goodbye when their loop ends (row 293)", function()
    local _, peer = support.open_raw()
    support.loop:close()
    support.open_loop()
    local first, payload = peer:read_frame()
    assert.are.same({ 0x88, support.close_payload(1001) }, { first, payload })
  end)

  it("finds sockets usable whose loop has ended (row 294)", function()
    local ws = support.new "ws://h/"
    support.loop:close()
    assert.are.equal(3, ws.readyState)
    ws:close()
    ws:send "x"
    assert.are.equal(1, ws.bufferedAmount)
    support.raises("InvalidStateError", support.loop.step, support.loop)
    support.loop:close()
  end)

  it("gets everything back (row 285)", function()
    local server = support.serve_echo()
    local function round()
      for _ = 1, 20 do
        local ws = assert(support.connect(server.url))
        ws:send "x"
        ws:receive(support.LIMIT)
        ws:close()
        ws:waitClosed(support.LIMIT)
      end
      support.settle()
      collect()
    end
    round()
    local before = collectgarbage "count"
    round()
    round()
    assert.is_true(collectgarbage "count" < before + 64)
    assert.are.equal(0, support.loop:stats().sockets)
  end)

  if _VERSION == "Lua 5.4" then
    it("has <close> on Lua 5.4", function()
      local ws, peer = support.open_raw()
      local chunk = assert(load "local ws <close> = ...")
      chunk(ws)
      assert.are.equal(2, ws.readyState)
      assert.are.equal(0x88, (peer:read_frame()))
    end)
  end
end)
