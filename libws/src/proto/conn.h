/* conn.h - the inside of a ws_conn, shared by the files that make it up:
 *
 *   conn.c           life, time, failing and ending, the pull of events
 *   conn_opening.c   the opening handshake
 *   conn_receive.c   frames in, to messages
 *   conn_send.c      messages out, to frames
 *
 * What every file relies on:
 *   - `state` changes only in ws__conn_set_state(), forward.
 *   - Only ws__conn_fail() fails a connection; the first cause stays.
 *   - Input is a borrowed run of `input_len` bytes at `input`, which
 *     ws_conn_next_event() alone consumes, from the front.
 *   - After `is_deaf` is set no input is looked at any more.
 *   - An idle open connection holds nothing beside this struct but what the
 *     negotiation left it (names, deflate windows). What is unfinished has a
 *     struct of its own: `opening`, `incoming`, `outgoing`. */
#ifndef WS__CONN_H
#define WS__CONN_H

#include "base/hidden.h"
#include "proto/config.h"
#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/output.h"
#include "proto/utf8.h"
#include "ws/conn.h"

WS__HIDDEN_BEGIN

/* Times are stamps: milliseconds modulo 2^32, see ws__conn_elapsed(). */
typedef uint32_t ws__stamp;

/* The opening handshake under way. */
typedef struct ws__opening ws__opening;

/* What the handshake agreed on, if that was anything. */
typedef struct ws__agreed {
  ws__deflate *deflate; /* NULL unless negotiated. */
  size_t names_size;
  char names[]; /* Subprotocol and extensions, two strings. */
} ws__agreed;

/* A message that did not come whole in one piece of input. */
typedef struct ws__partial {
  ws_message_type type; /* 0: there is no such message. */
  ws__utf8_state utf8;  /* Of text. */
  ws__buf body;         /* What has come of it; one piece, if streaming. */
  uint64_t wire_len;    /* Payload bytes of its frames so far. */
  uint64_t len;         /* Bytes of it that were handed out or are in `body`. */
  size_t piece_left;    /* Unmasked input that has not been inflated yet. */
  uint64_t fragments;   /* Frames so far. */
  bool is_compressed;
  bool is_streaming;
  bool has_begun; /* The first piece has been handed out. */
  bool is_done;   /* The last event is its end; it goes with the next pull. */
} ws__partial;

/* Input that its owner wanted back before it was used. */
typedef struct ws__kept {
  size_t cap;
  uint8_t data[];
} ws__kept;

/* What has come in part. */
typedef struct ws__incoming {
  /* The frame in progress: its head, and then its payload. */
  uint8_t head[WS__FRAME_HEAD_MAX];
  uint8_t head_len;
  bool is_in_payload;
  bool is_final;
  uint8_t opcode;
  uint8_t mask_offset; /* Payload bytes unmasked so far, modulo 4. */
  uint8_t key[4];
  uint64_t frame_left; /* Payload bytes of it not yet consumed. */

  ws__partial message;
  ws__kept *kept; /* Where the connection's `input` points, if it is ours. */

  /* Progress of the message or frame that is unfinished. */
  bool was_busy;           /* There was one when the input ran out. */
  ws__stamp progress_at;   /* It last made progress. */
  uint32_t progress_bytes; /* Came since then. */

  /* Payload of a control frame that came in parts, and later the reason of the
   * peer's Close frame, which ends in NUL. */
  uint8_t control_len;
  uint8_t control[WS_MAX_CONTROL_PAYLOAD + 1];
} ws__incoming;

/* What has gone out in part, or waits for an answer. */
typedef struct ws__outgoing {
  /* The message that is sent in fragments. */
  ws_message_type type; /* 0: there is no such message. */
  ws__utf8_state utf8;  /* Of text. */
  bool is_compressed;
  bool is_started; /* The first frame has gone out. */

  /* Pings without a pong so far. */
  uint16_t pings;
  uint32_t ping_hash; /* Of the last one's payload. */
  ws__stamp ping_at;  /* The last one left. */

  /* The pong that waits for the one before it to leave, at most one, for the
   * latest ping (RFC 6455 5.5.3). */
  bool has_pong;
  uint8_t pong_len;
  uint8_t pong[WS_MAX_CONTROL_PAYLOAD];
} ws__outgoing;

/* How far the end has come. */
typedef enum ws__end {
  WS__END_NONE,
  WS__END_CLOSE, /* The error event is out, the close event is next. */
  WS__END_DONE   /* The close event is out. */
} ws__end;

struct ws_conn {
  ws_conn_config *config;
  ws__opening *opening;   /* NULL once the open event is over. */
  ws__agreed *agreed;     /* NULL for nothing. */
  ws__incoming *incoming; /* NULL unless needed. */
  ws__outgoing *outgoing; /* NULL unless needed. */

  uint8_t *input;
  size_t input_len;
  ws__output output;

  /* Account. */
  uint64_t bytes_received;
  uint64_t bytes_sent;
  uint64_t messages_received;
  uint64_t messages_sent;

  /* Time. */
  uint64_t now;
  /* OPEN: the last bytes came, or since then the automatic ping left. Else the
   * handshake or the closing began. */
  ws__stamp since;
  ws__stamp send_at;    /* Output began to wait, or some of it left. */
  ws__stamp useless_at; /* The budget was last refilled. */
  uint32_t useless_budget;
  uint32_t rtt;

  uint16_t pong_bytes; /* In the output, not yet consumed. */
  uint16_t close_code; /* The peer's, or 1005. */
  uint16_t sent_code;  /* Of the Close frame that told of a failure. */
  int8_t err;          /* The ws_err it failed with. */
  int8_t eof_err;      /* The ws_err with which the transport ended. */

  /* What is looked at together stands in one byte, and apart from what every
   * read changes: a load that spans a fresh store has to wait for it. */
  uint8_t state : 2;         /* ws_state */
  bool is_established : 1;   /* Has been OPEN. */
  bool is_open_pending : 1;  /* WS_EVENT_OPEN is next. */
  bool is_drain_pending : 1; /* WS_EVENT_DRAIN is next. */
  bool is_paused : 1;
  bool is_deaf : 1;
  bool is_eof : 1; /* No more will come from the peer. */

  bool is_cut : 1;       /* Nothing can reach the peer any more. */
  bool is_streaming : 1; /* Wanted from the next message on. */
  bool is_above_high_water : 1;
  bool is_close_sent : 1;
  bool is_close_received : 1;
  bool is_answered : 1; /* Server: with plain HTTP, which ends it. */
  uint8_t end : 2;      /* ws__end */

  uint8_t phase : 2;         /* ws_phase it failed in. */
  bool is_stalled : 1;       /* Output waited when input came. */
  bool is_keepalive_out : 1; /* Nothing has come since the automatic ping. */
};

static inline bool ws__conn_is_server(const ws_conn *conn) {
  return conn->config->role == WS_ROLE_SERVER;
}

static inline const ws_conn_options *ws__conn_options(const ws_conn *conn) {
  return &conn->config->options;
}

static inline const ws_allocator *ws__conn_allocator(const ws_conn *conn) {
  return ws__config_allocator(conn->config);
}

/* The compression that was negotiated, or NULL. */
static inline ws__deflate *ws__conn_deflate(const ws_conn *conn) {
  return conn->agreed != NULL ? conn->agreed->deflate : NULL;
}

static inline ws__stamp ws__conn_stamp(const ws_conn *conn) {
  return (ws__stamp)conn->now;
}

/* -- conn.c ---------------------------------------------------------------- */

/* ws_conn_new() and ws_conn_free() for a connection that is part of another
 * struct. After an error there is nothing to deinit. */
int ws__conn_init(ws_conn *conn, ws_conn_config *config, uint64_t now);
void ws__conn_deinit(ws_conn *conn);

/* Milliseconds since a stamp; right for times of up to 49 days. */
static inline uint32_t ws__conn_elapsed(const ws_conn *conn, ws__stamp since) {
  return ws__conn_stamp(conn) - since;
}

/* Moves to a later state. */
void ws__conn_set_state(ws_conn *conn, ws_state state);

/* Fails the connection (RFC 6455 7.1.7): tells the peer if there is a way to,
 * stops listening, and lets the error and close events follow. Only the first
 * call counts. */
void ws__conn_fail(ws_conn *conn, int err);

/* Drops the input and looks at no more of it. */
void ws__conn_stop_listening(ws_conn *conn);

/* Drops the output; a Close frame in it has not been sent. */
void ws__conn_drop_output(ws_conn *conn);

/* Takes `len` bytes from the front of the input. */
static inline void ws__conn_use_input(ws_conn *conn, size_t len) {
  conn->input += len;
  conn->input_len -= len;
}

/* ws_conn_consume() from inside a handler of the application: bytes leave, but
 * as in a browser bufferedAmount does not drop while it runs, and no event is
 * made ready, until ws__conn_settle(). */
void ws__conn_consume_early(ws_conn *conn, size_t len);
void ws__conn_settle(ws_conn *conn);

/* Whether output that has left may have caused an event: while OPEN, only that
 * of draining. */
static inline bool ws__conn_may_drain(const ws_conn *conn) {
  return conn->state != WS_STATE_OPEN || conn->is_drain_pending;
}

/* Takes one from the budget of useless frames. Returns 0 or the error to fail
 * with. */
int ws__conn_spend_useless(ws_conn *conn);

/* -- conn_opening.c -------------------------------------------------------- */

/* Goes on with the handshake. Returns true if there is an event. */
bool ws__opening_step(ws_conn *conn, ws_conn_event *out_event);

/* Fails the connection before it is open. `detail` is static and says more than
 * ws_strerror(), or NULL. */
void ws__opening_fail(ws_conn *conn, int err, const char *detail);

/* The transport ended, or time is up, before the connection was open. `err`
 * says which, unless what came before says more. */
void ws__opening_ended(ws_conn *conn, int err);

/* The event of a connection that is OPEN now. Returns true. */
bool ws__opening_open_event(const ws_conn *conn, ws_conn_event *event);

/* Adds to the error event what only the handshake knows. */
void ws__opening_explain(const ws_conn *conn, ws_cause *cause);

/* The request that waits for its answer (server), or NULL. */
const ws_request *ws__opening_request(const ws_conn *conn);

/* Whether a request waits for its answer (server). */
bool ws__opening_is_waiting(const ws_conn *conn);

int ws__opening_new(ws_conn *conn);
void ws__opening_free(ws_conn *conn);
size_t ws__opening_held(const ws_conn *conn);

void ws__agreed_free(ws_conn *conn);
size_t ws__agreed_held(const ws_conn *conn);

/* -- conn_receive.c -------------------------------------------------------- */

/* Goes on with frames. Returns true if there is an event. */
bool ws__receive_step(ws_conn *conn, ws_conn_event *out_event);

/* Takes back what the last event pointed to, if that was ours. */
void ws__receive_take_back(ws_conn *conn);

static inline void ws__receive_release(ws_conn *conn) {
  if (conn->incoming != NULL) ws__receive_take_back(conn);
}

/* All input has been used that may be used now, and `incoming` is there. */
void ws__receive_rest(ws_conn *conn);

static inline bool ws__receive_is_in_payload(const ws_conn *conn) {
  return conn->incoming != NULL && conn->incoming->is_in_payload;
}

/* Returns the struct, made when first needed, or NULL. */
ws__incoming *ws__conn_incoming(ws_conn *conn);

void ws__incoming_free(ws_conn *conn);
void ws__incoming_free_kept(ws_conn *conn);
size_t ws__incoming_held(const ws_conn *conn);

/* -- conn_send.c ----------------------------------------------------------- */

/* Puts bytes that are not frames (the handshake) into the output. Returns 0 or
 * WS_ERR_NO_MEMORY. */
int ws__send_raw(ws_conn *conn, const void *data, size_t len);

/* Puts a Close frame into the output, with an empty body if `code` is 0.
 * Returns 0, WS_ERR_NO_MEMORY, WS_ERR_RANDOM or WS_ERR_SEND_QUEUE_FULL. */
int ws__send_close(ws_conn *conn, uint16_t code, const char *reason,
                   size_t reason_len);

/* Sends the automatic ping. Returns 0 or the error to fail with. */
int ws__send_keepalive(ws_conn *conn);

/* Answers a ping, now or when the last pong has left. Returns 0 or the error to
 * fail with. */
int ws__send_pong(ws_conn *conn, const uint8_t *data, size_t len);

/* Sends the pong that waits, if there is one. Returns 0 or the error to
 * fail with. */
int ws__send_waiting_pong(ws_conn *conn);

/* Frees `outgoing`, which is there, if nothing is in it. */
void ws__send_rest(ws_conn *conn);

/* Returns the struct, made when first needed, or NULL. */
ws__outgoing *ws__conn_outgoing(ws_conn *conn);

void ws__outgoing_free(ws_conn *conn);
size_t ws__outgoing_held(const ws_conn *conn);

/* A hash that tells one ping's payload from another's. */
uint32_t ws__ping_hash(const uint8_t *data, size_t len);

/* Whether code (0: none) and reason may stand in a Close frame. Returns as
 * ws_conn_close_with(). */
int ws__close_check(uint16_t code, const char *reason, size_t reason_len);

/* Whether a code may stand in a Close frame (RFC 6455 7.4). */
bool ws__is_close_code(uint16_t code);

WS__HIDDEN_END

#endif
