/* conn_receive.c - frames in, to messages (RFC 6455 sections 5.4 to 6.2).
 *
 * A message that lies whole in the input is unmasked, checked and handed out
 * where it lies. Only one that does not gets memory of its own, which grows
 * with the bytes that have come, never with a length the peer announces. */
#include <string.h>

#include "proto/conn.h"
#include "proto/mask.h"

/* The most that is inflated in one go. */
#define INFLATE_STEP ((size_t)16 * 1024)

/* Reading straight into a message pays from this many bytes. */
#define DIRECT_READ_MIN ((size_t)16 * 1024)

static const uint8_t nothing[1];

typedef enum step {
  STEP_STARVED, /* The input is used up, or must not be used. */
  STEP_ON,      /* Go on. */
  STEP_EVENT    /* The event has been filled in. */
} step;

static step fail(ws_conn *conn, int err) {
  ws__conn_fail(conn, err);
  return STEP_STARVED;
}

static size_t min_size(size_t a, uint64_t b) {
  return a < b ? a : (size_t)b;
}

/* Data that comes after our own close() is not delivered (WHATWG WebSockets
 * section 4, message step 1), so it need not be kept. */
static bool is_discarding(const ws_conn *conn) {
  return conn->state != WS_STATE_OPEN;
}

/* -- What is unfinished ---------------------------------------------------- */

ws__incoming *ws__conn_incoming(ws_conn *conn) {
  if (conn->incoming == NULL) {
    conn->incoming =
        ws__alloc_zero(ws__conn_allocator(conn), sizeof(*conn->incoming));
  }
  return conn->incoming;
}

/* Whether a data message is unfinished, or finished and handed out. */
static bool has_message(const ws_conn *conn) {
  return conn->incoming != NULL && conn->incoming->message.type != 0;
}

static void message_free(ws_conn *conn) {
  ws__partial *message = &conn->incoming->message;
  ws__buf_free(&message->body, ws__conn_allocator(conn));
  *message = (ws__partial){0};
}

void ws__incoming_free_kept(ws_conn *conn) {
  ws__incoming *in = conn->incoming;
  if (in->kept == NULL) return;
  ws__free(ws__conn_allocator(conn), in->kept,
           sizeof(*in->kept) + in->kept->cap);
  in->kept = NULL;
}

void ws__incoming_free(ws_conn *conn) {
  if (conn->incoming == NULL) return;
  message_free(conn);
  ws__incoming_free_kept(conn);
  ws__free(ws__conn_allocator(conn), conn->incoming, sizeof(*conn->incoming));
  conn->incoming = NULL;
}

size_t ws__incoming_held(const ws_conn *conn) {
  const ws__incoming *in = conn->incoming;
  if (in == NULL) return 0;
  const size_t size = sizeof(*in) + in->message.body.cap;
  return in->kept != NULL ? size + sizeof(*in->kept) + in->kept->cap : size;
}

void ws__receive_take_back(ws_conn *conn) {
  ws__partial *message = &conn->incoming->message;
  if (message->is_done) {
    message_free(conn);
  } else if (message->is_streaming) {
    message->body.len = 0;
  }
  if (conn->input_len == 0) ws__incoming_free_kept(conn);
}

/* Whether a data message or a frame has begun and not ended. */
static bool is_busy(const ws_conn *conn) {
  return has_message(conn) || conn->incoming->is_in_payload ||
         conn->incoming->head_len > 0;
}

void ws__receive_rest(ws_conn *conn) {
  ws__incoming *in = conn->incoming;
  if (conn->input_len == 0) ws__incoming_free_kept(conn);

  const bool was_busy = in->was_busy;
  in->was_busy = is_busy(conn);
  if (in->was_busy && !was_busy) {
    in->progress_at = ws__conn_stamp(conn);
    in->progress_bytes = 0;
  }
  if (!in->was_busy && in->kept == NULL && in->control_len == 0) {
    ws__incoming_free(conn);
  }
}

/* Makes room for `extra` more bytes of the message, at most up to `end` bytes
 * in all. What is held is at most twice what has come, whatever the cuts. */
static int reserve_body(ws_conn *conn, size_t extra, uint64_t end) {
  ws__buf *body = &conn->incoming->message.body;
  if (extra <= body->cap - body->len) return 0;
  if (extra > WS__BUF_MAX - body->len) return WS_ERR_NO_MEMORY;

  const size_t need = body->len + extra;
  size_t cap = WS__BUF_MIN;
  while (cap < need)
    cap *= 2;
  return ws__buf_resize(body, ws__conn_allocator(conn), min_size(cap, end));
}

/* -- Control frames (RFC 6455 section 5.5) --------------------------------- */

static step control_event(ws_conn_event *event, ws_event_type type,
                          const uint8_t *data, size_t len, uint32_t rtt) {
  event->type = type;
  event->u.control.data = data;
  event->u.control.len = len;
  event->u.control.rtt = rtt;
  return STEP_EVENT;
}

static step ping_received(ws_conn *conn, const uint8_t *data, size_t len,
                          ws_conn_event *event) {
  if (!ws__conn_options(conn)->no_auto_pong) {
    const int err = ws__send_pong(conn, data, len);
    if (err != 0) return fail(conn, err);
  }
  return control_event(event, WS_EVENT_PING, data, len, WS_NEVER);
}

static step pong_received(ws_conn *conn, const uint8_t *data, size_t len,
                          ws_conn_event *event) {
  ws__outgoing *out = conn->outgoing;
  if (out == NULL || out->pings == 0) {
    const int err = ws__conn_spend_useless(conn);
    if (err != 0) return fail(conn, err);
    return control_event(event, WS_EVENT_PONG, data, len, WS_NEVER);
  }
  /* "A Pong frame sent in response to a Ping frame must have identical
   * Application data"; an endpoint may answer only the latest. */
  const bool is_latest = ws__ping_hash(data, len) == out->ping_hash;
  out->pings = is_latest ? 0 : (uint16_t)(out->pings - 1);
  if (!is_latest) {
    return control_event(event, WS_EVENT_PONG, data, len, WS_NEVER);
  }
  conn->rtt = ws__conn_elapsed(conn, out->ping_at);
  return control_event(event, WS_EVENT_PONG, data, len, conn->rtt);
}

/* Keeps the reason for the close event. Returns 0 or WS_ERR_NO_MEMORY. */
static int keep_reason(ws_conn *conn, const uint8_t *reason, size_t len) {
  if (len == 0) return 0;
  ws__incoming *in = ws__conn_incoming(conn);
  if (in == NULL) return WS_ERR_NO_MEMORY;
  memmove(in->control, reason, len);
  in->control[len] = '\0';
  in->control_len = (uint8_t)len;
  return 0;
}

static int check_close_body(const uint8_t *data, size_t len) {
  if (len == 0) return 0;
  /* "If there is a body, the first two bytes of the body MUST be a 2-byte
   * unsigned integer" (section 5.5.1). */
  if (len == 1) return WS_ERR_INVALID_CLOSE_PAYLOAD;
  if (!ws__is_close_code((uint16_t)(data[0] << 8 | data[1]))) {
    return WS_ERR_INVALID_CLOSE_CODE;
  }
  return ws__utf8_is_valid(data + 2, len - 2) ? 0 : WS_ERR_INVALID_UTF8;
}

static step close_received(ws_conn *conn, const uint8_t *data, size_t len) {
  int err = check_close_body(data, len);
  if (err != 0) return fail(conn, err);

  const uint16_t code = (uint16_t)(len == 0 ? 0 : data[0] << 8 | data[1]);
  const char *reason = len == 0 ? "" : (const char *)data + 2;
  const size_t reason_len = len == 0 ? 0 : len - 2;

  /* "If an endpoint receives a Close frame and did not previously send a Close
   * frame, the endpoint MUST send a Close frame in response" (section 5.5.1);
   * it echoes code and reason. */
  if (!conn->is_close_sent) {
    err = ws__send_close(conn, code, reason, reason_len);
  }
  if (err == 0) {
    err = keep_reason(conn, (const uint8_t *)reason, reason_len);
  }
  if (err != 0) return fail(conn, err);

  conn->is_close_received = true;
  conn->close_code = code != 0 ? code : WS_CLOSE_NO_STATUS;
  ws__conn_set_state(conn, WS_STATE_CLOSING);
  /* Whatever follows a Close frame is not looked at (section 1.4). */
  ws__conn_stop_listening(conn);
  return STEP_STARVED;
}

static step control_frame(ws_conn *conn, uint8_t opcode, const uint8_t *data,
                          size_t len, ws_conn_event *event) {
  if (opcode == WS__OP_CLOSE) return close_received(conn, data, len);
  return opcode == WS__OP_PING ? ping_received(conn, data, len, event)
                               : pong_received(conn, data, len, event);
}

/* -- Frames ---------------------------------------------------------------- */

/* What the wire may carry of one message. Compression can make data longer, but
 * only so much (RFC 7692 section 8.1 leaves the bound to us). */
static uint64_t wire_limit(const ws_conn *conn, bool is_compressed) {
  const uint64_t max = ws__conn_options(conn)->max_message;
  const uint64_t slack = is_compressed ? max / 8 + 1024 : 0;
  return slack > UINT64_MAX - max ? UINT64_MAX : max + slack;
}

static int check_limits(ws_conn *conn, const ws__frame *frame) {
  static const ws__partial none = {0};
  const ws__partial *message =
      has_message(conn) ? &conn->incoming->message : &none;
  const bool is_compressed = message->is_compressed || frame->has_rsv1;

  if (frame->len > wire_limit(conn, is_compressed) - message->wire_len) {
    return WS_ERR_UNSUPPORTED_MESSAGE_LENGTH;
  }
  if (message->fragments >= ws__conn_options(conn)->max_fragments) {
    return WS_ERR_TOO_MANY_BUFFERED_PARTS;
  }
  return 0;
}

static int check_data_frame(ws_conn *conn, const ws__frame *frame) {
  const bool is_continuation = frame->opcode == WS__OP_CONTINUATION;
  if (is_continuation && !has_message(conn)) {
    return WS_ERR_UNEXPECTED_CONTINUATION;
  }
  if (!is_continuation && has_message(conn)) {
    return WS_ERR_EXPECTED_CONTINUATION;
  }
  const int err = is_discarding(conn) ? 0 : check_limits(conn, frame);
  if (err == 0 && frame->len == 0 && !frame->is_final) {
    return ws__conn_spend_useless(conn);
  }
  return err;
}

static step message_event(ws_conn *conn, ws_conn_event *event,
                          ws_message_type type, const uint8_t *data, size_t len,
                          bool is_first, bool is_last) {
  event->type = WS_EVENT_MESSAGE;
  event->u.message.type = type;
  event->u.message.data = len > 0 ? data : nothing;
  event->u.message.len = len;
  event->u.message.is_first = is_first;
  event->u.message.is_last = is_last;
  if (is_last) {
    conn->messages_received++;
    if (conn->incoming != NULL) conn->incoming->was_busy = false;
  }
  return STEP_EVENT;
}

/* Takes a payload that lies whole in the input, unmasked in place. */
static uint8_t *whole_payload(ws_conn *conn, const ws__frame *frame) {
  uint8_t *data = conn->input;
  const size_t len = (size_t)frame->len;
  if (ws__conn_is_server(conn)) ws__mask(data, len, frame->key, 0);
  ws__conn_use_input(conn, len);
  return data;
}

/* Whether a frame that lies whole in the input is all of a message, which needs
 * nothing done but unmasking. */
static bool is_whole_message(const ws_conn *conn, const ws__frame *frame) {
  return frame->is_final && !frame->has_rsv1 &&
         frame->opcode != WS__OP_CONTINUATION && !has_message(conn);
}

/* Such a message is handed out where it lies. */
static step whole_message(ws_conn *conn, const ws__frame *frame,
                          ws_conn_event *event) {
  if (is_discarding(conn)) {
    ws__conn_use_input(conn, (size_t)frame->len);
    return STEP_ON;
  }
  if (frame->len > ws__conn_options(conn)->max_message) {
    return fail(conn, WS_ERR_UNSUPPORTED_MESSAGE_LENGTH);
  }
  const uint8_t *data = whole_payload(conn, frame);
  const size_t len = (size_t)frame->len;
  const ws_message_type type = (ws_message_type)frame->opcode;
  if (type == WS_TEXT && !ws__utf8_is_valid(data, len)) {
    return fail(conn, WS_ERR_INVALID_UTF8);
  }
  return message_event(conn, event, type, data, len, true, true);
}

/* The payload of a frame will come in steps. */
static step begin_payload(ws_conn *conn, const ws__frame *frame) {
  ws__incoming *in = ws__conn_incoming(conn);
  if (in == NULL) return fail(conn, WS_ERR_NO_MEMORY);
  if (!ws__opcode_is_control(frame->opcode)) {
    ws__partial *message = &in->message;
    if (message->type == 0) {
      message->type = (ws_message_type)frame->opcode;
      message->is_compressed = frame->has_rsv1;
      message->is_streaming = conn->is_streaming;
    }
    message->wire_len += frame->len;
    message->fragments++;
  }
  in->is_in_payload = true;
  in->is_final = frame->is_final;
  in->opcode = frame->opcode;
  in->frame_left = frame->len;
  in->mask_offset = 0;
  if (ws__conn_is_server(conn)) memcpy(in->key, frame->key, sizeof(in->key));
  return STEP_ON;
}

static step begin_frame(ws_conn *conn, const ws__frame *frame,
                        ws_conn_event *event) {
  const bool is_here = frame->len <= conn->input_len;
  if (ws__opcode_is_control(frame->opcode)) {
    if (!is_here) return begin_payload(conn, frame);
    const uint8_t *data = whole_payload(conn, frame);
    return control_frame(conn, frame->opcode, data, (size_t)frame->len, event);
  }

  if (is_here && is_whole_message(conn, frame)) {
    return whole_message(conn, frame, event);
  }
  const int err = check_data_frame(conn, frame);
  return err != 0 ? fail(conn, err) : begin_payload(conn, frame);
}

/* Keeps the head of a frame of which bytes are missing. */
static step cut_head(ws_conn *conn) {
  ws__incoming *in = ws__conn_incoming(conn);
  if (in == NULL) return fail(conn, WS_ERR_NO_MEMORY);
  memcpy(in->head + in->head_len, conn->input, conn->input_len);
  in->head_len = (uint8_t)(in->head_len + conn->input_len);
  ws__conn_use_input(conn, conn->input_len);
  return STEP_STARVED;
}

/* Reads the head of a frame where it lies, or behind what came of it before. */
static step head_step(ws_conn *conn, ws_conn_event *event) {
  if (conn->input_len == 0) return STEP_STARVED;

  ws__incoming *in = conn->incoming;
  const size_t had = in != NULL ? in->head_len : 0;
  const uint8_t *bytes = conn->input;
  size_t len = conn->input_len;
  if (had > 0) {
    const size_t added = min_size(len, WS__FRAME_HEAD_MAX - had);
    memcpy(in->head + had, conn->input, added);
    bytes = in->head;
    len = had + added;
  }

  ws__frame frame;
  size_t size;
  const bool has_deflate = ws__conn_deflate(conn) != NULL;
  const int err = ws__frame_read(bytes, len, ws__conn_is_server(conn),
                                 has_deflate, &frame, &size);
  if (err != 0) return fail(conn, err);
  if (size == 0) return cut_head(conn);
  if (had > 0) in->head_len = 0;
  ws__conn_use_input(conn, size - had);
  return begin_frame(conn, &frame, event);
}

/* -- The payload that comes in steps --------------------------------------- */

/* How much of it lies in the input. */
static size_t payload_here(const ws_conn *conn) {
  return min_size(conn->input_len, conn->incoming->frame_left);
}

/* Unmasks the next `len` bytes of payload in place. */
static void unmask(ws_conn *conn, uint8_t *data, size_t len) {
  if (!ws__conn_is_server(conn)) return;
  ws__incoming *in = conn->incoming;
  ws__mask(data, len, in->key, in->mask_offset);
  in->mask_offset = (uint8_t)((in->mask_offset + len) % 4);
}

/* Copies the next `len` bytes of payload, unmasked. A client's key is zeros:
 * the copy is then a plain one, and on some CPUs faster than memcpy(). */
static void unmask_copy(ws_conn *conn, uint8_t *out, const uint8_t *data,
                        size_t len) {
  ws__incoming *in = conn->incoming;
  ws__mask_copy(out, data, len, in->key, in->mask_offset);
  in->mask_offset = (uint8_t)((in->mask_offset + len) % 4);
}

/* Takes `len` bytes of the frame's payload from the input. */
static void use_payload(ws_conn *conn, size_t len) {
  ws__conn_use_input(conn, len);
  conn->incoming->frame_left -= len;
}

/* A control frame that did not come whole is gathered. */
static step control_step(ws_conn *conn, ws_conn_event *event) {
  ws__incoming *in = conn->incoming;
  const size_t came = payload_here(conn);
  unmask_copy(conn, in->control + in->control_len, conn->input, came);
  use_payload(conn, came);
  in->control_len = (uint8_t)(in->control_len + came);
  if (in->frame_left > 0) return STEP_STARVED;

  const size_t len = in->control_len;
  in->control_len = 0;
  in->is_in_payload = false;
  return control_frame(conn, in->opcode, in->control, len, event);
}

static step discard_step(ws_conn *conn) {
  ws__incoming *in = conn->incoming;
  ws__conn_use_input(conn, in->message.piece_left);
  in->message.piece_left = 0;
  ws__buf_free(&in->message.body, ws__conn_allocator(conn));
  use_payload(conn, payload_here(conn));
  if (in->frame_left > 0) return STEP_STARVED;

  in->is_in_payload = false;
  if (in->is_final) message_free(conn);
  return STEP_ON;
}

/* Checks the next bytes of the message. Text fails at its first bad byte, or at
 * its end if that cuts a character (RFC 6455 section 8.1). */
static bool is_valid_text(ws__partial *message, const uint8_t *data, size_t len,
                          bool is_last) {
  if (message->type != WS_TEXT) return true;
  return ws__utf8_check(&message->utf8, data, len) &&
         (!is_last || ws__utf8_is_complete(message->utf8));
}

/* Hands out the next `len` bytes of the message: all of it, or a piece. */
static step deliver(ws_conn *conn, const uint8_t *data, size_t len,
                    bool is_last, ws_conn_event *event) {
  ws__partial *message = &conn->incoming->message;
  const bool is_first = !message->has_begun;
  message->has_begun = true;
  message->is_done = is_last;
  return message_event(conn, event, message->type, data, len, is_first,
                       is_last);
}

/* A message that is collected in its buffer. */
static step collect_step(ws_conn *conn, ws_conn_event *event) {
  ws__incoming *in = conn->incoming;
  ws__buf *body = &in->message.body;
  uint8_t *data = conn->input;
  const size_t len = payload_here(conn);
  const bool is_last = in->is_final && len == in->frame_left;

  if (len > 0 && body->data != NULL && data == body->data + body->len) {
    unmask(conn, data, len); /* It was read to where it belongs. */
  } else if (len > 0) {
    const uint64_t end = in->is_final ? body->len + in->frame_left : UINT64_MAX;
    const int err = reserve_body(conn, len, end);
    if (err != 0) return fail(conn, err);
    unmask_copy(conn, body->data + body->len, data, len);
  }
  const uint8_t *added = len > 0 ? body->data + body->len : nothing;
  if (!is_valid_text(&in->message, added, len, is_last)) {
    return fail(conn, WS_ERR_INVALID_UTF8);
  }
  body->len += len;
  use_payload(conn, len);
  if (in->frame_left > 0) return STEP_STARVED;

  in->is_in_payload = false;
  if (!is_last) return STEP_ON;
  return deliver(conn, body->data, body->len, true, event);
}

/* A message that is handed out as it comes, in place. */
static step stream_step(ws_conn *conn, ws_conn_event *event) {
  ws__incoming *in = conn->incoming;
  uint8_t *data = conn->input;
  const size_t len = payload_here(conn);
  const bool is_last = in->is_final && len == in->frame_left;

  unmask(conn, data, len);
  use_payload(conn, len);
  if (!is_valid_text(&in->message, data, len, is_last)) {
    return fail(conn, WS_ERR_INVALID_UTF8);
  }
  in->is_in_payload = in->frame_left > 0;
  if (len > 0 || is_last) return deliver(conn, data, len, is_last, event);
  return in->is_in_payload ? STEP_STARVED : STEP_ON;
}

/* Room for what is inflated next: at most what the limit leaves, so that a bomb
 * never gets more. At the limit itself one byte tells whether more would come.
 */
static int reserve_inflated(ws_conn *conn, uint8_t *probe, uint8_t **out,
                            size_t *out_cap) {
  ws__partial *message = &conn->incoming->message;
  ws__buf *body = &message->body;
  const uint64_t max = ws__conn_options(conn)->max_message;
  const size_t room = min_size(INFLATE_STEP, max - message->len);
  if (room == 0) {
    *out = probe;
    *out_cap = 1;
    return 0;
  }
  if (body->len == body->cap) {
    const size_t guess =
        message->piece_left < room / 4 ? message->piece_left * 4 + 1 : room;
    const uint64_t end = message->is_streaming ? INFLATE_STEP : max;
    const int err = reserve_body(conn, guess, end);
    if (err != 0) return err;
  }
  *out = body->data + body->len;
  *out_cap = min_size(body->cap - body->len, room);
  return 0;
}

/* Inflates the next part of what lies unmasked at `input`. `*done` says whether
 * all of it is used and has come out. */
static int inflate_part(ws_conn *conn, bool is_last, bool *done) {
  ws__partial *message = &conn->incoming->message;
  uint8_t probe;
  uint8_t *out;
  size_t out_cap;
  int err = reserve_inflated(conn, &probe, &out, &out_cap);
  if (err != 0) return err;

  const uint8_t *data = conn->input;
  size_t left = message->piece_left;
  size_t len;
  err = ws__deflate_expand(ws__conn_deflate(conn), &data, &left, is_last, out,
                           out_cap, &len, done);
  ws__conn_use_input(conn, message->piece_left - left);
  message->piece_left = left;

  /* What came out before an error counts first, or the error would depend on
   * how the bytes were cut. */
  if (out == &probe && len > 0) return WS_ERR_UNSUPPORTED_MESSAGE_LENGTH;
  if (!is_valid_text(message, out, len, err == 0 && is_last && *done)) {
    return WS_ERR_INVALID_UTF8;
  }
  if (err != 0) return err;
  message->body.len += len;
  message->len += len;
  return 0;
}

/* A compressed message (RFC 7692 section 7.2.2), collected or in pieces. */
static step inflate_step(ws_conn *conn, ws_conn_event *event) {
  ws__incoming *in = conn->incoming;
  ws__partial *message = &in->message;
  if (message->piece_left == 0 && in->frame_left > 0) {
    const size_t came = payload_here(conn);
    if (came == 0) return STEP_STARVED;
    unmask(conn, conn->input, came);
    message->piece_left = came;
    in->frame_left -= came;
  }

  const bool is_last = in->is_final && in->frame_left == 0;
  bool done = false;
  const int err = inflate_part(conn, is_last, &done);
  if (err != 0) return fail(conn, err);

  if (done && in->frame_left == 0) in->is_in_payload = false;
  const bool is_end = is_last && done;
  if (is_end || (message->is_streaming && message->body.len > 0)) {
    return deliver(conn, message->body.data, message->body.len, is_end, event);
  }
  return STEP_ON;
}

static step payload_step(ws_conn *conn, ws_conn_event *event) {
  const ws__incoming *in = conn->incoming;
  if (ws__opcode_is_control(in->opcode)) return control_step(conn, event);
  if (is_discarding(conn)) return discard_step(conn);
  if (in->message.is_compressed) return inflate_step(conn, event);
  if (in->message.is_streaming) return stream_step(conn, event);
  return collect_step(conn, event);
}

bool ws__receive_step(ws_conn *conn, ws_conn_event *out_event) {
  step result = STEP_ON;
  while (result == STEP_ON && !conn->is_deaf) {
    result = ws__receive_is_in_payload(conn) ? payload_step(conn, out_event)
                                             : head_step(conn, out_event);
  }
  return result == STEP_EVENT;
}

/* Whether the bytes that come next belong to the end of the message's buffer.
 */
static bool is_collecting(const ws_conn *conn) {
  if (!ws__receive_is_in_payload(conn) || is_discarding(conn)) return false;
  const ws__incoming *in = conn->incoming;
  return !ws__opcode_is_control(in->opcode) && !in->message.is_compressed &&
         !in->message.is_streaming;
}

void ws_conn_input(ws_conn *conn, uint8_t **out_data, size_t *out_len) {
  *out_data = NULL;
  *out_len = 0;
  if (!is_collecting(conn) || conn->is_deaf || conn->input_len > 0) return;
  const ws__incoming *in = conn->incoming;
  if (in->frame_left < DIRECT_READ_MIN) return;

  /* Room for as much as has come, so that memory follows the bytes. */
  const ws__buf *body = &in->message.body;
  const size_t came = body->len > DIRECT_READ_MIN ? body->len : DIRECT_READ_MIN;
  const size_t room = min_size(came, in->frame_left);
  const uint64_t end = in->is_final ? body->len + in->frame_left : UINT64_MAX;
  if (body->len == body->cap && reserve_body(conn, room, end) != 0) return;
  *out_data = body->data + body->len;
  *out_len = min_size(body->cap - body->len, in->frame_left);
}
