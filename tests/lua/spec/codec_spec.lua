-- libws.codec: the protocol without I/O.
local codec = require "libws.codec"
local support = require "support"
local raises = support.raises

describe("the codec", function()
  --- A client and a server that talk in memory; `cut` is how many bytes go at
  -- once.
  local function new_pair(options, cut)
    local client = codec.conn("client", 0, options)
    local server = codec.conn("server", 0, options)
    local events = { client = {}, server = {} }
    client:connect("ws://h/chat", { "a", "b" }, { ["X-A"] = "1" }, "http://h")

    local function pull(conn, name)
      while true do
        local event = { conn:next() }
        if event[1] == nil then
          return
        end
        if event[1] == codec.REQUEST then
          conn:accept(event[2].protocols[2])
        end
        table.insert(events[name], event)
      end
    end

    local function move(from, to, name)
      local output = from:output()
      if not output then
        return false
      end
      for i = 1, #output, cut or #output do
        to:feed(output:sub(i, cut and i + cut - 1 or nil))
        pull(to, name)
      end
      return true
    end

    local function talk()
      local is_moving
      repeat
        local a = move(client, server, "server")
        local b = move(server, client, "client")
        is_moving = a or b
      until not is_moving
      pull(client, "client")
      pull(server, "server")
    end
    talk()
    return client, server, events, talk
  end

  it("shakes hands", function()
    local client, server, events = new_pair()
    assert.are.same({ 1, 1, "b", "b" }, {
      client:ready_state(),
      server:ready_state(),
      client:protocol(),
      server:protocol(),
    })
    local request = events.server[1][2]
    assert.are.same({ "GET", "/chat", true }, { request.method, request.target, request.is_upgrade })
    assert.are.equal(101, events.client[1][3].status)
  end)

  it("carries messages, however they are cut", function()
    for _, cut in ipairs { 0, 1, 7 } do
      for _, compression in ipairs { true, false } do
        local client, server, events, talk = new_pair({ compression = compression }, cut > 0 and cut or nil)
        client:send("hello", false)
        client:send(("x"):rep(5000), true)
        server:send("back", false)
        talk()
        local first, second = events.server[3], events.server[4]
        assert.are.same({ codec.MESSAGE, "hello", false }, first)
        assert.are.same({ codec.MESSAGE, ("x"):rep(5000), true }, second)
        assert.are.same({ codec.MESSAGE, "back", false }, events.client[2])
      end
    end
  end)

  it("closes", function()
    local client, server, events, talk = new_pair()
    client:close(3000, "x")
    talk()
    server:eof()
    client:eof()
    talk()
    assert.are.same({ codec.CLOSE, 3000, "x", true }, events.client[2])
    assert.are.same({ codec.CLOSE, 3000, "x", true }, events.server[3])
    assert.are.equal(3, client:ready_state())
  end)

  it("keeps time", function()
    local conn = codec.conn("server", 100, { handshake_timeout = 2 })
    assert.are.equal(102, conn:deadline())
    assert.is_nil((conn:next()))
    conn:tick(102)
    local event = { conn:next() }
    assert.are.same({ codec.ERROR, "WS_ERR_HANDSHAKE_TIMEOUT" }, { event[1], event[2] })
    assert.are.equal(codec.CLOSE, (conn:next()))
  end)

  it("shares configurations, and messages made for many", function()
    local config = codec.config("server", { compression = true, compression_threshold = 1 })
    local request = table.concat({
      "GET / HTTP/1.1",
      "Host: h",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: " .. support.KEY,
      "\r\n",
    }, "\r\n")
    local message = codec.message(config, "hello", false)
    for _ = 1, 2 do
      local conn = codec.conn(config, 0)
      conn:feed(request)
      assert.are.equal(codec.REQUEST, (conn:next()))
      conn:accept()
      assert.are.equal(codec.OPEN, (conn:next()))
      assert.is_truthy(conn:output():find(support.ACCEPT, 1, true))
      conn:send_message(message)
      assert.are.equal(support.frame(0x81, "hello"), conn:output())
    end
    raises("TypeError", codec.message, config, "\255", false)
    raises("TypeError", codec.config, "server", { nonsense = 1 })
  end)

  it("shows output before it is consumed", function()
    local client, _, _, talk = new_pair { compression = false }
    client:send("hello", false)
    client:send(("x"):rep(300), false)
    local queued = client:queued()
    assert.are.equal(2 + 4 + 5 + 4 + 4 + 300, queued)
    local first = client:peek(3)
    assert.are.equal(3, #first)
    assert.are.equal(first, client:peek(3))
    assert.are.equal(queued - 3, client:consume(3))
    assert.are.equal(queued - 3, #table.concat { client:peek(100000) })
    raises("TypeError", client.peek, client, 0)
    raises("TypeError", client.consume, client, -1)
    assert.are.equal(0, client:consume(queued))
    assert.is_nil(client:peek(1))
    assert.are.equal(0, client:buffered_amount())
    talk()
  end)

  it("cuts none but the first of what it shows", function()
    local _, server = new_pair { compression = false }
    server:send(("a"):rep(70000), true)
    server:send(("b"):rep(50000), true)
    local shown = { server:peek(100000) }
    assert.are.same({ 70010 }, { #table.concat(shown) })
    assert.are.equal(50004, server:consume(70010))
    assert.are.equal("\130\126\195\80bb", (server:peek(6)))
    assert.are.equal(0, server:consume(50004))
  end)

  it("takes input and gives the first event in one call", function()
    local conn = codec.conn("server", 100, { handshake_timeout = 2 })
    assert.are.same({ nil, 0, 102 }, { conn:receive("GET / HTTP/1.1\r\n", 101) })
    assert.are.same({ nil, 0, 102 }, { conn:receive "" })
    conn:feed "Ho"
    raises("InvalidStateError", conn.receive, conn, "st: h\r\n")
    assert.is_nil((conn:next()))
    local _, server, _, talk = new_pair { compression = false, ping_interval = false }
    local frames = support.frame(0x81, "one", "mask") .. support.frame(0x82, "two", "mask")
    assert.are.same({ codec.MESSAGE, "one", false }, { server:receive(frames, 5) })
    assert.are.same({ codec.MESSAGE, "two", true }, { server:next() })
    server:send("three", false)
    assert.are.same({ nil, 7, 5 + 30 }, { server:next() }) -- send_timeout
    talk()
  end)

  it("sends and shows the output in one call", function()
    local client, server, events, talk = new_pair { compression = false }
    raises("TypeError", server.send_and_peek, server, 100, "\255")
    assert.are.same({ "\129\5hello" }, { server:send_and_peek(100, "hello") })
    local shown = server:send_and_peek(100, ".", true, true)
    assert.are.equal("\129\5hello\2\1.", shown)
    assert.are.equal(0, server:consume(#shown))
    assert.are.same({ codec.MESSAGE, "hello", false }, { client:receive(shown) })
    assert.is_nil((client:next()))
    raises("TypeError", server.send_and_peek, server, 0, "x")
    server:send("!", true)
    talk()
    client:close()
    talk()
    assert.are.equal(0, select("#", server:send_and_peek(100, "late")))
    assert.are.same({ codec.MESSAGE, ".!", true }, events.client[2])
  end)

  it("shows a long message as the string that it is, once it is all there is", function()
    local _, server = new_pair { compression = false }
    local data = ("x"):rep(70000)
    local head, shown = server:send_and_peek(100000, data, true)
    assert.are.equal("\130\127\0\0\0\0\0\1\17\112", head)
    assert.are.equal(data, shown)
    assert.are.same({ head, data }, { server:peek(100000) })
    local other = ("y"):rep(5000)
    local all = head .. data .. "\130\126\19\136" .. other
    assert.are.equal(all, table.concat { server:send_and_peek(100000, other, true) })
    -- What is left is kept, whatever becomes of the string.
    assert.are.equal(40004 + 5000, server:consume(10 + 30000))
    data, shown = nil, nil -- luacheck: ignore 311
    collectgarbage()
    assert.are.equal(("x"):rep(40000) .. "\130\126\19\136" .. other, server:output())
    -- Not what has to be cut, or is not sent at all.
    assert.are.equal(4000, #server:send_and_peek(4000, other, true))
    assert.are.equal(5004, #server:output())
    raises("TypeError", server.send_and_peek, server, 100000, ("\255"):rep(5000))
    assert.is_nil(server:output())
    server:send_and_peek(100000, other, true)
    server:free()
  end)

  it("has the time told with the input", function()
    local conn = codec.conn("server", 100, { handshake_timeout = 2 })
    conn:feed("GET / HTTP/1.1\r\n", 102)
    assert.is_nil((conn:next()))
    assert.is_truthy(conn:output():find("^HTTP/1.1 408 "))
  end)

  it("takes input of many connections at a time", function()
    local conns = {}
    for i = 1, 3 do
      local _, server = new_pair { compression = false }
      conns[i] = server
      server:feed(support.frame(0x81, ("x"):rep(10000) .. i, "mask") .. support.frame(0x81, "then " .. i, "mask"))
    end
    for i = 3, 1, -1 do
      local _, data = conns[i]:next()
      assert.are.equal(("x"):rep(10000) .. i, data)
    end
    for i = 1, 3 do
      local _, data = conns[i]:next()
      assert.are.equal("then " .. i, data)
      assert.is_nil((conns[i]:next()))
    end
  end)

  it("says when it is used wrongly", function()
    local conn = codec.conn("server", 0)
    raises("InvalidStateError", conn.send, conn, "x")
    raises("InvalidStateError", conn.accept, conn)
    raises("TypeError", codec.conn, "server", "now")
    raises("TypeError", codec.conn, "client", 0, { headers = {} })
    assert.is_false((pcall(codec.conn, "other", 0)))
    conn:feed "GET"
    raises("InvalidStateError", conn.feed, conn, " / HTTP/1.1\r\n")
    assert.is_nil((conn:next()))
    conn:feed " "
    conn:free()
    conn:free()
    raises("InvalidStateError", conn.feed, conn, "x")
    assert.is_false((pcall(conn.feed, io.stdout, "x")))
  end)

  it("parses URLs", function()
    local url = codec.url "HTTPS://u:p@Example.com:8443/a/../b?c"
    assert.are.same({
      href = "wss://u:p@example.com:8443/b?c",
      origin = "wss://example.com:8443",
      host = "example.com",
      authority = "example.com:8443",
      target = "/b?c",
      authorization = "Basic dTpw",
      port = 8443,
      is_secure = true,
    }, url)
    raises("SyntaxError", codec.url, "ws://h/#f")
    raises("TypeError", codec.url, 5)
  end)
end)
