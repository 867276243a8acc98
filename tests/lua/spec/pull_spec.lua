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
    assert.are.same({ "one", false, true }, { ws:receive(support.LIMIT) })
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
    assert.are.equal("late", (ws:receive(support.LIMIT)))
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

  it("have what was negotiated (row 315)", both(function()
    local ws = assert(support.connect(support.serve_echo({ protocols = "chat" }).url, { protocols = "chat" }))
    assert.are.equal("chat", ws.protocol)
    assert.is_truthy(ws.extensions:find "^permessage%-deflate")
    ws:close()
  end))

  it("close with what they are told (rows 322, 323)", both(function()
    local server = support.serve_echo()
    for _, case in ipairs {
      { {}, 1005, "" },
      { { nil, "" }, 1005, "" },
      { { nil, "non-empty" }, 1000, "non-empty" },
    } do
      local ws = assert(support.connect(server.url))
      ws:close(case[1][1], case[1][2])
      assert.are.same({ case[2], case[3], true }, { ws:waitClosed(support.LIMIT) })
    end
  end))

  it("check what they close with (row 324)", function()
    local ws = assert(support.connect(support.serve_echo().url))
    raises("TypeError", ws.close, ws, true)
    raises("SyntaxError", ws.close, ws, 1000, ("x"):rep(124))
    for _, code in ipairs { 999, 1001, 2999, 5000 } do
      raises("InvalidAccessError", ws.close, ws, code)
    end
    assert.are.equal(1, ws.readyState)
  end)

  it("all fail when the handshake is given up (row 325)", function()
    local listener = support.listen()
    local ws = support.new(listener.url)
    local received, closed
    support.loop:spawn(function()
      received = { ws:receive() }
    end)
    support.loop:spawn(function()
      closed = { ws:waitClosed() }
    end)
    ws:close()
    support.run_until(function()
      return received and closed
    end)
    assert.are.same({ "closed", 1006, "" }, { received[2], received[3], received[4] })
    assert.are.same({ 1006, "", false }, closed)
    listener.close()
  end)

  it("fail alike when the connection is lost (rows 329, 330, 348)", function()
    local ws, peer = support.open_raw { send_high_water = 1 }
    ws:sendBinary(("x"):rep(8 * 1024 * 1024))
    local drained, received, closed
    support.loop:spawn(function()
      drained = { ws:drain() }
    end)
    support.loop:spawn(function()
      received = { ws:receive() }
    end)
    support.loop:spawn(function()
      closed = { ws:waitClosed() }
    end)
    support.settle()
    assert.is_nil(drained)
    peer:close()
    support.run_until(function()
      return drained and received and closed
    end)
    assert.are.same({ "closed", 1006, "" }, { drained[2], drained[3], drained[4] })
    assert.are.same({ "closed", 1006, "" }, { received[2], received[3], received[4] })
    assert.are.same({ 1006, "", false }, closed)
    ws:send "x" -- As in a browser, this raises nothing.
    assert.are.same({ "closed", 1006, "" }, { select(2, ws:drain()) })
  end)

  it("tell when all has been written (row 348)", function()
    local ws, peer = support.open_raw { send_high_water = 1 }
    local size = 8 * 1024 * 1024
    ws:sendBinary(("x"):rep(size))
    local is_written
    support.loop:spawn(function()
      is_written = ws:drain()
    end)
    local got = 0
    support.run_until(function()
      peer:fill()
      got = got + #peer.input
      peer.input = ""
      return is_written
    end)
    assert.are.equal(0, ws.bufferedAmount)
    support.run_until(function()
      peer:fill()
      got = got + #peer.input
      peer.input = ""
      return got == size + 14
    end)
  end)

  it("take and give text and bytes, and nothing else (rows 332, 333)", both(function()
    local ws = assert(support.connect(support.serve_echo().url))
    ws:send "text"
    ws:sendBinary "bytes"
    assert.are.same({ "text", false }, { (ws:receive(support.LIMIT)), false })
    assert.are.same({ "bytes", true, true }, { ws:receive(support.LIMIT) })
    for _, value in ipairs { 1, true, {}, print } do
      raises("TypeError", ws.send, ws, value)
    end
    ws:close()
  end))

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

  it("do not hinder a close by what nobody has received", both(function()
    local server = support.serve_flood()
    local ws = assert(support.connect(server.url))
    while ws:stats().messages_received < 16 do
      support.loop:sleep(0)
    end
    ws:close()
    assert.are.same({ 1005, "", true }, { ws:waitClosed(4) })
    assert.are.equal("x", (ws:receive()))
  end))

  it("go on waiting when somebody else resumes them", function()
    local url = support.serve_echo().url
    local got
    local co = coroutine.create(function()
      local ws = assert(support.connect(url))
      ws:send "x"
      local data = ws:receive()
      support.loop:sleep(0.001)
      got = data
    end)
    while coroutine.status(co) ~= "dead" do
      assert(coroutine.resume(co))
      support.loop:step(0)
    end
    assert.are.equal("x", got)
  end)

  it("may end with an error, and be made again", function()
    local ws = assert(support.connect(support.serve_echo().url))
    local got
    support.loop:spawn(function()
      -- PUC Lua 5.1 cannot yield here.
      pcall(ws.receive, ws, 0.001)
      pcall(support.loop.sleep, support.loop, 0.001)
      local _, why = ws:receive(0.005)
      ws:send "x"
      got = { why, ws:receive(5) }
    end)
    support.run_until(function()
      return got
    end)
    support.settle()
    assert.are.same({ "timeout", "x", false, true }, got)
  end)

  if coroutine.close then
    it("may be given up with their coroutine", function()
      local ws = assert(support.connect(support.serve_echo().url))
      for _, timeout in ipairs { false, 0.001 } do
        local co = coroutine.create(function()
          ws:receive(timeout)
        end)
        coroutine.resume(co)
        assert.is_true(coroutine.close(co))
        support.loop:sleep(0.005)
      end
      ws:send "x"
      assert.are.equal("x", (ws:receive(5)))
    end)
  end

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
      assert.are.equal("message " .. i, (ws:receive(support.LIMIT)))
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
    local timer = support.loop:timer(1000, function()
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
    assert.are.equal("x", (ws:receive(support.LIMIT)))
  end)

  it("refuse to wait for nothing", function()
    raises("InvalidStateError", support.loop.suspend, support.loop, {}, "x")
  end)
end)
