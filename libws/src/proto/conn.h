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
 *   - Input is a borrowed run of `input_len` bytes at `input`, consumed from
 * the front by ws_conn_next_event() alone.
 *   - After `is_deaf` is set no input is looked at any more.
 *   - An idle open connection holds nothing beside this struct but what the
 *     negotiation left it (names, deflate windows). */
#ifndef WS__CONN_H
#define WS__CONN_H

#include "proto/config.h"
#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/output.h"
#include "proto/utf8.h"
#include "ws/conn.h"

/* The opening handshake under way; freed once it is over. */
typedef struct ws__opening ws__opening;

/* What control frames leave behind: the payload of one that came in parts, and
 * later the peer's close reason; and the pong that waits for the one before it
 * to leave, at most one, for the latest ping (RFC 6455 5.5.3). */
typedef struct ws__control {
  uint8_t payload_len;
  uint8_t pong_len;
  bool has_pong;
  uint8_t payload[WS_MAX_CONTROL_PAYLOAD + 1]; /* The reason ends in NUL. */
  uint8_t pong[WS_MAX_CONTROL_PAYLOAD];
} ws__control;

/* A message that did not come whole in one piece of input. */
typedef struct ws__message {
  ws__buf body;        /* What has come of it; one piece, if streaming. */
  uint64_t wire_len;   /* Payload bytes of its frames so far. */
  uint64_t len;        /* Bytes of it that were handed out or are in `body`. */
  size_t piece_left;   /* Unmasked input that has not been inflated yet. */
  uint64_t fragments;  /* Frames so far. */
  ws__utf8_state utf8; /* Of text. */
  ws_message_type type;
  bool is_compressed;
  bool is_streaming;
  bool has_begun; /* The first piece has been handed out. */
  bool is_done;   /* The last event is its end; it goes with the next pull. */
} ws__message;

/* Input that its owner wanted back before it was used. */
typedef struct ws__kept {
  size_t cap;
  uint8_t data[];
} ws__kept;

/* How far the end has come. */
typedef enum ws__end {
  WS__END_NONE,
  WS__END_CLOSE, /* The error event is out, the close event is next. */
  WS__END_DONE   /* The close event is out. */
} ws__end;

/* Times are stamps: milliseconds modulo 2^32, see ws__conn_elapsed(). */
typedef uint32_t ws__stamp;

struct ws_conn {
  ws_conn_config *config;
  ws__opening *opening; /* NULL once the open event is over. */
  ws__deflate *deflate; /* NULL unless negotiated. */
  char *names;          /* Subprotocol and extensions, two strings, or NULL. */
  ws__control *control; /* NULL unless needed. */
  ws__message *message; /* NULL unless one is unfinished or handed out. */
  const char *detail;   /* Says more than ws_strerror(err), or NULL. */

  /* Bytes in. */
  uint8_t *input;
  size_t input_len;
  ws__kept *kept; /* Where `input` points, if it is ours. */

  /* Frame in progress. */
  uint64_t frame_left; /* Payload bytes of it not yet consumed. */
  uint8_t key[4];
  uint8_t head[WS__FRAME_HEAD_MAX]; /* A head that came in parts. */
  uint8_t head_len;
  uint8_t opcode;
  uint8_t mask_offset; /* Payload bytes unmasked so far, modulo 4. */
  uint8_t send_type;   /* Of the message being sent in fragments, or 0. */

  ws__output output;

  /* Time. */
  uint64_t now;
  ws__stamp phase_since;   /* The handshake or the closing began. */
  ws__stamp input_at;      /* The last bytes came. */
  ws__stamp ping_at;       /* The last ping left, for its RTT. */
  ws__stamp keepalive_at;  /* The automatic ping left that is waited for. */
  ws__stamp progress_at;   /* The unfinished message made progress. */
  ws__stamp send_at;       /* Output began to wait, or some of it left. */
  ws__stamp useless_at;    /* The budget was last refilled. */
  uint32_t progress_bytes; /* Came since progress_at. */
  uint32_t useless_budget;
  uint32_t ping_hash; /* Of the last ping's payload. */
  uint32_t rtt;
  ws__utf8_state send_utf8; /* Of the text being sent in fragments. */

  /* Account. */
  uint64_t bytes_received;
  uint64_t bytes_sent;
  uint64_t messages_received;
  uint64_t messages_sent;

  uint16_t close_code; /* The peer's, or 1005. */
  uint16_t sent_code;  /* Of the Close frame that told of a failure. */
  uint16_t status;     /* HTTP status of a handshake that failed. */
  uint16_t pong_bytes; /* In the output, not yet consumed. */
  uint16_t pings_unanswered;
  int8_t err;        /* The ws_err it failed with. */
  int8_t eof_err;    /* The ws_err with which the transport ended. */
  uint8_t state : 2; /* ws_state */
  uint8_t end : 2;   /* ws__end */
  uint8_t phase : 2; /* ws_phase it failed in. */

  bool is_in_payload : 1; /* Of a frame; else in a head. */
  bool is_final : 1;      /* FIN of the frame in progress. */
  bool is_streaming : 1;  /* Wanted from the next message on. */
  bool is_send_compressed : 1;
  bool is_send_started : 1;  /* The first frame has gone out. */
  bool is_established : 1;   /* Has been OPEN. */
  bool is_open_pending : 1;  /* WS_EVENT_OPEN is next. */
  bool is_drain_pending : 1; /* WS_EVENT_DRAIN is next. */
  bool is_above_high_water : 1;
  bool is_stalled : 1;       /* Output waited when input came. */
  bool is_keepalive_out : 1; /* Nothing has come since the automatic ping. */
  bool was_busy : 1;         /* A message was unfinished when input ran out. */
  bool is_paused : 1;
  bool is_close_sent : 1;
  bool is_close_received : 1;
  bool is_deaf : 1;
  bool is_answered : 1; /* Server: with plain HTTP, which ends it. */
  bool is_eof : 1;      /* No more will come from the peer. */
  bool is_cut : 1;      /* Nothing can reach the peer any more. */
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
 * call counts. `detail` is static and says more than ws_strerror(), or NULL. */
void ws__conn_fail(ws_conn *conn, int err, const char *detail);

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

/* Copies what is left of borrowed output; must follow ws__conn_send_borrowed().
 * Returns 0 or WS_ERR_NO_MEMORY, and then the connection has failed. */
int ws__conn_own_output(ws_conn *conn);

/* Takes one from the budget of useless frames. Returns 0 or the error to fail
 * with. */
int ws__conn_spend_useless(ws_conn *conn);

/* -- conn_opening.c -------------------------------------------------------- */

/* Goes on with the handshake. Returns true if there is an event. */
bool ws__opening_step(ws_conn *conn, ws_conn_event *out_event);

/* The transport ended, or time is up, before the connection was open. `err`
 * says which, unless what came before says more. */
void ws__opening_fail(ws_conn *conn, int err);

/* The event of a connection that is OPEN now. Returns true. */
bool ws__opening_open_event(const ws_conn *conn, ws_conn_event *event);

/* The response of a handshake that failed, for the error event, or NULL. */
const ws_response *ws__opening_response(const ws_conn *conn);

/* The request that waits for its answer (server), or NULL. */
const ws_request *ws__opening_request(const ws_conn *conn);

/* Whether a request waits for its answer (server). */
bool ws__opening_is_waiting(const ws_conn *conn);

int ws__opening_new(ws_conn *conn);
void ws__opening_free(ws_conn *conn);
size_t ws__opening_held(const ws_conn *conn);

/* Size of the block `names`. */
size_t ws__conn_names_size(const ws_conn *conn);

/* -- conn_receive.c -------------------------------------------------------- */

/* Goes on with frames. Returns true if there is an event. */
bool ws__receive_step(ws_conn *conn, ws_conn_event *out_event);

/* Takes back what the last event pointed to. Mostly that was the input. */
void ws__receive_take_back(ws_conn *conn);

static inline void ws__receive_release(ws_conn *conn) {
  if (conn->message != NULL || conn->control != NULL) {
    ws__receive_take_back(conn);
  }
}

void ws__message_free(ws_conn *conn);
void ws__control_free(ws_conn *conn);

/* Returns the struct for control frames, made when first needed, or NULL. */
ws__control *ws__conn_control(ws_conn *conn);

/* Whether a data message or a frame has begun and not ended. */
static inline bool ws__receive_is_busy(const ws_conn *conn) {
  return (conn->message != NULL && !conn->message->is_done) ||
         conn->is_in_payload || conn->head_len > 0;
}

/* -- conn_send.c ----------------------------------------------------------- */

/* ws_conn_send(), but `data` need not be copied: until ws__conn_own_output() it
 * must stay where it is. A loop that writes between the two copies only what
 * the transport did not take. */
int ws__conn_send_borrowed(ws_conn *conn, ws_message_type type,
                           const void *data, size_t len, unsigned flags);

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

/* A hash that tells one ping's payload from another's. */
uint32_t ws__ping_hash(const uint8_t *data, size_t len);

/* Whether code (0: none) and reason may stand in a Close frame. Returns as
 * ws_conn_close_with(). */
int ws__close_check(uint16_t code, const char *reason, size_t reason_len);

/* Whether a code may stand in a Close frame (RFC 6455 7.4). */
bool ws__is_close_code(uint16_t code);

#endif
