/* ws/ws.h - WebSocket connections over real sockets: event loop, client and
 * server.
 *
 * A loop owns sockets, servers and timers. It is pulled: ws_loop_wait() is the
 * only call that blocks, ws_loop_next() hands out one event at a time, and no
 * call ever runs code of the application:
 *
 *     ws_socket_open(loop, url, strlen(url), NULL, &socket, NULL);
 *     while (ws_loop_wait(loop, -1) == 0)
 *       while (ws_loop_next(loop, &event))
 *         handle(&event);                 // may send, close, open, stop ...
 *
 * or, with a table of handlers for each socket or server, in the style of a
 * browser:
 *
 *     static void on_message(ws_socket *socket, const ws_event *event);
 *     ...
 *     ws_loop_run(loop);
 *
 * Everything may be done between two pulls, and inside a handler: send, close,
 * terminate, release, pause, open others, stop the loop. What a call causes
 * comes out of a later pull; there is no recursion.
 *
 * A socket behaves as a browser's WebSocket does (WHATWG WebSockets standard):
 * states, bufferedAmount, close codes, and the order of events, which ends with
 * exactly one WS_EVENT_CLOSE, with at most one WS_EVENT_ERROR directly before
 * it.
 *
 * Threads: a loop and all that belongs to it is used by one thread at a time.
 * Calls for any thread say so. Any number of loops may run, one per thread.
 * Signals: no call raises SIGPIPE or installs a handler. After fork() a child
 * may not use its parent's loops, but for ws_loop_free(). */
#ifndef WS_WS_H
#define WS_WS_H

#include "ws/base.h"
#include "ws/conn.h"
#include "ws/tls.h"
#include "ws/url.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Handles: an event loop, a WebSocket of either role, a server, a timer. */
typedef struct ws_loop ws_loop;
typedef struct ws_socket ws_socket;
typedef struct ws_server ws_server;
typedef struct ws_timer ws_timer;

/* -- Events ---------------------------------------------------------------- */

/* A function to be called by the loop's thread. */
typedef void (*ws_task_fn)(void *arg);

/* One event. What its pointers point to is borrowed until the next pull on the
 * loop. Members that are for certain types hold nothing for others. */
typedef struct ws_event {
  /* REQUEST, OPEN, MESSAGE, PING, PONG, DRAIN, ERROR, CLOSE: of a socket, as in
   * ws/conn.h. RECONNECT, SERVER_ERROR, SERVER_CLOSE, TIMER, TASK: below. */
  ws_event_type type;
  /* Whose event it is; NULL for SERVER_*, TIMER and TASK. */
  ws_socket *socket;
  /* The server of the socket, or that the event is about; else NULL. */
  ws_server *server;
  /* For the types that ws/conn.h has. */
  ws_event_data u;
  /* RECONNECT: the connection of a client with `reconnect` was lost or could
   * not be made. The socket is CONNECTING again, and the next attempt starts
   * after `delay` milliseconds. Now is the time for
   * ws_socket_set_request_headers(), or ws_socket_close() to give up. `u.error`
   * says why; the close code and reason are those that a browser's close event
   * would have. */
  struct {
    uint32_t attempt; /* The coming one, counted from 1. */
    uint32_t delay;
    uint16_t close_code;
    const char *close_reason;
  } reconnect;
  /* TIMER. */
  ws_timer *timer;
  /* TASK, TIMER: ws_loop_handle() calls it. */
  ws_task_fn task;
  void *task_arg;
} ws_event;

/* A handler of the events of a socket. */
typedef void (*ws_socket_fn)(ws_socket *socket, const ws_event *event);

/* A handler of the events of a server. */
typedef void (*ws_server_fn)(ws_server *server, const ws_event *event);

/* What ws_loop_handle() calls for an event; a NULL is passed over. Each is
 * called by the thread that runs the loop. Fill with ws_handlers_init(). A
 * table is used where it stands and has to live as long as what it was given
 * to. */
typedef struct ws_handlers {
  /* sizeof(ws_handlers), set by ws_handlers_init(). */
  size_t size;
  /* A server's socket: a handshake (on_upgrade) or plain HTTP (on_request), to
   * be answered by ws_socket_accept(), _respond() or _respond_file(), now or
   * later. When on_upgrade is NULL handshakes are accepted; when on_request is
   * NULL `root` or 426 is the answer. */
  ws_socket_fn on_upgrade;
  ws_socket_fn on_request;
  /* Every socket: one for each type of event; see ws_event_type. */
  ws_socket_fn on_open;
  ws_socket_fn on_message;
  ws_socket_fn on_ping;
  ws_socket_fn on_pong;
  ws_socket_fn on_drain;
  ws_socket_fn on_error;
  ws_socket_fn on_close;
  ws_socket_fn on_reconnect;
  /* A server: a listener cannot accept (`u.error`), and the end of
   * ws_server_close(). */
  ws_server_fn on_server_error;
  ws_server_fn on_server_close;
} ws_handlers;

/* Sets every handler to NULL. Never fails. Since 0.1. */
WS_API void ws_handlers_init(ws_handlers *handlers);

/* -- The loop -------------------------------------------------------------- */

/* Fill with ws_loop_options_init(). */
typedef struct ws_loop_options {
  /* sizeof(ws_loop_options), set by ws_loop_options_init(). */
  size_t size;
  /* Optional. Where all memory comes from; malloc if `reallocate` is NULL. What
   * is shared between threads comes from malloc always. */
  ws_allocator allocator;
  /* Optional. How to wait: "epoll", "kqueue" or "poll". Defaults to the best of
   * the system. */
  const char *backend;
  /* Bytes of the buffer that all sockets read into, and of the one they write
   * through. 4 KiB to 16 MiB. Default to 256 KiB and 64 KiB. */
  uint32_t receive_buffer;
  uint32_t send_buffer;
  /* A descriptor that gets a line for each request, response and frame that the
   * loop's sockets send and receive, and for each failure and end; or -1, then
   * the environment variable LIBWS_TRACE decides: "1" for the standard error,
   * or the path of a file. Borrowed. Lines show the beginning of payloads, but
   * no credentials of headers. Lines that cannot be written are lost. */
  int trace_fd;
} ws_loop_options;

/* Sets every field to its default. Never fails. Since 0.1. */
WS_API void ws_loop_options_init(ws_loop_options *options);

/* Makes a loop; `options` may be NULL. Returns 0; WS_ERR_INVALID_ARGUMENT for a
 * back end this system does not have or a size out of its range;
 * WS_ERR_NO_MEMORY; WS_ERR_SYSTEM, also for a LIBWS_TRACE that cannot be
 * written. Any thread. Since 0.1. */
WS_API int ws_loop_new(const ws_loop_options *options, ws_loop **out_loop,
                       ws_error *out_error);

/* Ends everything the loop owns and releases it. Open sockets send a Close
 * frame with 1001 if the system takes it at once; no more events come. Handles
 * of its sockets, servers and timers are no longer valid, but for retained
 * sockets, which are CLOSED. NULL is fine. Not from inside a handler. In a
 * forked child nothing is sent. Since 0.1. */
WS_API void ws_loop_free(ws_loop *loop);

/* Waits until there may be events, at most `timeout_ms` (-1: for ever; 0: does
 * not wait), and not at all while there is something to pull or to write.
 * Returns 0 or WS_ERR_SYSTEM, WS_ERR_FORKED. Since 0.1. */
WS_API int ws_loop_wait(ws_loop *loop, int timeout_ms);

/* Takes the next event; never blocks. What the last event pointed to ends here,
 * and so does, after its CLOSE event, a socket that nobody retained. Returns
 * false when the turn is over and ws_loop_wait() is due. Since 0.1. */
WS_API bool ws_loop_next(ws_loop *loop, ws_event *out_event);

/* Calls the handler that an event is for, if there is one. Since 0.1. */
WS_API void ws_loop_handle(const ws_event *event);

/* One turn: ws_loop_wait(), and ws_loop_handle() for every event. Returns 0 or
 * as ws_loop_wait(). For a foreign loop, with a timeout of 0. Since 0.1. */
WS_API int ws_loop_dispatch(ws_loop *loop, int timeout_ms);

/* Turns until ws_loop_stop() is called, or until there is no socket, server or
 * timer left to wait for. Returns 0 or as ws_loop_wait(). Since 0.1. */
WS_API int ws_loop_run(ws_loop *loop);

/* Has the ws_loop_run() under way, or else the next one, return after the event
 * in progress. What has not been pulled comes with the next turn. Any thread,
 * also in a signal handler. Since 0.1. */
WS_API void ws_loop_stop(ws_loop *loop);

/* Whether there is a socket, server or timer that events may come from. Since
 * 0.1. */
WS_API bool ws_loop_is_alive(const ws_loop *loop);

/* Gives the one descriptor that another event loop watches for readability, to
 * call ws_loop_dispatch(loop, 0) then. Timers are in it, and it becomes
 * readable also when a call from outside of a turn has left something to do.
 * Valid as long as the loop; not to be read from. Returns 0, WS_ERR_SYSTEM, or
 * WS_ERR_INVALID_STATE with the back end "poll", which has none. Since 0.1. */
WS_API int ws_loop_fd(ws_loop *loop, int *out_fd);

/* Has the loop's thread call `task(arg)`, as WS_EVENT_TASK in a coming turn, in
 * the order of the calls. Returns 0 or WS_ERR_NO_MEMORY. Any thread, while the
 * loop lives. Since 0.1. */
WS_API int ws_loop_post(ws_loop *loop, ws_task_fn task, void *arg);

/* The time in the loop: monotonic milliseconds, renewed by ws_loop_wait().
 * Since 0.1. */
WS_API uint64_t ws_loop_now(const ws_loop *loop);

/* The account of a loop since it was made. */
typedef struct ws_loop_stats {
  uint64_t sockets;        /* That live now. */
  uint64_t turns;          /* ws_loop_wait() that ended. */
  uint64_t events;         /* Pulled. */
  uint64_t bytes_received; /* Off the network, TLS not counted. */
  uint64_t bytes_sent;
  uint64_t reads; /* System calls, or calls of TLS. */
  uint64_t writes;
} ws_loop_stats;

/* Fills in the account. Never fails. Since 0.1. */
WS_API void ws_loop_get_stats(const ws_loop *loop, ws_loop_stats *out_stats);

/* -- Timers ---------------------------------------------------------------- */

/* Makes a timer that rings once, after `delay_ms`, as WS_EVENT_TIMER, for which
 * ws_loop_handle() calls `task(arg)` (may be NULL). It can be set again at any
 * time. Returns 0 or WS_ERR_NO_MEMORY. Since 0.1. */
WS_API int ws_timer_new(ws_loop *loop, uint64_t delay_ms, ws_task_fn task,
                        void *arg, ws_timer **out_timer);

/* Has the timer ring after `delay_ms` from now, instead of when it would; with
 * WS_NO_DEADLINE not at all. Set inside a turn, it rings in the next one at the
 * earliest. Never fails. Since 0.1. */
WS_API void ws_timer_set(ws_timer *timer, uint64_t delay_ms);

/* Releases a timer; it does not ring any more. NULL is fine. Since 0.1. */
WS_API void ws_timer_free(ws_timer *timer);

/* -- Clients --------------------------------------------------------------- */

/* Fill with ws_socket_options_init(). Everything is copied by ws_socket_open(),
 * but for `handlers` and `user_data`. */
typedef struct ws_socket_options {
  /* sizeof(ws_socket_options), set by ws_socket_options_init(). */
  size_t size;
  /* Optional. Limits, deadlines, compression. An allocator and a random source
   * are not looked at: they are the loop's and ws_random(). */
  const ws_conn_options *conn;
  /* Optional. Subprotocols in order of preference. */
  const char *const *protocols;
  size_t protocol_count;
  /* Optional. Further headers of the request; see ws_conn_request. */
  const ws_header *headers;
  size_t header_count;
  /* Optional. The Origin header. */
  const char *origin;
  /* Optional. For wss; defaults to the system's trust. Retained. */
  ws_tls_context *tls;
  /* Optional. Whom the certificate must be for, instead of the URL's host. */
  const char *server_name;
  /* The proxy: NULL for what the environment says (http_proxy, no_proxy and so
   * on), "" for none, or the URL of one: http, https, socks5 or socks5h, with
   * user and password if need be. */
  const char *proxy;
  /* Optional. Further headers for an HTTP proxy. */
  const ws_header *proxy_headers;
  size_t proxy_header_count;
  /* Optional. For an HTTPS proxy; defaults to the system's trust. Retained. */
  ws_tls_context *proxy_tls;
  /* A connected stream socket to use, or -1. Taken over: closed with the
   * socket, or if ws_socket_open() fails. */
  int fd;
  /* How many redirects are followed. Defaults to none, as in a browser. When
   * host, port or scheme changes, credentials are dropped; from wss to ws, and
   * to another Unix socket, none is followed. A client that connects again
   * begins with its first URL. */
  uint32_t max_redirects;
  /* Refuse the ports a browser refuses (Fetch standard, "port blocking"). */
  bool block_bad_ports;
  /* Connect again whenever the connection ends or fails, but for a call of
   * ws_socket_close() or _terminate(). The delay is random up to a bound that
   * doubles with each failure (full jitter), from reconnect_min to
   * reconnect_max milliseconds. Default to 500 ms and 30 s. */
  bool reconnect;
  uint32_t reconnect_min;
  uint32_t reconnect_max;
  /* Attempts in a row before it gives up. Defaults to no bound. */
  uint32_t reconnect_attempts;
  /* Optional. */
  const ws_handlers *handlers;
  void *user_data;
} ws_socket_options;

/* Sets every field to its default. Never fails. Since 0.1. */
WS_API void ws_socket_options_init(ws_socket_options *options);

/* Opens a WebSocket as the browser's constructor does: checks the arguments,
 * and connects while the loop runs. No event comes before the next pull; names,
 * proxies, TLS and the handshake have handshake_timeout together. URLs are ws,
 * wss, http and https as in ws/url.h, and ws+unix:/path/of/socket:/target.
 * `options` may be NULL. Returns 0; WS_ERR_SYNTAX for the URL or a subprotocol;
 * WS_ERR_INVALID_ARGUMENT for an option, named in `out_error`;
 * WS_ERR_NO_MEMORY; WS_ERR_RANDOM. All else comes as events. Since 0.1. */
WS_API int ws_socket_open(ws_loop *loop, const char *url, size_t url_len,
                          const ws_socket_options *options,
                          ws_socket **out_socket, ws_error *out_error);

/* Replaces the further headers of the request for the attempts to come of a
 * client that reconnects. Copied. Returns 0, WS_ERR_INVALID_ARGUMENT,
 * WS_ERR_INVALID_STATE for a server's socket, WS_ERR_NO_MEMORY; after an error
 * the old ones stay. Since 0.1. */
WS_API int ws_socket_set_request_headers(ws_socket *socket,
                                         const ws_header *headers,
                                         size_t header_count,
                                         ws_error *out_error);

/* -- Sockets of clients and servers ----------------------------------------
 *
 * A socket lives until the pull after its CLOSE event. Who needs it longer
 * retains it: it is then CLOSED, and getters and send (which only counts) still
 * work. */

/* Keeps the handle valid beyond the CLOSE event. Counts. Since 0.1. */
WS_API ws_socket *ws_socket_retain(ws_socket *socket);

/* Takes back one ws_socket_retain(). The connection is not touched. NULL is
 * fine. Since 0.1. */
WS_API void ws_socket_release(ws_socket *socket);

/* Sends as ws_conn_send(): in any state and from any handler; the data is
 * copied, or, when it is large and the system takes it at once, not even that.
 * Returns as ws_conn_send(). Since 0.1. */
WS_API int ws_socket_send(ws_socket *socket, ws_message_type type,
                          const void *data, size_t len, unsigned flags);

/* ws_socket_send() of one whole text message, checked. Since 0.1. */
static inline int ws_socket_send_text(ws_socket *socket, const char *text,
                                      size_t len) {
  return ws_socket_send(socket, WS_TEXT, text, len, 0);
}

/* ws_socket_send() of one whole binary message. Since 0.1. */
static inline int ws_socket_send_binary(ws_socket *socket, const void *data,
                                        size_t len) {
  return ws_socket_send(socket, WS_BINARY, data, len, 0);
}

/* Sends a message that was made once for many; see ws_message_new(). Returns as
 * ws_conn_send_message(). Since 0.1. */
WS_API int ws_socket_send_message(ws_socket *socket, ws_message *message);

/* As ws_conn_send_ping() and _pong(). Since 0.1. */
WS_API int ws_socket_ping(ws_socket *socket, const void *data, size_t len);
WS_API int ws_socket_pong(ws_socket *socket, const void *data, size_t len);

/* The browser's close(), and the same for every code that may be on the wire;
 * return as ws_conn_close() and ws_conn_close_with(). Since 0.1. */
WS_API int ws_socket_close(ws_socket *socket, uint16_t code, const char *reason,
                           size_t reason_len);
WS_API int ws_socket_close_with(ws_socket *socket, uint16_t code,
                                const char *reason, size_t reason_len);

/* Ends the connection at once, without a Close frame and without sending what
 * waits; the close event says 1006. Since 0.1. */
WS_API void ws_socket_terminate(ws_socket *socket);

/* Stop and go on with reading, so that a peer that is too fast has to wait.
 * While paused no events come that input causes. A transport that takes no more
 * output ends the pause, and the connection. In CONNECTING and CLOSED nothing
 * can be paused. Since 0.1. */
WS_API void ws_socket_pause(ws_socket *socket);
WS_API void ws_socket_resume(ws_socket *socket);

/* As ws_conn_set_streaming(). Since 0.1. */
WS_API void ws_socket_set_streaming(ws_socket *socket, bool is_streaming);

/* Attributes, as in the browser and ws/conn.h. The URL is that of a client, and
 * the one that a redirect has led to; "" on a server, where the OPEN event has
 * the request. Strings live as long as the handle, or until a client begins
 * anew, for a redirect or to connect again. Since 0.1. */
WS_API ws_state ws_socket_ready_state(const ws_socket *socket);
WS_API uint64_t ws_socket_buffered_amount(const ws_socket *socket);
WS_API const char *ws_socket_protocol(const ws_socket *socket);
WS_API const char *ws_socket_extensions(const ws_socket *socket);
WS_API const char *ws_socket_url(const ws_socket *socket);
WS_API ws_role ws_socket_role(const ws_socket *socket);

/* The loop it is in; NULL after the pull that follows its CLOSE event. Since
 * 0.1. */
WS_API ws_loop *ws_socket_loop(const ws_socket *socket);

/* The server that a socket belongs to, NULL for a client. Since 0.1. */
WS_API ws_server *ws_socket_server(const ws_socket *socket);

/* A pointer of the application; NULL at the start on a server. Since 0.1. */
WS_API void *ws_socket_user_data(const ws_socket *socket);
WS_API void ws_socket_set_user_data(ws_socket *socket, void *user_data);

/* As ws_conn_get_stats(); a client that begins anew begins with 0. Since 0.1.
 */
WS_API void ws_socket_get_stats(const ws_socket *socket,
                                ws_conn_stats *out_stats);

/* Room for any address as text, the NUL included. */
#define WS_ADDRESS_SIZE 128

/* Writes the address of the peer: "1.2.3.4:80", "[::1]:80" or "unix:/path"; ""
 * when there is no connection. Behind a proxy it is the proxy's. Returns
 * `address`. Since 0.1. */
WS_API const char *ws_socket_peer_address(const ws_socket *socket,
                                          char address[WS_ADDRESS_SIZE]);

/* Returns whether the connection is TLS and has shaken hands, and then fills
 * `*out_info` (may be NULL). Since 0.1. */
WS_API bool ws_socket_tls_info(const ws_socket *socket, ws_tls_info *out_info);

/* -- Sending from other threads -------------------------------------------- */

/* A way to a socket that any thread may use and that may outlive it. */
typedef struct ws_sender ws_sender;

/* Makes one. Returns 0, WS_ERR_INVALID_STATE when the socket has ended, or
 * WS_ERR_NO_MEMORY. Loop thread. Since 0.1. */
WS_API int ws_sender_new(ws_socket *socket, ws_sender **out_sender);

/* Sends one whole message, copied now: in the loop's next turn, or as soon as
 * the socket is OPEN and not inside a message that is sent in fragments; in the
 * order of the calls of one thread. What waits when the socket ends is lost.
 * Returns 0; WS_ERR_INVALID_UTF8; WS_ERR_INVALID_STATE when the socket has
 * ended; WS_ERR_SEND_QUEUE_FULL when more than the socket's max_send_queue
 * waits (the connection goes on); WS_ERR_NO_MEMORY. Any thread. Since 0.1. */
WS_API int ws_sender_send(ws_sender *sender, ws_message_type type,
                          const void *data, size_t len, unsigned flags);

/* ws_socket_close_with() in the loop's next turn, behind what waits to be sent
 * unless the socket is CONNECTING. Returns 0, WS_ERR_INVALID_ACCESS, _SYNTAX,
 * _INVALID_UTF8, _INVALID_STATE, _SEND_QUEUE_FULL, _NO_MEMORY. Any thread.
 * Since 0.1. */
WS_API int ws_sender_close(ws_sender *sender, uint16_t code, const char *reason,
                           size_t reason_len);

/* Any thread. NULL is fine. Since 0.1. */
WS_API void ws_sender_free(ws_sender *sender);

/* -- Servers --------------------------------------------------------------- */

/* Fill with ws_server_options_init(). Everything is copied by ws_server_new(),
 * but for `handlers` and `user_data`. */
typedef struct ws_server_options {
  /* sizeof(ws_server_options), set by ws_server_options_init(). */
  size_t size;
  /* Optional. Limits, deadlines, compression, Origin rule and allowed hosts. An
   * allocator, a random source and `is_secure` are not looked at. */
  const ws_conn_options *conn;
  /* Which subprotocols are spoken; the first of the client's that is among them
   * is chosen. NULL: the first the client offers. Only for handshakes that are
   * accepted without on_upgrade. */
  const char *const *protocols;
  size_t protocol_count;
  /* Optional. The path handshakes have to be for, such as "/chat"; others get
   * 404. Defaults to all. */
  const char *path;
  /* Optional. A folder whose files are served to GET and HEAD requests;
   * index.html for a folder. What is hidden (".name"), a symbolic link or no
   * plain file is not found. At most 8 MiB each. */
  const char *root;
  /* Hand out handshakes, or plain HTTP, as WS_EVENT_REQUEST, for those who pull
   * events. Handlers on_upgrade and on_request imply it. */
  bool wants_upgrades;
  bool wants_requests;
  /* Most connections, handshakes included, in all and from one IP address
   * (IPv6: from one /64). Those beyond are closed at once, in all cases before
   * a byte is read. Default to no bound: what the system allows. */
  uint32_t max_connections;
  uint32_t max_connections_per_address;
  /* Threads that serve, each with a loop and (TCP) a listener of its own; the
   * handlers are called on them, with all signals blocked. 0: the loop that the
   * server is made in does it. At most 1,024. Needs handlers: their events
   * cannot be pulled. Calls for the server, unless they are for any thread,
   * stay with the thread of the loop it was made in. */
  uint32_t workers;
  /* Optional. */
  const ws_handlers *handlers;
  void *user_data;
} ws_server_options;

/* Sets every field to its default. Never fails. Since 0.1. */
WS_API void ws_server_options_init(ws_server_options *options);

/* Makes a server in `loop`, which does not listen yet. `options` may be NULL.
 * Returns 0; WS_ERR_INVALID_ARGUMENT, with the option named in `out_error`;
 * WS_ERR_SYSTEM; WS_ERR_NO_MEMORY. Since 0.1. */
WS_API int ws_server_new(ws_loop *loop, const ws_server_options *options,
                         ws_server **out_server, ws_error *out_error);

/* Where to listen. Fill with ws_listen_options_init(). */
typedef struct ws_listen_options {
  /* sizeof(ws_listen_options), set by ws_listen_options_init(). */
  size_t size;
  /* An IP address, or a name, which is looked up while the call waits, and all
   * of whose addresses that the machine has are listened on ("localhost":
   * 127.0.0.1 and ::1). Defaults to "127.0.0.1". "::" takes IPv4 as well. */
  const char *host;
  uint16_t port; /* 0: a free one. */
  /* Optional. The path of a Unix socket instead, and the mode of its file (0:
   * what the umask leaves). */
  const char *unix_path;
  uint32_t unix_mode;
  /* A listening socket that was inherited instead, or -1. Taken over in any
   * case. */
  int fd;
  /* Optional. For wss. Retained. */
  ws_tls_context *tls;
  int backlog;     /* 0: the most the system allows. */
  bool reuse_port; /* SO_REUSEPORT: other processes may listen there too. */
} ws_listen_options;

/* Sets every field to its default. Never fails. Since 0.1. */
WS_API void ws_listen_options_init(ws_listen_options *options);

/* Begins to listen; may be called several times. After an error it listens
 * nowhere that it did not before. Returns 0; WS_ERR_INVALID_ARGUMENT;
 * WS_ERR_INVALID_STATE after ws_server_close(); WS_ERR_RESOLVE; WS_ERR_SYSTEM,
 * with address and cause in `out_error`; WS_ERR_NO_MEMORY. Since 0.1. */
WS_API int ws_server_listen(ws_server *server, const ws_listen_options *options,
                            ws_error *out_error);

/* Serves a connection that was accepted elsewhere. `fd` is a connected stream
 * socket, taken over in any case; `data` is what was read from it already (may
 * be NULL). `tls` is for wss, or NULL. Returns 0, WS_ERR_INVALID_ARGUMENT,
 * WS_ERR_INVALID_STATE after ws_server_close(), WS_ERR_TLS or WS_ERR_NO_MEMORY.
 * Not with `workers`. Since 0.1. */
WS_API int ws_server_adopt(ws_server *server, int fd, ws_tls_context *tls,
                           const void *data, size_t len, ws_socket **out_socket,
                           ws_error *out_error);

/* How many listeners there are, and where: "ws://127.0.0.1:8080",
 * "wss://[::1]:8443", "ws+unix:/path". Strings live as long as the server. The
 * port is 0 for Unix sockets. NULL and 0 for an index too large. Since 0.1. */
WS_API size_t ws_server_listener_count(const ws_server *server);
WS_API const char *ws_server_url(const ws_server *server, size_t index);
WS_API uint16_t ws_server_port(const ws_server *server, size_t index);

/* Accepts the handshake that WS_EVENT_REQUEST brought; as ws_conn_accept().
 * When the server is closing it answers 503 instead and returns
 * WS_ERR_INVALID_STATE. Since 0.1. */
WS_API int ws_socket_accept(ws_socket *socket, const ws_conn_answer *answer,
                            const char **out_reason);

/* Answers a request with plain HTTP; as ws_conn_respond(). Since 0.1. */
WS_API int ws_socket_respond(ws_socket *socket, uint16_t status,
                             const ws_header *headers, size_t header_count,
                             const void *body, size_t body_len,
                             const char **out_reason);

/* Answers a request with the file under the folder `root` that its target
 * names, or with 404, 405, 413 or 500; see ws_server_options. Returns 0,
 * WS_ERR_INVALID_STATE or WS_ERR_NO_MEMORY. Since 0.1. */
WS_API int ws_socket_respond_file(ws_socket *socket, const char *root);

/* Ends a server in good order: stops listening, drops connections that
 * have sent nothing, answers requests with 503, sends a Close frame with `code`
 * (0: 1001) and `reason` to every socket, and drops those that are not done
 * after `deadline_ms` (0: close_timeout). When the last has ended,
 * WS_EVENT_SERVER_CLOSE comes, and the server is gone with the pull after it.
 * Further calls may bring the deadline forward. Returns 0,
 * WS_ERR_INVALID_ACCESS, WS_ERR_SYNTAX, WS_ERR_INVALID_UTF8; WS_ERR_NO_MEMORY
 * when not all workers could be told, and then it is to be called again. Since
 * 0.1. */
WS_API int ws_server_close(ws_server *server, uint16_t code, const char *reason,
                           size_t reason_len, uint32_t deadline_ms);

/* Stops listening and nothing else; open sockets stay. With `workers`, one that
 * cannot be told for want of memory goes on. Since 0.1. */
WS_API void ws_server_stop_listening(ws_server *server);

/* The loop that the server was made in, and the pointer of its options. Any
 * thread. Since 0.1. */
WS_API ws_loop *ws_server_loop(const ws_server *server);
WS_API void *ws_server_user_data(const ws_server *server);

/* The account of a server since it was made. */
typedef struct ws_server_stats {
  uint64_t connections; /* That live now, handshakes included. */
  uint64_t accepted;    /* In all. */
  uint64_t refused;     /* Beyond a limit on connections. */
  uint64_t opened;      /* Handshakes that succeeded. */
  uint64_t published;   /* Calls of publish and broadcast. */
} ws_server_stats;

/* Over all workers. Any thread. Since 0.1. */
WS_API void ws_server_get_stats(const ws_server *server,
                                ws_server_stats *out_stats);

/* Writes up to `max` of the server's sockets that are open to `out_sockets`.
 * Returns how many there are in all; 0 with `workers`, whose sockets belong to
 * other threads. Valid until the next pull. Since 0.1. */
WS_API size_t ws_server_sockets(const ws_server *server,
                                ws_socket **out_sockets, size_t max);

/* -- Topics ----------------------------------------------------------------
 *
 * A message to a topic is framed and deflated once for all its subscribers, on
 * all workers. A topic exists while it has subscribers; names are any bytes
 * but NUL, at most 255. */

/* Subscribe to and leave a topic; a second time changes nothing. A socket that
 * ends leaves all. Return 0; WS_ERR_INVALID_ARGUMENT for the name;
 * WS_ERR_INVALID_STATE for a client or a socket that has ended;
 * WS_ERR_NO_MEMORY. Since 0.1. */
WS_API int ws_socket_subscribe(ws_socket *socket, const char *topic);
WS_API int ws_socket_unsubscribe(ws_socket *socket, const char *topic);

/* Sends to all subscribers of a topic but `except` (may be NULL), or with
 * `topic` NULL to all open sockets. Passes over those that are in the middle of
 * a message they send in fragments; those whose queue cannot take it fail.
 * Returns 0; WS_ERR_INVALID_UTF8; WS_ERR_INVALID_ARGUMENT; WS_ERR_NO_MEMORY.
 * Any thread when `except` is NULL or a socket of the calling thread's loop.
 * Since 0.1. */
WS_API int ws_server_publish(ws_server *server, const char *topic,
                             ws_message_type type, const void *data, size_t len,
                             unsigned flags, const ws_socket *except);

#ifdef __cplusplus
}
#endif

#endif /* WS_WS_H */
