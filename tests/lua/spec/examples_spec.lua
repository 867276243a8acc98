-- The examples run as they stand, each in a process of its own.
describe("an example", function()
  local lua = os.getenv "LIBWS_TEST_LUA" or arg[-1] or "lua"

  local function command(line)
    return ("timeout 20 %s examples/lua/%s 2>&1"):format(lua, line)
  end

  --- Starts a server. Returns its URL, and a function that ends it.
  local function start(line_before_port)
    local output = assert(io.popen("echo $$; exec " .. command(line_before_port .. " 0")))
    local pid = output:read "*l"
    local line = output:read "*l"
    local url = line and line:match "^listening on (ws://.*)"
    assert(url, line)
    return url, function()
      os.execute("kill " .. pid)
      output:close()
    end
  end

  local function output_of(line)
    local output = assert(io.popen(line))
    local text = output:read "*a"
    output:close()
    return text
  end

  it("echoes", function()
    local url, stop = start "echo_server.lua"
    local text = output_of("printf 'one\\ntwo\\n' | " .. command("echo_client.lua " .. url))
    stop()
    assert.are.equal("one\ntwo\nclosed: 1000 done\n", text)
  end)

  it("carries messages to another server and back", function()
    local upstream, stop_upstream = start "echo_server.lua"
    local url, stop = start("gateway.lua " .. upstream)
    local text = output_of("printf 'one\\ntwo\\n' | " .. command("echo_client.lua " .. url))
    assert.are.equal("one\ntwo\nclosed: 1000 done\n", text)
    stop_upstream()
    text = output_of("printf 'one\\n' | " .. command("echo_client.lua " .. url))
    assert.is_truthy(text:find("answer with status 101", 1, true), text)
    stop()
  end)

  it("chats", function()
    local url, stop = start "chat_server.lua"
    local text = output_of(command("chat_client.lua " .. url .. "/tea ann hello"))
    stop()
    assert.are.equal("ann has come\nann: hello\n", text)
  end)
end)
