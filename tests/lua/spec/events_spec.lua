-- Events, listeners and their order (behaviour sections F, M and N).
local libws = require "libws"
local support = require "support"
local raises = support.raises

describe("events", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  --- The letters that handlers add while `ws` opens.
  local function letters_of_open(ws, letters)
    support.run_until(function()
      return ws.readyState == ws.OPEN
    end)
    return table.concat(letters)
  end

  local function new_with_letters()
    local letters = {}
    return support.new(support.serve_echo().url), letters, function(letter)
      return function()
        table.insert(letters, letter)
      end
    end
  end

  it("have the fields of a browser's (rows 122, 125, 126, 127, 128)", function()
    local ws = support.new(support.serve_echo().url)
    local kept, inside
    ws.onopen = function(ev)
      kept = ev
      inside = { ev.target == ws, ev.currentTarget == ws, ev.eventPhase, ev:composedPath()[1] == ws }
    end
    support.run_until(function()
      return kept
    end)
    assert.are.same({ true, true, 2, true }, inside)
    assert.are.same(
      { "open", true, false, false, false, 0 },
      { kept.type, kept.isTrusted, kept.bubbles, kept.cancelable, kept.defaultPrevented, kept.eventPhase }
    )
    assert.is_nil(kept.currentTarget)
    assert.are.equal(ws, kept.target)
    assert.is_nil(kept.data)
    assert.is_nil(kept.code)
  end)

  it("with a message know where they come from (rows 129, 131)", function()
    local server = support.serve_echo()
    local ws = support.new(server.url .. "/x?y")
    local message
    ws.onopen = function()
      ws:send "a"
    end
    ws.onmessage = function(ev)
      message = ev
    end
    support.run_until(function()
      return message
    end)
    assert.are.equal(server.url, message.origin)
    assert.are.equal("", message.lastEventId)
    assert.is_nil(message.source)
    assert.are.same({}, message.ports)
  end)

  it("with a message know the Origin of the client (row 130)", function()
    local origins = {}
    local server = support.serve {
      origins = "*",
      onconnection = function(ws)
        ws.onmessage = function(ev)
          table.insert(origins, ev.origin)
        end
      end,
    }
    for _, origin in ipairs { "https://x.example", false } do
      local ws = support.new(server.url, nil, { origin = origin or nil })
      ws.onopen = function()
        ws:send "a"
      end
    end
    support.run_until(function()
      return #origins == 2
    end)
    table.sort(origins)
    assert.are.same({ "", "https://x.example" }, origins)
  end)

  it("cannot be changed (row 132)", function()
    local ev = libws.CloseEvent("close", { code = 7 })
    raises("TypeError", function()
      ev.code = 8
    end)
    assert.are.equal(7, ev.code)
  end)

  it("are made by constructors (rows 133, 134, 135)", function()
    local ev = libws.CloseEvent "foo"
    assert.are.same({ "foo", false, 0, "" }, { ev.type, ev.wasClean, ev.code, ev.reason })
    assert.is_nil(ev.initCloseEvent)
    ev = libws.CloseEvent("foo", { wasClean = true, code = 7, reason = "x", bubbles = true, cancelable = true })
    assert.are.same(
      { true, 7, "x", true, true, false },
      { ev.wasClean, ev.code, ev.reason, ev.bubbles, ev.cancelable, ev.isTrusted }
    )
    raises("TypeError", libws.Event)
    raises("TypeError", libws.Event, "x", 5)
  end)

  it("come to listeners in the order of their coming (row 250)", function()
    local ws, letters, add = new_with_letters()
    ws:addEventListener("open", add "A")
    ws.onopen = add "h"
    ws:addEventListener("open", add "B")
    assert.are.equal("AhB", letters_of_open(ws, letters))
  end)

  it("come to a replaced handler in its old place (row 251)", function()
    local ws, letters, add = new_with_letters()
    ws:addEventListener("open", add "A")
    ws.onopen = add "1"
    ws:addEventListener("open", add "B")
    ws.onopen = add "2"
    assert.are.equal("A2B", letters_of_open(ws, letters))
  end)

  it("come last to a handler that was away (row 252)", function()
    local ws, letters, add = new_with_letters()
    ws.onopen = add "1"
    ws:addEventListener("open", add "B")
    ws.onopen = nil
    ws.onopen = add "2"
    assert.are.equal("B2", letters_of_open(ws, letters))
  end)

  it("have handlers that can be read (rows 253, 254, 255, 256)", function()
    local ws = support.new "ws://h/"
    local f = function() end
    ws.onopen = f
    assert.are.equal(f, ws.onopen)
    ws.onopen = nil
    assert.is_nil(ws.onopen)
    for _, value in ipairs { 2, ";", true, {} } do
      raises("TypeError", function()
        ws.onopen = value
      end)
    end
    local called = false
    local object = {
      handleEvent = function()
        called = true
      end,
    }
    ws.onopen = object
    assert.are.equal(object, ws.onopen)
    ws:dispatchEvent(libws.Event "open")
    assert.is_false(called)
  end)

  it("call a listener once, however often it was added (rows 258, 259, 260, 261, 262)", function()
    local ws, letters, add = new_with_letters()
    local a, b = add "a", add "b"
    ws:addEventListener("open", a)
    ws:addEventListener("open", a)
    ws.onopen = a
    ws:addEventListener("open", b)
    ws:removeEventListener("open", b)
    ws:removeEventListener("open", function() end)
    assert.are.equal("aa", letters_of_open(ws, letters))
    ws:removeEventListener("open", ws.onopen)
    ws:dispatchEvent(libws.Event "open")
    assert.are.equal("aaa", table.concat(letters))
  end)

  it("call a listener with once for the first only (row 263)", function()
    local ws = support.new "ws://h/"
    local count = 0
    local function listener()
      count = count + 1
      if count == 1 then
        ws:dispatchEvent(libws.Event "foo")
      end
    end
    ws:addEventListener("foo", listener, { once = true })
    ws:dispatchEvent(libws.Event "foo")
    ws:dispatchEvent(libws.Event "foo")
    assert.are.equal(1, count)
  end)

  --- What addEventListener takes for `signal`.
  local function new_signal()
    local signal = { aborted = false }
    function signal.addEventListener(self, kind, listener, options)
      assert(self == signal and kind == "abort" and options.once)
      signal.listener = listener
    end
    function signal:abort()
      self.aborted = true
      self.listener()
    end
    return signal
  end

  it("do not reach a listener whose signal was aborted (row 275)", function()
    local ws = support.new "ws://h/"
    local signal, count = new_signal(), 0
    local function listener()
      count = count + 1
    end
    ws:addEventListener("foo", listener, { signal = signal })
    ws:dispatchEvent(libws.Event "foo")
    signal:abort()
    ws:dispatchEvent(libws.Event "foo")
    ws:addEventListener("foo", listener, { signal = signal })
    ws:dispatchEvent(libws.Event "foo")
    assert.are.equal(1, count)
  end)

  it("have signals that keep no socket", function()
    local signal = new_signal()
    local weak = setmetatable({}, { __mode = "v" })
    local function listen()
      weak.ws = libws.WebSocket("ws://h/", nil, { loop = support.loop })
      weak.ws:addEventListener("foo", function() end, { signal = signal })
    end
    listen()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak.ws)
    signal:abort()
  end)

  it("do not reach listeners added or removed meanwhile (row 265)", function()
    local ws, letters, add = new_with_letters()
    local late = add "late"
    local removed = add "removed"
    ws:addEventListener("foo", function()
      ws:addEventListener("foo", late)
      ws:removeEventListener("foo", removed)
    end)
    ws:addEventListener("foo", removed)
    ws:dispatchEvent(libws.Event "foo")
    assert.are.same({}, letters)
  end)

  it("go to the handler that is set when they come (row 266)", function()
    local ws, peer = support.open_raw()
    local got = {}
    ws.onmessage = function()
      table.insert(got, "f")
      ws.onmessage = function()
        table.insert(got, "g")
      end
    end
    peer:write(support.frame(0x81, "1") .. support.frame(0x81, "2"))
    support.run_until(function()
      return #got == 2
    end)
    assert.are.same({ "f", "g" }, got)
  end)

  it("can be stopped, but not prevented (rows 269, 270)", function()
    local ws, letters, add = new_with_letters()
    local event
    ws:addEventListener("foo", function(ev)
      event = ev
      ev:preventDefault()
      ev:stopImmediatePropagation()
      return false
    end)
    ws:addEventListener("foo", add "x")
    assert.is_true(ws:dispatchEvent(libws.Event "foo"))
    assert.are.same({}, letters)
    assert.is_false(event.defaultPrevented)
  end)

  it("are dispatched at once by dispatchEvent (rows 128, 271, 272, 273, 274)", function()
    local ws, letters, add = new_with_letters()
    local trusted
    ws.onopen = function(ev)
      trusted = ev.isTrusted
    end
    ws:addEventListener("Open", add "x")
    ws:addEventListener("open", nil)
    assert.is_true(ws:dispatchEvent(libws.Event "open"))
    assert.is_false(trusted)
    assert.are.equal(0, ws.readyState)
    assert.are.same({}, letters)
    raises("TypeError", ws.dispatchEvent, ws, {})
    raises("TypeError", ws.addEventListener, ws, 5, add "x")
    raises("TypeError", ws.addEventListener, ws, "open", 5)
  end)

  it("go on to later listeners when one raises in dispatchEvent (row 267)", function()
    local ws, letters, add = new_with_letters()
    ws:addEventListener("foo", function()
      error "x"
    end)
    ws:addEventListener("foo", add "later")
    assert.is_true(ws:dispatchEvent(libws.Event "foo"))
    assert.are.same({ "later" }, letters)
    assert.are.equal(1, #support.take_reports())
  end)

  it("do not come before control returns to the loop (rows 276, 277)", function()
    local ws = support.new "ws://127.0.0.1:1/"
    local record = support.record(ws)
    assert.are.same({ "error", 'close(1006,"",false)' }, record.wait())
    assert.are.same({ 3, 3 }, record.states)
  end)

  it("let what waits for one go on before the next (row 278)", function()
    local ws, peer = support.open_raw()
    local got = {}
    local waiting = {}
    support.loop:spawn(function()
      support.loop:suspend(waiting, "a")
      table.insert(got, "woken")
    end)
    ws.onmessage = function(ev)
      table.insert(got, ev.data)
      support.loop:wake(waiting, "a")
    end
    peer:write(support.frame(0x81, "1") .. support.frame(0x81, "2"))
    support.run_until(function()
      return #got == 3
    end)
    assert.are.same({ "1", "woken", "2" }, got)
  end)

  it("let a handler wait, and start the others in order (rows 278, 279)", function()
    local ws, peer = support.open_raw()
    local got = {}
    ws.onmessage = function(ev)
      table.insert(got, "begin " .. ev.data)
      support.loop:sleep(0.01)
      table.insert(got, "end " .. ev.data)
    end
    ws:addEventListener("message", function(ev)
      table.insert(got, "second " .. ev.data)
    end)
    peer:write(support.frame(0x81, "1") .. support.frame(0x81, "2"))
    support.run_until(function()
      return #got == 6
    end)
    assert.are.same({ "begin 1", "second 1", "begin 2", "second 2", "end 1", "end 2" }, got)
  end)

  it("cannot be asked for from inside a handler (row 279)", function()
    local ws = support.new(support.serve_echo().url)
    local err
    ws.onopen = function()
      err = raises("InvalidStateError", support.loop.step, support.loop)
    end
    support.run_until(function()
      return err
    end)
  end)

  it("of another socket stop when it is closed (row 280)", function()
    local ws, peer = support.open_raw()
    local other = support.new(support.serve_echo().url)
    local got = {}
    ws.onmessage = function(ev)
      table.insert(got, ev.data)
    end
    other.onopen = function()
      peer:write(support.frame(0x81, "1")) -- Turns no loop: it fits the kernel.
      ws:close()
    end
    support.run_until(function()
      return other.readyState == 1
    end)
    support.settle()
    assert.are.same({}, got)
  end)

  it("say why a connection failed (rows 124, 136, 137, 249, 353)", function()
    local ws, peer = support.open_raw()
    local record = support.record(ws)
    local failure
    ws:addEventListener("error", function(ev)
      failure = ev
    end)
    peer:write(support.frame(0x81, "test") .. support.frame(0x83, ""))
    assert.are.same({ "message(test)", "error", 'close(1006,"",false)' }, record.wait())
    assert.are.same({ 1, 3, 3 }, record.states)
    assert.are.same(
      { "error", "WS_ERR_INVALID_OPCODE", "peer", "open", 1002 },
      { failure.type, failure.code, failure.side, failure.phase, failure.closeCode }
    )
    assert.are_not.equal("", failure.message)
  end)
end)
