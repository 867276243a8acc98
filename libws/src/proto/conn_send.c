/* conn_send.c - messages and control frames out (RFC 6455 sections 5.4 to 6.1,
 * RFC 7692 section 7.2.1).
 *
 * A call either puts whole frames into the output or leaves it as it was; what
 * cannot be undone (the state of a compressor) fails the connection. */
#include <string.h>

#include "proto/conn.h"
#include "proto/mask.h"

/* Pongs beyond this many unsent bytes wait for the others to leave. */
#define MAX_PONG_BYTES 4096

/* Frames from this size on are not copied if they can stay where they are. */
#define POINT_MIN ((size_t)4096)

/* Whether the application may send. */
static bool is_open(const ws_conn *conn) {
  return conn->state == WS_STATE_OPEN && !conn->is_cut;
}

/* "An endpoint MUST send a Pong frame in response, unless it already received a
 * Close frame" (section 5.5.2): also when it has sent one. */
static bool can_answer(const ws_conn *conn) {
  return !conn->is_close_received && !conn->is_cut && conn->err == 0;
}

/* -- What is unfinished ---------------------------------------------------- */

ws__outgoing *ws__conn_outgoing(ws_conn *conn) {
  if (conn->outgoing == NULL) {
    conn->outgoing =
        ws__alloc_zero(ws__conn_allocator(conn), sizeof(*conn->outgoing));
  }
  return conn->outgoing;
}

void ws__outgoing_free(ws_conn *conn) {
  ws__free(ws__conn_allocator(conn), conn->outgoing, sizeof(*conn->outgoing));
  conn->outgoing = NULL;
}

size_t ws__outgoing_held(const ws_conn *conn) {
  return conn->outgoing != NULL ? sizeof(*conn->outgoing) : 0;
}

void ws__send_rest(ws_conn *conn) {
  const ws__outgoing *out = conn->outgoing;
  if (out->type != 0 || out->pings > 0 || out->has_pong) return;
  ws__outgoing_free(conn);
}

/* -- Frames ---------------------------------------------------------------- */

/* Output that begins to wait starts the clock of send_timeout. To be called
 * before some is added. */
static void note_output(ws_conn *conn) {
  if (conn->output.len == 0) conn->send_at = ws__conn_stamp(conn);
}

/* Puts a copy of bytes that are frames already, or none, into the output. */
static int send_copy(ws_conn *conn, const void *data, size_t len,
                     uint64_t payload) {
  uint8_t *place =
      ws__output_reserve(&conn->output, ws__conn_allocator(conn), len);
  if (place == NULL) return WS_ERR_NO_MEMORY;
  memcpy(place, data, len);
  note_output(conn);
  ws__output_commit(&conn->output, len, payload);
  return 0;
}

int ws__send_raw(ws_conn *conn, const void *data, size_t len) {
  return send_copy(conn, data, len, 0);
}

/* Whether the application may add `len` bytes. What the protocol itself sends
 * is little, and is not kept waiting for that. */
static bool has_room(const ws_conn *conn, size_t len) {
  const uint64_t max = ws__conn_options(conn)->max_send_queue;
  return conn->output.len <= max && len <= max - conn->output.len;
}

/* Puts one frame into the output. `payload` is what it adds to
 * bufferedAmount. */
static inline int send_frame(ws_conn *conn, ws__opcode opcode, bool is_final,
                             bool has_rsv1, const void *data, size_t len,
                             uint64_t payload) {
  const ws_conn_options *options = ws__conn_options(conn);
  const bool is_masked = !ws__conn_is_server(conn);
  const size_t head_size = ws__frame_head_size(len, is_masked);
  if (len > SIZE_MAX - head_size) return WS_ERR_NO_MEMORY;

  /* "The masking key needs to be unpredictable", a fresh one for each frame
   * (section 5.3); it is drawn when the payload can no longer change. */
  uint8_t key[4] = {0};
  if (is_masked && options->random(options->random_ctx, key, 4) != 0) {
    return WS_ERR_RANDOM;
  }
  uint8_t *place = ws__output_reserve(&conn->output, ws__conn_allocator(conn),
                                      head_size + len);
  if (place == NULL) return WS_ERR_NO_MEMORY;
  uint8_t *body = place + ws__frame_write(place, opcode, is_final, has_rsv1,
                                          len, is_masked ? key : NULL);
  ws__mask_copy(body, data, len, key, 0); /* With a key of zeros, a copy. */
  note_output(conn);
  ws__output_commit(&conn->output, head_size + len, payload);
  return 0;
}

/* Puts a whole message of a server into the output without copying it. */
static int send_borrowed(ws_conn *conn, ws__opcode opcode, const void *data,
                         size_t len) {
  if (!has_room(conn, len)) return WS_ERR_SEND_QUEUE_FULL;
  uint8_t head[WS__FRAME_HEAD_MAX];
  const size_t head_len = ws__frame_write(head, opcode, true, false, len, NULL);
  note_output(conn);
  return ws__output_borrow(&conn->output, ws__conn_allocator(conn),
                           (ws_slice){head, head_len}, (ws_slice){data, len});
}

static int send_control(ws_conn *conn, ws__opcode opcode, const void *data,
                        size_t len) {
  return send_frame(conn, opcode, true, false, data, len, 0);
}

/* -- Messages -------------------------------------------------------------- */

/* "An endpoint MUST NOT send" text that is not UTF-8 (section 8.1): looks at
 * the next part of a message and moves `*state` on. */
static bool is_valid_text(ws__utf8_state *state, const void *data, size_t len,
                          unsigned flags) {
  if ((flags & WS_SEND_VALID_UTF8) != 0) return true;
  if (!ws__utf8_check(state, data, len)) return false;
  return (flags & WS_SEND_FRAGMENT) != 0 || ws__utf8_is_complete(*state);
}

static bool wants_compression(const ws_conn *conn, size_t len, unsigned flags) {
  if (ws__conn_deflate(conn) == NULL) return false;
  if ((flags & WS_SEND_UNCOMPRESSED) != 0) return false;
  /* How long a fragmented message will be is not known. */
  return (flags & WS_SEND_FRAGMENT) != 0 ||
         len >= ws__conn_options(conn)->compression_threshold;
}

/* After each message, or part of one, that has been put into the output. */
static void note_message(ws_conn *conn, bool is_final) {
  if (is_final) conn->messages_sent++;
  if (conn->output.len > ws__conn_options(conn)->send_high_water) {
    conn->is_above_high_water = true;
  }
}

/* WHATWG: send() then only "increases the bufferedAmount attribute by the
 * length". */
static void count_unsent(ws_conn *conn, size_t len) {
  conn->output.payload += len;
}

/* A message that cannot be sent ends the connection and stays counted. */
static void lose_message(ws_conn *conn, int err, size_t len) {
  count_unsent(conn, len);
  ws__conn_fail(conn, err);
}

/* Deflates a part of a message, or all of it, and sends what comes out as one
 * frame. In the middle of a message nothing may come out yet: `*out_sent` says
 * whether a frame did. */
static int send_compressed(ws_conn *conn, ws__opcode opcode, bool is_final,
                           const void *data, size_t len, bool *out_sent) {
  ws__buf packed = {0};
  int err = ws__deflate_compress(ws__conn_deflate(conn), data, len, is_final,
                                 &packed);
  *out_sent = is_final || packed.len > 0;
  if (err == 0 && !has_room(conn, packed.len)) err = WS_ERR_SEND_QUEUE_FULL;
  if (err == 0 && *out_sent) {
    const bool is_first = opcode != WS__OP_CONTINUATION;
    err = send_frame(conn, opcode, is_final, is_first, packed.data, packed.len,
                     len);
  }
  ws__buf_free(&packed, ws__conn_allocator(conn));
  return err;
}

static inline int send_uncompressed(ws_conn *conn, ws__opcode opcode,
                                    bool is_final, const void *data,
                                    size_t len) {
  if (!has_room(conn, len)) return WS_ERR_SEND_QUEUE_FULL;
  return send_frame(conn, opcode, is_final, false, data, len, len);
}

/* After each message, or part of one, that was to be put into the output:
 * returns what came of it. */
static inline int note_sent(ws_conn *conn, int err, size_t len, bool is_final,
                            bool is_compressed) {
  /* A compressor cannot take back what it has seen. */
  const bool is_harmless = err == WS_ERR_NO_MEMORY && !is_compressed;
  if (err == 0) {
    note_message(conn, is_final);
  } else if (!is_harmless) {
    lose_message(conn, err, len);
  }
  return err;
}

static int send_whole(ws_conn *conn, ws_message_type type, const void *data,
                      size_t len, unsigned flags, bool is_borrowed) {
  const ws__opcode opcode = (ws__opcode)type;
  const bool is_compressed = wants_compression(conn, len, flags);
  int err;
  if (is_compressed) {
    bool sent;
    err = send_compressed(conn, opcode, true, data, len, &sent);
  } else if (is_borrowed) {
    err = send_borrowed(conn, opcode, data, len);
  } else {
    err = send_uncompressed(conn, opcode, true, data, len);
  }
  return note_sent(conn, err, len, true, is_compressed);
}

/* Sends a part of the message that `outgoing` knows of, or the first one.
 * `utf8` is the state of its text behind this part. */
static int send_fragment(ws_conn *conn, ws_message_type type, const void *data,
                         size_t len, unsigned flags, ws__utf8_state utf8) {
  ws__outgoing *out = ws__conn_outgoing(conn);
  if (out == NULL) return WS_ERR_NO_MEMORY;
  const bool is_final = (flags & WS_SEND_FRAGMENT) == 0;
  const bool is_compressed =
      out->type == 0 ? wants_compression(conn, len, flags) : out->is_compressed;
  const ws__opcode opcode =
      out->is_started ? WS__OP_CONTINUATION : (ws__opcode)type;
  bool sent = true;
  int err = is_compressed
                ? send_compressed(conn, opcode, is_final, data, len, &sent)
                : send_uncompressed(conn, opcode, is_final, data, len);
  err = note_sent(conn, err, len, is_final, is_compressed);
  if (err != 0) return err;

  out->type = is_final ? 0 : type;
  out->utf8 = utf8;
  out->is_compressed = is_compressed;
  out->is_started = !is_final && (out->is_started || sent);
  if (is_final) ws__send_rest(conn);
  return 0;
}

/* The type of the message that is being sent in fragments, or 0. */
static ws_message_type unfinished_type(const ws_conn *conn) {
  return conn->outgoing != NULL ? conn->outgoing->type : 0;
}

static int send_message(ws_conn *conn, ws_message_type type, const void *data,
                        size_t len, unsigned flags, bool is_borrowed) {
  if (conn->state == WS_STATE_CONNECTING) return WS_ERR_INVALID_STATE;
  if (type != WS_TEXT && type != WS_BINARY) return WS_ERR_INVALID_ARGUMENT;
  const ws_message_type unfinished = unfinished_type(conn);
  if (unfinished != 0 && unfinished != type) return WS_ERR_INVALID_ARGUMENT;

  ws__utf8_state utf8 = unfinished != 0 ? conn->outgoing->utf8 : 0;
  if (type == WS_TEXT && !is_valid_text(&utf8, data, len, flags)) {
    return WS_ERR_INVALID_UTF8;
  }
  if (!is_open(conn)) {
    count_unsent(conn, len);
    return 0;
  }
  if (unfinished != 0 || (flags & WS_SEND_FRAGMENT) != 0) {
    return send_fragment(conn, type, data, len, flags, utf8);
  }
  return send_whole(conn, type, data, len, flags, is_borrowed);
}

int ws_conn_send(ws_conn *conn, ws_message_type type, const void *data,
                 size_t len, unsigned flags) {
  return send_message(conn, type, data, len, flags, false);
}

int ws_conn_send_borrowed(ws_conn *conn, ws_message_type type, const void *data,
                          size_t len, unsigned flags) {
  const bool can_borrow = ws__conn_is_server(conn) && len >= POINT_MIN;
  return send_message(conn, type, data, len, flags, can_borrow);
}

/* -- Messages made for many ------------------------------------------------ */

/* The frame of the message that this connection may send, or NULL if it has to
 * make its own. What was deflated with a small window can be inflated with a
 * larger one. */
static const ws_slice *choose_frame(const ws_conn *conn,
                                    const ws_message *message) {
  if (!ws__conn_is_server(conn)) return NULL; /* Masks its own. */
  if (!wants_compression(conn, message->len, message->flags)) {
    return &message->plain;
  }
  if (message->deflated.len == 0 ||
      message->window_bits > ws__deflate_window_bits(ws__conn_deflate(conn))) {
    return NULL;
  }
  return &message->deflated;
}

static int share_frame(ws_conn *conn, const ws_message *message,
                       const ws_slice *frame) {
  if (!has_room(conn, frame->len)) return WS_ERR_SEND_QUEUE_FULL;
  if (frame->len < POINT_MIN && ws__output_fits(&conn->output, frame->len)) {
    return send_copy(conn, frame->data, frame->len, message->len);
  }
  note_output(conn);
  return ws__output_share(&conn->output, ws__conn_allocator(conn), message,
                          *frame);
}

int ws_conn_send_message(ws_conn *conn, ws_message *message) {
  if (conn->state == WS_STATE_CONNECTING) return WS_ERR_INVALID_STATE;
  if (unfinished_type(conn) != 0) return WS_ERR_INVALID_STATE;
  if (!is_open(conn)) {
    count_unsent(conn, message->len);
    return 0;
  }
  const ws_slice *frame = choose_frame(conn, message);
  if (frame == NULL) {
    size_t len;
    const uint8_t *data = ws_message_get_data(message, &len);
    return ws_conn_send(conn, message->type, data, len, message->flags);
  }

  const int err = share_frame(conn, message, frame);
  if (err == 0) {
    /* The peer's window now holds what our compressor has not seen. Section
     * 7.1.1 leaves it to us to start afresh. */
    if (frame == &message->deflated) ws__deflate_forget(ws__conn_deflate(conn));
    note_message(conn, true);
  } else if (err != WS_ERR_NO_MEMORY) {
    lose_message(conn, err, message->len);
  }
  return err;
}

/* -- Pings and pongs (section 5.5.2, 5.5.3) -------------------------------- */

uint32_t ws__ping_hash(const uint8_t *data, size_t len) {
  uint32_t hash = 2166136261u; /* FNV-1a: short, and good enough here. */
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ data[i]) * 16777619u;
  return hash;
}

static int send_ping(ws_conn *conn, const void *data, size_t len) {
  ws__outgoing *out = ws__conn_outgoing(conn);
  if (out == NULL) return WS_ERR_NO_MEMORY;
  const int err = send_control(conn, WS__OP_PING, data, len);
  if (err != 0) return err;
  out->ping_hash = ws__ping_hash(data, len);
  out->ping_at = ws__conn_stamp(conn);
  if (out->pings < UINT16_MAX) out->pings++;
  return 0;
}

int ws__send_keepalive(ws_conn *conn) {
  /* Its place in the stream makes each payload another, so that its pong is
   * known, and tells the peer nothing new. */
  const uint64_t place = conn->bytes_sent + conn->output.len;
  const int err = send_ping(conn, &place, sizeof(place));
  if (err != 0) return err;
  conn->since = ws__conn_stamp(conn);
  conn->is_keepalive_out = true;
  return 0;
}

static int send_pong_now(ws_conn *conn, const uint8_t *data, size_t len) {
  const size_t before = conn->output.len;
  const int err = send_control(conn, WS__OP_PONG, data, len);
  if (err != 0) return err;
  const size_t bytes = conn->pong_bytes + (conn->output.len - before);
  conn->pong_bytes = bytes < UINT16_MAX ? (uint16_t)bytes : UINT16_MAX;
  return 0;
}

int ws__send_pong(ws_conn *conn, const uint8_t *data, size_t len) {
  if (!can_answer(conn)) return 0;
  /* "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
   * response to previous Ping frame(s), the endpoint MAY elect to send a Pong
   * frame for only the most recently processed Ping frame." While the peer
   * takes what we send, all are answered; when it does not, one waits at most.
   */
  const size_t bound = conn->is_stalled ? 0 : MAX_PONG_BYTES;
  if (conn->pong_bytes == 0 || conn->pong_bytes < bound) {
    return send_pong_now(conn, data, len);
  }

  ws__outgoing *out = ws__conn_outgoing(conn);
  if (out == NULL) return WS_ERR_NO_MEMORY;
  if (len > 0) memcpy(out->pong, data, len);
  out->pong_len = (uint8_t)len;
  out->has_pong = true;
  return ws__conn_spend_useless(conn);
}

int ws__send_waiting_pong(ws_conn *conn) {
  ws__outgoing *out = conn->outgoing;
  if (out == NULL || !out->has_pong) return 0;
  out->has_pong = false;
  if (!can_answer(conn)) return 0;
  return send_pong_now(conn, out->pong, out->pong_len);
}

/* What ping and pong have in common when the application sends them. */
static int send_by_application(ws_conn *conn, const void *data, size_t len,
                               int (*send)(ws_conn *, const void *, size_t)) {
  if (conn->state == WS_STATE_CONNECTING) return WS_ERR_INVALID_STATE;
  if (len > WS_MAX_CONTROL_PAYLOAD) return WS_ERR_INVALID_ARGUMENT;
  if (!is_open(conn)) return 0;
  const int err =
      has_room(conn, len) ? send(conn, data, len) : WS_ERR_SEND_QUEUE_FULL;
  if (err != 0 && err != WS_ERR_NO_MEMORY) ws__conn_fail(conn, err);
  return err;
}

static int send_pong(ws_conn *conn, const void *data, size_t len) {
  return send_control(conn, WS__OP_PONG, data, len);
}

int ws_conn_send_ping(ws_conn *conn, const void *data, size_t len) {
  return send_by_application(conn, data, len, send_ping);
}

int ws_conn_send_pong(ws_conn *conn, const void *data, size_t len) {
  return send_by_application(conn, data, len, send_pong);
}

/* -- Close (section 5.5.1, 7.1) -------------------------------------------- */

bool ws__is_close_code(uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  switch (code) {
  case 1000:
  case 1001:
  case 1002:
  case 1003:
  case 1007:
  case 1008:
  case 1009:
  case 1010:
  case 1011:
  case 1012:
  case 1013:
  case 1014: /* From the IANA registry. */ return true;
  }
  return false;
}

int ws__send_close(ws_conn *conn, uint16_t code, const char *reason,
                   size_t reason_len) {
  if (conn->is_close_sent || conn->is_cut) return 0;
  uint8_t body[WS_MAX_CONTROL_PAYLOAD];
  size_t len = 0;
  if (code != 0) {
    body[len++] = (uint8_t)(code >> 8);
    body[len++] = (uint8_t)code;
    if (reason_len > 0) memcpy(body + len, reason, reason_len);
    len += reason_len;
  }
  const int err = send_control(conn, WS__OP_CLOSE, body, len);
  if (err == 0) conn->is_close_sent = true;
  return err;
}

int ws__close_check(uint16_t code, const char *reason, size_t reason_len) {
  if (code != 0 && !ws__is_close_code(code)) return WS_ERR_INVALID_ACCESS;
  if (reason_len > WS_MAX_CLOSE_REASON) return WS_ERR_SYNTAX;
  return ws__utf8_is_valid((const uint8_t *)reason, reason_len)
             ? 0
             : WS_ERR_INVALID_UTF8;
}

int ws_conn_close_with(ws_conn *conn, uint16_t code, const char *reason,
                       size_t reason_len) {
  const int fault = ws__close_check(code, reason, reason_len);
  if (fault != 0) return fault;
  if (conn->state == WS_STATE_CONNECTING) {
    /* WHATWG close(): "fail the WebSocket connection". */
    ws__opening_fail(conn, WS_ERR_ABORTED,
                     "closed before the connection was established");
  }
  if (conn->state != WS_STATE_OPEN) return 0;

  if (code == 0 && reason_len > 0) code = WS_CLOSE_NORMAL;
  const int err = ws__send_close(conn, code, reason, reason_len);
  if (err != 0) {
    ws__conn_fail(conn, err);
  } else {
    ws__conn_set_state(conn, WS_STATE_CLOSING);
  }
  return 0;
}

int ws_conn_close(ws_conn *conn, uint16_t code, const char *reason,
                  size_t reason_len) {
  const bool is_allowed =
      code == 0 || code == WS_CLOSE_NORMAL || (code >= 3000 && code <= 4999);
  if (!is_allowed) return WS_ERR_INVALID_ACCESS;
  return ws_conn_close_with(conn, code, reason, reason_len);
}
