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
  ws__conn_fail(conn, err, NULL);
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

/* -- Messages that need memory --------------------------------------------- */

static int begin_message(ws_conn *conn, const ws__frame *frame) {
  ws__message *message =
      ws__alloc_zero(ws__conn_allocator(conn), sizeof(*message));
  if (message == NULL) return WS_ERR_NO_MEMORY;
  message->type = (ws_message_type)frame->opcode;
  message->is_compressed = frame->has_rsv1;
  message->is_streaming = conn->is_streaming;
  conn->message = message;
  return 0;
}

void ws__message_free(ws_conn *conn) {
  if (conn->message == NULL) return;
  const ws_allocator *allocator = ws__conn_allocator(conn);
  ws__buf_free(&conn->message->body, allocator);
  ws__free(allocator, conn->message, sizeof(*conn->message));
  conn->message = NULL;
}

/* Makes room for `extra` more bytes of the message, at most up to `end` bytes
 * in all. What is held is at most twice what has come, whatever the cuts. */
static int reserve_body(ws_conn *conn, size_t extra, uint64_t end) {
  ws__buf *body = &conn->message->body;
  if (extra <= body->cap - body->len) return 0;
  if (extra > WS__BUF_MAX - body->len) return WS_ERR_NO_MEMORY;

  const size_t need = body->len + extra;
  size_t cap = WS__BUF_MIN;
  while (cap < need)
    cap *= 2;
  return ws__buf_resize(body, ws__conn_allocator(conn), min_size(cap, end));
}

/* -- Frames ---------------------------------------------------------------- */

/* What the wire may carry of one message. Compression can make data longer, but
 * only so much (RFC 7692 section 8.1 leaves the bound to us). */
static uint64_t wire_limit(const ws_conn *conn, bool is_compressed) {
  const uint64_t max = ws__conn_options(conn)->max_message;
  const uint64_t slack = is_compressed ? max / 8 + 1024 : 0;
  return slack > UINT64_MAX - max ? UINT64_MAX : max + slack;
}

/* Whether a frame that starts a message can be handed out where it lies. */
static bool is_whole_in_input(const ws_conn *conn, const ws__frame *frame) {
  return frame->is_final && !frame->has_rsv1 && frame->len <= conn->input_len;
}

static int check_limits(ws_conn *conn, const ws__frame *frame) {
  const ws__message *message = conn->message;
  const bool is_compressed =
      message != NULL ? message->is_compressed : frame->has_rsv1;
  const uint64_t have = message != NULL ? message->wire_len : 0;
  const uint64_t fragments = message != NULL ? message->fragments : 0;

  if (frame->len > wire_limit(conn, is_compressed) - have) {
    return WS_ERR_UNSUPPORTED_MESSAGE_LENGTH;
  }
  if (fragments >= ws__conn_options(conn)->max_fragments) {
    return WS_ERR_TOO_MANY_BUFFERED_PARTS;
  }
  return 0;
}

static int begin_data_frame(ws_conn *conn, const ws__frame *frame) {
  const bool is_continuation = frame->opcode == WS__OP_CONTINUATION;
  if (is_continuation && conn->message == NULL) {
    return WS_ERR_UNEXPECTED_CONTINUATION;
  }
  if (!is_continuation && conn->message != NULL) {
    return WS_ERR_EXPECTED_CONTINUATION;
  }
  int err = is_discarding(conn) ? 0 : check_limits(conn, frame);
  if (err == 0 && frame->len == 0 && !frame->is_final) {
    err = ws__conn_spend_useless(conn);
  }
  if (err == 0 && !is_continuation && !is_whole_in_input(conn, frame)) {
    err = begin_message(conn, frame);
  }
  if (err == 0 && conn->message != NULL) {
    conn->message->wire_len += frame->len;
    conn->message->fragments++;
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
    conn->was_busy = false;
  }
  return STEP_EVENT;
}

/* A message that lies whole in the input is handed out where it lies. */
static step whole_message(ws_conn *conn, const ws__frame *frame,
                          ws_conn_event *event) {
  uint8_t *data = conn->input;
  const size_t len = (size_t)frame->len;
  const ws_message_type type = (ws_message_type)frame->opcode;

  if (ws__conn_is_server(conn)) ws__mask(data, len, frame->key, 0);
  ws__conn_use_input(conn, len);
  if (type == WS_TEXT && !ws__utf8_is_valid(data, len)) {
    return fail(conn, WS_ERR_INVALID_UTF8);
  }
  return message_event(conn, event, type, data, len, true, true);
}

static step begin_frame(ws_conn *conn, const ws__frame *frame,
                        ws_conn_event *event) {
  if (!ws__opcode_is_control(frame->opcode)) {
    const int err = begin_data_frame(conn, frame);
    if (err != 0) return fail(conn, err);
    if (conn->message == NULL && !is_discarding(conn)) {
      return whole_message(conn, frame, event);
    }
  }
  conn->is_in_payload = true;
  conn->is_final = frame->is_final;
  conn->opcode = frame->opcode;
  conn->frame_left = frame->len;
  conn->mask_offset = 0;
  if (ws__conn_is_server(conn)) memcpy(conn->key, frame->key, 4);
  return STEP_ON;
}

/* Reads the head of a frame where it lies, or through `head` if it is cut. */
static step head_step(ws_conn *conn, ws_conn_event *event) {
  if (conn->input_len == 0) return STEP_STARVED;

  const size_t had = conn->head_len;
  const uint8_t *bytes = conn->input;
  size_t len = conn->input_len;
  if (had > 0) {
    const size_t added = min_size(len, WS__FRAME_HEAD_MAX - had);
    memcpy(conn->head + had, conn->input, added);
    bytes = conn->head;
    len = had + added;
  }

  ws__frame frame;
  size_t size;
  const int err = ws__frame_read(bytes, len, ws__conn_is_server(conn),
                                 conn->deflate != NULL, &frame, &size);
  if (err != 0) return fail(conn, err);
  if (size == 0) {
    if (had == 0) memcpy(conn->head, conn->input, len);
    conn->head_len = (uint8_t)len;
    ws__conn_use_input(conn, len - had);
    return STEP_STARVED;
  }
  conn->head_len = 0;
  ws__conn_use_input(conn, size - had);
  return begin_frame(conn, &frame, event);
}

/* Unmasks the next `len` bytes of payload in place. */
static void unmask(ws_conn *conn, uint8_t *data, size_t len) {
  if (!ws__conn_is_server(conn)) return;
  ws__mask(data, len, conn->key, conn->mask_offset);
  conn->mask_offset = (uint8_t)((conn->mask_offset + len) % 4);
}

/* Copies the next `len` bytes of payload, unmasked. A client's key is zeros:
 * the copy is then a plain one, and on some CPUs faster than memcpy(). */
static void unmask_copy(ws_conn *conn, uint8_t *out, const uint8_t *data,
                        size_t len) {
  ws__mask_copy(out, data, len, conn->key, conn->mask_offset);
  conn->mask_offset = (uint8_t)((conn->mask_offset + len) % 4);
}

/* Takes `len` bytes of the frame's payload from the input. */
static void use_payload(ws_conn *conn, size_t len) {
  ws__conn_use_input(conn, len);
  conn->frame_left -= len;
}

/* -- Control frames (RFC 6455 section 5.5) --------------------------------- */

ws__control *ws__conn_control(ws_conn *conn) {
  if (conn->control == NULL) {
    conn->control =
        ws__alloc_zero(ws__conn_allocator(conn), sizeof(*conn->control));
  }
  return conn->control;
}

void ws__control_free(ws_conn *conn) {
  ws__free(ws__conn_allocator(conn), conn->control, sizeof(*conn->control));
  conn->control = NULL;
}

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
  if (conn->pings_unanswered == 0) {
    const int err = ws__conn_spend_useless(conn);
    if (err != 0) return fail(conn, err);
    return control_event(event, WS_EVENT_PONG, data, len, WS_NEVER);
  }
  /* "A Pong frame sent in response to a Ping frame must have identical
   * Application data"; an endpoint may answer only the latest. */
  const bool is_latest = ws__ping_hash(data, len) == conn->ping_hash;
  conn->pings_unanswered =
      is_latest ? 0 : (uint16_t)(conn->pings_unanswered - 1);
  if (!is_latest) {
    return control_event(event, WS_EVENT_PONG, data, len, WS_NEVER);
  }
  conn->rtt = ws__conn_elapsed(conn, conn->ping_at);
  return control_event(event, WS_EVENT_PONG, data, len, conn->rtt);
}

/* Keeps the reason for the close event. Returns 0 or WS_ERR_NO_MEMORY. */
static int keep_reason(ws_conn *conn, const uint8_t *reason, size_t len) {
  if (len == 0) return 0;
  ws__control *control = ws__conn_control(conn);
  if (control == NULL) return WS_ERR_NO_MEMORY;
  memmove(control->payload, reason, len);
  control->payload[len] = '\0';
  control->payload_len = (uint8_t)len;
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

static step end_control_frame(ws_conn *conn, const uint8_t *data, size_t len,
                              ws_conn_event *event) {
  conn->is_in_payload = false;
  if (conn->opcode == WS__OP_CLOSE) return close_received(conn, data, len);
  return conn->opcode == WS__OP_PING ? ping_received(conn, data, len, event)
                                     : pong_received(conn, data, len, event);
}

static step control_step(ws_conn *conn, ws_conn_event *event) {
  uint8_t *data = conn->input;
  const size_t came = min_size(conn->input_len, conn->frame_left);
  const bool is_cut = came < conn->frame_left;
  const bool is_gathered =
      conn->control != NULL && conn->control->payload_len > 0;
  if (!is_cut && !is_gathered) {
    unmask(conn, data, came);
    use_payload(conn, came);
    return end_control_frame(conn, data, came, event);
  }

  if (came == 0) return STEP_STARVED;
  ws__control *control = ws__conn_control(conn);
  if (control == NULL) return fail(conn, WS_ERR_NO_MEMORY);
  unmask_copy(conn, control->payload + control->payload_len, data, came);
  use_payload(conn, came);
  control->payload_len = (uint8_t)(control->payload_len + came);
  if (is_cut) return STEP_STARVED;

  const size_t len = control->payload_len;
  control->payload_len = 0;
  return end_control_frame(conn, control->payload, len, event);
}

/* -- Data frames ----------------------------------------------------------- */

static step discard_step(ws_conn *conn) {
  ws__message *message = conn->message;
  if (message != NULL) {
    ws__conn_use_input(conn, message->piece_left);
    message->piece_left = 0;
    ws__buf_free(&message->body, ws__conn_allocator(conn));
  }
  use_payload(conn, min_size(conn->input_len, conn->frame_left));
  if (conn->frame_left > 0) return STEP_STARVED;

  conn->is_in_payload = false;
  if (conn->is_final) ws__message_free(conn);
  return STEP_ON;
}

/* Checks the next bytes of the message. Text fails at its first bad byte, or at
 * its end if that cuts a character (RFC 6455 section 8.1). */
static bool is_valid_text(ws__message *message, const uint8_t *data, size_t len,
                          bool is_last) {
  if (message->type != WS_TEXT) return true;
  return ws__utf8_check(&message->utf8, data, len) &&
         (!is_last || ws__utf8_is_complete(message->utf8));
}

/* Hands out the next `len` bytes of the message: all of it, or a piece. */
static step deliver(ws_conn *conn, const uint8_t *data, size_t len,
                    bool is_last, ws_conn_event *event) {
  ws__message *message = conn->message;
  const bool is_first = !message->has_begun;
  message->has_begun = true;
  message->is_done = is_last;
  return message_event(conn, event, message->type, data, len, is_first,
                       is_last);
}

/* A message that is collected in its buffer. */
static step collect_step(ws_conn *conn, ws_conn_event *event) {
  ws__message *message = conn->message;
  ws__buf *body = &message->body;
  uint8_t *data = conn->input;
  const size_t len = min_size(conn->input_len, conn->frame_left);
  const bool is_last = conn->is_final && len == conn->frame_left;

  if (len > 0 && body->data != NULL && data == body->data + body->len) {
    unmask(conn, data, len); /* It was read to where it belongs. */
  } else if (len > 0) {
    const uint64_t end =
        conn->is_final ? body->len + conn->frame_left : UINT64_MAX;
    const int err = reserve_body(conn, len, end);
    if (err != 0) return fail(conn, err);
    unmask_copy(conn, body->data + body->len, data, len);
  }
  const uint8_t *added = len > 0 ? body->data + body->len : nothing;
  if (!is_valid_text(message, added, len, is_last)) {
    return fail(conn, WS_ERR_INVALID_UTF8);
  }
  body->len += len;
  use_payload(conn, len);
  if (conn->frame_left > 0) return STEP_STARVED;

  conn->is_in_payload = false;
  if (!is_last) return STEP_ON;
  return deliver(conn, body->data, body->len, true, event);
}

/* A message that is handed out as it comes, in place. */
static step stream_step(ws_conn *conn, ws_conn_event *event) {
  uint8_t *data = conn->input;
  const size_t len = min_size(conn->input_len, conn->frame_left);
  const bool is_last = conn->is_final && len == conn->frame_left;

  unmask(conn, data, len);
  use_payload(conn, len);
  if (!is_valid_text(conn->message, data, len, is_last)) {
    return fail(conn, WS_ERR_INVALID_UTF8);
  }
  conn->is_in_payload = conn->frame_left > 0;
  if (len > 0 || is_last) return deliver(conn, data, len, is_last, event);
  return conn->is_in_payload ? STEP_STARVED : STEP_ON;
}

/* Room for what is inflated next: at most what the limit leaves, so that a bomb
 * never gets more. At the limit itself one byte tells whether more would come.
 */
static int reserve_inflated(ws_conn *conn, uint8_t *probe, uint8_t **out,
                            size_t *out_cap) {
  ws__message *message = conn->message;
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
  ws__message *message = conn->message;
  uint8_t probe;
  uint8_t *out;
  size_t out_cap;
  int err = reserve_inflated(conn, &probe, &out, &out_cap);
  if (err != 0) return err;

  const uint8_t *data = conn->input;
  size_t left = message->piece_left;
  size_t len;
  err = ws__deflate_expand(conn->deflate, &data, &left, is_last, out, out_cap,
                           &len, done);
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
  ws__message *message = conn->message;
  if (message->piece_left == 0 && conn->frame_left > 0) {
    const size_t came = min_size(conn->input_len, conn->frame_left);
    if (came == 0) return STEP_STARVED;
    unmask(conn, conn->input, came);
    message->piece_left = came;
    conn->frame_left -= came;
  }

  const bool is_last = conn->is_final && conn->frame_left == 0;
  bool done = false;
  const int err = inflate_part(conn, is_last, &done);
  if (err != 0) return fail(conn, err);

  ws__buf *body = &message->body;
  if (done && conn->frame_left == 0) conn->is_in_payload = false;
  const bool is_end = is_last && done;
  if (is_end || (message->is_streaming && body->len > 0)) {
    return deliver(conn, body->data, body->len, is_end, event);
  }
  return STEP_ON;
}

static step payload_step(ws_conn *conn, ws_conn_event *event) {
  if (ws__opcode_is_control(conn->opcode)) return control_step(conn, event);
  if (is_discarding(conn)) return discard_step(conn);
  if (conn->message->is_compressed) return inflate_step(conn, event);
  if (conn->message->is_streaming) return stream_step(conn, event);
  return collect_step(conn, event);
}

bool ws__receive_step(ws_conn *conn, ws_conn_event *out_event) {
  step result = STEP_ON;
  while (result == STEP_ON && !conn->is_deaf) {
    result = conn->is_in_payload ? payload_step(conn, out_event)
                                 : head_step(conn, out_event);
  }
  return result == STEP_EVENT;
}

void ws__receive_take_back(ws_conn *conn) {
  ws__message *message = conn->message;
  if (message != NULL && message->is_done) {
    ws__message_free(conn);
  } else if (message != NULL && message->is_streaming) {
    message->body.len = 0;
  }
  const ws__control *control = conn->control;
  if (control != NULL && control->payload_len == 0 && !control->has_pong) {
    ws__control_free(conn);
  }
}

void ws_conn_input(ws_conn *conn, uint8_t **out_data, size_t *out_len) {
  *out_data = NULL;
  *out_len = 0;
  ws__message *message = conn->message;
  const bool is_collecting = conn->is_in_payload && message != NULL &&
                             !ws__opcode_is_control(conn->opcode) &&
                             !message->is_compressed && !message->is_streaming;
  if (!is_collecting || is_discarding(conn) || conn->is_deaf ||
      conn->input_len > 0 || conn->frame_left < DIRECT_READ_MIN) {
    return;
  }

  /* Room for as much as has come, so that memory follows the bytes. */
  ws__buf *body = &message->body;
  const size_t came = body->len > DIRECT_READ_MIN ? body->len : DIRECT_READ_MIN;
  const size_t room = min_size(came, conn->frame_left);
  const uint64_t end =
      conn->is_final ? body->len + conn->frame_left : UINT64_MAX;
  if (body->len == body->cap && reserve_body(conn, room, end) != 0) return;
  *out_data = body->data + body->len;
  *out_len = min_size(body->cap - body->len, conn->frame_left);
}
