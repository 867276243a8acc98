/* ws/conn.h - the WebSocket protocol without I/O, for both roles.
 *
 * A ws_conn is one end of one connection. It never reads, writes, waits, asks
 * for the time or calls the application; it turns bytes into events and calls
 * into bytes:
 *
 *        bytes from the peer                    bytes to the peer
 *     ws_conn_feed, ws_conn_eof           ws_conn_output, ws_conn_consume
 *                |                                      ^
 *                v                                      |
 *     ws_conn_next_event  -->  application  -->  ws_conn_send, _close, ...
 *
 * The loop of every user, whatever the transport:
 *
 *     ws_conn_tick(conn, now);
 *     ws_conn_feed(conn, bytes, count);           // or ws_conn_eof(conn)
 *     while (ws_conn_next_event(conn, &event))
 *       handle(&event);                           // may send, close, ...
 *     while ((n = ws_conn_output(conn, iov, 8)))  // write what there is
 *       ws_conn_consume(conn, write_to_transport(iov, n));
 *     // close the transport after WS_EVENT_CLOSE
 *     // wait for the transport, at most until ws_conn_deadline(conn)
 *
 * Pings are answered, the closing handshake is done, and limits and deadlines
 * are kept without help. Whatever ends a connection ends it with exactly one
 * WS_EVENT_CLOSE, with at most one WS_EVENT_ERROR directly before it.
 *
 * Threads: a connection belongs to one thread at a time. A configuration or URL
 * may be shared by any number of threads. No call may be made from inside an
 * allocator or random hook.
 *
 * Sources: RFC 6455 (the protocol), RFC 7692 (permessage-deflate), and the
 * WHATWG WebSockets standard, which decides where it is stricter. */
#ifndef WS_CONN_H
#define WS_CONN_H

#include "ws/base.h"
#include "ws/url.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- Words ----------------------------------------------------------------- */

/* Which end of a connection. */
typedef enum ws_role {
  WS_ROLE_CLIENT,
  WS_ROLE_SERVER
} ws_role;

/* The browser's readyState, with the same numbers. */
typedef enum ws_state {
  WS_STATE_CONNECTING = 0,
  WS_STATE_OPEN = 1,
  WS_STATE_CLOSING = 2,
  WS_STATE_CLOSED = 3
} ws_state;

/* The two kinds of message; the numbers are the opcodes (RFC 6455 5.6). */
typedef enum ws_message_type {
  WS_TEXT = 1,
  WS_BINARY = 2
} ws_message_type;

/* "No limit" and "no deadline", which have to be asked for by name. */
#define WS_UNLIMITED UINT64_MAX
#define WS_NEVER     UINT32_MAX

/* The answer of ws_conn_deadline() when nothing is waited for. */
#define WS_NO_DEADLINE UINT64_MAX

/* Close codes with a meaning of their own (RFC 6455 7.4.1 and the registry). */
#define WS_CLOSE_NORMAL         1000
#define WS_CLOSE_GOING_AWAY     1001
#define WS_CLOSE_PROTOCOL_ERROR 1002
#define WS_CLOSE_UNSUPPORTED    1003
#define WS_CLOSE_NO_STATUS      1005 /* Never on the wire. */
#define WS_CLOSE_ABNORMAL       1006 /* Never on the wire. */
#define WS_CLOSE_INVALID_DATA   1007
#define WS_CLOSE_POLICY         1008
#define WS_CLOSE_TOO_BIG        1009
#define WS_CLOSE_INTERNAL_ERROR 1011

/* The longest reason of a Close frame in bytes: 125 less the code. */
#define WS_MAX_CLOSE_REASON 123

/* The longest payload of a ping or pong in bytes (RFC 6455 5.5). */
#define WS_MAX_CONTROL_PAYLOAD 125

/* -- Configuration --------------------------------------------------------- */

/* Whether permessage-deflate is negotiated. */
typedef enum ws_compression {
  WS_COMPRESSION_DEFAULT, /* A client offers it, a server declines it. */
  WS_COMPRESSION_OFF,
  WS_COMPRESSION_ON
} ws_compression;

/* Fills `out` with `len` unpredictable bytes. Returns 0, or anything else if it
 * cannot, and then the call that needed the bytes fails with WS_ERR_RANDOM. */
typedef int (*ws_random_fn)(void *ctx, void *out, size_t len);

/* What connections are made with. Fill with ws_conn_options_init(), change what
 * shall differ. In every limit and time 0 means the default that stands beside
 * it; WS_UNLIMITED and WS_NEVER turn one off. */
typedef struct ws_conn_options {
  /* sizeof(ws_conn_options), set by ws_conn_options_init(). */
  size_t size;

  /* Optional. Where all memory comes from; malloc if `reallocate` is NULL. */
  ws_allocator allocator;

  /* Required for a client, unused by a server: keys for masking and for the
   * handshake (RFC 6455 5.3, 4.1 item 7). Must be cryptographically strong.
   * ws_random() is one; ws_conn_options_init() sets none. */
  ws_random_fn random;
  void *random_ctx;

  /* Longest message accepted in bytes, all fragments together, after inflating.
   * Defaults to 1 MiB (server), 16 MiB (client). A breach is answered 1009. */
  uint64_t max_message;
  /* Most fragments of one message. Defaults to 131,072. Breach: 1008. */
  uint64_t max_fragments;
  /* Most bytes waiting to be sent; more fails the connection, as in a browser.
   * Defaults to 16 MiB. */
  uint64_t max_send_queue;
  /* WS_EVENT_DRAIN comes when more than this many bytes have waited and no more
   * than half of it are left. Defaults to 1 MiB. */
  uint64_t send_high_water;

  /* Longest request or response head in bytes. Defaults to 16 KiB. */
  uint32_t max_head;
  /* Longest line of a head in bytes. Defaults to 8 KiB. */
  uint32_t max_head_line;
  /* Most header fields of a head. Defaults to 100. */
  uint32_t max_headers;
  /* Most body bytes kept of a response that refuses the handshake (client); the
   * rest is not read. Defaults to 64 KiB. */
  uint32_t max_response_body;

  /* Frames that move nothing (empty fragments, unsolicited pongs, pings while
   * the last pong is unsent) spend from a budget of `useless_burst` that grows
   * again by `useless_rate` a second. Defaults to 1,000 and 100. Breach: 1008.
   */
  uint32_t useless_burst;
  uint32_t useless_rate;

  /* Deadlines in milliseconds, at most 2^31 - 1. */
  uint32_t handshake_timeout; /* All of it. 10 s (server), 30 s (client). */
  uint32_t ping_interval;     /* Ping after this long without input. 20 s. */
  uint32_t ping_timeout;      /* Then any input within this. 20 s. */
  uint32_t message_timeout;   /* Each 16 KiB of an unfinished message. 60 s. */
  uint32_t send_timeout;      /* Some of the waiting output leaves. 30 s. */
  uint32_t close_timeout;     /* The closing handshake. 5 s. */

  /* permessage-deflate (RFC 7692). */
  ws_compression compression;
  /* Messages shorter than this many bytes go uncompressed. Defaults to 1024. */
  uint32_t compression_threshold;
  /* zlib's effort, 1 (fast) to 9 (small). Defaults to 3. */
  uint8_t compression_level;
  /* zlib's memLevel, 1 to 9. Defaults to 5. */
  uint8_t compression_memory;
  /* Upper bounds for the LZ77 windows, 8 to 15 (RFC 7692 7.1.2): what each side
   * compresses with. Both default to 12. A peer that does not know of them may
   * leave them out; its own window then has 15 bits. */
  uint8_t server_max_window_bits;
  uint8_t client_max_window_bits;
  /* Forget the window after each message (RFC 7692 7.1.1). */
  bool server_no_context_takeover;
  bool client_no_context_takeover;

  /* Do not answer pings; the application answers WS_EVENT_PING itself. */
  bool no_auto_pong;

  /* Server. Which values of Origin may connect, such as "https://example.com".
   * NULL: only the origin of the Host header; requests without Origin always
   * may (they come from no browser). {"*", NULL}: any. NULL-terminated. */
  const char *const *origins;
  /* Server. Which hosts, such as "example.com" or "example.com:8080", may stand
   * in the Host header (against DNS rebinding); without a port for all ports.
   * NULL: any. NULL-terminated. */
  const char *const *hosts;
  /* Server. The transport is TLS, so the default same-origin rule refuses an
   * http origin. */
  bool is_secure;
} ws_conn_options;

/* Sets every field to "default". Never fails. Since 0.1. */
WS_API void ws_conn_options_init(ws_conn_options *options);

/* A cryptographically strong ws_random_fn over the system's source, pooled per
 * thread and renewed after fork; `ctx` is not used. Returns 0, or -1 when the
 * system's source fails. Any thread. Since 0.1. */
WS_API int ws_random(void *ctx, void *out, size_t len);

/* Checked, immutable options that any number of connections share. */
typedef struct ws_conn_config ws_conn_config;

/* Makes a configuration for connections of `role`. All of `options` is copied;
 * NULL for the defaults (server only: a client needs `random`).
 * Returns 0; WS_ERR_INVALID_ARGUMENT when a value is out of its range, and then
 * `*out_reason`, if `out_reason` is not NULL, is a static string that names the
 * option; WS_ERR_NO_MEMORY. Any thread. Since 0.1. */
WS_API int ws_conn_config_new(ws_role role, const ws_conn_options *options,
                              ws_conn_config **out_config,
                              const char **out_reason);

/* Gives up the caller's reference. Connections made with the configuration keep
 * it alive. NULL is fine. Any thread. Since 0.1. */
WS_API void ws_conn_config_free(ws_conn_config *config);

/* -- Life ------------------------------------------------------------------ */

/* A handle: one end of one connection. */
typedef struct ws_conn ws_conn;

/* Makes a connection in CONNECTING whose opening handshake has to be done by
 * `now` + handshake_timeout. `now` is any monotonic time in milliseconds; later
 * times come in through ws_conn_tick(). A client continues with
 * ws_conn_connect(), a server with what the peer sends.
 * Returns 0 or WS_ERR_NO_MEMORY. Since 0.1. */
WS_API int ws_conn_new(ws_conn_config *config, uint64_t now,
                       ws_conn **out_conn);

/* Releases the connection in whatever state it is, without a word to the peer.
 * All that events and getters pointed to goes with it. NULL is fine. Since 0.1.
 */
WS_API void ws_conn_free(ws_conn *conn);

/* -- The opening handshake ------------------------------------------------- */

/* What a client asks for. Fill with ws_conn_request_init(). */
typedef struct ws_conn_request {
  /* sizeof(ws_conn_request), set by ws_conn_request_init(). */
  size_t size;
  /* Required. Where to: gives the request target and the Host header, and the
   * Authorization header when it has user name or password. */
  const ws_url *url;
  /* Optional. Subprotocols in order of preference: tokens, none twice. */
  const char *const *protocols;
  size_t protocol_count;
  /* Optional. Further headers. Host, Connection, Upgrade, Content-Length,
   * Transfer-Encoding and Sec-WebSocket-* are ours and refused here. */
  const ws_header *headers;
  size_t header_count;
  /* Optional. The Origin header; absent when NULL. */
  const char *origin;
} ws_conn_request;

/* Sets every field to "absent". Never fails. Since 0.1. */
WS_API void ws_conn_request_init(ws_conn_request *request);

/* Starts a client's handshake: the request is ready in ws_conn_output().
 * Everything in `request` is copied.
 * Returns 0; WS_ERR_SYNTAX for a subprotocol that is empty, repeated or no
 * token; WS_ERR_INVALID_ARGUMENT for a header that is reserved or has a name or
 * value that must not stand in a head; WS_ERR_INVALID_STATE for a server or the
 * second call; WS_ERR_RANDOM; WS_ERR_NO_MEMORY. `*out_reason`, if `out_reason`
 * is not NULL, then names what was wrong (static). Since 0.1. */
WS_API int ws_conn_connect(ws_conn *conn, const ws_conn_request *request,
                           const char **out_reason);

/* A request as a server got it. All strings end in NUL and live until the
 * request is answered. */
typedef struct ws_request {
  const char *method;
  const char *target; /* As it came: "/chat?room=1". */
  const ws_header *headers;
  size_t header_count;
  /* A WebSocket handshake, correct in every way: ws_conn_accept() may follow.
   * False: plain HTTP, to be answered with ws_conn_respond(). */
  bool is_upgrade;
  /* The subprotocols the client offers, in its order. */
  const char *const *protocols;
  size_t protocol_count;
} ws_request;

/* A response as a client got it. All strings end in NUL. */
typedef struct ws_response {
  uint16_t status;
  const char *reason; /* The phrase behind the status; may be "". */
  const ws_header *headers;
  size_t header_count;
  /* Of a refusal: what came of the body, up to max_response_body. */
  const uint8_t *body;
  size_t body_len;
} ws_response;

/* How a server accepts. Fill with ws_conn_answer_init(). */
typedef struct ws_conn_answer {
  /* sizeof(ws_conn_answer), set by ws_conn_answer_init(). */
  size_t size;
  /* Optional. One of the subprotocols offered; none when NULL. */
  const char *protocol;
  /* Optional. Further headers, but for the names that are reserved in
   * ws_conn_request. */
  const ws_header *headers;
  size_t header_count;
  /* Open without compression, although it was offered and the configuration has
   * it on. */
  bool decline_compression;
} ws_conn_answer;

/* Sets every field to "absent". Never fails. Since 0.1. */
WS_API void ws_conn_answer_init(ws_conn_answer *answer);

/* Accepts the handshake that WS_EVENT_REQUEST brought, at once or later;
 * WS_EVENT_OPEN follows. Everything in `answer` is copied; NULL for no
 * subprotocol and no headers.
 * Returns 0; WS_ERR_INVALID_STATE when no upgrade waits for an answer;
 * WS_ERR_INVALID_ARGUMENT for a subprotocol that was not offered or a header
 * that must not stand; WS_ERR_NO_MEMORY. After an error the request still
 * waits, and `*out_reason`, if `out_reason` is not NULL, names what was wrong
 * (static). Since 0.1. */
WS_API int ws_conn_accept(ws_conn *conn, const ws_conn_answer *answer,
                          const char **out_reason);

/* Answers the request that WS_EVENT_REQUEST brought with plain HTTP: refuses an
 * upgrade, or serves a page. `status` is 200 to 599. Content-Length,
 * Connection: close, with 405 Allow and with 426 Upgrade and
 * Sec-WebSocket-Version are added.
 * The body is copied; it is left out in answer to HEAD and with 204 and 304.
 * WS_EVENT_CLOSE follows when all has been consumed.
 * Returns 0; WS_ERR_INVALID_STATE when no request waits for an answer;
 * WS_ERR_INVALID_ARGUMENT for another status or a header that must not stand;
 * WS_ERR_NO_MEMORY. After an error as ws_conn_accept(). Since 0.1. */
WS_API int ws_conn_respond(ws_conn *conn, uint16_t status,
                           const ws_header *headers, size_t header_count,
                           const void *body, size_t body_len,
                           const char **out_reason);

/* -- Bytes and time in ----------------------------------------------------- */

/* Tells the time: monotonic milliseconds. Call it before the other calls of a
 * turn, and when ws_conn_deadline() has come. What is due is done by
 * ws_conn_next_event() after it has used all input, so that a peer is not
 * blamed for a caller that was late. Since 0.1. */
WS_API void ws_conn_tick(ws_conn *conn, uint64_t now);

/* Returns the time at which ws_conn_next_event() has something to do, or
 * WS_NO_DEADLINE. Changes with every other call. Since 0.1. */
WS_API uint64_t ws_conn_deadline(const ws_conn *conn);

/* Hands in `len` bytes from the peer. They are unmasked in place, so `data`
 * must be writable, and stay borrowed until ws_conn_next_event() returns false
 * or ws_conn_keep_input() returns. Bytes after the end of the connection are
 * ignored.
 * Returns 0, or WS_ERR_INVALID_STATE when earlier input is still borrowed.
 * Since 0.1. */
WS_API int ws_conn_feed(ws_conn *conn, uint8_t *data, size_t len);

/* Offers the place where the next bytes from the peer would best be read to:
 * the tail of an unfinished message, so that they need no copy. `*out_len` is 0
 * when there is no such place; any buffer is then as good. Give what was read
 * to ws_conn_feed() with the same pointer. Valid until the next call on `conn`.
 * Since 0.1. */
WS_API void ws_conn_input(ws_conn *conn, uint8_t **out_data, size_t *out_len);

/* Copies what is left of the borrowed input, for a caller that wants its buffer
 * back before it has pulled every event (backpressure, bounded turns). Events
 * go on from the copy.
 * Returns 0, or WS_ERR_NO_MEMORY, and then the connection has failed. The event
 * last pulled is no longer valid. Since 0.1. */
WS_API int ws_conn_keep_input(ws_conn *conn);

/* Says that the peer will send no more (end of file). What was fed before still
 * comes out as events. Since 0.1. */
WS_API void ws_conn_eof(ws_conn *conn);

/* Ends the connection without a Close frame, because the transport failed
 * (`err` is a negative ws_err, normally WS_ERR_TRANSPORT; error and close
 * events follow) or because the application wants it gone (`err` is 0: only the
 * close event follows, unless the handshake was under way). Unsent output is
 * dropped. Since 0.1. */
WS_API void ws_conn_abort(ws_conn *conn, int err);

/* -- Events out ------------------------------------------------------------ */

/* What an event is about. */
typedef enum ws_event_type {
  WS_EVENT_REQUEST = 1, /* Server: a request waits for its answer. */
  WS_EVENT_OPEN,        /* The connection is open. */
  WS_EVENT_MESSAGE,     /* A message, or with streaming a piece of one. */
  WS_EVENT_PING,        /* A ping, answered unless no_auto_pong. */
  WS_EVENT_PONG,        /* A pong, asked for or not. */
  WS_EVENT_DRAIN,       /* The send queue has room again. */
  WS_EVENT_ERROR,       /* Why the connection fails; WS_EVENT_CLOSE is next. */
  WS_EVENT_CLOSE,       /* The end: close the transport. */
  /* Of ws/ws.h only. */
  WS_EVENT_RECONNECT,    /* A client lost its connection and will try again. */
  WS_EVENT_SERVER_ERROR, /* A server failed at something beside a connection. */
  WS_EVENT_SERVER_CLOSE, /* A server has ended. */
  WS_EVENT_TIMER,        /* The time of a timer has come. */
  WS_EVENT_TASK          /* A call was posted to the loop. */
} ws_event_type;

/* Who is at fault. */
typedef enum ws_side {
  WS_SIDE_LOCAL = 1, /* This application, its memory or its limits on output. */
  WS_SIDE_PEER,      /* The peer broke the protocol, a limit or a deadline. */
  WS_SIDE_TRANSPORT  /* What lies between. */
} ws_side;

/* How far the connection had come. */
typedef enum ws_phase {
  WS_PHASE_HANDSHAKE = 1,
  WS_PHASE_OPEN,
  WS_PHASE_CLOSING
} ws_phase;

/* Why a connection failed. */
typedef struct ws_cause {
  ws_err err;
  ws_side side;
  ws_phase phase;
  /* The code of the Close frame that told the peer, 0 if none was sent. */
  uint16_t close_code;
  /* The HTTP status that was sent (server) or received (client) when the
   * handshake failed, 0 if none. */
  uint16_t status;
  /* One line for a person: what was wrong and, for a limit, which option to
   * raise. Ends in NUL. Static; in an event of ws/ws.h it may name the thing
   * that failed, and is then borrowed as the event is. */
  const char *message;
  /* Client, when a response came but did not open the connection; else NULL. */
  const ws_response *response;
  /* In events of ws/ws.h: the errno with which the system refused what was
   * needed, such as ECONNREFUSED; 0 if that was not the cause. */
  int system_error;
} ws_cause;

/* What goes with an event, by its type. What its pointers point to is borrowed
 * until the next call of ws_conn_next_event(), ws_conn_feed(),
 * ws_conn_keep_input() or ws_conn_free() on the connection, unless more is
 * said.
 */
typedef union ws_event_data {
  /* REQUEST. Lives until answered; of an upgrade that was accepted, until the
   * open event is over. */
  const ws_request *request;
  /* OPEN. Both live until the next call of ws_conn_next_event(). */
  struct {
    const ws_request *request;   /* What was accepted (server), or NULL. */
    const ws_response *response; /* The 101 (client), or NULL. */
  } open;
  /* MESSAGE. Text is valid UTF-8 as a whole; with streaming a piece may end
   * inside a character. Without streaming both flags are always set. */
  struct {
    const uint8_t *data; /* Never NULL. */
    size_t len;
    ws_message_type type;
    bool is_first;
    bool is_last;
  } message;
  /* PING, PONG. `rtt` is how many milliseconds ago the ping left that this pong
   * answers, or WS_NEVER when it answers none of ours. */
  struct {
    const uint8_t *data;
    size_t len;
    uint32_t rtt;
  } control;
  /* ERROR. */
  ws_cause error;
  /* CLOSE, as a browser's CloseEvent: the peer's code or 1005 when its Close
   * frame had none, 1006 when the connection failed; clean when both Close
   * frames went over the wire. The reason is UTF-8. */
  struct {
    const char *reason; /* Ends in NUL. Never NULL. */
    size_t reason_len;
    uint16_t code;
    bool was_clean;
  } close;
} ws_event_data;

/* One event. */
typedef struct ws_conn_event {
  ws_event_type type;
  ws_event_data u;
} ws_conn_event;

/* Takes the next event. Returns false when there is none and all input has been
 * used. Since 0.1. */
WS_API bool ws_conn_next_event(ws_conn *conn, ws_conn_event *out_event);

/* Stops (true) or goes on with (false) the events that input causes, for an
 * application that is slower than the peer. While paused the input is kept, the
 * end of the transport is not looked at, and the deadlines stand still that
 * wait for something from the peer. Feed no more meanwhile, so that the peer
 * has to wait. Since 0.1. */
WS_API void ws_conn_set_paused(ws_conn *conn, bool is_paused);

/* From the next message on, hands messages out in pieces as they come (true) or
 * whole (false, the state at the start). Limits hold either way. Since 0.1. */
WS_API void ws_conn_set_streaming(ws_conn *conn, bool is_streaming);

/* -- Sending --------------------------------------------------------------- */

enum ws_send_flags {
  /* More fragments of this message follow (RFC 6455 5.4). */
  WS_SEND_FRAGMENT = 1,
  /* Leave this message uncompressed; looked at in its first fragment. */
  WS_SEND_UNCOMPRESSED = 2,
  /* The text is known to be valid UTF-8: do not check it again. */
  WS_SEND_VALID_UTF8 = 4
};

/* Sends a message, or with WS_SEND_FRAGMENT a part of one; the call after it
 * goes on with the same message and must name the same type. The data is
 * copied. While CLOSING or CLOSED nothing is sent and ws_conn_buffered_amount()
 * grows by `len`, as in a browser.
 * Returns 0; WS_ERR_INVALID_STATE while CONNECTING; WS_ERR_INVALID_ARGUMENT for
 * another type inside a message; WS_ERR_INVALID_UTF8 for text that is not
 * (nothing was sent); WS_ERR_NO_MEMORY (nothing was sent; if the message is
 * compressed, the connection has failed); WS_ERR_RANDOM and
 * WS_ERR_SEND_QUEUE_FULL (the connection has failed). Since 0.1. */
WS_API int ws_conn_send(ws_conn *conn, ws_message_type type, const void *data,
                        size_t len, unsigned flags);

/* ws_conn_send(), but what goes out as it is, a server's message without
 * compression, need not be copied: ws_conn_output() shows it where it lies. It
 * must stay there until ws_conn_own_output() or ws_conn_free(). Whoever writes
 * between the two copies only what the transport did not take.
 * Returns as ws_conn_send() does. Since 0.1. */
WS_API int ws_conn_send_borrowed(ws_conn *conn, ws_message_type type,
                                 const void *data, size_t len, unsigned flags);

/* Copies what is left of all that ws_conn_send_borrowed() has shown.
 * Returns 0, or WS_ERR_NO_MEMORY, and then the connection has failed.
 * Since 0.1. */
WS_API int ws_conn_own_output(ws_conn *conn);

/* ws_conn_send() of one whole text message, checked. Since 0.1. */
static inline int ws_conn_send_text(ws_conn *conn, const char *text,
                                    size_t len) {
  return ws_conn_send(conn, WS_TEXT, text, len, 0);
}

/* ws_conn_send() of one whole binary message. Since 0.1. */
static inline int ws_conn_send_binary(ws_conn *conn, const void *data,
                                      size_t len) {
  return ws_conn_send(conn, WS_BINARY, data, len, 0);
}

/* A message made for many receivers: framed, and if wanted deflated, once.
 * Immutable, counted by references, and usable from any thread. */
typedef struct ws_message ws_message;

/* Makes a message for the connections of a server. All of `data` is copied.
 * `flags` may hold WS_SEND_UNCOMPRESSED and WS_SEND_VALID_UTF8. If `config` has
 * compression on and the message is long enough for it, it is deflated at once,
 * by itself. Its memory comes from the allocator of `config`, on the threads
 * that make the message and give up its last reference; NULL stands for malloc
 * and no compression beforehand.
 * Returns 0; WS_ERR_INVALID_ARGUMENT for another type or flag;
 * WS_ERR_INVALID_UTF8 for text that is not; WS_ERR_NO_MEMORY. Any thread. Since
 * 0.1. */
WS_API int ws_message_new(ws_conn_config *config, ws_message_type type,
                          const void *data, size_t len, unsigned flags,
                          ws_message **out_message);

/* Adds a reference. Returns `message`. Any thread. Since 0.1. */
WS_API ws_message *ws_message_retain(ws_message *message);

/* Gives up a reference; queues in which the message waits have their own. NULL
 * is fine. Any thread. Since 0.1. */
WS_API void ws_message_free(ws_message *message);

/* What was given to ws_message_new(). The data lives as long as the message.
 * Any thread. Since 0.1. */
WS_API ws_message_type ws_message_get_type(const ws_message *message);
WS_API const uint8_t *ws_message_get_data(const ws_message *message,
                                          size_t *out_len);

/* ws_conn_send() of a whole message that was made for many. A server queues its
 * frame without copying it, unless a small one fits behind what waits; the
 * deflated one if the connection has a window that is large enough, so what
 * this connection compresses after it starts with an empty window. A client
 * sends a masked copy. Returns as ws_conn_send(), and WS_ERR_INVALID_STATE
 * inside a message that is sent in fragments. Since 0.1. */
WS_API int ws_conn_send_message(ws_conn *conn, ws_message *message);

/* Sends a ping or an unsolicited pong with at most 125 bytes, copied.
 * Returns 0 (also while CLOSING or CLOSED, when nothing is sent);
 * WS_ERR_INVALID_STATE while CONNECTING; WS_ERR_INVALID_ARGUMENT when too long;
 * WS_ERR_NO_MEMORY (nothing was sent), WS_ERR_RANDOM and WS_ERR_SEND_QUEUE_FULL
 * (the connection has failed). Since 0.1. */
WS_API int ws_conn_send_ping(ws_conn *conn, const void *data, size_t len);
WS_API int ws_conn_send_pong(ws_conn *conn, const void *data, size_t len);

/* Starts the closing handshake, as the browser's close(): all that was sent
 * before goes first. `code` is 1000, 3000 to 4999, or 0 for none; with 0 and a
 * reason the code is 1000. The reason is UTF-8 of at most 123 bytes, copied.
 * While CONNECTING the connection fails instead. While CLOSING or CLOSED only
 * the arguments are checked.
 * Returns 0; WS_ERR_INVALID_ACCESS for another code; WS_ERR_SYNTAX for a reason
 * that is too long; WS_ERR_INVALID_UTF8 for one that is not; then nothing has
 * changed. Out of memory, the connection fails. Since 0.1. */
WS_API int ws_conn_close(ws_conn *conn, uint16_t code, const char *reason,
                         size_t reason_len);

/* ws_conn_close() for every code that may stand on the wire (RFC 6455 7.4):
 * also 1001 to 1003 and 1007 to 1014. Since 0.1. */
WS_API int ws_conn_close_with(ws_conn *conn, uint16_t code, const char *reason,
                              size_t reason_len);

/* -- Bytes out ------------------------------------------------------------- */

/* A run of bytes to write. */
typedef struct ws_slice {
  const uint8_t *data;
  size_t len;
} ws_slice;

/* Shows what waits to be written, in order. Fills at most `max` slices, which
 * are borrowed until the next call on the connection. Returns how many; 0 when
 * nothing waits. Since 0.1. */
WS_API size_t ws_conn_output(const ws_conn *conn, ws_slice *out_slices,
                             size_t max);

/* Says that the transport took the first `len` bytes of what ws_conn_output()
 * showed. It may cause events: WS_EVENT_DRAIN, or the end after the last byte.
 * Since 0.1. */
WS_API void ws_conn_consume(ws_conn *conn, size_t len);

/* Lends a buffer for output, so that small messages need no memory of their own
 * while a caller handles many connections one after the other. Only possible
 * when no output waits.
 * Returns 0, or WS_ERR_INVALID_STATE when output waits or a buffer is already
 * lent. Since 0.1. */
WS_API int ws_conn_lend_output(ws_conn *conn, uint8_t *buffer, size_t len);

/* Ends the loan; what is still unsent moves to memory of the connection.
 * Returns 0, also when nothing was lent, or WS_ERR_NO_MEMORY, and then the
 * connection has failed. Since 0.1. */
WS_API int ws_conn_reclaim_output(ws_conn *conn);

/* -- Attributes ------------------------------------------------------------ */

/* The role that its configuration is for. Since 0.1. */
WS_API ws_role ws_conn_role(const ws_conn *conn);

/* The readyState, as it changes with the events pulled and calls made. Since
 * 0.1. */
WS_API ws_state ws_conn_state(const ws_conn *conn);

/* Payload bytes of messages sent that ws_conn_consume() has not yet covered:
 * without framing, before compression, control frames not counted. Never
 * shrinks when a connection ends (WHATWG bufferedAmount). Since 0.1. */
WS_API uint64_t ws_conn_buffered_amount(const ws_conn *conn);

/* The subprotocol in use, "" for none or before OPEN. Lives as long as the
 * connection. Since 0.1. */
WS_API const char *ws_conn_protocol(const ws_conn *conn);

/* The extensions in use as the response header named them, "" for none or
 * before OPEN. Lives as long as the connection. Since 0.1. */
WS_API const char *ws_conn_extensions(const ws_conn *conn);

/* The account of one connection, in bytes and counts since it was made. */
typedef struct ws_conn_stats {
  uint64_t bytes_received;    /* Everything fed, the handshake included. */
  uint64_t bytes_sent;        /* Everything consumed. */
  uint64_t messages_received; /* Whole messages. */
  uint64_t messages_sent;
  uint64_t bytes_queued; /* Waits in ws_conn_output() now. */
  uint64_t bytes_held;   /* Memory the connection holds now, itself included. */
  uint32_t rtt;          /* Of the last answered ping; WS_NEVER if none. */
} ws_conn_stats;

/* Fills in the account. Never fails. Since 0.1. */
WS_API void ws_conn_get_stats(const ws_conn *conn, ws_conn_stats *out_stats);

#ifdef __cplusplus
}
#endif

#endif /* WS_CONN_H */
