---@meta libws
-- Types for editors (LuaLS); never loaded. Times are seconds. For a limit or a
-- time, false or math.huge means "none"; one that is left out has its default.
error "libws.types is for editors"

-- -- The module ----------------------------------------------------------------

---@class libws
---@field _VERSION string
---@field WebSocket libws.WebSocketClass
---@field onerror fun(err: any, traceback: string)? Called with what handlers raise; nil: written to stderr.
local libws = {}

---Opens a connection and waits for it: in a coroutine by yielding, outside by
---running the loop.
---@param url string
---@param options? libws.SocketOptions
---@return libws.WebSocket? ws
---@return string? message
---@return string? code Such as "WS_ERR_CONNECT".
---@return libws.Response? response Of a server that refused.
function libws.connect(url, options) end

---@param options libws.ServerOptions
---@return libws.Server? server
---@return string? message
---@return string? code
function libws.serve(options) end

---Makes a TLS context that many sockets share.
---@param options libws.TLSOptions
---@return libws.TLSContext? context
---@return string? message
---@return string? code
function libws.tlsClient(options) end

---Makes a TLS context that many servers share.
---@param options libws.TLSServerOptions
---@return libws.TLSContext? context
---@return string? message
---@return string? code
function libws.tlsServer(options) end

---The loop that is used when no other is named.
---@return libws.Loop
function libws.loop() end

---Makes another loop.
---@param options? { backend: "epoll"|"kqueue"|"poll"?, receive_buffer: integer?, send_buffer: integer? }
---@return libws.Loop
function libws.Loop(options) end

---Runs until stop(), or until no socket, server or timer is left.
function libws.run() end

---One turn, which waits at most `timeout` seconds (nil: for an event).
---@param timeout? number
function libws.step(timeout) end

---Has run() return after the event in progress.
function libws.stop() end

---Waits.
---@param seconds number
function libws.sleep(seconds) end

---Calls fn() after so many seconds, in a coroutine of its own.
---@param seconds number
---@param fn fun()
---@return libws.Timer
function libws.timer(seconds, fn) end

---Calls fn(...) now, in a coroutine of its own, which may wait.
---@param fn fun(...)
function libws.spawn(fn, ...) end

---@param type string
---@param init? { bubbles: boolean?, cancelable: boolean?, composed: boolean? }
---@return libws.Event
function libws.Event(type, init) end

---@param type string
---@param init? { data: any, binary: boolean?, origin: string?, lastEventId: string? }
---@return libws.MessageEvent
function libws.MessageEvent(type, init) end

---@param type string
---@param init? { code: integer?, reason: string?, wasClean: boolean? }
---@return libws.CloseEvent
function libws.CloseEvent(type, init) end

---@param type string
---@param init? { code: string?, message: string? }
---@return libws.ErrorEvent
function libws.ErrorEvent(type, init) end

-- -- Options -------------------------------------------------------------------

---@class libws.ConnOptions
---@field max_message (integer|false)? Bytes, after inflating. 16 MiB (client), 1 MiB (server).
---@field max_fragments (integer|false)? Of one message. 131,072.
---@field max_send_queue (integer|false)? Bytes that wait; more fails the connection. 16 MiB.
---@field send_high_water (integer|false)? What drain() waits for. 1 MiB.
---@field max_head integer? Bytes of a request or response head. 16 KiB.
---@field max_head_line integer? 8 KiB.
---@field max_headers integer? 100.
---@field max_response_body integer? Of a refusal. 64 KiB.
---@field useless_burst integer? Frames that move nothing. 1,000.
---@field useless_rate integer? And how many more a second. 100.
---@field handshake_timeout (number|false)? 30 (client), 10 (server).
---@field ping_interval (number|false)? 20.
---@field ping_timeout (number|false)? 20.
---@field message_timeout (number|false)? For each 16 KiB of an unfinished message. 60.
---@field send_timeout (number|false)? 30.
---@field close_timeout (number|false)? 5.
---@field compression boolean? Default: a client offers it, a server declines it.
---@field compression_threshold integer? Bytes. 1024.
---@field compression_level integer? 1 to 9. 3.
---@field compression_memory integer? 1 to 9. 5.
---@field server_max_window_bits integer? 8 to 15. 12.
---@field client_max_window_bits integer? 8 to 15. 12.
---@field server_no_context_takeover boolean?
---@field client_no_context_takeover boolean?
---@field auto_pong boolean? Default: true.
---@field loop libws.Loop? Default: libws.loop().

---@alias libws.HeaderList table<string, string|string[]>|{ [1]: string, [2]: string }[]

---@class libws.SocketOptions: libws.ConnOptions
---@field protocols (string|string[])? Of connect() only.
---@field headers libws.HeaderList? Further ones of the request.
---@field origin string?
---@field tls (libws.TLSOptions|libws.TLSContext)?
---@field ca string? As in `tls`.
---@field ca_dir string? As in `tls`.
---@field cert string? As in `tls`.
---@field key string? As in `tls`.
---@field password string? As in `tls`.
---@field insecure boolean? As in `tls`.
---@field server_name string? Whom the certificate must be for, instead of the URL's host.
---@field proxy (string|false)? Its URL; false: none. Default: what the environment says.
---@field proxy_headers libws.HeaderList?
---@field proxy_tls (libws.TLSOptions|libws.TLSContext)?
---@field fd integer? A connected socket to use, taken over.
---@field max_redirects integer? Default: none is followed.
---@field block_bad_ports boolean? Those that browsers block.
---@field reconnect boolean? Connect again unless close() or terminate() was called.
---@field reconnect_min number? 0.5.
---@field reconnect_max number? 30.
---@field reconnect_attempts integer?

---PEM data is the name of a file, or the text itself.
---@class libws.TLSIdentity
---@field cert string?
---@field key string? Default: beside the certificate.
---@field password string?

---@class libws.TLSPolicy: libws.TLSIdentity
---@field min_version ("1.2"|"1.3")?
---@field max_version ("1.2"|"1.3")?
---@field ciphers string?
---@field cipher_suites string?

---@class libws.TLSOptions: libws.TLSPolicy
---@field ca string? Whom to trust. Default: the system's store.
---@field ca_dir string?
---@field insecure boolean? Take any certificate of any host.

---@class libws.TLSServerOptions: libws.TLSPolicy
---@field certificates libws.TLSIdentity[]? Chosen by the name the client asks for.
---@field ca string? Who signs the certificates of clients.
---@field client_auth ("none"|"optional"|"required")?

---@class libws.TLSContext: userdata

---@class libws.ServerOptions: libws.ConnOptions
---@field port integer? 0: a free one. One of port, unix and fd is needed.
---@field host string? "127.0.0.1".
---@field unix string? The path of a Unix socket.
---@field unix_mode integer?
---@field fd integer? A listening socket, taken over.
---@field tls (libws.TLSServerOptions|libws.TLSContext)?
---@field backlog integer?
---@field reuse_port boolean?
---@field onconnection fun(ws: libws.WebSocket, request: libws.Request)?
---@field onupgrade (fun(request: libws.Request): libws.Answer)? nil or true accepts, a string with that subprotocol.
---@field onrequest (fun(request: libws.Request): libws.Answer)? Plain HTTP; default: 426.
---@field onerror fun(err: { code: string, message: string })? The listener cannot accept.
---@field onclose fun()? All has ended after close().
---@field client_tracking boolean? Whether `clients` is kept. Default: true.
---@field protocols (string|string[])? Those spoken. Default: the first that the client offers.
---@field origins (string|string[])? Whose pages may connect; "*": any. Default: those of the same host.
---@field hosts (string|string[])? What may stand in the Host header.
---@field path string? Others get 404.
---@field root string? A folder whose files are served.
---@field max_connections integer?
---@field max_connections_per_address integer?

---@alias libws.Answer nil|boolean|string|integer|{ status: integer?, body: string?, headers: libws.HeaderList? }

-- -- WebSocket -----------------------------------------------------------------

---@class libws.WebSocketClass
---@field CONNECTING 0
---@field OPEN 1
---@field CLOSING 2
---@field CLOSED 3
---@overload fun(url: string, protocols?: string|string[], options?: libws.SocketOptions): libws.WebSocket
local WebSocketClass = {}

---Whether a value is a WebSocket.
---@param value any
---@return boolean
function WebSocketClass.is(value) end

---Like the DOM's AbortSignal: when it has its event "abort", it takes the listener
---away.
---@class libws.Signal
---@field aborted boolean?
---@field addEventListener fun(self: libws.Signal, type: "abort", listener: fun(), options: { once: true })

---@alias libws.Listener fun(event: any)|{ handleEvent: fun(self: table, event: any) }

---@class libws.WebSocket
---@field CONNECTING 0
---@field OPEN 1
---@field CLOSING 2
---@field CLOSED 3
---@field url string
---@field readyState 0|1|2|3
---@field bufferedAmount integer
---@field protocol string
---@field extensions string
---@field binaryType "blob"|"arraybuffer" Lua gives strings for both.
---@field remoteAddress string
---@field response libws.Response? Of a client: the 101.
---@field request table? In nginx only; elsewhere onconnection gets it, and keeps what it needs.
---@field server libws.Server? Of a server's socket.
---@field onopen libws.Listener?
---@field onmessage libws.Listener?
---@field onerror libws.Listener?
---@field onclose libws.Listener?
---@field onping libws.Listener?
---@field onpong libws.Listener?
---@field ondrain libws.Listener?
---@field onreconnect libws.Listener?
local WebSocket = {}

---@param type string
---@param listener libws.Listener?
---@param options? { once: boolean?, signal: libws.Signal? }
function WebSocket:addEventListener(type, listener, options) end

---@param type string
---@param listener libws.Listener?
function WebSocket:removeEventListener(type, listener) end

---@param event libws.Event
---@return true
function WebSocket:dispatchEvent(event) end

---Sends a message: text, which has to be UTF-8, unless `binary` is set.
---@param data string
---@param options? { binary: boolean?, compress: boolean?, fin: boolean? } fin = false: more of it follows.
function WebSocket:send(data, options) end

---@param data string
---@param options? { compress: boolean?, fin: boolean? }
function WebSocket:sendBinary(data, options) end

---@param data? string At most 125 bytes.
function WebSocket:ping(data) end

---@param data? string At most 125 bytes.
function WebSocket:pong(data) end

---Begins the closing handshake; all that was sent goes first.
---@param code? integer 1000, or 3000 to 4999.
---@param reason? string At most 123 bytes.
function WebSocket:close(code, reason) end

---close() with every code that may be on the wire.
---@param code? integer
---@param reason? string
function WebSocket:closeWith(code, reason) end

---Ends the connection at once; the close event says 1006.
function WebSocket:terminate() end

---Waits for a message.
---@param timeout? number
---@return string? data
---@return boolean|"timeout"|"closed" binary
---@return boolean|integer? is_last Of a streamed piece; or the close code.
---@return string? reason
function WebSocket:receive(timeout) end

---for data, binary in ws:messages() do ... end, until the connection closes.
---@return fun(): string?, boolean?, boolean?
function WebSocket:messages() end

---Waits until less than send_high_water waits to be sent.
---@param timeout? number
---@return true?
---@return "timeout"|"closed"|nil
---@return integer? code
---@return string? reason
function WebSocket:drain(timeout) end

---Waits for the end.
---@param timeout? number
---@return integer? code
---@return string reason Or "timeout".
---@return boolean? wasClean
function WebSocket:waitClosed(timeout) end

---Reads nothing until resume(), so that the peer has to wait.
function WebSocket:pause() end

function WebSocket:resume() end

---From the next message on, messages come in pieces (true), or whole.
---@param is_streaming boolean
function WebSocket:setStreaming(is_streaming) end

---Of a client that reconnects: for the attempts to come.
---@param headers libws.HeaderList
function WebSocket:setRequestHeaders(headers) end

---@return { bytes_received: integer, bytes_sent: integer, messages_received: integer, messages_sent: integer, bytes_queued: integer, bytes_held: integer, rtt: number? }
function WebSocket:stats() end

---@return { version: string, cipher: string, protocol: string, server_name: string, peer_subject: string, is_resumed: boolean }?
function WebSocket:tlsInfo() end

---Of a server's socket.
---@param topic string
function WebSocket:subscribe(topic) end

---@param topic string
function WebSocket:unsubscribe(topic) end

---Sends to all subscribers but this socket.
---@param topic string
---@param data string
---@param options? { binary: boolean?, compress: boolean? }
function WebSocket:publish(topic, data, options) end

-- -- Events --------------------------------------------------------------------

---@class libws.Event
---@field type string
---@field target libws.WebSocket?
---@field currentTarget libws.WebSocket?
---@field eventPhase integer
---@field bubbles boolean
---@field cancelable boolean
---@field composed boolean
---@field defaultPrevented false
---@field isTrusted boolean
local Event = {}

---@return libws.WebSocket[]
function Event:composedPath() end

function Event:stopPropagation() end

---No further listener gets this event.
function Event:stopImmediatePropagation() end

function Event:preventDefault() end

---@class libws.MessageEvent: libws.Event
---@field data string
---@field binary boolean
---@field isFirst boolean Of a streamed piece; a whole message is both.
---@field isLast boolean
---@field origin string
---@field lastEventId string

---@class libws.CloseEvent: libws.Event
---@field code integer
---@field reason string
---@field wasClean boolean

---@class libws.ErrorEvent: libws.Event
---@field code string Such as "WS_ERR_EXPECTED_MASK".
---@field message string
---@field side "local"|"peer"|"transport"|nil
---@field phase "handshake"|"open"|"closing"|nil
---@field closeCode integer Of the Close frame that told the peer; 0: none.
---@field status integer HTTP, of a handshake that failed; 0: none.
---@field response libws.Response?

---"ping" and "pong".
---@class libws.ControlEvent: libws.Event
---@field data string
---@field rtt number? Seconds, if it answers a ping of ours.

---"reconnect": the socket is CONNECTING again.
---@class libws.ReconnectEvent: libws.Event
---@field attempt integer
---@field delay number
---@field code integer
---@field reason string
---@field error { code: string, message: string }

-- -- Servers -------------------------------------------------------------------

---@class libws.Server
---@field port integer
---@field url string
---@field urls string[]
---@field clients table<libws.WebSocket, true> Those that are open.
---@field closed boolean?
---@field onconnection fun(ws: libws.WebSocket, request: libws.Request)?
---@field onupgrade (fun(request: libws.Request): libws.Answer)?
---@field onrequest (fun(request: libws.Request): libws.Answer)?
---@field onerror fun(err: { code: string, message: string })?
---@field onclose fun()?
local Server = {}

---Ends it: 1001 (or `code`) to every socket, which are dropped after `timeout`.
---@param code? integer
---@param reason? string
---@param timeout? number Default: close_timeout.
function Server:close(code, reason, timeout) end

---Serves a connection that was accepted elsewhere.
---@param fd integer A connected socket, taken over.
---@param data? string What was read from it already.
---@param tls? libws.TLSServerOptions|libws.TLSContext For wss.
---@return true?
---@return string? message
---@return string? code
function Server:adopt(fd, data, tls) end

---Stops listening; open sockets stay.
function Server:stopListening() end

---Waits until all has ended after close().
---@param timeout? number
---@return true?
---@return "timeout"|nil
function Server:waitClosed(timeout) end

---Sends to all subscribers of a topic; framed and compressed once.
---@param topic string
---@param data string
---@param options? { binary: boolean?, compress: boolean?, except: libws.WebSocket? }
function Server:publish(topic, data, options) end

---Sends to all open sockets.
---@param data string
---@param options? { binary: boolean?, compress: boolean?, except: libws.WebSocket? }
function Server:broadcast(data, options) end

---@return { connections: integer, accepted: integer, refused: integer, opened: integer, published: integer }
function Server:stats() end

---@class libws.Request
---@field method string
---@field target string "/chat?room=1"
---@field path string "/chat"
---@field headers table<string, string> In any case; several of a name joined by commas.
---@field rawHeaders string[] {name, value, name, value, ...} as they came.
---@field protocols string[]
---@field is_upgrade boolean
---@field remote string
---@field server libws.Server
local Request = {}

---@param options? { protocol: string?, headers: libws.HeaderList?, compression: boolean? }
function Request:accept(options) end

---@param status integer
---@param body? string
---@param headers? libws.HeaderList
function Request:respond(status, body, headers) end

---Answers with the file under `root` that the target names.
---@param root string
function Request:respondFile(root) end

---@return boolean
function Request:isAnswered() end

---@class libws.Response
---@field status integer
---@field reason string
---@field headers table<string, string>
---@field rawHeaders string[]
---@field body string

-- -- Loops ---------------------------------------------------------------------

---@class libws.Loop
local Loop = {}

function Loop:run() end

---@param timeout? number
function Loop:step(timeout) end

function Loop:stop() end

---@param seconds number
function Loop:sleep(seconds) end

---@param seconds number
---@param fn fun()
---@return libws.Timer
function Loop:timer(seconds, fn) end

---@param fn fun(...)
---@param on_error? fun(err: any) Called when it raises, after the report.
function Loop:spawn(fn, on_error, ...) end

---Ends everything in it: open sockets say goodbye with 1001.
function Loop:close() end

---@return boolean
function Loop:is_alive() end

---The descriptor for another event loop to watch; call step(0) when it is
---readable.
---@return integer
function Loop:fd() end

---@return { sockets: integer, turns: integer, events: integer, bytes_received: integer, bytes_sent: integer, reads: integer, writes: integer }
function Loop:stats() end

---@class libws.Timer
local Timer = {}

---Has it ring so many seconds from now.
---@param seconds number
function Timer:set(seconds) end

function Timer:cancel() end

-- -- Bridges -------------------------------------------------------------------

---What require "libws.cqueues", "libws.luv" and "libws.copas" return.
---@class libws.Bridge
---@field attach fun(loop?: libws.Loop) Has luv or Copas run the loop; for cqueues: attach(controller, loop).

-- -- Inside nginx --------------------------------------------------------------

---What require "libws.resty" returns. It has Event, MessageEvent, CloseEvent and
---ErrorEvent as libws has.
---@class libws.resty
---@field _VERSION string
---@field WebSocket libws.WebSocketClass With libws.resty.SocketOptions.
---@field server libws.resty.Server The sockets of upgrade() in this worker.
---@field onerror fun(err: any, traceback: string)? Called with what handlers raise; nil: written to nginx's log.
local resty = {}

---Makes a WebSocket of the request, in content_by_lua. If it cannot, the request
---has been answered and the caller has only to return.
---@param options? libws.resty.UpgradeOptions
---@return libws.WebSocket? ws
---@return string? message
---@return string? code
---@return integer? status
function resty.upgrade(options) end

---Opens a connection and waits for it.
---@param url string
---@param options? libws.resty.SocketOptions
---@return libws.WebSocket? ws
---@return string? message
---@return string? code
---@return libws.Response? response Of a server that refused.
function resty.connect(url, options) end

---@class libws.resty.UpgradeOptions: libws.ConnOptions
---@field protocols (string|string[])? What the server speaks.
---@field headers libws.HeaderList? Of the answer.
---@field is_secure boolean? Whether the client came by wss. Default: what nginx knows.

---@class libws.resty.SocketOptions: libws.ConnOptions
---@field protocols (string|string[])? Of connect() only.
---@field headers libws.HeaderList?
---@field origin string?
---@field tls { cert: string?, key: string?, insecure: boolean?, server_name: string? }? PEM text; nginx has directives for the rest.

---@class libws.resty.Server
---@field clients table<libws.WebSocket, true> Those that are open.
local RestyServer = {}

---Sends to all subscribers of a topic in this worker; framed and compressed once.
---@param topic string
---@param data string
---@param options? { binary: boolean?, compress: boolean?, except: libws.WebSocket? }
function RestyServer:publish(topic, data, options) end

---Sends to all open sockets of this worker.
---@param data string
---@param options? { binary: boolean?, compress: boolean?, except: libws.WebSocket? }
function RestyServer:broadcast(data, options) end

-- -- The engine alone ----------------------------------------------------------

---What require "libws.codec" returns: the protocol without input and output, for
---a transport of one's own. Times are monotonic seconds of the caller. It has the
---number of each kind of event: REQUEST, OPEN, MESSAGE, PING, PONG, DRAIN, ERROR,
---CLOSE.
---@class libws.codec
---@field version string
---@field Error table The metatable of the error tables.
local codec = {}

---Parses a URL as the browser's constructor does.
---@param url string
---@return { href: string, origin: string, host: string, authority: string, target: string, authorization: string?, unix_path: string?, port: integer, is_secure: boolean }
function codec.url(url) end

---Makes a configuration that many connections share.
---@param role "client"|"server"
---@param options? libws.ConnOptions
---@return libws.codec.Config
function codec.config(role, options) end

---@param config "client"|"server"|libws.codec.Config
---@param now number
---@param options? libws.ConnOptions With a role alone.
---@return libws.codec.Conn
function codec.conn(config, now, options) end

---Makes a message to be sent to many; framed and compressed once.
---@param config libws.codec.Config
---@param data string
---@param is_binary? boolean
---@param is_uncompressed? boolean
---@return libws.codec.Message
function codec.message(config, data, is_binary, is_uncompressed) end

---@class libws.codec.Config: userdata
---@class libws.codec.Message: userdata

---@class libws.codec.Conn
local Conn = {}

---Has a client's request written.
---@param url string
---@param protocols? string|string[]
---@param headers? libws.HeaderList
---@param origin? string
function Conn:connect(url, protocols, headers, origin) end

---Accepts the request that REQUEST brought.
---@param protocol? string
---@param headers? libws.HeaderList
---@param compression? boolean
function Conn:accept(protocol, headers, compression) end

---Answers it with plain HTTP.
---@param status integer
---@param body? string
---@param headers? libws.HeaderList
function Conn:respond(status, body, headers) end

---Takes what was read. Before the next feed, next() has to return nothing.
---@param data string
---@param now? number
function Conn:feed(data, now) end

---The transport has ended.
function Conn:eof() end

---The transport has failed, or the application wants an end.
---@param has_failed? boolean
function Conn:abort(has_failed) end

---Time has gone by.
---@param now number
function Conn:tick(now) end

---When tick() is to be called at the latest.
---@return number?
function Conn:deadline() end

---The next event and its values; when all input is used up, nil, what queued() and
---what deadline() return.
---@return integer? kind
---@return any ...
function Conn:next() end

---feed() and the first next().
---@param data string
---@param now? number
---@return integer? kind
---@return any ...
function Conn:receive(data, now) end

---Takes out the next bytes to write.
---@return string?
function Conn:output() end

---The next bytes to write, left there until consume().
---@param max integer
---@return string ...
function Conn:peek(max) end

---So many bytes have been written.
---@param written integer
---@return integer left
function Conn:consume(written) end

---@param data string
---@param is_binary? boolean
---@param is_fragment? boolean More of it follows.
---@param is_uncompressed? boolean
function Conn:send(data, is_binary, is_fragment, is_uncompressed) end

---send() and peek().
---@param max integer
---@param data string
---@param is_binary? boolean
---@param is_fragment? boolean More of it follows.
---@param is_uncompressed? boolean
---@return string ...
function Conn:send_and_peek(max, data, is_binary, is_fragment, is_uncompressed) end

---@param message libws.codec.Message
function Conn:send_message(message) end

---@param data? string
function Conn:ping(data) end

---@param data? string
function Conn:pong(data) end

---@param code? integer
---@param reason? string
function Conn:close(code, reason) end

---@param code? integer
---@param reason? string
function Conn:close_with(code, reason) end

---@param is_paused boolean
function Conn:set_paused(is_paused) end

---@param is_streaming boolean
function Conn:set_streaming(is_streaming) end

---@return 0|1|2|3
function Conn:ready_state() end

---@return integer
function Conn:buffered_amount() end

---@return integer Bytes that wait to be written.
function Conn:queued() end

---@return string
function Conn:protocol() end

---@return string
function Conn:extensions() end

---@return table As WebSocket:stats().
function Conn:stats() end

---Frees the memory now.
function Conn:free() end

return libws
