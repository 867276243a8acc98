-- The constructor: URLs and subprotocols (behaviour sections A and B).
local libws = require "libws"
local support = require "support"
local new, raises = support.new, support.raises

describe("the constructor", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  local function url_of(url)
    return new(url).url
  end

  it("needs an argument (row 1)", function()
    raises("TypeError", libws.WebSocket)
  end)

  it("takes a table of options, which may be empty (row 2)", function()
    assert.are.equal(0, libws.WebSocket("ws://h/", "echo", { loop = support.loop }).readyState)
    raises("TypeError", new, "ws://h/", "echo", { no_such_option = 1 })
    raises("TypeError", libws.WebSocket, "ws://h/", "echo", 5)
  end)

  it("returns at once (row 3)", function()
    local ws = new "ws://127.0.0.1:9/"
    assert.is_true(libws.WebSocket.is(ws))
    assert.are.equal(0, ws.readyState)
  end)

  it("normalises URLs (rows 4, 5, 6, 8, 9, 15, 17, 21, 22, 25, 28, 29, 33)", function()
    local urls = {
      { "ws://h.example:8080", "ws://h.example:8080/" },
      { "WS://127.0.0.1:81/echo", "ws://127.0.0.1:81/echo" },
      { "ws://LOCALHOST:81/echo", "ws://localhost:81/echo" },
      { "ws://h:443/", "ws://h:443/" },
      { "wss://h:80/", "wss://h:80/" },
      { "ws://h:08080/", "ws://h:8080/" },
      { "ws://h:/x", "ws://h/x" },
      { "http://h/", "ws://h/" },
      { "https://h:443/x", "wss://h/x" },
      { "http://h:80/?a", "ws://h/?a" },
      { "ws:127.0.0.1:81/echo", "ws://127.0.0.1:81/echo" },
      { "ws:/127.0.0.1:81/echo", "ws://127.0.0.1:81/echo" },
      { "ws:\\\\127.0.0.1:81\\echo", "ws://127.0.0.1:81/echo" },
      { "ws://h/a%23b", "ws://h/a%23b" },
      { "ws://h/a/../b/./c", "ws://h/b/c" },
      { "ws://h/?\226\130\172", "ws://h/?%E2%82%AC" },
      { "  ws://h/ \n", "ws://h/" },
      { "ws://h/a\tb\nc", "ws://h/abc" },
      { "ws://127.1/", "ws://127.0.0.1/" },
      { "ws://0x7f.1/", "ws://127.0.0.1/" },
      { "ws://[::1]:81/", "ws://[::1]:81/" },
      { "ws://h/?", "ws://h/?" },
    }
    for _, pair in ipairs(urls) do
      assert.are.equal(pair[2], url_of(pair[1]))
    end
  end)

  it("refuses what is no URL of a WebSocket (rows 10, 13, 14, 18, 20)", function()
    for _, url in ipairs {
      "ws://h:65536/",
      "ws://h:80a/",
      "ws://h:-1/",
      "ws://a<b/",
      "ws://%/",
      "ws://a|b/",
      "ftp://h/",
      "mailto:a@b.org",
      "about:blank",
      "wsx://h/",
      "file:///x",
      "test",
      "/x",
      "?q",
      "//h/x",
      "",
      "ws://h/#f",
      "ws://h/#",
      "ws://h/?q#",
      "#test",
    } do
      raises("SyntaxError", new, url)
    end
  end)

  it("does not let the URL be assigned (row 34)", function()
    local ws = new "ws://h/"
    raises("TypeError", function()
      ws.url = "ws://o/"
    end)
    assert.are.equal("ws://h/", ws.url)
  end)

  it("asks an object for its text once (row 40)", function()
    local count = 0
    local url = setmetatable({}, {
      __tostring = function()
        count = count + 1
        return "ws://h/"
      end,
    })
    assert.are.equal("ws://h/", url_of(url))
    assert.are.equal(1, count)
  end)

  it("refuses URLs of other types (row 41)", function()
    for _, url in ipairs { 123, true, {} } do
      raises("TypeError", new, url)
    end
    raises("TypeError", new, nil)
  end)

  it("sends no subprotocol header unless asked to (row 42)", function()
    for _, protocols in ipairs { false, {} } do
      local listener = support.listen()
      new(listener.url, protocols or nil)
      assert.is_nil(listener.accept():read_head():lower():find "sec%-websocket%-protocol")
      listener.close()
    end
  end)

  it("sends the subprotocols in order, in one header (rows 43, 44)", function()
    for _, case in ipairs { { "a", "a" }, { { "b", "a", "c" }, "b, a, c" } } do
      local listener = support.listen()
      new(listener.url, case[1])
      local head = listener.accept():read_head()
      assert.are.equal(case[2], head:match "Sec%-WebSocket%-Protocol: ([^\r]*)")
      listener.close()
    end
  end)

  it("refuses subprotocols that are no tokens (rows 45, 46, 48, 49, 50, 54)", function()
    raises("SyntaxError", new, "ws://h/", "")
    raises("SyntaxError", new, "ws://h/", { "" })
    raises("SyntaxError", new, "ws://h/", "ec ho")
    raises("SyntaxError", new, "ws://h/", { "foobar, foobar" })
    for c in ('()<>@,;:\\"/[]?={} \t'):gmatch "." do
      raises("SyntaxError", new, "ws://h/", "a" .. c .. "b")
    end
    for byte = 1, 255 do
      if byte < 32 or byte >= 127 then
        raises("SyntaxError", new, "ws://h/", "a" .. string.char(byte) .. "b")
      end
    end
  end)

  it("refuses subprotocols that repeat, in any case (rows 52, 53)", function()
    raises("SyntaxError", new, "ws://h/", { "echo", "echo" })
    raises("SyntaxError", new, "ws://h/", { "echo", "eCho" })
  end)

  it("refuses subprotocols of other types (row 55)", function()
    raises("TypeError", new, "ws://h/", { a = 1 })
    raises("TypeError", new, "ws://h/", { 1 })
    raises("TypeError", new, "ws://h/", 5)
  end)

  it("shows the subprotocol the server chose (rows 56, 57, 58)", function()
    local server = support.serve {}
    local ws = new(server.url, { "foobar", "foobar2" })
    assert.are.equal("", ws.protocol)
    local seen
    ws.onopen = function()
      seen = ws.protocol
    end
    support.run_until(function()
      return seen
    end)
    assert.are.equal("foobar", seen)
  end)

  it("sends headers of the application and refuses bad ones (rows 67, 68)", function()
    local listener = support.listen()
    new(listener.url, nil, { headers = { ["X-A"] = "1", ["X-B"] = { "2", "3" } } })
    local head = listener.accept():read_head()
    for _, line in ipairs { "X-A: 1", "X-B: 2", "X-B: 3" } do
      assert.is_truthy(head:find("\r\n" .. line .. "\r\n", 1, true))
    end
    listener.close()
    for _, headers in ipairs {
      { ["X-A"] = "1\r\nX-B: 2" },
      { ["X\nA"] = "1" },
      { ["X-A"] = "a\0b" },
      { Host = "h" },
      { Upgrade = "x" },
      { ["sec-websocket-key"] = "x" },
    } do
      raises("TypeError", new, "ws://h/", nil, { headers = headers })
    end
    raises("TypeError", new, "ws://h/", nil, { headers = { ["X-A"] = 1 } })
  end)

  it("sends no Origin unless asked to (rows 66, 352)", function()
    for _, origin in ipairs { false, "https://x" } do
      local listener = support.listen()
      new(listener.url, nil, { origin = origin or nil })
      local head = listener.accept():read_head()
      assert.are.equal(origin or nil, head:match "Origin: ([^\r]*)")
      listener.close()
    end
  end)
end)
