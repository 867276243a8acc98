/* consumer.c - a user of the installed package, through ws/conn.h alone.
 *
 * A client and a server talk over memory, a few bytes at a time, with
 * compression on. The client sends one message in three fragments; the server
 * takes it in pieces and echoes each as it comes; the client takes the echo in
 * pieces too, compares, and closes. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ws/conn.h>

#define PART_SIZE  3000
#define PART_COUNT 3
#define HOP_SIZE   100 /* Bytes that cross the memory transport at once. */

typedef struct end {
  const char *name;
  ws_conn *conn;
  size_t pieces; /* Pieces of the message received. */
  size_t received;
  bool is_closed;
} end;

static char sent[PART_COUNT * PART_SIZE];

static void check(bool claim, const char *text) {
  if (claim) return;
  fprintf(stderr, "not so: %s\n", text);
  exit(1);
}

static void send_in_fragments(ws_conn *conn) {
  for (size_t part = 0; part < PART_COUNT; part++) {
    const unsigned flags = part + 1 < PART_COUNT ? WS_SEND_FRAGMENT : 0;
    check(ws_conn_send(conn, WS_TEXT, sent + part * PART_SIZE, PART_SIZE,
                       flags) == 0,
          "a fragment is sent");
  }
}

static void take_piece(end *self, const ws_conn_event *event) {
  const size_t len = event->u.message.len;
  check(len <= sizeof(sent) - self->received &&
            memcmp(sent + self->received, event->u.message.data, len) == 0,
        "the message arrives as it was sent");
  self->received += len;
  self->pieces++;

  const bool is_last = event->u.message.is_last;
  check(is_last == (self->received == sizeof(sent)), "the last piece says so");
  if (ws_conn_role(self->conn) == WS_ROLE_SERVER) {
    check(ws_conn_send(self->conn, event->u.message.type, event->u.message.data,
                       len, is_last ? 0 : WS_SEND_FRAGMENT) == 0,
          "a piece is echoed");
  } else if (is_last) {
    check(ws_conn_close(self->conn, WS_CLOSE_NORMAL, "bye", 3) == 0,
          "the client closes");
  }
}

static void accept_request(ws_conn *conn) {
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = "echo";
  check(ws_conn_accept(conn, &answer, NULL) == 0, "it is accepted");
}

static void handle(end *self, const ws_conn_event *event) {
  switch (event->type) {
  case WS_EVENT_REQUEST:
    printf("%s: %s %s\n", self->name, event->u.request->method,
           event->u.request->target);
    accept_request(self->conn);
    break;
  case WS_EVENT_OPEN:
    printf("%s: open, protocol %s, extensions %s\n", self->name,
           ws_conn_protocol(self->conn), ws_conn_extensions(self->conn));
    check(strncmp(ws_conn_extensions(self->conn), "permessage-deflate", 18) ==
              0,
          "compression is agreed on");
    ws_conn_set_streaming(self->conn, true);
    if (ws_conn_role(self->conn) == WS_ROLE_CLIENT) {
      send_in_fragments(self->conn);
    }
    break;
  case WS_EVENT_MESSAGE: take_piece(self, event); break;
  case WS_EVENT_CLOSE:
    printf("%s: closed, %u %s\n", self->name, (unsigned)event->u.close.code,
           event->u.close.reason);
    check(event->u.close.code == WS_CLOSE_NORMAL && event->u.close.was_clean,
          "the connection ends cleanly");
    self->is_closed = true;
    break;
  case WS_EVENT_ERROR: check(false, event->u.error.message); break;
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
  case WS_EVENT_DRAIN: break;
  case WS_EVENT_RECONNECT:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: check(false, "no event of sockets comes");
  }
}

static void pull_events(end *self) {
  ws_conn_event event;
  while (ws_conn_next_event(self->conn, &event)) {
    handle(self, &event);
  }
}

/* Moves one hop. Returns false if nothing waited. */
static bool carry(end *from, end *to) {
  ws_slice slice;
  if (ws_conn_output(from->conn, &slice, 1) == 0) return false;
  uint8_t hop[HOP_SIZE];
  const size_t len = slice.len < sizeof(hop) ? slice.len : sizeof(hop);
  memcpy(hop, slice.data, len);
  ws_conn_consume(from->conn, len);
  pull_events(from);

  check(ws_conn_feed(to->conn, hop, len) == 0, "the bytes are taken");
  pull_events(to);
  return true;
}

static ws_conn *make_conn(ws_role role) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.random = ws_random;
  options.compression = WS_COMPRESSION_ON;

  ws_conn_config *config;
  ws_conn *conn;
  check(ws_conn_config_new(role, &options, &config, NULL) == 0,
        "the options are fine");
  check(ws_conn_new(config, 0, &conn) == 0, "a connection is made");
  ws_conn_config_free(config);
  return conn;
}

static void start_handshake(ws_conn *client) {
  static const char address[] = "ws://example.com/echo";
  static const char *const protocols[] = {"chat", "echo"};
  ws_url *url;
  check(ws_url_parse(address, strlen(address), NULL, &url, NULL) == 0,
        "the URL is fine");

  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = url;
  request.protocols = protocols;
  request.protocol_count = 2;
  check(ws_conn_connect(client, &request, NULL) == 0, "the request is made");
  ws_url_free(url);
}

int main(void) {
  for (size_t i = 0; i < sizeof(sent); i++) {
    sent[i] = (char)('a' + i % 26);
  }
  end client = {.name = "client", .conn = make_conn(WS_ROLE_CLIENT)};
  end server = {.name = "server", .conn = make_conn(WS_ROLE_SERVER)};
  start_handshake(client.conn);

  bool has_moved;
  do {
    has_moved = carry(&client, &server);
    has_moved = carry(&server, &client) || has_moved;
  } while (has_moved);

  /* The server closes the transport first (RFC 6455 7.1.1). */
  check(server.is_closed, "the server is closed");
  ws_conn_eof(client.conn);
  pull_events(&client);
  check(client.is_closed, "the client is closed");

  check(client.received == sizeof(sent) && server.received == sizeof(sent),
        "the whole message went both ways");
  check(client.pieces > 1 && server.pieces > 1, "it came in pieces");

  ws_conn_stats stats;
  ws_conn_get_stats(client.conn, &stats);
  printf("client: libws %s, %zu bytes in %llu out and %llu in, %zu pieces\n",
         ws_version(), sizeof(sent), (unsigned long long)stats.bytes_sent,
         (unsigned long long)stats.bytes_received, client.pieces);
  check(stats.bytes_sent < sizeof(sent), "compression makes it smaller");

  ws_conn_free(client.conn);
  ws_conn_free(server.conn);
  return 0;
}
