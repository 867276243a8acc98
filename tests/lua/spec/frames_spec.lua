-- What goes over an open connection and how it ends, in both roles (behaviour
-- sections G to L, N, P and Q), against raw peers.
local support = require "support"
local socket = require "socket"
local both = support.in_both_roles

local FAILED = { "error", 'close(1006,"",false)' }

describe("an open connection", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  local function join(...)
    local all = {}
    for _, list in ipairs { ... } do
      for _, value in ipairs(list) do
        table.insert(all, value)
      end
    end
    return all
  end

  -- -- Faults of the peer ----------------------------------------------------------

  --- Has the peer write `bytes`; it has to be told `code`, after the events
  -- `before`.
  local function fails(open, bytes, code, before, options)
    local ws, peer = open(options)
    local record = support.record(ws)
    peer:write(type(bytes) == "string" and bytes or bytes(peer))
    assert.are.equal(code, peer:read_close())
    peer:close()
    assert.are.same(join(before or {}, FAILED), record.wait())
  end

  it(
    "fails for text that is not UTF-8, also across fragments (rows 231, 232, 233)",
    both(function(open)
      for _, text in ipairs { "\255", "\237\160\128", "\192\128", "\244\144\128\128", "\226\130" } do
        fails(open, function(peer)
          return peer:frame(0x81, text)
        end, 1007)
      end
      fails(open, function(peer)
        return peer:frame(0x01, "a\226") .. peer:frame(0x80, "\40\161")
      end, 1007)

      local ws, peer = open()
      local got
      ws.onmessage = function(ev)
        got = ev.data
      end
      peer:write(peer:frame(0x01, "\226") .. peer:frame(0x00, "\130") .. peer:frame(0x80, "\172"))
      support.run_until(function()
        return got
      end)
      assert.are.equal("\226\130\172", got)
    end)
  )

  it(
    "fails for a Close frame that must not be (rows 234, 235, 236)",
    both(function(open)
      for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
        fails(open, function(peer)
          return peer:frame(0x88, support.close_payload(code))
        end, 1002)
      end
      fails(open, function(peer)
        return peer:frame(0x88, "x")
      end, 1002)
      fails(open, function(peer)
        return peer:frame(0x88, support.close_payload(1000, "\255"))
      end, 1007)
    end)
  )

  it(
    "fails for frames that must not be (rows 237, 241, 242, 243)",
    both(function(open)
      for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
        fails(open, function(peer)
          return peer:frame(0x80 + opcode, "")
        end, 1002)
      end
      for _, frames in ipairs {
        { { 0x89, ("x"):rep(126) } },
        { { 0x09, "" } },
        { { 0x80, "x" } },
        { { 0x01, "a" }, { 0x81, "b" } },
      } do
        fails(open, function(peer)
          local bytes = ""
          for _, frame in ipairs(frames) do
            bytes = bytes .. peer:frame(frame[1], frame[2])
          end
          return bytes
        end, 1002)
      end
      fails(open, function(peer)
        return string.char(0x82, peer.is_client and 255 or 127) .. "\128\0\0\0\0\0\0\1"
      end, 1002)
    end)
  )

  it("needs masks from clients, and none from servers (rows 239, 240)", function()
    fails(support.open_raw, support.frame(0x81, "x", "mask"), 1002)
    fails(support.open_raw_server, support.frame(0x81, "x"), 1002)
  end)

  it(
    "fails for messages in too many pieces (row 245)",
    both(function(open)
      fails(
        open,
        function(peer)
          local piece = peer:frame(0x00, "")
          return peer:frame(0x81, "whole") .. peer:frame(0x01, "") .. piece .. piece .. piece
        end,
        1008,
        { "message(whole)" },
        { max_fragments = 3 }
      )
    end)
  )

  it(
    "fails once, for the first of many faults (row 248)",
    both(function(open)
      fails(open, function(peer)
        return peer:frame(0x81, "\255") .. "\255\255\255" .. peer:frame(0x88, "x")
      end, 1007)
    end)
  )

  it("fails for a bomb before it is inflated (row 313)", function()
    local closed
    local server = support.serve {
      compression = true,
      max_message = 1000,
      onconnection = function(socket_of_server)
        socket_of_server.onclose = function(ev)
          closed = { ev.code, socket_of_server:stats().bytes_held < 64 * 1024 }
        end
        socket_of_server.onerror = function(ev)
          assert(ev.code == "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH")
        end
      end,
    }
    local client = support.new(server.url)
    client.onopen = function()
      client:send(("\0"):rep(1024 * 1024))
    end
    local record = support.record(client)
    assert.are.same({ "open", 'close(1009,"message exceeds the size limit",true)' }, record.wait())
    support.run_until(function()
      return closed
    end)
    assert.are.same({ 1006, true }, closed)
  end)

  -- -- The end ---------------------------------------------------------------------

  it(
    "ends without an error when the end is clean (rows 138, 214, 221, 222)",
    both(function(open)
      for _, code in ipairs { 1000, 1001, 3000, 4999, false } do
        local ws, peer = open()
        local record = support.record(ws)
        ws.onclose = function()
          ws:close()
        end
        peer:write(peer:frame(0x88, code and support.close_payload(code) or ""))
        assert.are.equal(code or nil, peer:read_close())
        peer:close()
        assert.are.same({ ('close(%d,"",true)'):format(code or 1005) }, record.wait())
        assert.are.same({ 3 }, record.states)
      end
      local ws, peer = open()
      local record = support.record(ws)
      for _ = 1, 3 do
        ws:close(3000)
      end
      assert.are.equal(3000, peer:read_close())
      peer:write(peer:frame(0x88, support.close_payload(3000)))
      peer:wait_eof_or_close()
      assert.are.equal("", peer.input)
      assert.are.same({ 'close(3000,"",true)' }, record.wait())
    end)
  )

  it("is CLOSING until the server has closed (rows 109, 220)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    peer:write(peer:frame(0x88, support.close_payload(1000)))
    assert.are.equal(1000, peer:read_close())
    support.settle()
    assert.are.equal(2, ws.readyState)
    assert.are.same({}, { support.unpack(record) })
    peer:close()
    assert.are.same({ 'close(1000,"",true)' }, record.wait())
  end)

  it("is closed by the server first (row 220)", function()
    local ws, peer = support.open_raw_server()
    local record = support.record(ws)
    peer:write(peer:frame(0x88, support.close_payload(1000)))
    assert.are.equal(1000, peer:read_close())
    peer:wait_eof()
    peer:close()
    assert.are.same({ 'close(1000,"",true)' }, record.wait())
  end)

  it(
    "waits for the peer's answer (row 215)",
    both(function(open)
      local ws, peer = open()
      local record = support.record(ws)
      ws:close(1000)
      assert.are.equal(1000, peer:read_close())
      support.settle()
      assert.are.same({}, { support.unpack(record) })
      peer:write(peer:frame(0x88, support.close_payload(1000)))
      peer:wait_eof_or_close()
      assert.are.same({ 'close(1000,"",true)' }, record.wait())
    end)
  )

  it("cuts off a server that does not close (row 216)", function()
    local ws, peer = support.open_raw { close_timeout = 0.02 }
    local record = support.record(ws)
    ws.onmessage = function()
      ws:close(3000, "bye")
    end
    -- What answers the Close is there when it is sent, so that its time never is up.
    peer:write(peer:frame(0x81, "x") .. peer:frame(0x88, support.close_payload(3000, "bye")))
    assert.are.equal(3000, peer:read_close())
    assert.are.same({ "message(x)", 'close(3000,"bye",true)' }, record.wait())
    peer:wait_eof()
  end)

  it(
    "gives a peer so much time to answer, and no more (rows 217, 346)",
    both(function(open)
      local ws = open { close_timeout = 0.05 }
      local record = support.record(ws)
      local begun = socket.gettime()
      ws:close(1000)
      assert.are.same(FAILED, record.wait())
      assert.is_true(socket.gettime() - begun > 0.04)
    end)
  )

  it(
    "keeps the code of a peer that goes before it has read all (row 219)",
    both(function(open)
      local ws, peer = open { max_send_queue = false, compression = false }
      local record = support.record(ws)
      ws:sendBinary(("x"):rep(20 * 1024 * 1024))
      peer:write(peer:frame(0x88, support.close_payload(4567)))
      support.run_until(function()
        return ws.readyState == 2
      end)
      peer:close()
      local events = record.wait()
      assert.are.equal('close(4567,"",false)', events[#events])
    end)
  )

  it("can be closed while its handshake runs, even if that ends well (row 225)", function()
    local listener = support.listen()
    local ws = support.new(listener.url)
    local record = support.record(ws)
    local peer = listener.accept()
    local head = peer:read_head()
    ws:close()
    peer:write(support.response_to(head))
    assert.are.same(FAILED, record.wait())
    assert.are.same({ 3, 3 }, record.states)
    peer:wait_eof()
    listener.close()
  end)

  it(
    "may be let go in its last handlers (row 283)",
    both(function(open)
      local log = {}
      local ws, peer = open()
      support.kept = {}
      for _, kind in ipairs { "error", "close" } do
        ws:addEventListener(kind, function(ev)
          table.insert(log, ev.type)
          ws = nil
          collectgarbage()
          collectgarbage()
        end)
      end
      peer:close()
      support.run_until(function()
        return #log == 2
      end)
      support.settle()
      assert.are.same({ "error", "close" }, log)
    end)
  )

  -- -- Messages --------------------------------------------------------------------

  it(
    "keeps what was sent, whatever the collector takes (row 165)",
    both(function(open)
      local ws, peer = open { compression = false }
      local function numbers()
        local list = {}
        for i = 1, 200000 do
          list[i] = i
        end
        return table.concat(list, " ")
      end
      ws:send(numbers())
      collectgarbage()
      collectgarbage()
      local expected = numbers()
      local _, payload = peer:read_frame()
      assert.is_true(payload == expected)
    end)
  )

  it(
    "keeps the order of what was sent, also by several (rows 176, 177)",
    both(function(open)
      local ws, peer = open()
      ws.onping = function()
        ws:send "ping 1"
        ws:send "ping 2"
      end
      ws.onmessage = function(ev)
        ws:send(ev.data .. " 1")
        ws:send(ev.data .. " 2")
      end
      peer:write(peer:frame(0x89, "") .. peer:frame(0x81, "a") .. peer:frame(0x81, "b"))
      local got = {}
      repeat
        local first, payload = peer:read_frame()
        if first == 0x81 then
          table.insert(got, payload)
        end
      until #got == 6
      assert.are.same({ "ping 1", "ping 2", "a 1", "a 2", "b 1", "b 2" }, got)

      for _, name in ipairs { "x", "y" } do
        support.loop:spawn(function()
          for i = 1, 20 do
            ws:send(name .. i .. (name):rep(1000))
            support.loop:sleep(0)
          end
        end)
      end
      local next_of = { x = 1, y = 1 }
      for _ = 1, 40 do
        local _, payload = peer:read_frame()
        local name = payload:sub(1, 1)
        assert.are.equal(name .. next_of[name] .. name:rep(1000), payload)
        next_of[name] = next_of[name] + 1
      end
    end)
  )

  it(
    "waits with messages until the handler of what came before has returned (rows 281, 282)",
    both(function(open)
      local ws, peer = open()
      local log = {}
      ws.onmessage = function(ev)
        table.insert(log, "begin " .. ev.data)
        peer:write(peer:frame(0x81, ev.data .. "'"))
        socket.sleep(0.01)
        table.insert(log, "end " .. ev.data)
        ws.onmessage = function(later)
          table.insert(log, later.data)
        end
      end
      ws.onclose = function()
        table.insert(log, "close")
      end
      peer:write(peer:frame(0x81, "a") .. peer:frame(0x81, "b"))
      support.run_until(function()
        return #log == 4
      end)
      peer:write(peer:frame(0x88, ""))
      peer:read_close()
      peer:close()
      support.run_until(function()
        return #log == 5
      end)
      assert.are.same({ "begin a", "end a", "b", "a'", "close" }, log)
    end)
  )

  it("has no message before its handler of open has returned (row 281)", function()
    local server = support.serve {
      onconnection = function(ws)
        ws:send "x"
      end,
    }
    local log = {}
    local ws = support.new(server.url)
    ws.onopen = function()
      socket.sleep(0.02)
      table.insert(log, "open")
    end
    ws.onmessage = function()
      table.insert(log, "message")
    end
    support.run_until(function()
      return #log == 2
    end)
    assert.are.same({ "open", "message" }, log)
  end)

  it("takes all that is sent to a slow reader (row 174)", function()
    local server = support.serve {
      onconnection = function(ws)
        local count = 0
        ws.onmessage = function()
          count = count + 1
          ws:send(tostring(count))
        end
        ws:pause()
        support.loop:sleep(0.02)
        ws:resume()
      end,
    }
    local ws = support.new(server.url, nil, { compression = false })
    local record = support.record(ws)
    local count = 0
    ws.onopen = function()
      for _ = 1, 50 do
        ws:sendBinary(("x"):rep(65536))
      end
    end
    ws.onmessage = function(ev)
      count = count + 1
      assert(ev.data == tostring(count))
      if count == 50 then
        ws:close()
      end
    end
    assert.are.equal('close(1005,"",true)', (record.wait())[52])
  end)

  it(
    "stays open while it is idle (rows 155, 305)",
    both(function(open)
      local ws, peer = open { ping_interval = 0.01, ping_timeout = 5 }
      for _ = 1, 3 do
        local first, payload = peer:read_frame()
        assert.are.equal(0x89, first)
        peer:write(peer:frame(0x8A, payload))
      end
      assert.are.equal(1, ws.readyState)

      ws, peer = open { ping_interval = false }
      support.settle()
      peer:fill()
      assert.are.equal("", peer.input)
      ws:send "still here"
      assert.are.equal("still here", (select(2, peer:read_frame())))
    end)
  )

  it(
    "fails when the peer answers no ping (row 381)",
    both(function(open)
      local record
      open({ ping_interval = 0.01, ping_timeout = 0.02 }, function(ws)
        record = support.record(ws)
      end)
      local events = record.wait()
      assert.are.same(FAILED, { events[#events - 1], events[#events] })
    end)
  )

  it(
    "answers pings, until the peer's Close (rows 298, 300, 301)",
    both(function(open)
      local ws, peer = open()
      local record = support.record(ws)
      local bytes = peer:frame(0x8A, "nobody asked")
      for i = 1, 10 do
        bytes = bytes .. peer:frame(0x89, tostring(i))
      end
      peer:write(bytes)
      for i = 1, 10 do
        local first, payload = peer:read_frame()
        assert.are.same({ 0x8A, tostring(i) }, { first, payload })
      end
      peer:write(peer:frame(0x88, "") .. peer:frame(0x89, "late"))
      peer:read_close()
      peer:wait_eof_or_close()
      assert.are.equal("", peer.input)
      assert.are.same({ 'close(1005,"",true)' }, record.wait())
    end)
  )

  -- -- bufferedAmount --------------------------------------------------------------

  it("counts payload, not what is written for it (row 185)", function()
    local ws = assert(support.connect(support.serve_echo().url))
    assert.is_truthy(ws.extensions:find "^permessage%-deflate")
    ws:send(("\0"):rep(1024 * 1024))
    assert.are.equal(1024 * 1024, ws.bufferedAmount)
  end)

  it(
    "keeps what it could not send in bufferedAmount (row 188)",
    both(function(open)
      local ws, peer = open { compression = false, max_send_queue = false }
      ws:sendBinary(("x"):rep(16 * 1024 * 1024))
      support.settle()
      local amounts = { ws.bufferedAmount }
      for _, kind in ipairs { "error", "close" } do
        ws:addEventListener(kind, function()
          table.insert(amounts, ws.bufferedAmount)
        end)
      end
      peer:close()
      support.run_until(function()
        return #amounts == 3
      end)
      support.settle()
      table.insert(amounts, ws.bufferedAmount)
      assert.is_true(amounts[1] > 0)
      for i = 2, 4 do
        assert.is_true(amounts[i] >= amounts[2])
      end
      assert.is_true(amounts[2] > 0)
    end)
  )

  it("does as browsers do where npm's ws does not (row 355)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    ws:send "hello"
    assert.are.equal(5, ws.bufferedAmount) -- There: what the kernel did not take.
    support.raises("InvalidAccessError", ws.close, ws, 1001) -- There: allowed.
    peer:close()
    assert.are.same(FAILED, record.wait()) -- There: no error.
    assert.are.same({ 3, 3 }, record.states) -- There: 2 for the error.
  end)

  -- -- Compression -----------------------------------------------------------------

  it("need not be compressed by the peer (row 307)", function()
    local server = support.serve_echo()
    local peer = support.raw_client(server, "/", { "Sec-WebSocket-Extensions: permessage-deflate" })
    assert.is_truthy(peer:read_head():find "permessage%-deflate")
    peer:write(support.frame(0x81, "plain", "mask"))
    assert.are.equal("plain", (select(2, peer:read_frame())))
  end)

  it("compresses with every window (row 309)", function()
    local text = {}
    for i = 1, 20000 do
      text[i] = tostring(i * i % 9973)
    end
    text = table.concat(text, " ")
    for bits = 8, 15 do
      local server = support.serve_echo { server_max_window_bits = bits, client_max_window_bits = bits }
      local ws = assert(support.connect(server.url))
      ws:send(text)
      assert.is_true(ws:receive(support.LIMIT) == text)
      assert.is_truthy(ws:stats().bytes_received < #text)
      ws:close()
    end
  end)

  it("compresses from compression_threshold on (row 311)", function()
    local server = support.serve {
      compression = true,
      onconnection = function(ws)
        ws:send(("x"):rep(10))
        ws:send(("x"):rep(2048))
      end,
    }
    local peer = support.raw_client(server, "/", { "Sec-WebSocket-Extensions: permessage-deflate" })
    peer:read_head()
    assert.are.equal(0x81, (peer:read_frame()))
    assert.are.equal(0xC1, (peer:read_frame()))
  end)
end)
