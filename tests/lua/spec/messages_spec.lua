-- Sending and receiving (behaviour sections G, H, I, P and Q).
local support = require "support"
local raises = support.raises

describe("messages", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  it("are text or binary, and never nil (rows 139, 142, 144, 145, 146, 396)", function()
    local ws, peer = support.open_raw()
    ws.binaryType = "arraybuffer"
    local got = {}
    ws.onmessage = function(ev)
      table.insert(got, { ev.data, ev.binary })
    end
    local sent = {
      { "\195\169", false },
      { "", false },
      { "", true },
      { "\239\187\191x", false },
      { "a\0b\240\144\145\190a\204\138", false },
      { "\0\255", true },
    }
    for _, message in ipairs(sent) do
      peer:write(support.frame(message[2] and 0x82 or 0x81, message[1]))
    end
    support.run_until(function()
      return #got == #sent
    end)
    assert.are.same(sent, got)
  end)

  it("of all sizes are echoed (rows 141, 153, 306)", function()
    for _, compression in ipairs { true, false } do
      local ws = assert(support.connect(support.serve_echo({ compression = compression }).url))
      for _, size in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 65537, 100000 } do
        local data = ("x"):rep(size)
        ws:send(data)
        ws:sendBinary(data)
        local text, is_binary = ws:receive(support.LIMIT)
        assert.is_true(text == data)
        assert.is_false(is_binary)
        local bytes
        bytes, is_binary = ws:receive(support.LIMIT)
        assert.is_true(bytes == data)
        assert.is_true(is_binary)
      end
    end
  end)

  it("that arrive after close() are dropped (rows 147, 228)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    ws:close()
    peer:write(support.frame(0x81, "late") .. support.frame(0x88, ""))
    peer:close()
    assert.are.same({ 'close(1005,"",true)' }, record.wait())
  end)

  it("before a Close are delivered, behind it not (rows 148, 149)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    peer:write(
      support.frame(0x81, "a") .. support.frame(0x88, support.close_payload(1000)) .. support.frame(0x81, "b")
    )
    assert.are.equal(0x88, (peer:read_frame()))
    peer:close()
    assert.are.same({ "message(a)", 'close(1000,"",true)' }, record.wait())
  end)

  it("in fragments are one event (rows 156, 157)", function()
    local ws, peer = support.open_raw()
    local got
    ws.onmessage = function(ev)
      got = ev.data
    end
    peer:write(support.frame(0x01, ""))
    for letter in ("hello"):gmatch "." do
      peer:write(support.frame(0x89, "") .. support.frame(0x00, letter))
    end
    peer:write(support.frame(0x80, ""))
    support.run_until(function()
      return got
    end)
    assert.are.equal("hello", got)
  end)

  it("can be taken in pieces as they come", function()
    local ws, peer = support.open_raw()
    ws:setStreaming(true)
    local got = {}
    ws.onmessage = function(ev)
      table.insert(got, { ev.data, ev.isFirst, ev.isLast })
    end
    peer:write(support.frame(0x01, "ab"))
    support.run_until(function()
      return #got == 1
    end)
    peer:write(support.frame(0x80, "cd"))
    support.run_until(function()
      return #got >= 2 and got[#got][3]
    end)
    local data = ""
    for i, piece in ipairs(got) do
      data = data .. piece[1]
      assert.are.equal(i == 1, piece[2])
      assert.are.equal(i == #got, piece[3])
    end
    assert.are.equal("abcd", data)
  end)

  it("cannot be sent while CONNECTING (rows 158, 338)", function()
    local ws = support.new "ws://h/"
    for _, data in ipairs { "a", "", "\255" } do
      raises("InvalidStateError", ws.send, ws, data)
      raises("InvalidStateError", ws.sendBinary, ws, data)
    end
    raises("InvalidStateError", ws.ping, ws)
    assert.are.equal(0, ws.bufferedAmount)
  end)

  it("become frames of their kind (rows 160, 161, 162, 163, 302, 397)", function()
    local ws, peer = support.open_raw()
    assert.are.equal(0, select("#", ws:send "test"))
    ws:send("\1\255", { binary = true })
    ws:sendBinary "\2"
    ws:send ""
    ws:sendBinary ""
    local masks = {}
    for _, expected in ipairs { { 0x81, "test" }, { 0x82, "\1\255" }, { 0x82, "\2" }, { 0x81, "" }, { 0x82, "" } } do
      local first, payload, mask = peer:read_frame()
      assert.are.same(expected, { first, payload })
      assert.is_nil(masks[mask])
      masks[mask] = true
    end
  end)

  it("can be sent in fragments (rows 349, 350)", function()
    local ws, peer = support.open_raw()
    ws:sendBinary("a", { fin = false })
    ws:send("b", { fin = false })
    ws:send("c", { fin = true })
    ws:send "d"
    for _, expected in ipairs { { 0x02, "a" }, { 0x00, "b" }, { 0x80, "c" }, { 0x81, "d" } } do
      local first, payload = peer:read_frame()
      assert.are.same(expected, { first, payload })
    end
  end)

  it("of text have to be UTF-8, and of Lua strings (rows 168, 169)", function()
    local ws, peer = support.open_raw()
    raises("TypeError", ws.send, ws, "\255")
    for _, data in ipairs { 1, true, {}, print } do
      raises("TypeError", ws.send, ws, data)
    end
    raises("TypeError", ws.send, ws, nil)
    ws:send "ok"
    assert.are.equal("ok", (select(2, peer:read_frame())))
  end)

  it("are counted by bufferedAmount until they are written (rows 179, 180, 181, 182, 183, 186, 189)", function()
    local ws, peer = support.open_raw()
    ws:send(("\194\165"):rep(6))
    assert.are.equal(12, ws.bufferedAmount)
    ws:sendBinary(("x"):rep(10))
    ws:send ""
    ws:ping "ping"
    assert.are.equal(22, ws.bufferedAmount)
    ws:send(("x"):rep(65000))
    assert.are.equal(65022, ws.bufferedAmount)
    for _ = 1, 5 do
      peer:read_frame()
    end
    support.run_until(function()
      return ws.bufferedAmount == 0
    end)
  end)

  it("sent too late are counted and nothing else (rows 170, 172, 187)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    ws:close()
    ws:send "test"
    assert.are.equal(4, ws.bufferedAmount)
    local first = peer:read_frame()
    assert.are.equal(0x88, first)
    peer:write(support.frame(0x88, ""))
    peer:close()
    record.wait()
    ws:send "test"
    assert.are.equal(8, ws.bufferedAmount)
  end)

  it("all go before the Close frame (row 173)", function()
    local ws, peer = support.open_raw()
    ws:send "1"
    ws:send "2"
    ws:close(1000)
    local frames = {}
    for i = 1, 3 do
      local first, payload = peer:read_frame()
      frames[i] = { first, payload }
    end
    assert.are.same({ { 0x81, "1" }, { 0x81, "2" }, { 0x88, "\3\232" } }, frames)
  end)

  it("that nobody reads fail the connection at max_send_queue (row 175)", function()
    local ws = support.open_raw { max_send_queue = 100000 }
    local record = support.record(ws)
    for _ = 1, 100 do
      ws:send(("x"):rep(100000))
    end
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
  end)

  it("can go uncompressed (row 312)", function()
    local server = support.serve {
      compression = true,
      onconnection = function(ws)
        ws:send(("x"):rep(4096))
        ws:send(("x"):rep(4096), { compress = false })
      end,
    }
    local peer = support.raw_client(server, "/", { "Sec-WebSocket-Extensions: permessage-deflate" })
    peer:read_head()
    assert.are.equal(0xC1, (peer:read_frame()))
    assert.are.equal(0x81, (peer:read_frame()))
  end)

  it("of control can be seen and sent (rows 297, 337, 339, 340)", function()
    local ws, peer = support.open_raw()
    local got = {}
    ws:addEventListener("ping", function(ev)
      table.insert(got, "ping " .. ev.data)
    end)
    ws.onpong = function(ev)
      table.insert(got, "pong " .. ev.data .. " " .. tostring(ev.rtt ~= nil))
    end
    raises("TypeError", ws.ping, ws, ("x"):rep(126))
    ws:ping "mine"
    local first, payload = peer:read_frame()
    assert.are.same({ 0x89, "mine" }, { first, payload })
    peer:write(support.frame(0x89, "yours") .. support.frame(0x8A, "mine"))
    first, payload = peer:read_frame()
    assert.are.same({ 0x8A, "yours" }, { first, payload })
    support.run_until(function()
      return #got == 2
    end)
    assert.are.same({ "ping yours", "pong mine true" }, got)
  end)
end)
