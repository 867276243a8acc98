-- close() and how connections end (behaviour sections J, K, L and S).
local support = require "support"
local raises = support.raises

describe("a connection", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  local bad_codes =
    { 0, 500, 999, 1001, 1005, 1006, 1011, 1015, 2999, 5000, 65536 + 1000, -1, 0 / 0, 1 / 0, -1 / 0 }

  it("refuses close codes that are not the application's (rows 190, 191, 192, 199)", function()
    local ws, peer = support.open_raw()
    local connecting = support.new "ws://h/"
    for _, code in ipairs(bad_codes) do
      raises("InvalidAccessError", ws.close, ws, code)
      raises("InvalidAccessError", ws.close, ws, code, ("x"):rep(124))
      raises("InvalidAccessError", connecting.close, connecting, code)
    end
    assert.are.equal(1, ws.readyState)
    assert.are.equal(0, connecting.readyState)
    ws:send "still here"
    assert.are.equal("still here", (select(2, peer:read_frame())))
    ws:close()
    raises("InvalidAccessError", ws.close, ws, 999)
    raises("SyntaxError", ws.close, ws, 1000, ("x"):rep(124))
  end)

  it("refuses codes and reasons of other types (rows 194, 195, 200)", function()
    local ws = support.open_raw()
    for _, code in ipairs { "text", "1000", {}, true } do
      raises("TypeError", ws.close, ws, code)
    end
    raises("TypeError", ws.close, ws, 1000.4)
    raises("TypeError", ws.close, ws, 1000, 5)
    raises("TypeError", ws.close, ws, 1000, "\255")
    assert.are.equal(1, ws.readyState)
  end)

  it("takes reasons of 123 bytes and no more (rows 196, 197)", function()
    local ws, peer = support.open_raw()
    raises("SyntaxError", ws.close, ws, 1000, ("x"):rep(124))
    assert.are.equal(1, ws.readyState)
    ws:close(1000, ("x"):rep(123))
    assert.are.equal(support.close_payload(1000, ("x"):rep(123)), (select(2, peer:read_frame())))
  end)

  it("closes with what it is told (rows 195, 201, 202, 203, 204, 205, 206)", function()
    for _, case in ipairs {
      { {}, "", 'close(1005,"",true)' },
      { { 1000, "Clean Close" }, support.close_payload(1000, "Clean Close"), 'close(1000,"Clean Close",true)' },
      { { 1000.0 }, support.close_payload(1000), 'close(1000,"",true)' },
      { { 3000, "x" }, support.close_payload(3000, "x"), 'close(3000,"x",true)' },
      { { 4999, "" }, support.close_payload(4999), 'close(4999,"",true)' },
      { { nil, "bye" }, support.close_payload(1000, "bye"), 'close(1000,"bye",true)' },
      { { nil, "" }, "", 'close(1005,"",true)' },
    } do
      local ws, peer = support.open_raw()
      local record = support.record(ws)
      assert.are.equal(0, select("#", ws:close(case[1][1], case[1][2])))
      assert.are.equal(2, ws.readyState)
      ws:close()
      local first, payload = peer:read_frame()
      assert.are.same({ 0x88, case[2] }, { first, payload })
      peer:write(support.frame(0x88, payload))
      peer:close()
      assert.are.same({ case[3] }, record.wait())
      ws:close()
    end
  end)

  it("takes every legal code of the peer (row 214)", function()
    for _, code in ipairs { 1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999 } do
      local ws, peer = support.open_raw()
      local record = support.record(ws)
      peer:write(support.frame(0x88, support.close_payload(code, "why")))
      peer:read_frame()
      peer:close()
      assert.are.same({ ('close(%d,"why",true)'):format(code) }, record.wait())
    end
  end)

  it("fails when the peer does not answer the Close (row 217)", function()
    local ws = support.open_raw { close_timeout = 0.02 }
    local record = support.record(ws)
    ws:close(1000)
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
  end)

  it("fails when the peer goes without a Close (rows 218, 229, 247)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    peer:close()
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
  end)

  it("can be closed before it is open (rows 223, 224, 226)", function()
    local listener = support.listen()
    local ws = support.new(listener.url)
    local record = support.record(ws)
    ws:close(3000, "x")
    assert.are.equal(2, ws.readyState)
    assert.are.same({}, { support.unpack(record) })
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
    assert.are.same({ 3, 3 }, record.states)
    listener.close()
  end)

  it("can be closed in its open handler (row 227)", function()
    local ws = support.new(support.serve_echo().url)
    ws.onopen = function()
      ws:close()
    end
    local record = support.record(ws)
    assert.are.same({ "open", 'close(1005,"",true)' }, record.wait())
  end)

  it("tells the peer what it did wrong (rows 231, 234, 235, 236, 237, 239, 241, 242)", function()
    for _, case in ipairs {
      { support.frame(0x81, "\255"), 1007 },
      { support.frame(0x88, support.close_payload(1000, "\255")), 1007 },
      { support.frame(0x88, "x"), 1002 },
      { support.frame(0x88, support.close_payload(999)), 1002 },
      { support.frame(0x83, ""), 1002 },
      { support.frame(0x81, "x", "mask"), 1002 },
      { support.frame(0x09, ""), 1002 },
      { support.frame(0x80, "x"), 1002 },
    } do
      local ws, peer = support.open_raw()
      local record = support.record(ws)
      peer:write(case[1])
      local first, payload = peer:read_frame()
      assert.are.equal(0x88, first)
      assert.are.equal(case[2], payload:byte(1) * 256 + payload:byte(2))
      peer:close()
      assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
    end
  end)

  it("refuses messages over max_message (row 244)", function()
    local ws, peer = support.open_raw { max_message = 10 }
    local record = support.record(ws)
    peer:write(support.frame(0x81, ("x"):rep(10)) .. support.frame(0x81, ("x"):rep(11)))
    local _, payload = peer:read_frame()
    assert.are.equal(1009, payload:byte(1) * 256 + payload:byte(2))
    peer:close()
    assert.are.same({ "message(xxxxxxxxxx)", "error", 'close(1006,"",false)' }, record.wait())
  end)

  it("can be terminated (rows 334, 336)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    ws:terminate()
    assert.are.equal(2, ws.readyState)
    assert.are.same({ 'close(1006,"",false)' }, record.wait())
    ws:terminate()
    peer:wait_eof()
  end)

  it("can be terminated before it is open (row 335)", function()
    local listener = support.listen()
    local ws = support.new(listener.url)
    local record = support.record(ws)
    ws:terminate()
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
    listener.close()
  end)

  it("gives up a handshake in time (row 343)", function()
    local listener = support.listen()
    local ws = support.new(listener.url, nil, { handshake_timeout = 0.02 })
    local record = support.record(ws)
    local code
    ws.onerror = function(ev)
      code = ev.code
    end
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
    assert.are.equal("WS_ERR_HANDSHAKE_TIMEOUT", code)
    listener.close()
  end)

  it("can be paused (row 347)", function()
    local ws, peer = support.open_raw()
    local got = {}
    ws.onmessage = function(ev)
      table.insert(got, ev.data)
    end
    ws:pause()
    peer:write(support.frame(0x81, "a"))
    support.settle()
    assert.are.same({}, got)
    ws:resume()
    support.run_until(function()
      return got[1]
    end)
  end)

  it("takes options of time and size, none of which is 0", function()
    for _, options in ipairs {
      { max_message = 0 },
      { max_message = -1 },
      { max_message = "1" },
      { handshake_timeout = 0 },
      { handshake_timeout = 0 / 0 },
      { compression = 1 },
      { compression_level = 300 },
      { headers = 5 },
      { tls = 5 },
      { fd = -1 },
    } do
      raises("TypeError", support.new, "ws://h/", nil, options)
    end
    support.new("ws://h/", nil, { max_message = math.huge, ping_interval = false })
  end)
end)
