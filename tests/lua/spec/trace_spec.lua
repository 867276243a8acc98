-- LIBWS_TRACE: what goes over the wire, as docs/guides/debugging.md says.
describe("LIBWS_TRACE", function()
  local lua = os.getenv "LIBWS_TEST_LUA" or arg[-1] or "lua"

  -- A server that echoes and its client, in one loop.
  local program = [[
    local libws = require "libws"
    local server = libws.serve { host = "127.0.0.1", port = 0,
      onconnection = function(ws)
        ws.onmessage = function(event) ws:send(event.data) end
      end }
    local ws = libws.WebSocket(server.url .. "/chat", nil, {
      proxy = "", headers = { Authorization = "Bearer sesame" } })
    ws.onopen = function() ws:send "hello" end
    ws.onmessage = function() ws:close(1000) end
    ws.onclose = function() server:close() end
    libws.run()
  ]]

  it("has a line written for each frame", function()
    local script, path = os.tmpname(), os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write(program)
    file:close()
    local run = assert(io.popen(("LIBWS_TRACE=%s timeout 20 %s %s 2>&1"):format(path, lua, script)))
    local output = run:read "*a"
    run:close()
    file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    os.remove(script)
    os.remove(path)

    assert.are.equal("", output)
    for line in text:gmatch "[^\n]+" do
      assert.is_truthy(line:match "^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ #%d+ [<>*] ", line)
    end
    for _, line in ipairs {
      " * connected to 127.0.0.1:", " * from 127.0.0.1:",
      " > GET /chat HTTP/1.1\n", " < GET /chat HTTP/1.1\n",
      " > Authorization: (hidden)\n", " < HTTP/1.1 101 Switching Protocols\n",
      " > text FIN 5 hello\n", " < text FIN 5 hello\n",
      " > close FIN 2 1000\n", " < close FIN 2 1000\n", " * closed 1000 clean\n",
    } do
      assert.is_truthy(text:find(line, 1, true), line)
    end
    assert.is_nil(text:find("sesame", 1, true))
  end)
end)
