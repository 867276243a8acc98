/* tap.c - cuts what flows into lines of heads, and frames, by a parser of its
 * own: what the connection refuses is to be seen as well. */
#include "api/tap.h"
#include "base/ascii.h"
#include "proto/http.h"

#include <stdio.h>
#include <string.h>

typedef enum state {
  STATE_HEAD,  /* Lines of a request or response. */
  STATE_BLIND, /* A body, which is not shown. */
  STATE_FRAME, /* The head of a frame. */
  STATE_PAYLOAD
} state;

/* Room for text of which every byte is written as four. */
#define ESCAPED_SIZE (4 * (size_t)WS__TAP_LINE + sizeof("..."))

void ws__tap_init(ws__tap *tap, const ws__trace *trace) {
  *tap = (ws__tap){.trace = trace, .number = ws__trace_number()};
  ws__tap_reset(tap);
}

void ws__tap_reset(ws__tap *tap) {
  tap->sent = (ws__tap_flow){.state = STATE_HEAD, .mark = '>'};
  tap->received = (ws__tap_flow){.state = STATE_HEAD, .mark = '<'};
}

/* -- Bytes as text --------------------------------------------------------- */

/* Puts "..." behind if there is more than is shown. */
static void end_text(const ws__tap_flow *flow, char *out) {
  const char *end = flow->len > flow->have ? "..." : "";
  memcpy(out, end, strlen(end) + 1);
}

/* There is room for four characters of each byte, and ESCAPED_SIZE in all. */
static void put_text(const ws__tap_flow *flow, size_t from, char *out) {
  for (size_t i = from; i < flow->have; i++) {
    const char c = (char)flow->shown[i];
    if (ws__is_printable(c) && c != '\\') *out++ = c;
    else out += sprintf(out, "\\x%02x", (unsigned)(uint8_t)c);
  }
  end_text(flow, out);
}

static void put_hex(const ws__tap_flow *flow, char out[ESCAPED_SIZE]) {
  for (size_t i = 0; i < flow->have; i++)
    out += sprintf(out, i > 0 ? " %02x" : "%02x", flow->shown[i]);
  end_text(flow, out);
}

/* -- Heads ----------------------------------------------------------------- */

static bool is_name(const ws__tap_flow *flow, const char *name) {
  const char *line = (const char *)flow->shown;
  const char *colon = memchr(line, ':', flow->have);
  return colon != NULL &&
         ws__http_equal(line, (size_t)(colon - line), name, strlen(name));
}

static bool is_secret(const ws__tap_flow *flow) {
  return is_name(flow, "Authorization") ||
         is_name(flow, "Proxy-Authorization") || is_name(flow, "Cookie") ||
         is_name(flow, "Set-Cookie");
}

static void show_line(const ws__tap *tap, ws__tap_flow *flow) {
  char text[ESCAPED_SIZE];
  if (is_secret(flow)) {
    const uint8_t *colon = memchr(flow->shown, ':', flow->have);
    flow->len = flow->have = (size_t)(colon - flow->shown) + 1;
    put_text(flow, 0, text);
    memcpy(text + flow->have, " (hidden)", sizeof(" (hidden)"));
  } else {
    put_text(flow, 0, text);
  }
  ws__trace_line(tap->trace, tap->number, flow->mark, "%s", text);
}

static bool begins_with(const ws__tap_flow *flow, const char *text) {
  const size_t len = strlen(text);
  return flow->have >= len && memcmp(flow->shown, text, len) == 0;
}

/* Shows a line that is complete, and finds out what follows. */
static void end_line(const ws__tap *tap, ws__tap_flow *flow) {
  if (flow->len > 0 && flow->have == flow->len &&
      flow->shown[flow->have - 1] == '\r') {
    flow->len = --flow->have;
  }
  if (flow->len == 0) {
    flow->state = flow->is_upgrade ? STATE_FRAME : STATE_BLIND;
    return;
  }
  if (begins_with(flow, "HTTP/")) {
    flow->is_response = true;
    flow->is_upgrade = begins_with(flow, "HTTP/1.1 101");
  } else if (!flow->is_response && is_name(flow, "Upgrade")) {
    flow->is_upgrade = true;
  }
  show_line(tap, flow);
  flow->len = flow->have = 0;
}

static size_t read_line(const ws__tap *tap, ws__tap_flow *flow,
                        const uint8_t *data, size_t len) {
  const uint8_t *end = memchr(data, '\n', len);
  const size_t used = end != NULL ? (size_t)(end - data) : len;
  const size_t room = sizeof(flow->shown) - flow->have;
  const size_t kept = used < room ? used : room;
  memcpy(flow->shown + flow->have, data, kept);
  flow->have += kept;
  flow->len += used;
  if (end == NULL) return used;
  end_line(tap, flow);
  return used + 1;
}

/* -- Frames ---------------------------------------------------------------- */

/* What a close frame says: its code, and its reason. */
static void put_close(const ws__tap_flow *flow, char out[ESCAPED_SIZE]) {
  if (flow->have < 2) {
    put_hex(flow, out);
    return;
  }
  const int len = sprintf(
      out, "%u", (unsigned)flow->shown[0] << 8 | (unsigned)flow->shown[1]);
  if (flow->have == 2) return;
  out[len] = ' ';
  put_text(flow, 2, out + len + 1);
}

static void put_opcode(uint8_t opcode, char *out, size_t size) {
  static const char *const names[16] = {
      [WS__OP_CONTINUATION] = "continuation",
      [WS__OP_TEXT] = "text",
      [WS__OP_BINARY] = "binary",
      [WS__OP_CLOSE] = "close",
      [WS__OP_PING] = "ping",
      [WS__OP_PONG] = "pong",
  };
  if (names[opcode] != NULL) snprintf(out, size, "%s", names[opcode]);
  else snprintf(out, size, "opcode %u", (unsigned)opcode);
}

static void show_frame(const ws__tap *tap, const ws__tap_flow *flow) {
  const uint8_t first = flow->head[0];
  const uint8_t opcode = first & 0x0F;
  char name[16];
  char text[ESCAPED_SIZE];
  put_opcode(opcode, name, sizeof(name));
  if (opcode == WS__OP_CLOSE) put_close(flow, text);
  else if (flow->is_text || ws__opcode_is_control(opcode))
    put_text(flow, 0, text);
  else put_hex(flow, text);
  ws__trace_line(
      tap->trace, tap->number, flow->mark, "%s%s%s%s%s %llu%s%s", name,
      (first & 0x80) != 0 ? " FIN" : "", (first & 0x40) != 0 ? " RSV1" : "",
      (first & 0x20) != 0 ? " RSV2" : "", (first & 0x10) != 0 ? " RSV3" : "",
      (unsigned long long)flow->len, flow->have > 0 ? " " : "", text);
}

/* The size of the head that the bytes so far belong to, as far as they say. */
static size_t head_size(const ws__tap_flow *flow) {
  if (flow->head_len < 2) return 2;
  const uint8_t short_len = flow->head[1] & 0x7F;
  const size_t len_size = short_len == 127 ? 8 : short_len == 126 ? 2 : 0;
  const size_t key_size = (flow->head[1] & 0x80) != 0 ? 4 : 0;
  return 2 + len_size + key_size;
}

static uint64_t payload_len(const ws__tap_flow *flow) {
  const uint8_t short_len = flow->head[1] & 0x7F;
  if (short_len < 126) return short_len;
  uint64_t len = 0;
  for (size_t i = 2; i < (short_len == 126 ? 4 : 10); i++)
    len = len << 8 | flow->head[i];
  return len;
}

/* The head is complete. */
static void begin_payload(ws__tap_flow *flow) {
  const uint8_t opcode = flow->head[0] & 0x0F;
  const bool is_deflated = (flow->head[0] & 0x40) != 0;
  if (opcode == WS__OP_TEXT || opcode == WS__OP_BINARY) {
    flow->is_text = opcode == WS__OP_TEXT && !is_deflated;
  }
  const bool is_control = ws__opcode_is_control(opcode);
  const size_t most =
      flow->is_text || is_control ? WS__TAP_TEXT : WS__TAP_BINARY;
  flow->len = flow->left = payload_len(flow);
  flow->wanted = flow->len < most ? (size_t)flow->len : most;
  flow->have = 0;
  flow->state = STATE_PAYLOAD;
}

/* The frame is known as far as it is shown. */
static void show_when_ready(const ws__tap *tap, ws__tap_flow *flow) {
  if (flow->have == flow->wanted) show_frame(tap, flow);
}

static void end_payload_if_empty(ws__tap_flow *flow) {
  if (flow->left > 0) return;
  flow->state = STATE_FRAME;
  flow->head_len = 0;
}

static size_t read_frame_head(const ws__tap *tap, ws__tap_flow *flow,
                              const uint8_t *data) {
  flow->head[flow->head_len++] = *data;
  if (flow->head_len == head_size(flow)) {
    begin_payload(flow);
    show_when_ready(tap, flow); /* One without a payload. */
    end_payload_if_empty(flow);
  }
  return 1;
}

/* Takes bytes that are shown, without their mask. */
static void keep_shown(ws__tap_flow *flow, const uint8_t *data, size_t len) {
  const bool is_masked = (flow->head[1] & 0x80) != 0;
  static const uint8_t no_key[4];
  const uint8_t *key = is_masked ? flow->head + flow->head_len - 4 : no_key;
  for (size_t i = 0; i < len; i++) {
    const size_t at = flow->have++;
    flow->shown[at] = data[i] ^ key[at % 4];
  }
}

static size_t read_payload(const ws__tap *tap, ws__tap_flow *flow,
                           const uint8_t *data, size_t len) {
  const size_t used = len < flow->left ? len : (size_t)flow->left;
  const size_t missing = flow->wanted - flow->have;
  flow->left -= used;
  if (missing > 0) {
    keep_shown(flow, data, used < missing ? used : missing);
    show_when_ready(tap, flow);
  }
  end_payload_if_empty(flow);
  return used;
}

void ws__tap_read(const ws__tap *tap, ws__tap_flow *flow, const uint8_t *data,
                  size_t len) {
  while (len > 0) {
    size_t used = len;
    switch ((state)flow->state) {
    case STATE_HEAD: used = read_line(tap, flow, data, len); break;
    case STATE_BLIND: break;
    case STATE_FRAME: used = read_frame_head(tap, flow, data); break;
    case STATE_PAYLOAD: used = read_payload(tap, flow, data, len); break;
    }
    data += used;
    len -= used;
  }
}
