#include "driver.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/handshake.h"
#include "proto/utf8.h"
#include "test.h"

/* Room for every head of these tests. */
#define HEAD_SIZE 2048

/* The key of the examples in RFC 6455 section 5.7. */
static const uint8_t peer_key[4] = {0x37, 0xFA, 0x21, 0x3D};

static void *grow(void *ptr, size_t size) {
  ptr = realloc(ptr, size);
  if (ptr == NULL) abort();
  return ptr;
}

/* -- Options --------------------------------------------------------------- */

int driver_random(void *ctx, void *out, size_t len) {
  static uint32_t state = 1;
  (void)ctx;
  for (size_t i = 0; i < len; i++) {
    state = state * 1664525u + 1013904223u;
    ((uint8_t *)out)[i] = (uint8_t)(state >> 24);
  }
  return 0;
}

void driver_options_init(ws_conn_options *options) {
  ws_conn_options_init(options);
  options->random = driver_random;
  options->compression = WS_COMPRESSION_OFF;
}

/* -- Events ---------------------------------------------------------------- */

void driver_log_message(transcript *t, ws_message_type type,
                        const uint8_t *data, size_t len) {
  transcript_add(t, "event message %s", type == WS_TEXT ? "text" : "binary");
  transcript_add_data(t, data, len);
}

void driver_log_close(transcript *t, uint16_t code, bool was_clean,
                      const char *reason, size_t len) {
  transcript_add(t, "event close %u %s", code, was_clean ? "clean" : "unclean");
  transcript_add_data(t, (const uint8_t *)reason, len);
}

/* Joins pieces. Returns whether the message is complete. */
static bool join_message(driver *d, const ws_conn_event *event) {
  assert_non_null(event->u.message.data);
  assert_int_equal(event->u.message.is_first, !d->in_message);
  if (!d->mode.is_streaming) assert_true(event->u.message.is_last);
  const size_t len = event->u.message.len;
  if (d->message == NULL || d->message_cap - d->message_len < len) {
    d->message_cap = (d->message_len + len) * 2 + 1;
    d->message = grow(d->message, d->message_cap);
  }
  memcpy(d->message + d->message_len, event->u.message.data, len);
  d->message_len += len;
  d->in_message = !event->u.message.is_last;
  if (d->in_message) return false;
  driver_log_message(&d->log, event->u.message.type, d->message,
                     d->message_len);
  d->message_len = 0;
  return true;
}

static const char *side_name(ws_side side) {
  switch (side) {
  case WS_SIDE_LOCAL: return "local";
  case WS_SIDE_PEER: return "peer";
  case WS_SIDE_TRANSPORT: return "transport";
  }
  return "nobody";
}

static void record_open(driver *d, const ws_conn_event *event) {
  const ws_request *request = event->u.open.request;
  const ws_response *response = event->u.open.response;
  if (d->role == WS_ROLE_SERVER) {
    assert_true(request->is_upgrade);
    assert_null(response);
  } else {
    assert_null(request);
    assert_int_equal(response->status, 101);
  }
  d->is_open = true;
}

static void record_error(driver *d, const ws_cause *cause) {
  /* Row 108: the error event already sees CLOSED. */
  assert_int_equal(ws_conn_state(d->conn), WS_STATE_CLOSED);
  assert_non_null(cause->message);
  assert_true(cause->message[0] != '\0');
  transcript_add(&d->log, "event error %s %u %s\n", ws_err_name(cause->err),
                 cause->close_code, side_name(cause->side));
  d->told_code = cause->close_code;
  d->errors++;
  assert_int_equal(d->errors, 1);
  assert_int_equal(d->closes, 0);
}

static void record_close(driver *d, const ws_conn_event *event) {
  assert_int_equal(ws_conn_state(d->conn), WS_STATE_CLOSED);
  const char *reason = event->u.close.reason;
  assert_int_equal(reason[event->u.close.reason_len], '\0');
  driver_log_close(&d->log, event->u.close.code, event->u.close.was_clean,
                   reason, event->u.close.reason_len);
  d->closes++;
  assert_int_equal(d->closes, 1);
}

static void record_control(driver *d, const char *name,
                           const ws_conn_event *event) {
  transcript_add(&d->log, "event %s", name);
  transcript_add_data(&d->log, event->u.control.data, event->u.control.len);
}

/* Returns whether the event is one that a log shows. */
static bool record(driver *d, const ws_conn_event *event) {
  /* Nothing comes after the close event, and only it after the error. */
  assert_int_equal(d->closes, 0);
  if (d->errors > 0) assert_int_equal(event->type, WS_EVENT_CLOSE);
  switch (event->type) {
  case WS_EVENT_REQUEST:
    (void)ws_conn_accept(d->conn, NULL, NULL);
    return false;
  case WS_EVENT_OPEN:
    record_open(d, event);
    if (d->mode.is_streaming) ws_conn_set_streaming(d->conn, true);
    if (d->on_event != NULL) d->on_event(d);
    return false;
  case WS_EVENT_MESSAGE: return join_message(d, event);
  case WS_EVENT_PING: record_control(d, "ping", event); return true;
  case WS_EVENT_PONG: record_control(d, "pong", event); return true;
  case WS_EVENT_DRAIN: transcript_add(&d->log, "event drain\n"); return true;
  case WS_EVENT_ERROR: record_error(d, &event->u.error); return true;
  case WS_EVENT_CLOSE: record_close(d, event); return true;
  case WS_EVENT_RECONNECT:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break; /* Of sockets. */
  }
  fail_msg("event %d is none", (int)event->type);
  return false;
}

static bool take_output(driver *d);

static void return_block(driver *d) {
  free(d->block);
  d->block = NULL;
}

static bool pull(driver *d) {
  bool any = false;
  ws_conn_event event;
  while (ws_conn_next_event(d->conn, &event)) {
    any = true;
    if (record(d, &event)) {
      d->events++;
      if (d->on_event != NULL) d->on_event(d);
    }
    if (d->mode.is_prompt) take_output(d);
    if (d->mode.keeps_input) {
      (void)ws_conn_keep_input(d->conn);
      return_block(d);
    }
  }
  return_block(d);
  return any;
}

/* -- Output ---------------------------------------------------------------- */

/* Takes output as the transport does. Returns whether there was any. */
static bool take_output(driver *d) {
  bool any = false;
  ws_slice slices[4];
  size_t count;
  while (!d->is_blocked && (count = ws_conn_output(d->conn, slices, 4)) > 0) {
    any = true;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
      const size_t len = d->mode.trickles ? 1 : slices[i].len;
      assert_true(slices[i].len > 0);
      if (d->out_cap - d->out_len < len) {
        d->out_cap = (d->out_len + len) * 2;
        d->out = grow(d->out, d->out_cap);
      }
      memcpy(d->out + d->out_len, slices[i].data, len);
      d->out_len += len;
      taken += len;
      if (d->mode.trickles) break;
    }
    ws_conn_consume(d->conn, taken);
  }
  return any;
}

static void lend(driver *d) {
  if (d->mode.lent_size == 0 || d->lent != NULL) return;
  d->lent = grow(NULL, d->mode.lent_size);
  if (ws_conn_lend_output(d->conn, d->lent, d->mode.lent_size) != 0) {
    free(d->lent);
    d->lent = NULL;
  }
}

static void reclaim(driver *d) {
  if (d->lent == NULL) return;
  (void)ws_conn_reclaim_output(d->conn);
  free(d->lent);
  d->lent = NULL;
}

void driver_settle(driver *d) {
  if (d->conn == NULL) return;
  bool any;
  do {
    any = pull(d);
    any = take_output(d) || any;
  } while (any);
  if (d->is_blocked) reclaim(d);
  if (ws_conn_state(d->conn) == WS_STATE_CLOSED && d->closes == 1) {
    assert_true(ws_conn_deadline(d->conn) == WS_NO_DEADLINE);
  }
}

/* The size of a frame's head without a mask, as its length field has it. */
static size_t plain_head_size(uint8_t second_byte) {
  const uint8_t length = second_byte & 0x7F;
  return length == 126 ? 4 : length == 127 ? 10 : 2;
}

static uint64_t payload_size(const uint8_t *frame) {
  const size_t size = plain_head_size(frame[1]) - 2;
  if (size == 0) return frame[1] & 0x7F;
  uint64_t len = 0;
  for (size_t i = 0; i < size; i++)
    len = len << 8 | frame[2 + i];
  return len;
}

/* Unmasks the client's frame at `at` in place, so that its key is gone. */
static void unmask_frame(driver *d, size_t at) {
  uint8_t *frame = d->out + at;
  const size_t head = plain_head_size(frame[1]);
  /* Rows 302 and 303. */
  assert_int_equal(frame[1] >> 7, d->role == WS_ROLE_CLIENT);
  if (d->role == WS_ROLE_SERVER) return;
  uint8_t key[4];
  assert_true(d->out_len - at >= head + 4);
  memcpy(key, frame + head, 4);
  frame[1] &= 0x7F;
  d->out_len -= 4;
  memmove(frame + head, frame + head + 4, d->out_len - at - head);
  const uint64_t len = payload_size(frame);
  assert_true(d->out_len - at - head >= len);
  for (size_t i = 0; i < len; i++)
    frame[head + i] ^= key[i % 4];
}

/* Whether the frame is the Close frame that the last error announced. */
static bool is_told(const driver *d, const uint8_t *frame, size_t len) {
  if (d->told_code == 0 || frame[0] != 0x88 || len < 4) return false;
  assert_true(len <= 2 + WS_MAX_CONTROL_PAYLOAD);
  assert_true(ws__utf8_is_valid(frame + 4, len - 4));
  return (frame[2] << 8 | frame[3]) == d->told_code;
}

void driver_log_output(driver *d) {
  size_t at = 0;
  size_t last = 0;
  while (at < d->out_len) {
    assert_true(d->out_len - at >= 2);
    unmask_frame(d, at);
    last = at;
    at += plain_head_size(d->out[at + 1]) + (size_t)payload_size(d->out + at);
    assert_true(at <= d->out_len); /* Only whole frames. */
  }
  const bool tells = at > 0 && is_told(d, d->out + last, at - last);
  const size_t len = tells ? last : at;
  if (len > 0) {
    transcript_add(&d->log, "out");
    transcript_add_data(&d->log, d->out, len);
  }
  if (tells) transcript_add(&d->log, "tells %u\n", d->told_code);
  d->out_len = 0;
}

void driver_log_keepalive(driver *d) {
  if (d->out_len < 2 || d->out[0] != 0x89) return;
  const size_t mask = d->role == WS_ROLE_CLIENT ? 4 : 0;
  if (d->out_len != 2 + mask + payload_size(d->out)) return;
  transcript_add(&d->log, "pings\n");
  d->out_len = 0;
}

/* -- Input ----------------------------------------------------------------- */

/* How many of the next `len` bytes go in one piece. */
static size_t next_chunk(const driver *d, size_t len) {
  if (d->mode.chunk != 0 && len > d->mode.chunk) len = d->mode.chunk;
  for (size_t i = 0; i < 2; i++) {
    const size_t cut = d->mode.cuts[i];
    if (cut > d->fed && len > cut - d->fed) len = cut - d->fed;
  }
  return len;
}

/* Feeds one piece and takes what comes of it. Returns how much was fed. */
static size_t feed_piece(driver *d, const uint8_t *data, size_t len) {
  lend(d);
  uint8_t *place = NULL;
  size_t room = 0;
  if (d->mode.fills_place) ws_conn_input(d->conn, &place, &room);
  if (room > 0) {
    if (len > room) len = room;
  } else {
    place = d->block = grow(NULL, len > 0 ? len : 1);
  }
  if (len > 0) memcpy(place, data, len);
  assert_int_equal(ws_conn_feed(d->conn, place, len), 0);
  driver_settle(d);
  reclaim(d);
  driver_settle(d);
  return len;
}

void driver_feed(driver *d, const uint8_t *data, size_t len) {
  if (d->conn == NULL) return;
  for (size_t at = 0; at < len;) {
    const size_t n = feed_piece(d, data + at, next_chunk(d, len - at));
    d->fed += n;
    at += n;
  }
}

size_t driver_frame(const driver *d, uint8_t *out, const uint8_t *frame,
                    size_t len) {
  const size_t head = len >= 2 ? plain_head_size(frame[1]) : len;
  memcpy(out, frame, len);
  if (d->role == WS_ROLE_CLIENT || len < 2) return len;
  out[1] |= 0x80;
  if (len < head) return len; /* The head itself is unfinished. */
  memcpy(out + head, peer_key, 4);
  for (size_t i = head; i < len; i++) {
    out[i + 4] = frame[i] ^ peer_key[(i - head) % 4];
  }
  return len + 4;
}

void driver_feed_frame(driver *d, const uint8_t *frame, size_t len) {
  uint8_t *bytes = grow(NULL, len + 4);
  driver_feed(d, bytes, driver_frame(d, bytes, frame, len));
  free(bytes);
}

void driver_eof(driver *d) {
  if (d->conn == NULL) return;
  ws_conn_eof(d->conn);
  driver_settle(d);
}

void driver_tick(driver *d, uint64_t ms) {
  if (d->conn == NULL) return;
  d->now += ms;
  ws_conn_tick(d->conn, d->now);
  driver_settle(d);
}

/* -- The opening handshake ------------------------------------------------- */

/* Feeds a head and, in one piece with it, the first of the early bytes. */
static void feed_head(driver *d, const char *head, const uint8_t *early,
                      size_t early_len) {
  const size_t head_len = strlen(head);
  const size_t first = early_len > 0 ? next_chunk(d, early_len) : 0;
  uint8_t *bytes = grow(NULL, head_len + first);
  memcpy(bytes, head, head_len);
  if (first > 0) memcpy(bytes + head_len, early, first);
  for (size_t at = 0; at < head_len + first;) {
    at += feed_piece(d, bytes + at, head_len + first - at);
  }
  free(bytes);
  d->fed += first;
  if (early_len > first) driver_feed(d, early + first, early_len - first);
}

static void extension_line(char *out, size_t size, const char *extensions) {
  out[0] = '\0';
  if (extensions == NULL) return;
  snprintf(out, size, "Sec-WebSocket-Extensions: %s\r\n", extensions);
}

/* The peer is a client. */
static void send_request(driver *d, const char *extensions,
                         const uint8_t *early, size_t early_len) {
  char line[HEAD_SIZE / 2];
  char head[HEAD_SIZE];
  extension_line(line, sizeof(line), extensions);
  snprintf(head, sizeof(head),
           "GET / HTTP/1.1\r\n"
           "Host: example.com\r\n"
           "Upgrade: websocket\r\n"
           "Connection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Version: 13\r\n"
           "%s\r\n",
           line);
  feed_head(d, head, early, early_len);
}

/* The peer is a server. Returns false when no whole request was written. */
static bool answer_request(driver *d, const char *extensions,
                           const uint8_t *early, size_t early_len) {
  static const char key_name[] = "\r\nSec-WebSocket-Key: ";
  char request[HEAD_SIZE];
  if (d->out_len >= sizeof(request)) return false;
  if (d->out_len > 0) memcpy(request, d->out, d->out_len);
  request[d->out_len] = '\0';
  d->out_len = 0;
  const char *key = strstr(request, key_name);
  if (key == NULL) return false;

  char accept[WS__ACCEPT_SIZE];
  ws__handshake_accept_key(key + strlen(key_name), accept);
  char line[HEAD_SIZE / 2];
  char head[HEAD_SIZE];
  extension_line(line, sizeof(line), extensions);
  snprintf(head, sizeof(head),
           "HTTP/1.1 101 Switching Protocols\r\n"
           "Upgrade: websocket\r\n"
           "Connection: Upgrade\r\n"
           "Sec-WebSocket-Accept: %.*s\r\n"
           "%s\r\n",
           WS__ACCEPT_SIZE, accept, line);
  feed_head(d, head, early, early_len);
  return true;
}

/* Removes the 101 from what the server wrote. */
static void drop_response(driver *d) {
  for (size_t i = 4; i <= d->out_len; i++) {
    if (memcmp(d->out + i - 4, "\r\n\r\n", 4) == 0) {
      memmove(d->out, d->out + i, d->out_len - i);
      d->out_len -= i;
      return;
    }
  }
}

static void connect_client(driver *d) {
  static const char address[] = "ws://example.com/";
  ws_url *url = NULL;
  assert_int_equal(ws_url_parse(address, strlen(address), NULL, &url, NULL), 0);
  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = url;
  (void)ws_conn_connect(d->conn, &request, NULL);
  ws_url_free(url);
  driver_settle(d);
}

bool driver_open(driver *d, ws_role role, ws_conn_config *config,
                 const driver_mode *mode, const char *extensions,
                 const uint8_t *early, size_t early_len) {
  d->role = role;
  d->mode = *mode;
  d->now = 1000;
  if (ws_conn_new(config, d->now, &d->conn) != 0) {
    d->conn = NULL;
    return false;
  }
  if (role == WS_ROLE_SERVER) {
    send_request(d, extensions, early, early_len);
    drop_response(d);
  } else {
    connect_client(d);
    if (!answer_request(d, extensions, early, early_len)) return false;
  }
  return d->is_open;
}

void driver_free(driver *d) {
  ws_conn_free(d->conn);
  free(d->out);
  free(d->message);
  free(d->lent);
  return_block(d);
  transcript_free(&d->log);
}
