-- Calls that wait: connect, receive, messages, drain (behaviour sections R and U).
local libws = require "libws"
local support = require "support"
local raises = support.raises

describe("calls that wait", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  local has_yieldable_for = _VERSION ~= "Lua 5.1" or rawget(_G, "jit")

  --- Runs a test outside of coroutines and in one.
  local function both(fn)
    return function()
      fn()
      support.run(fn)
    end
  end

  it("echo", both(function()
    local ws = assert(support.connect(support.serve_echo().url))
    ws:send "one"
    assert.are.same({ "one", false, true }, { ws:receive(5) })
    ws:sendBinary "two"
    assert.are.same({ "two", true, true }, { ws:receive() })
    ws:close(3000, "x")
    local values = { ws:receive() }
    assert.are.same({ "closed", 3000, "x" }, { values[2], values[3], values[4] })
    assert.are.same({ 3000, "x", true }, { ws:waitClosed() })
  end))

  it("time out without harm", both(function()
    local ws = assert(support.connect(support.serve_echo().url))
    local data, why = ws:receive(0.005)
    assert.is_nil(data)
    assert.are.equal("timeout", why)
    assert.are.equal("timeout", (select(2, ws:receive(0))))
    assert.are.equal("timeout", (select(2, ws:waitClosed(0))))
    ws:send "late"
    assert.are.equal("late", (ws:receive(5)))
  end))

  it("never raise for trouble with the network (rows 316, 395)", both(function()
    local ws, message, code = support.connect "ws://127.0.0.1:1/"
    assert.is_nil(ws)
    assert.are.equal("WS_ERR_CONNECT", code)
    assert.is_truthy(message:find "127.0.0.1")
  end))

  it("show the answer that refused (rows 316, 341)", function()
    local server = support.serve {
      onupgrade = function()
        return { status = 401, body = "who?", headers = { ["X-A"] = "1" } }
      end,
    }
    local ws, _, code, response = support.connect(server.url)
    assert.is_nil(ws)
    assert.are.equal("WS_ERR_UNEXPECTED_STATUS", code)
    assert.are.same({ 401, "who?", "1" }, { response.status, response.body, response.headers["x-a"] })
  end)

  it("raise for misuse (row 314)", function()
    raises("SyntaxError", support.connect, "invalid:")
    raises("TypeError", support.connect)
    raises("TypeError", libws.connect, "ws://h/", true)
  end)

  it("iterate over messages until the end", function()
    local server = support.serve {
      onconnection = function(ws)
        ws:send "a"
        ws:sendBinary "b"
        ws:close()
      end,
    }
    local function iterate()
      local got = {}
      local ws = assert(support.connect(server.url))
      for data, is_binary in ws:messages() do
        table.insert(got, { data, is_binary })
      end
      assert.are.same({ { "a", false }, { "b", true } }, got)
    end
    iterate()
    if has_yieldable_for then
      support.run(iterate)
    end
  end)

  if not has_yieldable_for then
    it("cannot be made in a for loop of a coroutine of Lua 5.1", function()
      support.run(function()
        local ws = assert(support.connect(support.serve_echo().url))
        local err = raises("InvalidStateError", ws:messages(), ws)
        assert.is_truthy(err.message:find "5.1")
      end)
    end)
  end

  it("refuse a second one who waits for the same", function()
    local ws = assert(support.connect(support.serve_echo().url))
    support.loop:spawn(function()
      ws:receive()
    end)
    raises("InvalidStateError", ws.receive, ws, 0)
  end)

  it("keep what came before listeners did", function()
    local server = support.serve {
      onconnection = function(ws)
        ws:send "early"
      end,
    }
    local ws = assert(support.connect(server.url))
    support.settle()
    local got
    ws.onmessage = function(ev)
      got = ev.data
    end
    assert.is_nil(got)
    support.run_until(function()
      return got
    end)
    assert.are.equal("early", got)
  end)

  it("stop reading when nobody receives (row 319)", function()
    local ws, peer
    local listener = support.listen()
    support.run(function()
      support.loop:spawn(function()
        ws = assert(support.connect(listener.url))
      end)
    end)
    peer = support.accept_raw(listener)
    listener.close()
    support.run_until(function()
      return ws
    end)
    for i = 1, 100 do
      peer:write(support.frame(0x81, "message " .. i))
    end
    support.settle()
    assert.is_true(ws:stats().messages_received < 100)
    for i = 1, 100 do
      assert.are.equal("message " .. i, (ws:receive(5)))
    end
  end)

  it("wait for the send queue (row 320)", function()
    local ws, peer = support.open_raw()
    assert.is_true(ws:drain())
    local size = 8 * 1024 * 1024
    ws:sendBinary(("x"):rep(size))
    assert.are.equal("timeout", (select(2, ws:drain(0.01))))
    local has_drained = false
    support.loop:spawn(function()
      has_drained = ws:drain()
    end)
    support.run_until(function()
      peer:fill()
      return has_drained
    end)
    assert.is_true(has_drained)
    peer:close()
    support.run_until(function()
      return ws.readyState == ws.CLOSED
    end)
    assert.are.equal("closed", (select(2, ws:drain())))
  end)

  it("serve many clients at once, each in a coroutine", function()
    local server = support.serve {
      onconnection = function(ws)
        while true do
          local data = ws:receive()
          if not data then
            break
          end
          ws:send(data:upper())
        end
      end,
    }
    local done = 0
    for i = 1, 20 do
      support.loop:spawn(function()
        local ws = assert(support.connect(server.url))
        for j = 1, 5 do
          ws:send(("client %d %d"):format(i, j))
          assert(ws:receive() == ("CLIENT %d %d"):format(i, j))
        end
        ws:close()
        ws:waitClosed()
        done = done + 1
      end)
    end
    support.run_until(function()
      return done == 20
    end)
  end)

  it("connect again when the connection is lost", function()
    local listener = support.listen()
    local ws = support.new(listener.url, nil, { reconnect = true, reconnect_min = 0.001, reconnect_max = 0.002 })
    local got = {}
    ws:addEventListener("open", function()
      table.insert(got, "open")
    end)
    ws:addEventListener("reconnect", function(ev)
      table.insert(got, ("reconnect %d %d"):format(ev.attempt, ev.code))
    end)
    support.accept_raw(listener):close()
    local peer = support.accept_raw(listener)
    support.run_until(function()
      return #got == 3
    end)
    assert.are.same({ "open", "reconnect 1 1006", "open" }, got)
    ws:terminate()
    peer:wait_eof()
    listener.close()
  end)

  it("sleep and time", function()
    local order = {}
    local timer = support.loop:timer(0.02, function()
      table.insert(order, "timer")
    end)
    support.loop
      :timer(0, function()
        table.insert(order, "never")
      end)
      :cancel()
    support.loop:sleep(0.001)
    table.insert(order, "slept")
    timer:set(0.005)
    support.run_until(function()
      return #order == 2
    end)
    support.settle()
    assert.are.same({ "slept", "timer" }, order)
    raises("TypeError", support.loop.timer, support.loop, 1)
    raises("TypeError", support.loop.sleep, support.loop, "x")
  end)

  it("run until nothing is left, or until they are stopped", function()
    support.loop:run()
    local ws = support.new(support.serve_echo().url)
    local is_open = false
    ws.onopen = function()
      is_open = true
      support.loop:stop()
    end
    support.loop:run()
    assert.is_true(is_open)
    support.loop:stop()
    support.loop:run()
  end)

  it("end without a trace when their arguments are wrong", function()
    local ws = assert(support.connect(support.serve_echo().url))
    raises("TypeError", ws.receive, ws, "soon")
    raises("TypeError", ws.receive, ws, -1)
    ws:send "x"
    assert.are.equal("x", (ws:receive(5)))
  end)

  it("refuse to wait for nothing", function()
    raises("InvalidStateError", support.loop.suspend, support.loop, {}, "x")
  end)
end)
