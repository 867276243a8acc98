/* report.c - see report.h. Short payloads are shown in hex; of all there is the
 * length and the CRC-32, which is what a test compares of large ones. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>

#define MAX_SHOWN 125

/* A JSON string. Bytes beyond ASCII are taken for UTF-8 as they stand. */
static void print_string(const char *text) {
  putchar('"');
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\') {
      printf("\\%c", *c);
    } else if ((unsigned char)*c < ' ') {
      printf("\\u%04x", (unsigned)(unsigned char)*c);
    } else {
      putchar(*c);
    }
  }
  putchar('"');
}

static void print_text(const char *name, const char *text) {
  printf(",\"%s\":", name);
  print_string(text);
}

static void print_number(const char *name, uint64_t number) {
  printf(",\"%s\":%" PRIu64, name, number);
}

static void print_bool(const char *name, bool value) {
  printf(",\"%s\":%s", name, value ? "true" : "false");
}

static void begin(const char *event, unsigned id) {
  printf("{\"event\":\"%s\"", event);
  if (id != 0) print_number("id", id);
}

static void end(void) {
  printf("}\n");
}

static uint32_t checksum(const uint8_t *data, size_t len) {
  return (uint32_t)crc32_z(0, data, len);
}

static void print_payload(const uint8_t *data, size_t len) {
  print_number("length", len);
  print_number("crc32", checksum(data, len));
  if (len > MAX_SHOWN) return;
  printf(",\"data\":\"");
  for (size_t i = 0; i < len; i++)
    printf("%02x", data[i]);
  putchar('"');
}

static const char *side_name(ws_side side) {
  switch (side) {
  case WS_SIDE_LOCAL: return "local";
  case WS_SIDE_PEER: return "peer";
  case WS_SIDE_TRANSPORT: return "transport";
  }
  return "";
}

static const char *phase_name(ws_phase phase) {
  switch (phase) {
  case WS_PHASE_HANDSHAKE: return "handshake";
  case WS_PHASE_OPEN: return "open";
  case WS_PHASE_CLOSING: return "closing";
  }
  return "";
}

static void print_cause(const ws_cause *cause) {
  print_text("name", ws_err_name(cause->err));
  print_text("side", side_name(cause->side));
  print_text("phase", phase_name(cause->phase));
  print_number("close_code", cause->close_code);
  print_number("status", cause->status);
  print_text("message", cause->message);
}

static void report_open(unsigned id, const ws_socket *socket) {
  begin("open", id);
  print_text("protocol", ws_socket_protocol(socket));
  print_text("extensions", ws_socket_extensions(socket));
  ws_tls_info info;
  if (ws_socket_tls_info(socket, &info)) {
    print_text("tls", info.version);
    print_text("server_name", info.server_name);
    print_text("peer_subject", info.peer_subject);
  }
  end();
}

static void report_payload(unsigned id, const char *event, const char *type,
                           const uint8_t *data, size_t len) {
  begin(event, id);
  if (type != NULL) print_text("type", type);
  print_payload(data, len);
  end();
}

static void report_close(unsigned id, const ws_event *event) {
  begin("close", id);
  print_number("code", event->u.close.code);
  print_text("reason", event->u.close.reason);
  print_bool("clean", event->u.close.was_clean);
  end();
}

static void report_error(unsigned id, const char *name, const ws_cause *cause) {
  begin(name, id);
  print_cause(cause);
  end();
}

void report_event(unsigned id, const ws_event *event) {
  const ws_event_data *u = &event->u;
  switch (event->type) {
  case WS_EVENT_OPEN: report_open(id, event->socket); break;
  case WS_EVENT_MESSAGE:
    report_payload(id, "message",
                   u->message.type == WS_TEXT ? "text" : "binary",
                   u->message.data, u->message.len);
    break;
  case WS_EVENT_PING:
    report_payload(id, "ping", NULL, u->control.data, u->control.len);
    break;
  case WS_EVENT_PONG:
    report_payload(id, "pong", NULL, u->control.data, u->control.len);
    break;
  case WS_EVENT_DRAIN:
    begin("drain", id);
    end();
    break;
  case WS_EVENT_ERROR: report_error(id, "error", &u->error); break;
  case WS_EVENT_CLOSE: report_close(id, event); break;
  case WS_EVENT_SERVER_ERROR:
    report_error(id, "server_error", &u->error);
    break;
  case WS_EVENT_SERVER_CLOSE:
    begin("server_close", id);
    end();
    break;
  /* The probe asks for none of these. */
  case WS_EVENT_REQUEST:
  case WS_EVENT_RECONNECT:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break;
  }
}

void report_state(unsigned id, const ws_socket *socket) {
  begin("state", id);
  print_number("state", ws_socket_ready_state(socket));
  print_number("buffered", ws_socket_buffered_amount(socket));
  end();
}

void report_connecting(unsigned id) {
  begin("connecting", id);
  end();
}

void report_listening(const ws_server *server) {
  begin("listening", 0);
  print_text("url", ws_server_url(server, 0));
  print_number("port", ws_server_port(server, 0));
  end();
}

void report_refused(const char *command, int err, const char *message) {
  begin("refused", 0);
  print_text("command", command);
  print_text("name", err != 0 ? ws_err_name(err) : "");
  print_text("message", message);
  end();
}
