-- Servers (behaviour section T).
local libws = require "libws"
local socket = require "socket"
local support = require "support"
local raises = support.raises

describe("a server", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  local function status_of(peer)
    return tonumber(peer:read_head():match "^HTTP/1.1 (%d+)")
  end

  it("has one place to listen (row 356)", function()
    raises("TypeError", libws.serve)
    raises("TypeError", libws.serve, { loop = support.loop })
    raises("TypeError", libws.serve, { loop = support.loop, port = 0, unix = "/x" })
    raises("TypeError", libws.serve, { loop = support.loop, port = 0, onconnection = 5 })
    raises("TypeError", libws.serve, { loop = support.loop, port = 0, nonsense = true })
  end)

  it("says where it listens (row 357)", function()
    local server = support.serve {}
    assert.is_true(server.port > 0)
    assert.are.equal("ws://127.0.0.1:" .. server.port, server.url)
    assert.are.same({ server.url }, server.urls)
  end)

  it("says why it cannot listen (row 358)", function()
    local server = support.serve {}
    local other, message, code = libws.serve { loop = support.loop, port = server.port }
    assert.is_nil(other)
    assert.are.equal("WS_ERR_SYSTEM", code)
    assert.is_truthy(message:find(tostring(server.port), 1, true))
  end)

  it("hands out sockets that are open, and what came with the request (rows 359, 360, 382, 383)", function()
    local got, request, accepted
    local server = support.serve {
      onconnection = function(ws, req)
        accepted, request = ws, req
        assert(ws.readyState == 1)
        ws.onmessage = function(ev)
          got = ev.data
        end
      end,
    }
    local peer = support.raw_client(server, "/chat?room=1", { "X-Forwarded-For: a", "X-Forwarded-For: b" })
    peer:write(support.frame(0x81, "hello", "mask"))
    support.run_until(function()
      return got
    end)
    assert.are.equal("hello", got)
    assert.are.same(
      { "GET", "/chat?room=1", "/chat", "a, b" },
      { request.method, request.target, request.path, request.headers["X-Forwarded-For"] }
    )
    assert.is_truthy(request.remote:find "^127.0.0.1:%d+$")
    assert.are.equal(server.url .. "/chat?room=1", accepted.url)
    assert.are.equal(server, accepted.server)
    assert.is_true(server.clients[accepted])
    peer:close()
    support.run_until(function()
      return accepted.readyState == 3
    end)
    support.settle()
    assert.is_nil(next(server.clients))
  end)

  it("takes headers and subprotocols of any name (A-24)", function()
    local names = { "__index", "__newindex", "__gc", "constructor", "pairs", "rawHeaders" }
    local request
    local server = support.serve {
      protocols = names,
      onconnection = function(_, req)
        request = req
      end,
    }
    local lines = { "Sec-WebSocket-Protocol: __gc, __index" }
    for i, name in ipairs(names) do
      lines[i + 1] = name .. ": " .. i
    end
    local head = support.raw_client(server, "/", lines):read_head()
    assert.are.equal("__gc", head:match "Sec%-WebSocket%-Protocol: ([^\r]*)")
    support.run_until(function()
      return request
    end)
    for i, name in ipairs(names) do
      assert.are.equal(tostring(i), request.headers[name])
      assert.are.equal(tostring(i), request.headers[name:upper()])
    end
    assert.is_nil(request.headers.nobody)
    assert.is_nil(request.headers[1])
  end)

  --- All that a server answers to some bytes, until it closes.
  local function answer_to(server, bytes)
    local peer = support.raw(server)
    peer:write(bytes)
    support.run_until(function()
      peer:fill()
      return peer.is_eof
    end)
    peer:close()
    return peer.input
  end

  it("refuses what is no handshake (rows 361, 362)", function()
    local server = support.serve {}
    for request, status in pairs {
      ["GET / HTTP/1.1\r\nHost: h\r\n\r\n"] = "426",
      ["POST / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"] = "405",
    } do
      assert.are.equal(status, answer_to(server, request):match "^HTTP/1.1 (%d+)")
    end
  end)

  it("answers as onupgrade says (rows 369, 370, 371, 373)", function()
    local answer
    local server = support.serve {
      protocols = { "a", "b" },
      onupgrade = function()
        return answer
      end,
    }
    for _, case in ipairs {
      { nil, 101, "b" },
      { true, 101, "b" },
      { "a", 101, "a" },
      { "", 101, nil },
      { false, 403, nil },
      { 404, 404, nil },
      { { status = 401, headers = { ["WWW-Authenticate"] = "Basic" } }, 401, nil },
    } do
      answer = case[1]
      local peer = support.raw_client(server, "/", { "Sec-WebSocket-Protocol: c, b, a" })
      local head = peer:read_head()
      assert.are.equal(case[2], tonumber(head:match "^HTTP/1.1 (%d+)"))
      assert.are.equal(case[3], head:match "Sec%-WebSocket%-Protocol: ([^\r]*)")
      peer:close()
    end
    answer = "not offered"
    assert.are.equal(500, status_of(support.raw_client(server, "/", { "Sec-WebSocket-Protocol: a" })))
    assert.are.equal(1, #support.take_reports())
  end)

  it("lets onupgrade answer itself, and later (rows 371, 373)", function()
    local server = support.serve {
      onupgrade = function(request)
        support.loop:sleep(0.005)
        request:accept { headers = { ["X-A"] = "1" } }
        assert(request:isAnswered())
        raises("InvalidStateError", request.accept, request)
      end,
    }
    local head = support.raw_client(server):read_head()
    assert.is_truthy(head:find("\r\nX-A: 1\r\n", 1, true))
    assert.is_truthy(head:find(support.ACCEPT, 1, true))
  end)

  it("forgets a client that leaves meanwhile (row 372)", function()
    local waiting, connections, request = {}, 0, nil
    local server = support.serve {
      onupgrade = function(req)
        request = req
        support.loop:suspend(waiting, "answer")
      end,
      onconnection = function()
        connections = connections + 1
      end,
    }
    support.raw_client(server):close()
    support.run_until(function()
      return waiting.answer
    end)
    support.run_until(function()
      return request:isAnswered()
    end)
    support.loop:wake(waiting, "answer")
    support.settle()
    assert.are.equal(0, connections)
  end)

  it("answers 500 when a hook raises", function()
    local server = support.serve {
      onupgrade = function()
        error "oops"
      end,
    }
    assert.are.equal(500, status_of(support.raw_client(server)))
    assert.are.equal(1, #support.take_reports())
  end)

  it("answers plain requests by onrequest", function()
    local server = support.serve {
      onrequest = function(request)
        if request.path == "/hello" then
          return { body = "hi", headers = { ["Content-Type"] = "text/plain" } }
        end
      end,
    }
    local response = answer_to(server, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
    assert.is_truthy(response:find "^HTTP/1.1 200")
    assert.is_truthy(response:find "\r\n\r\nhi$")
    response = answer_to(server, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n")
    assert.is_truthy(response:find "^HTTP/1.1 426")
  end)

  it("serves its path alone (row 368)", function()
    local server = support.serve { path = "/chat" }
    assert.are.equal(101, status_of(support.raw_client(server, "/chat?room=1")))
    assert.are.equal(404, status_of(support.raw_client(server, "/other")))
  end)

  it("serves connections that were accepted elsewhere (row 374)", function()
    local server = support.serve_echo()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local ws = support.new(("ws://127.0.0.1:%d/"):format(port))
    listener:settimeout(0)
    local sock, first
    support.run_until(function()
      sock = sock or listener:accept()
      if sock then
        sock:settimeout(0)
        first = (first or "") .. select(3, sock:receive(65536))
      end
      return first and first ~= ""
    end)
    assert.is_true(server:adopt(sock:getfd(), first))
    sock:setfd(-1)
    local got
    ws.onopen = function()
      ws:send "x"
    end
    ws.onmessage = function(ev)
      got = ev.data
    end
    support.run_until(function()
      return got
    end)
    assert.are.equal("x", got)
    listener:close()
    raises("TypeError", server.adopt, server, "1")
    raises("TypeError", server.adopt, server, 0, 5)
    raises("TypeError", server.adopt, server, 0, nil, 5)
  end)

  it("lists its open sockets, unless told not to (row 375)", function()
    for _, tracks in ipairs { true, false } do
      local server = support.serve { client_tracking = tracks }
      local ws = assert(support.connect(server.url))
      local count = 0
      support.run_until(function()
        return server:stats().opened == 1
      end)
      support.settle()
      for _ in pairs(server.clients) do
        count = count + 1
      end
      assert.are.equal(tracks and 1 or 0, count)
      ws:close()
      ws:waitClosed(support.LIMIT)
      support.run_until(function()
        return server:stats().connections == 0
      end)
      support.settle()
      assert.is_nil(next(server.clients))
    end
  end)

  it("refuses handshakes once it is closed (row 377)", function()
    local server = support.serve {}
    local ws = assert(support.connect(server.url))
    local peer = support.raw(server)
    peer:write "GET / HTTP/1.1\r\n"
    support.run_until(function()
      return server:stats().accepted == 2
    end)
    support.settle()
    server:close()
    peer:write(
      "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        .. support.KEY
        .. "\r\n\r\n"
    )
    assert.are.equal(503, status_of(peer))
    assert.are.equal(1001, (ws:waitClosed(support.LIMIT)))
  end)

  it("answers what is no handshake, and bothers nobody (row 378)", function()
    local called = 0
    local function hook()
      called = called + 1
    end
    local server = support.serve { onupgrade = hook, onconnection = hook, onerror = hook }
    for request, status in pairs {
      ["NONSENSE\r\n\r\n"] = "400",
      ["GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"] = "426",
      ["GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"] = "426",
    } do
      assert.are.equal(status, answer_to(server, request):match "^HTTP/1.1 (%d+)", request)
    end
    assert.are.equal(0, called)
  end)

  it("closes in good order (rows 293, 376, 379)", function()
    local closed = false
    local server = support.serve {
      onconnection = function() end,
      onclose = function()
        closed = true
      end,
    }
    local ws = support.new(server.url)
    local record = support.record(ws)
    support.run_until(function()
      return ws.readyState == 1
    end)
    server:close(1012, "restart")
    assert.are.same({ "open", 'close(1012,"restart",true)' }, record.wait())
    assert.is_true(server:waitClosed(support.LIMIT))
    support.run_until(function()
      return closed
    end)
    assert.is_true(server.closed)
    server:close()
  end)

  it("has sockets that close with codes of servers (rows 230, 379)", function()
    local server = support.serve {
      onconnection = function(ws)
        raises("InvalidAccessError", ws.close, ws, 1001)
        ws:closeWith(1013, "later")
      end,
    }
    local record = support.record(support.new(server.url))
    assert.are.same({ "open", 'close(1013,"later",true)' }, record.wait())
  end)

  it("has topics (row 380)", function()
    local sockets = {}
    local server = support.serve {
      onconnection = function(ws, request)
        sockets[request.path] = ws
        ws:subscribe(request.path == "/c" and "other" or "room")
      end,
    }
    local got = {}
    for _, path in ipairs { "/a", "/b", "/c" } do
      local ws = support.new(server.url .. path)
      ws.onmessage = function(ev)
        table.insert(got, path .. " " .. ev.data .. " " .. tostring(ev.binary))
      end
    end
    support.run_until(function()
      return sockets["/a"] and sockets["/b"] and sockets["/c"]
    end)
    server:publish("room", "1")
    sockets["/a"]:publish("room", "2", { binary = true })
    server:broadcast("3", { except = sockets["/c"] })
    sockets["/a"]:unsubscribe "room"
    server:publish("room", "4")
    support.run_until(function()
      return #got == 6
    end)
    support.settle()
    table.sort(got)
    assert.are.same({
      "/a 1 false",
      "/a 3 false",
      "/b 1 false",
      "/b 2 true",
      "/b 3 false",
      "/b 4 false",
    }, got)
    raises("TypeError", server.publish, server, nil, "x")
    raises("TypeError", server.publish, server, "room", "\255")
    raises("InvalidStateError", function()
      support.new(server.url):publish("room", "x")
    end)
  end)

  it("masks nothing (row 303)", function()
    local server = support.serve {
      onconnection = function(ws)
        ws:send "x"
      end,
    }
    local peer = support.raw_client(server)
    peer:read_head()
    local first, payload, mask = peer:read_frame()
    assert.are.same({ 0x81, "x" }, { first, payload })
    assert.is_nil(mask)
  end)
end)
