-- Constants, attributes and how Lua maps them (behaviour sections E and U).
local libws = require "libws"
local support = require "support"
local raises = support.raises

describe("a WebSocket", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  it("has the constants, on the class and on objects (rows 100, 101, 102)", function()
    local ws = support.new "ws://h/"
    for value, name in pairs { [0] = "CONNECTING", "OPEN", "CLOSING", "CLOSED" } do
      for _, object in ipairs { libws.WebSocket, ws } do
        assert.are.equal(value, object[name])
        raises("TypeError", function()
          object[name] = 5
        end)
        assert.are.equal(value, object[name])
      end
    end
  end)

  it("has read-only attributes (rows 104, 118, 400)", function()
    local ws = support.new "ws://h/"
    for _, name in ipairs { "readyState", "bufferedAmount", "url", "protocol", "extensions", "send" } do
      local value = ws[name]
      local err = raises("TypeError", function()
        ws[name] = 5
      end)
      assert.is_truthy(err.message:find(": " .. name .. " is read-only", 1, true))
      assert.are.equal(value, ws[name])
    end
  end)

  it("starts with empty attributes (rows 56, 103, 111, 114, 117, 120)", function()
    local ws = support.new "ws://h/"
    assert.are.same(
      { 0, "", "", "blob", 0 },
      { ws.readyState, ws.protocol, ws.extensions, ws.binaryType, ws.bufferedAmount }
    )
    for _, name in ipairs { "onopen", "onmessage", "onerror", "onclose" } do
      assert.is_nil(ws[name])
    end
  end)

  it("shows what was negotiated (rows 105, 112, 113)", function()
    for _, compression in ipairs { true, false } do
      local server = support.serve { compression = compression }
      local ws = support.new(server.url)
      local state, extensions
      ws.onopen = function()
        state, extensions = ws.readyState, ws.extensions
      end
      support.run_until(function()
        return state
      end)
      assert.are.equal(1, state)
      assert.are.equal(compression and "permessage-deflate" or "", extensions:match "^[^;]*")
    end
  end)

  it("ignores unknown values of binaryType (rows 115, 116, 354)", function()
    local ws = support.new "ws://h/"
    ws.binaryType = "arraybuffer"
    assert.are.equal("arraybuffer", ws.binaryType)
    for _, value in ipairs { "notBlobOrArrayBuffer", "nodebuffer", "fragments" } do
      ws.binaryType = value
      assert.are.equal("arraybuffer", ws.binaryType)
    end
  end)

  it("has the methods of an EventTarget, and those of a browser (row 121)", function()
    local ws = support.new "ws://h/"
    for _, name in ipairs { "addEventListener", "removeEventListener", "dispatchEvent", "send", "close" } do
      assert.are.equal("function", type(ws[name]))
    end
  end)

  it("has ping() as an extension, which brings no event of a browser's (row 304)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    assert.is_nil(ws.onping)
    ws:ping "x"
    assert.are.equal("x", (select(2, peer:read_frame())))
    peer:write(support.frame(0x8A, "x") .. support.frame(0x89, "y") .. support.frame(0x88, ""))
    assert.are.equal("y", (select(2, peer:read_frame())))
    assert.is_nil(peer:read_close())
    peer:close()
    assert.are.same({ 'close(1005,"",true)' }, record.wait())
  end)

  it("has the limits it promises, and none only by name (row 345)", function()
    local client, peer = support.open_raw { close_timeout = 0.02 }
    peer:write("\130\127\0\0\0\0\1\0\0\1") -- 16 MiB + 1.
    assert.are.equal(1009, peer:read_close())
    local server, raw = support.open_raw_server { close_timeout = 0.02 }
    raw:write("\130\255\0\0\0\0\0\16\0\1mask") -- 1 MiB + 1.
    assert.are.equal(1009, raw:read_close())
    support.run_until(function()
      return client.readyState == 3 and server.readyState == 3
    end)
    raises("TypeError", support.new, "ws://h/", nil, { max_message = 0 })
    server, raw = support.open_raw_server { max_message = false }
    local len
    server.onmessage = function(ev)
      len = #ev.data
    end
    raw:write("\130\255\0\0\0\0\0\16\0\1\0\0\0\0" .. ("x"):rep(1024 * 1024 + 1))
    support.run_until(function()
      return len
    end)
    assert.are.equal(1024 * 1024 + 1, len)
  end)

  it("takes fields of the application", function()
    local ws = support.new "ws://h/"
    ws.user = "me"
    assert.are.equal("me", ws.user)
    assert.is_nil(ws.nobody)
  end)

  it("says when a method was called with a dot (row 398)", function()
    local ws = support.new "ws://h/"
    local err = raises("TypeError", ws.close, 1000)
    assert.is_truthy(err.message:find("ws:close(...)", 1, true))
    for _, name in ipairs { "send", "sendBinary", "ping", "receive", "addEventListener", "terminate", "stats" } do
      raises("TypeError", ws[name], "x")
    end
  end)

  it("raises tables that print well (row 394)", function()
    local ok, err = pcall(libws.WebSocket, "bad url")
    assert.is_false(ok)
    assert.are.equal("SyntaxError", err.name)
    assert.are.equal(12, err.code)
    assert.are.equal("SyntaxError: " .. err.message, tostring(err))
  end)

  it("raises with the line of the application (row 394)", function()
    local ws = support.new "ws://h/"
    local here = debug.getinfo(1, "S").short_src
    local function line_of(fn, ...)
      local ok, err = pcall(fn, ...)
      assert.is_false(ok)
      return err.message:match "^(.-:%d+): "
    end
    local line = debug.getinfo(1, "l").currentline
    assert.are.equal(("%s:%d"):format(here, line + 2), line_of(function()
      ws:close(1001)
    end))
    assert.are.equal(("%s:%d"):format(here, line + 5), line_of(function()
      ws.url = "ws://o/"
    end))
    assert.are.equal(("%s:%d"):format(here, line + 8), line_of(function()
      libws.connect("ws://h/", { max_mesage = 1 })
    end))
    local in_coroutine = coroutine.wrap(function()
      local _, err = pcall(ws.send, ws, 5)
      return err.message:match "^(.-:%d+): "
    end)
    assert.are.equal(("%s:%d"):format(here, line + 11), in_coroutine())
  end)

  it("says what is wrong with an argument (row 394)", function()
    local ws = assert(support.connect(support.serve_echo().url))
    local connecting = support.new "ws://127.0.0.1:1/"
    for _, case in ipairs {
      { "timeout: number expected, got string", ws.receive, ws, "x" },
      { "sleep: number expected, got nil", support.loop.sleep, support.loop },
      { "spawn: function expected, got nil", libws.spawn },
      { "send: table expected, got boolean", ws.send, ws, "x", true },
      { "sendBinary: table expected, got number", ws.sendBinary, ws, "x", 1 },
      { "data: must be at most 125 bytes", ws.ping, ws, ("x"):rep(126) },
      { "reason: must be at most 123 bytes", ws.close, ws, 1000, ("x"):rep(124) },
      { "code: must be 1000, or from 3000 to 4999", ws.close, ws, 1001 },
      { "code: must be one that may be on the wire", ws.closeWith, ws, 1006 },
      { "subscribe: only sockets of a server can", ws.subscribe, ws, "topic" },
      { "publish: only sockets of a server can", ws.publish, ws, "topic", "x" },
      { "the connection is not open yet", connecting.send, connecting, "x" },
      { "loop: Loop expected, got table", libws.connect, "ws://h/", { loop = {} } },
      { "loop: Loop expected, got string", libws.serve, { port = 0, loop = "x" } },
      { "max_message: must be a whole number of at least 1", libws.connect, "ws://h/", { max_message = 1.5 } },
    } do
      local ok, err = pcall(support.unpack(case, 2))
      assert.is_false(ok)
      assert.are.equal(case[1], err.message:match "^[^:]*:%d+: (.*)")
    end
    connecting:terminate()
    ws:close()
  end)

  it("has integers where Lua has them (row 399)", function()
    local server = support.serve_echo()
    local ws = support.new(server.url)
    local codes = {}
    ws.onopen = function()
      ws:close(1000)
    end
    ws.onclose = function(ev)
      codes = { ev.code, ws.readyState, ws.bufferedAmount }
    end
    support.run_until(function()
      return codes[1]
    end)
    assert.are.same({ 1000, 3, 0 }, codes)
    for _, value in ipairs(codes) do
      assert.are.equal(math.type and "integer" or nil, math.type and math.type(value))
      assert.is_nil(tostring(value):find(".", 1, true))
    end
  end)

  it("writes no globals", function()
    local allowed = {}
    for name in pairs(_G) do
      allowed[name] = true
    end
    local server = support.serve_echo()
    local ws = assert(support.connect(server.url))
    ws:send "x"
    assert.are.equal("x", (ws:receive(support.LIMIT)))
    for name in pairs(_G) do
      assert.is_true(allowed[name], name)
    end
  end)

  it("reports errors of handlers to a hook (rows 267, 401)", function()
    local ws = support.new(support.serve_echo().url)
    local second
    ws:addEventListener("open", function()
      error "first"
    end)
    ws:addEventListener("open", function()
      second = true
    end)
    support.run_until(function()
      return second
    end)
    assert.are.equal(1, ws.readyState)
    local reports = support.take_reports()
    assert.are.equal(1, #reports)
    assert.is_truthy(reports[1].err:find "first$")
    assert.is_truthy(reports[1].traceback:find "attributes_spec.lua")
  end)

  it("takes its place in the hook back (row 401)", function()
    raises("TypeError", function()
      libws.onerror = 5
    end)
    local hook = function() end
    libws.onerror = hook
    assert.are.equal(hook, libws.onerror)
  end)
end)
