-- The opening handshake of a client (behaviour sections A, C and D), against raw
-- servers.
local libws = require "libws"
local socket = require "socket"
local support = require "support"

local FAILS = { "error", 'close(1006,"",false)' }

-- What browsers block (Fetch standard, "port blocking").
local BAD_PORTS = {}
for port in
  ([[0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119
    123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990
    993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697
    10080]]):gmatch "%d+"
do
  table.insert(BAD_PORTS, tonumber(port))
end

describe("a handshake", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  --- The head of the request that a client writes.
  local function request_of(target, protocols, options)
    local listener = support.listen()
    support.new(listener.url .. (target or "/"), protocols, options)
    local head = listener.accept():read_head()
    listener.close()
    return head
  end

  --- The values that a head has for a header.
  local function values_of(head, name)
    local values = {}
    for field, value in head:gmatch "\r\n([%w-]+): ([^\r]*)" do
      if field:lower() == name:lower() then
        table.insert(values, value)
      end
    end
    return values
  end

  --- Lets a raw server answer: a text, or answer(accept) where `accept` is the
  -- right Sec-WebSocket-Accept. Returns the record of the client, the raw server,
  -- and the client.
  local function answered(answer, protocols, options)
    local listener = support.listen()
    local ws = support.new(listener.url, protocols, options)
    local record = support.record(ws)
    local peer = listener.accept()
    local accept = support.response_to(peer:read_head()):match "Sec%-WebSocket%-Accept: ([^\r]*)"
    listener.close()
    peer:write(type(answer) == "string" and answer or answer(accept))
    return record, peer, ws
  end

  --- A 101 with further lines.
  local function switching(...)
    local lines = { ... }
    return function(accept)
      local head = { "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade" }
      table.insert(head, "Sec-WebSocket-Accept: " .. accept)
      for _, line in ipairs(lines) do
        table.insert(head, line)
      end
      return table.concat(head, "\r\n") .. "\r\n\r\n"
    end
  end

  --- The same with each `from` replaced by `to`.
  local function changed(from, to)
    return function(accept)
      local text, count = switching()(accept):gsub(from, to)
      assert(count == 1)
      return text
    end
  end

  local function fails(...)
    local record, peer = answered(...)
    peer.sock:shutdown "send"
    assert.are.same(FAILS, record.wait())
    assert.are.same({ 3, 3 }, record.states)
    peer:close()
  end

  local function opens(...)
    local record, peer, ws = answered(...)
    support.run_until(function()
      return ws.readyState ~= 0
    end)
    assert.are.same({ "open" }, { support.unpack(record) })
    ws:terminate()
    peer:close()
  end

  local function code_of_failure(url, options)
    local ws = support.new(url, nil, options)
    local record = support.record(ws)
    local code
    ws.onerror = function(ev)
      code = ev.code
    end
    assert.are.same(FAILS, record.wait())
    return code
  end

  -- -- The request -----------------------------------------------------------------

  it("is what the RFC asks for (rows 60, 61, 62)", function()
    local keys = {}
    for _ = 1, 2 do
      local head = request_of "/a/b?c=d"
      assert.are.equal("GET /a/b?c=d HTTP/1.1", head:match "^[^\r]*")
      assert.are.same({ "websocket" }, values_of(head, "Upgrade"))
      assert.are.same({ "Upgrade" }, values_of(head, "Connection"))
      assert.are.same({ "13" }, values_of(head, "Sec-WebSocket-Version"))
      local key = values_of(head, "Sec-WebSocket-Key")
      assert.are.equal(1, #key)
      assert.is_truthy(#key[1] == 24 and key[1]:find "^[%w+/]+==$")
      assert.is_nil(keys[key[1]])
      keys[key[1]] = true
    end
  end)

  it("has the port in Host unless it is the default (row 63)", function()
    local listener = support.listen()
    for host, expected in pairs { ["h:80"] = "h", h = "h", ["h:8080"] = "h:8080", ["h:443"] = "h:443" } do
      local sock = assert(socket.connect("127.0.0.1", listener.port))
      support.new("ws://" .. host .. "/", nil, { fd = sock:getfd() })
      sock:setfd(-1) -- It is the socket's now.
      assert.are.same({ expected }, values_of(listener.accept():read_head(), "Host"))
    end
    listener.close()
  end)

  it("offers compression unless told not to (row 64)", function()
    local offer = values_of(request_of(), "Sec-WebSocket-Extensions")
    assert.are.equal(1, #offer)
    assert.is_truthy(offer[1]:find "^permessage%-deflate" and offer[1]:find "client_max_window_bits")
    assert.are.same({}, values_of(request_of("/", nil, { compression = false }), "Sec-WebSocket-Extensions"))
  end)

  it("carries cookies, in one header (row 69)", function()
    local head = request_of("/", nil, { headers = { Cookie = "a=1; b=2" } })
    assert.are.same({ "a=1; b=2" }, values_of(head, "Cookie"))
  end)

  it("carries the credentials of the URL (rows 30, 31)", function()
    for userinfo, expected in pairs {
      ["foo:bar@"] = "Basic Zm9vOmJhcg==",
      ["u:p%40x@"] = "Basic dTpwQHg=",
    } do
      local listener = support.listen()
      local ws = support.new(("ws://%s127.0.0.1:%d/"):format(userinfo, listener.port))
      assert.are.equal(("ws://%s127.0.0.1:%d/"):format(userinfo, listener.port), ws.url)
      local peer = listener.accept()
      local head = peer:read_head()
      assert.are.same({ expected }, values_of(head, "Authorization"))
      peer:write(support.response_to(head))
      support.run_until(function()
        return ws.readyState == 1
      end)
      listener.close()
    end
  end)

  it("has an international host in its ASCII form (row 26)", function()
    local name = "ws://\229\164\169\230\176\151\227\129\174\232\137\175\227\129\132\230\151\165.example"
    local ascii = "xn--n8j6ds53lwwkrqhv28a.example"
    local listener = support.listen()
    local sock = assert(socket.connect("127.0.0.1", listener.port))
    local ws = support.new(name, nil, { fd = sock:getfd() })
    sock:setfd(-1)
    assert.are.equal("ws://" .. ascii .. "/", ws.url)
    local peer = listener.accept()
    local head = peer:read_head()
    assert.are.same({ ascii }, values_of(head, "Host"))
    peer:write(support.response_to(head) .. support.frame(0x81, ""))
    local origin
    ws.onmessage = function(ev)
      origin = ev.origin
    end
    support.run_until(function()
      return origin
    end)
    assert.are.equal("ws://" .. ascii, origin)
    support.raises("SyntaxError", support.new, "ws://xn--\195\164/")
    listener.close()
  end)

  it("does not wait for another one (row 71)", function()
    local listener = support.listen()
    local first, second = support.new(listener.url), support.new(listener.url)
    local peers = { listener.accept(), listener.accept() }
    for _, peer in ipairs(peers) do
      assert.are.equal("GET / HTTP/1.1", peer:read_head():match "^[^\r]*")
    end
    assert.are.same({ 0, 0 }, { first.readyState, second.readyState })
    listener.close()
  end)

  it("follows failed ones without delay (row 72)", function()
    local listener = support.listen()
    local log, begun = {}, socket.gettime()
    local function connect()
      local ws = support.new(listener.url)
      ws.onclose = function(ev)
        table.insert(log, ev.wasClean)
        if #log < 4 then
          support.loop:timer(0, connect)
        end
      end
    end
    connect()
    for _ = 1, 3 do
      local peer = listener.accept()
      peer:read_head()
      peer:close()
    end
    local peer = support.accept_raw(listener)
    peer:write(support.frame(0x88, support.close_payload(1000)))
    peer:read_close()
    peer:close()
    support.run_until(function()
      return #log == 4
    end)
    assert.are.same({ false, false, false, true }, log)
    assert.is_true(socket.gettime() - begun < 4)
    listener.close()
  end)

  it("goes to http URLs as well (row 16)", function()
    local server = support.serve_echo()
    local ws = assert(support.connect("http" .. server.url:sub(3)))
    ws:send "x"
    assert.are.equal("x", (ws:receive(support.LIMIT)))
  end)

  it("goes to Unix sockets (row 351)", function()
    local path = os.tmpname()
    os.remove(path)
    local target
    local server = assert(libws.serve {
      loop = support.loop,
      unix = path,
      onconnection = function(ws, request)
        target = request.target
        ws:send "hello"
      end,
    })
    local ws = assert(support.connect("ws+unix:" .. path .. ":/path?q"))
    assert.are.equal("hello", (ws:receive(support.LIMIT)))
    assert.are.equal("/path?q", target)
    server:close()
    os.remove(path)
  end)

  -- -- Where it does not go --------------------------------------------------------

  it("fails for names that nobody has (row 38)", function()
    -- No label of a name has more than 63 letters, so that nobody is asked.
    assert.are.equal("WS_ERR_RESOLVE", code_of_failure("ws://" .. ("a"):rep(64) .. ".invalid/"))
  end)

  it("goes to ports that browsers block, unless told not to (rows 35, 36, 37, 39)", function()
    for _, port in ipairs(BAD_PORTS) do
      local url = ("ws://127.0.0.1:%d/"):format(port)
      assert.are.equal("WS_ERR_BLOCKED_PORT", code_of_failure(url, { block_bad_ports = true }), url)
    end
    for _, url in ipairs { "ws://127.0.0.1:80", "ws://127.0.0.1:443", "wss://127.0.0.1:80", "wss://127.0.0.1:443" } do
      local code = code_of_failure(url, { block_bad_ports = true, handshake_timeout = 1 })
      assert.are_not.equal("WS_ERR_BLOCKED_PORT", code)
    end
    code_of_failure "ws://127.0.0.1:0/"

    local listener, port
    for i = #BAD_PORTS, 1, -1 do
      port = BAD_PORTS[i]
      listener = port > 1024 and socket.bind("127.0.0.1", port)
      if listener then
        break
      end
    end
    listener:settimeout(0)
    support.new(("ws://127.0.0.1:%d/"):format(port), nil, { block_bad_ports = true })
    support.settle()
    assert.is_nil(listener:accept())
    support.new(("ws://127.0.0.1:%d/"):format(port))
    support.run_until(function()
      return listener:accept()
    end)
    listener:close()
  end)

  -- -- The response ----------------------------------------------------------------

  it("fails for what is no 101 (rows 73, 74, 76, 96, 108)", function()
    fails "FOO BAR BAZ\r\n\r\n"
    for _, status in ipairs { 200, 204, 400, 403, 404, 426, 500, 503 } do
      fails(("HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n"):format(status))
    end
    fails "HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
    fails(changed("HTTP/1.1", "HTTP/1.0"))
  end)

  --- A raw server that redirects to `url`. Returns its record, whether the other
  -- server was asked, and with what.
  local function redirected(status, options)
    local other = support.listen()
    local record, peer, ws = answered(
      ("HTTP/1.1 %d Moved\r\nLocation: %s/there\r\nContent-Length: 0\r\n\r\n"):format(status, other.url),
      nil,
      options
    )
    peer:close()
    return record, other, ws
  end

  it("follows no redirect unless told to (row 75)", function()
    for _, status in ipairs { 301, 302, 307, 308 } do
      local record, other = redirected(status)
      assert.are.same(FAILS, record.wait())
      assert.is_false(other.is_asked())
      other.close()
    end
  end)

  it("follows as many redirects as it is told, without credentials (row 344)", function()
    local headers = { Authorization = "Basic eA==", Cookie = "a=1", ["X-A"] = "1" }
    local record, other, ws = redirected(302, { max_redirects = 1, headers = headers })
    local peer = other.accept()
    local head = peer:read_head()
    assert.are.equal("GET /there HTTP/1.1", head:match "^[^\r]*")
    assert.are.same({}, values_of(head, "Authorization"))
    assert.are.same({}, values_of(head, "Cookie"))
    assert.are.same({ "1" }, values_of(head, "X-A"))
    peer:write(support.response_to(head))
    support.run_until(function()
      return ws.readyState == 1
    end)
    assert.are.same({ "open" }, { support.unpack(record) })

    local last
    record, last, ws = redirected(302, { max_redirects = 1 })
    peer = last.accept()
    peer:read_head()
    peer:write(("HTTP/1.1 302 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(other.url))
    local code
    ws.onerror = function(ev)
      code = ev.code
    end
    assert.are.same(FAILS, record.wait())
    assert.are.equal("WS_ERR_REDIRECT", code)
    assert.is_false(other.is_asked())
    other.close()
    last.close()
  end)

  it("needs Upgrade and Connection, in any case (rows 77, 78, 79, 80, 81)", function()
    fails(changed("Upgrade: websocket\r\n", ""))
    opens(changed("Upgrade: websocket", "Upgrade: WebSocket"))
    fails(changed("Upgrade: websocket", "Upgrade: h2c"))
    fails(changed("Connection: Upgrade\r\n", ""))
    opens(changed("Connection: Upgrade", "Connection: keep-alive, Upgrade"))
  end)

  it("needs the right Accept, letter by letter (rows 83, 85)", function()
    fails(changed("Sec%-WebSocket%-Accept: [^\r]*\r\n", ""))
    fails(changed("(Accept: )[^\r]*", "%1" .. support.ACCEPT))
    fails(changed("(Accept: )([^\r]*)", function(name, value)
      local other = value:gsub("%a", function(letter)
        return letter == letter:lower() and letter:upper() or letter:lower()
      end)
      return name .. other
    end))
  end)

  it("needs one of the subprotocols it asked for (rows 86, 87, 88)", function()
    fails(switching "Sec-WebSocket-Protocol: foobar")
    fails(switching "Sec-WebSocket-Protocol: foobar", "FOOBAR")
    fails(switching(), "foobar")
    opens(switching "Sec-WebSocket-Protocol: foobar", "foobar")
  end)

  it("takes no extension but the one it asked for (rows 90, 91, 92)", function()
    fails(switching "Sec-WebSocket-Extensions: foo")
    fails(switching "Sec-WebSocket-Extensions: permessage-deflate", nil, { compression = false })
    for _, parameter in ipairs {
      "server_max_window_bits=7",
      "server_max_window_bits=16",
      "server_max_window_bits=1000",
      "what=1",
      "server_no_context_takeover; server_no_context_takeover",
    } do
      fails(switching("Sec-WebSocket-Extensions: permessage-deflate; " .. parameter))
    end
    opens(switching "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10")
  end)

  it("may come with what follows it (rows 93, 94)", function()
    local close = support.frame(0x88, support.close_payload(1001, "PASS"))
    local listener = support.listen()
    local ws = support.new(listener.url)
    ws.onopen = function()
      ws:close()
    end
    local record = support.record(ws)
    local peer = listener.accept()
    peer:write(support.response_to(peer:read_head()) .. close)
    peer:read_close()
    peer:close()
    assert.are.same({ "open", 'close(1001,"PASS",true)' }, record.wait())

    ws = support.new(listener.url)
    local got
    ws.onopen = function()
      ws.onmessage = function(ev)
        got = ev.data
      end
    end
    peer = listener.accept()
    peer:write(support.response_to(peer:read_head()) .. support.frame(0x81, "early"))
    support.run_until(function()
      return got
    end)
    assert.are.equal("early", got)
    listener.close()
  end)

  it("may come byte by byte (row 95)", function()
    local listener = support.listen()
    local ws = support.new(listener.url)
    local peer = listener.accept()
    for byte in support.response_to(peer:read_head()):gmatch "." do
      assert.are.equal(0, ws.readyState)
      peer:write(byte)
      support.loop:step(0)
    end
    support.run_until(function()
      return ws.readyState == 1
    end)
    listener.close()
  end)

  it("has a head of bounded size (row 98)", function()
    fails("HTTP/1.1 101 Switching Protocols\r\nX-A: " .. ("x"):rep(64 * 1024))
    fails("HTTP/1.1 101 Switching Protocols\r\n" .. ("X-A: x\r\n"):rep(1000))
  end)

  it("ends alike, whatever the cause (row 97)", function()
    local sock = assert(socket.bind("127.0.0.1", 0))
    local _, port = sock:getsockname()
    sock:close()
    assert.are.equal("WS_ERR_CONNECT", code_of_failure(("ws://127.0.0.1:%d/"):format(port)))
    fails ""
    local server = support.serve_echo()
    assert.are.equal("WS_ERR_TLS", code_of_failure(("wss://127.0.0.1:%d/"):format(server.port)))
  end)

  it("shows the response in the handler of open, before all else (rows 70, 342)", function()
    local listener = support.listen()
    local ws = support.new(listener.url)
    local record = support.record(ws)
    local cookies, raw
    ws.onopen = function()
      cookies, raw = ws.response.headers["set-cookie"], ws.response.rawHeaders
      assert.are.equal(101, ws.response.status)
      ws:close()
    end
    local peer = listener.accept()
    local response = support.response_to(peer:read_head(), { { "Set-Cookie", "a=1" }, { "Set-Cookie", "b=2" } })
    peer:write(response .. support.frame(0x81, "not delivered"))
    peer:write(support.frame(0x88, (select(2, peer:read_frame()))))
    peer:close()
    assert.are.same({ "open", 'close(1005,"",true)' }, record.wait())
    assert.are.equal("a=1, b=2", cookies)
    local values = {}
    for i = 1, #raw, 2 do
      if raw[i]:lower() == "set-cookie" then
        table.insert(values, raw[i + 1])
      end
    end
    assert.are.same({ "a=1", "b=2" }, values)
    listener.close()
  end)

  it("without subprotocols leaves protocol empty on both ends (row 59)", function()
    local of_server
    local server = support.serve {
      onconnection = function(ws)
        of_server = ws.protocol
      end,
    }
    local ws = assert(support.connect(server.url))
    support.run_until(function()
      return of_server
    end)
    assert.are.same({ "", "" }, { ws.protocol, of_server })
  end)
end)
