--- What the nginx of the tests does, by the path below /app/.

local resty = require "libws.resty"

local handlers = {}

local function log(...)
  ngx.log(ngx.NOTICE, ...)
end

--- Logs the close event as "NAME closed CODE REASON CLEAN".
local function log_close(ws, name)
  ws.onclose = function(e)
    log(name, " closed ", e.code, " '", e.reason, "' ", tostring(e.wasClean))
  end
end

-- -- Echo ----------------------------------------------------------------------

local function echo(ws)
  for data, binary in ws:messages() do
    ws:send(data, { binary = binary })
  end
end

function handlers.echo()
  local ws = resty.upgrade { compression = true }
  if ws then
    log_close(ws, "echo")
    echo(ws)
  end
end

handlers["echo-events"] = function()
  local ws = resty.upgrade()
  log_close(ws, "events")
  ws.onmessage = function(e)
    ws:send(e.data, { binary = e.binary })
  end
end

-- -- Opening -------------------------------------------------------------------

--- Logs what upgrade() returns for a request that it refuses.
function handlers.refuse()
  local ws, message, code, status = resty.upgrade()
  assert(not ws)
  log("refused: ", message, " ", code, " ", status)
end

function handlers.protocols()
  local ws = resty.upgrade { protocols = { "b", "c" }, headers = { ["X-Answer"] = "42" } }
  ws:send(ws.protocol)
  local request = ws.request
  ws:send(request.method .. " " .. request.path .. " " .. (request.headers["X-Question"] or ""))
  ws:send(ws.url)
  ws:send((ws.remoteAddress:gsub("%d+$", "PORT")))
  ws:close()
end

handlers["bad-option"] = function()
  resty.upgrade { nonsense = true }
end

-- -- Receiving -----------------------------------------------------------------

function handlers.limit()
  local ws = resty.upgrade { max_message = 1000 }
  ws.onerror = function(e)
    log("error ", e.code, " ", e.closeCode)
  end
  log_close(ws, "limit")
end

--- A light thread that is killed while it waits leaves its place to others.
handlers["receive-killed"] = function()
  local ws = resty.upgrade()
  local function wait_for(method)
    return ngx.thread.spawn(function()
      ws[method](ws)
    end)
  end
  local killed, other = wait_for "receive", wait_for "waitClosed"
  local ok, err = pcall(ws.receive, ws, 0)
  ws:send(tostring(ok) .. " " .. err.name)
  ngx.thread.kill(killed)
  ws:send((ws:receive(5)))
  ws:close()
  ngx.thread.wait(other)
end

--- Timeouts that are none.
handlers["receive-misuse"] = function()
  local ws = resty.upgrade()
  for _, timeout in ipairs { "x", -1, 0 / 0 } do
    local ok, err = pcall(ws.receive, ws, timeout)
    ws:send(tostring(ok) .. " " .. err.message:match ": (.*)")
  end
  ws:send((ws:receive(math.huge)))
  ws:close()
end

--- A client that leaves without having read all that was sent.
handlers["close-unread"] = function()
  local ws = resty.upgrade()
  ws:send "go"
  while not (ws._inbox and ws._inbox.is_full) do
    ngx.sleep(0.001)
  end
  ws:close()
  log("unread closed ", ws:waitClosed(4))
end

handlers["receive-timeout"] = function()
  local ws = resty.upgrade()
  local data, problem = ws:receive(0.01)
  ws:send(tostring(data) .. " " .. problem)
  while true do
    data = ws:receive(0.01)
    if data then
      return ws:send("then " .. #data)
    end
  end
end

--- Says how the connection has ended for receive().
handlers["receive-closed"] = function()
  local ws = resty.upgrade()
  local _, problem, code, reason = ws:receive()
  log("received ", problem, " ", code, " ", reason)
  _, problem, code = ws:receive()
  log("again ", problem, " ", code)
end

--- Reads nothing until the file "go" exists, however much comes.
function handlers.late()
  local ws = resty.upgrade()
  repeat
    ngx.sleep(0.01)
    local go = io.open(ngx.config.prefix() .. "go")
  until go
  local count, bytes = 0, 0
  for data in ws:messages() do
    count, bytes = count + 1, bytes + #data
    if data == "end" then
      break
    end
  end
  ws:send(count .. " " .. bytes)
  ws:close()
end

function handlers.stream()
  local ws = resty.upgrade()
  ws:setStreaming(true)
  local bytes, pieces = 0, 0
  repeat
    local data, _, is_last = ws:receive()
    bytes, pieces = bytes + #data, pieces + 1
  until is_last
  ws:send(bytes .. " " .. tostring(pieces > 1))
  ws:send("a", { fin = false })
  resty.server:broadcast "between"
  ws:send("b", { fin = true })
end

-- -- Handlers that wait or raise -------------------------------------------------

--- A handler that waits holds up the next message, not the answer to it.
handlers["slow-handler"] = function()
  local ws = resty.upgrade()
  ws.onmessage = function(e)
    ws:send("start " .. e.data)
    ngx.sleep(0.02)
    ws:send("end " .. e.data)
  end
end

--- A handler that waits for its own connection.
handlers["receiving-handler"] = function()
  local ws = resty.upgrade()
  ws.onmessage = function(e)
    ws.onmessage = nil
    ws:send("first " .. e.data)
    ws:send("second " .. ws:receive())
    ws:close(3000)
    ws:send(tostring(ws:waitClosed()))
    log("waited: ", ws:waitClosed())
  end
end

handlers["raising-handler"] = function()
  local ws = resty.upgrade()
  ws:addEventListener("message", function()
    error "by the first"
  end)
  ws:addEventListener("message", function(e)
    ws:send("second got " .. e.data)
  end)
end

--- A handler that takes longer than the peer is given for a pong, which is more than
-- the peer takes on a busy machine.
handlers["blocked-handler"] = function()
  local ws = resty.upgrade { ping_interval = 0.02, ping_timeout = 2 }
  log_close(ws, "blocked")
  ws.onmessage = function()
    ngx.sleep(3)
    ws:send "still here"
  end
end

-- -- Ends ------------------------------------------------------------------------

function handlers.keepalive()
  local ws = resty.upgrade { ping_interval = 0.02, ping_timeout = 2 }
  ws.onerror = function(e)
    log("error ", e.code)
  end
  log_close(ws, "keepalive")
end

handlers["close-timeout"] = function()
  local ws = resty.upgrade { close_timeout = 0.05 }
  ws:close(3001, "bye")
  log("ended ", ws:waitClosed())
end

function handlers.terminate()
  local ws = resty.upgrade()
  ws:receive()
  ws:terminate()
  log("ended ", ws:waitClosed())
end

--- Sends more than the client takes.
function handlers.flood()
  local ws = resty.upgrade { send_timeout = 0.1 }
  ws.onerror = function(e)
    log("error ", e.code)
  end
  local block = ("x"):rep(1024 * 1024)
  for _ = 1, 64 do
    ws:send(block, { binary = true })
    local ok, problem = ws:drain(5)
    if not ok then
      return log("drain: ", problem)
    end
  end
end

--- Sends 32 MiB as fast as the client takes it.
function handlers.drain()
  local ws = resty.upgrade()
  local drains = 0
  ws.ondrain = function()
    drains = drains + 1
  end
  local block = ("x"):rep(1024 * 1024)
  for _ = 1, 16 do
    ws:send(block, { binary = true })
    ws:send(block, { binary = true })
    assert(ws:drain())
  end
  ws:close()
  ws:waitClosed()
  log("drains ", tostring(drains > 0))
end

-- -- From other light threads and requests -----------------------------------------

handlers["light-threads"] = function()
  local ws = resty.upgrade()
  for i = 1, 3 do
    ngx.thread.spawn(function()
      ngx.sleep(i * 0.01)
      ws:send("from " .. i)
    end)
  end
  ngx.thread.spawn(echo, ws)
end

local named = {}

--- Keeps the socket for /app/tell.
function handlers.named()
  local ws = resty.upgrade()
  named[ngx.var.arg_name] = ws
  ws.onclose = function()
    named[ngx.var.arg_name] = nil
  end
  ws.onmessage = function() end
  ws:send "ready"
end

function handlers.tell()
  local ws = named[ngx.var.arg_name]
  if ws then
    ws:send(ngx.var.arg_text)
  end
  ngx.say(ws and ws.readyState or "nobody")
end

function handlers.subscribe()
  local ws = resty.upgrade { compression = ngx.var.arg_compression == "yes", compression_threshold = 1 }
  ws:subscribe(ngx.var.arg_topic)
  ws.onmessage = function(e)
    if e.data == "leave" then
      ws:unsubscribe(ngx.var.arg_topic)
      ws:send "left"
    else
      ws:publish(ngx.var.arg_topic, e.data)
    end
  end
  ws:send "ready"
end

function handlers.publish()
  if ngx.var.arg_topic then
    resty.server:publish(ngx.var.arg_topic, ngx.var.arg_text)
  else
    resty.server:broadcast(ngx.var.arg_text, { binary = true })
  end
  ngx.say "done"
end

function handlers.clients()
  collectgarbage()
  collectgarbage()
  local count = 0
  for _ in pairs(resty.server.clients) do
    count = count + 1
  end
  ngx.say(count)
end

--- Dies with an open socket.
handlers["abort"] = function()
  local ws = resty.upgrade()
  named.aborted = ws
  ws:send "ready"
  ws:receive()
  error "on purpose"
end

-- -- Clients -----------------------------------------------------------------------

--- Has `say` write what happens to a client, one word of the query at a time.
local function describe(ws, message, code, response)
  if ws then
    return "open"
  end
  return table.concat({ tostring(message), code, response and response.status or "-" }, " | ")
end

--- Connects to ?url= and echoes one message.
function handlers.client()
  local url = ngx.unescape_uri(ngx.var.arg_url)
  local ws, message, code, response = resty.connect(url, {
    protocols = ngx.var.arg_protocol,
    handshake_timeout = tonumber(ngx.var.arg_timeout),
    compression = ngx.var.arg_compression ~= "no",
    tls = { insecure = ngx.var.arg_insecure == "yes", server_name = ngx.var.arg_name },
  })
  ngx.say(describe(ws, message, code, response))
  if not ws then
    return
  end
  ws:send "hello"
  ngx.say((ws:receive(5)))
  ngx.say(ws.extensions)
  ws:close(3000, "enough")
  ngx.say(ws:waitClosed(5))
end

--- The browser's way, with all events.
handlers["client-events"] = function()
  local url = ngx.unescape_uri(ngx.var.arg_url)
  local ws = resty.WebSocket(url)
  local seen = { "state " .. ws.readyState }
  local function note(text)
    table.insert(seen, text)
  end
  ws.onopen = function(e)
    note(e.type .. " " .. ws.readyState)
    ws:send "hello"
  end
  ws.onmessage = function(e)
    note("message " .. e.data .. " from " .. e.origin)
    ws:close()
  end
  ws.onerror = function(e)
    note("error " .. e.code)
  end
  ws.onclose = function(e)
    note("close " .. e.code .. " " .. tostring(e.wasClean))
  end
  ws:waitClosed(5)
  ngx.say(table.concat(seen, "\n"))
end

handlers["client-close-early"] = function()
  local ws = resty.WebSocket(ngx.unescape_uri(ngx.var.arg_url))
  ws:close()
  ngx.say(ws:waitClosed(5))
end

--- Misuse raises; says what.
handlers["client-misuse"] = function()
  local function try(...)
    local _, err = pcall(...)
    ngx.say(tostring(err))
  end
  try(resty.WebSocket, "nonsense")
  try(resty.WebSocket, "ws://h/#fragment")
  try(resty.WebSocket, "ws://h/", { "a", "a" })
  try(resty.WebSocket, "ws://h/", nil, { tls = { ca = "/ca.pem" } })
  try(resty.WebSocket, "ws://h/", nil, { tls = { nonsense = 1 } })
  try(resty.WebSocket, "ws://h/", nil, { nonsense = 1 })
  local ws = resty.WebSocket "ws://127.0.0.1:1/"
  try(ws.send, ws, "too early")
  try(ws.close, 1000)
  try(ws.subscribe, ws, "topic")
end

--- Carries messages between the client and ?url=.
function handlers.proxy()
  local ws = resty.upgrade()
  local upstream = assert(resty.connect(ngx.var.arg_url))
  ws.onmessage = function(e)
    upstream:send(e.data)
  end
  upstream.onmessage = function(e)
    ws:send(e.data)
  end
end

--- A client in a timer, which has no request.
handlers["client-in-timer"] = function()
  local url = ngx.unescape_uri(ngx.var.arg_url)
  ngx.timer.at(0, function()
    local ws = assert(resty.connect(url))
    ws:send "from a timer"
    log("timer got ", (ws:receive(5)))
    ws:close()
  end)
  ngx.say "started"
end

-- -- In place of lua-resty-websocket -------------------------------------------------

--- Written as its documentation shows, for both ends.
handlers["frames-server"] = function()
  local server = require "libws.resty.websocket.server"
  local wb, err = server:new { timeout = 5000, max_payload_len = 65535 }
  if not wb then
    log("failed to new websocket: ", err)
    return ngx.exit(444)
  end
  while true do
    local data, kind, problem = wb:recv_frame()
    if wb.fatal then
      return log("recv_frame: ", problem)
    elseif kind == "close" then
      wb:send_close(1000, "")
      log("close: ", problem, " ", data)
      log("after it: ", select(3, wb:recv_frame()))
      return
    elseif kind == "text" then
      wb:send_text(data)
    elseif kind == "binary" then
      wb:send_binary(data)
    end
  end
end

handlers["frames-client"] = function()
  local client = require "libws.resty.websocket.client"
  local wb = client:new()
  ngx.say(wb:send_text "too early")
  ngx.say(wb:connect("ws://127.0.0.1:1/"))
  assert(wb:connect(ngx.unescape_uri(ngx.var.arg_url), { headers = { "X-Question: 1" } }))
  ngx.say(wb:send_text "hello")
  ngx.say(wb:recv_frame())
  ngx.say(wb:send_binary "\0")
  ngx.say(#wb:recv_frame())
  wb:set_timeout(10)
  ngx.say(wb:recv_frame())
  ngx.say(wb:close())
end

return handlers
