/* conn_opening.c - the opening handshake of a connection (RFC 6455 section 4).
 *
 * Turns heads into events and answers; what a head must be like is handshake's
 * business. All of it lives in one struct that is freed when the connection is
 * open, or with the connection if it never is. */
#include <string.h>

#include "proto/base64.h"
#include "proto/conn.h"

#define KEY_BYTES 16 /* Section 4.1 item 7. */

#define STATUS_SWITCHING 101
#define STATUS_OK        200

typedef enum stage {
  STAGE_IDLE,    /* Client: nothing has been asked for. */
  STAGE_HEAD,    /* The peer's head is awaited. */
  STAGE_BODY,    /* Client: the body of a refusal is. */
  STAGE_WAITING, /* Server: the application's answer is. */
  STAGE_OVER     /* Open, failed or answered. */
} stage;

struct ws__opening {
  stage stage;
  uint16_t status;    /* That was sent (server) or received (client), or 0. */
  const char *detail; /* Says more than ws_strerror() why it failed, or NULL. */
  ws__http_reader reader;
  ws__http_head head;

  /* Client. */
  char key[WS__KEY_SIZE];
  char **protocols; /* Asked for: pointers, then strings, in one block. */
  size_t protocol_count;
  size_t protocols_size;
  ws_response response;
  ws__http_body body_reader;
  ws__buf body;

  /* Server. */
  ws__upgrade upgrade;
  ws_request request;
};

/* -- Life ------------------------------------------------------------------ */

int ws__opening_new(ws_conn *conn) {
  ws__opening *opening =
      ws__alloc_zero(ws__conn_allocator(conn), sizeof(*opening));
  if (opening == NULL) return WS_ERR_NO_MEMORY;
  opening->stage = ws__conn_is_server(conn) ? STAGE_HEAD : STAGE_IDLE;
  conn->opening = opening;
  return 0;
}

static void free_protocols(ws__opening *opening,
                           const ws_allocator *allocator) {
  ws__free(allocator, opening->protocols, opening->protocols_size);
  opening->protocols = NULL;
  opening->protocol_count = opening->protocols_size = 0;
}

void ws__opening_free(ws_conn *conn) {
  ws__opening *opening = conn->opening;
  if (opening == NULL) return;
  const ws_allocator *allocator = ws__conn_allocator(conn);
  ws__upgrade_free(&opening->upgrade, allocator);
  ws__buf_free(&opening->body, allocator);
  free_protocols(opening, allocator);
  ws__http_head_free(&opening->head, allocator);
  ws__http_reader_free(&opening->reader, allocator);
  ws__free(allocator, opening, sizeof(*opening));
  conn->opening = NULL;
}

size_t ws__opening_held(const ws_conn *conn) {
  const ws__opening *opening = conn->opening;
  if (opening == NULL) return 0;
  return sizeof(*opening) + opening->reader.buf.cap + opening->body.cap +
         opening->protocols_size + opening->upgrade.protocol_size +
         opening->head.header_count * sizeof(ws_header);
}

const ws_request *ws__opening_request(const ws_conn *conn) {
  return ws__opening_is_waiting(conn) ? &conn->opening->request : NULL;
}

bool ws__opening_is_waiting(const ws_conn *conn) {
  return conn->state == WS_STATE_CONNECTING &&
         conn->opening->stage == STAGE_WAITING;
}

bool ws__opening_open_event(const ws_conn *conn, ws_conn_event *event) {
  const ws__opening *opening = conn->opening;
  const bool is_server = ws__conn_is_server(conn);
  event->type = WS_EVENT_OPEN;
  event->u.open.request = is_server ? &opening->request : NULL;
  event->u.open.response = is_server ? NULL : &opening->response;
  return true;
}

void ws__opening_explain(const ws_conn *conn, ws_cause *cause) {
  const ws__opening *opening = conn->opening;
  cause->status = opening->status;
  if (opening->detail != NULL) cause->message = opening->detail;
  if (opening->response.status != 0) cause->response = &opening->response;
}

void ws__opening_fail(ws_conn *conn, int err, const char *detail) {
  conn->opening->stage = STAGE_OVER;
  if (conn->err == 0) conn->opening->detail = detail;
  ws__conn_fail(conn, err);
}

/* Reports an error of a call, with its reason. */
static int misuse(int err, const char *reason, const char **out_reason) {
  if (out_reason != NULL) {
    *out_reason = reason != NULL ? reason : ws_strerror(err);
  }
  return err;
}

/* Keeps what was agreed, if that was anything. Returns 0 or WS_ERR_NO_MEMORY,
 * and then nothing has changed. */
static int keep_agreed(ws_conn *conn, const char *protocol,
                       const char *extensions,
                       const ws__deflate_params *params) {
  const size_t protocol_size = strlen(protocol) + 1;
  const size_t extensions_size = strlen(extensions) + 1;
  const size_t names_size = protocol_size + extensions_size;
  if (names_size == 2) return 0; /* Two empty strings. */

  const ws_allocator *allocator = ws__conn_allocator(conn);
  const ws_conn_options *options = ws__conn_options(conn);
  ws__agreed *agreed = ws__alloc(allocator, sizeof(*agreed) + names_size);
  if (agreed == NULL) return WS_ERR_NO_MEMORY;
  *agreed = (ws__agreed){.names_size = names_size};
  memcpy(agreed->names, protocol, protocol_size);
  memcpy(agreed->names + protocol_size, extensions, extensions_size);
  if (params != NULL &&
      ws__deflate_new(allocator, params, ws__conn_is_server(conn),
                      options->compression_level, options->compression_memory,
                      &agreed->deflate) != 0) {
    ws__free(allocator, agreed, sizeof(*agreed) + names_size);
    return WS_ERR_NO_MEMORY;
  }
  conn->agreed = agreed;
  return 0;
}

void ws__agreed_free(ws_conn *conn) {
  ws__agreed *agreed = conn->agreed;
  if (agreed == NULL) return;
  ws__deflate_free(agreed->deflate);
  ws__free(ws__conn_allocator(conn), agreed,
           sizeof(*agreed) + agreed->names_size);
  conn->agreed = NULL;
}

size_t ws__agreed_held(const ws_conn *conn) {
  const ws__agreed *agreed = conn->agreed;
  if (agreed == NULL) return 0;
  const size_t size = sizeof(*agreed) + agreed->names_size;
  return agreed->deflate != NULL ? size + ws__deflate_held(agreed->deflate)
                                 : size;
}

/* Becomes OPEN with what was agreed. Returns 0 or WS_ERR_NO_MEMORY, and then
 * nothing has changed. */
static int open_connection(ws_conn *conn, const char *protocol,
                           const char *extensions,
                           const ws__deflate_params *params) {
  const int err = keep_agreed(conn, protocol, extensions, params);
  if (err != 0) return err;
  conn->opening->stage = STAGE_OVER;
  conn->is_established = true;
  ws__conn_set_state(conn, WS_STATE_OPEN);
  return 0;
}

/* -- Client ---------------------------------------------------------------- */

void ws_conn_request_init(ws_conn_request *request) {
  *request = (ws_conn_request){.size = sizeof(*request)};
}

/* Copies the subprotocols, against which the answer will be held. */
static int keep_protocols(ws_conn *conn, const ws_conn_request *request) {
  ws__opening *opening = conn->opening;
  free_protocols(opening, ws__conn_allocator(conn)); /* Of a failed call. */
  const size_t count = request->protocol_count;
  if (count == 0) return 0;
  size_t size = count * sizeof(char *);
  for (size_t i = 0; i < count; i++)
    size += strlen(request->protocols[i]) + 1;

  char **copy = ws__alloc(ws__conn_allocator(conn), size);
  if (copy == NULL) return WS_ERR_NO_MEMORY;
  char *text = (char *)(copy + count);
  for (size_t i = 0; i < count; i++) {
    const size_t text_size = strlen(request->protocols[i]) + 1;
    memcpy(text, request->protocols[i], text_size);
    copy[i] = text;
    text += text_size;
  }
  opening->protocols = copy;
  opening->protocol_count = count;
  opening->protocols_size = size;
  return 0;
}

/* "A nonce consisting of a randomly selected 16-byte value that has been
 * base64-encoded" (section 4.1 item 7). */
static int draw_key(ws_conn *conn) {
  const ws_conn_options *options = ws__conn_options(conn);
  uint8_t nonce[KEY_BYTES];
  if (options->random(options->random_ctx, nonce, sizeof(nonce)) != 0) {
    return WS_ERR_RANDOM;
  }
  ws__base64_encode(nonce, sizeof(nonce), conn->opening->key);
  return 0;
}

static int send_request(ws_conn *conn, const ws_conn_request *request,
                        const char **reason) {
  const ws_allocator *allocator = ws__conn_allocator(conn);
  ws__buf head = {0};
  int err =
      ws__handshake_write_request(request, &conn->config->rules.deflate,
                                  conn->opening->key, allocator, &head, reason);
  if (err == 0) err = keep_protocols(conn, request);
  if (err == 0) err = ws__send_raw(conn, head.data, head.len);
  ws__buf_free(&head, allocator);
  return err;
}

int ws_conn_connect(ws_conn *conn, const ws_conn_request *request,
                    const char **out_reason) {
  const char *reason = NULL;
  if (conn->state != WS_STATE_CONNECTING ||
      conn->opening->stage != STAGE_IDLE) {
    return misuse(WS_ERR_INVALID_STATE, NULL, out_reason);
  }
  ws_conn_request filled;
  ws_conn_request_init(&filled);
  if (!ws__copy_sized(&filled, filled.size, request, request->size)) {
    return misuse(WS_ERR_INVALID_ARGUMENT,
                  "size: not set by ws_conn_request_init()", out_reason);
  }
  int err = draw_key(conn);
  if (err == 0) err = send_request(conn, &filled, &reason);
  if (err != 0) return misuse(err, reason, out_reason);
  conn->opening->stage = STAGE_HEAD;
  return 0;
}

static void show_response(ws__opening *opening) {
  opening->response = (ws_response){
      .status = opening->head.status,
      .reason = opening->head.reason,
      .headers = opening->head.headers,
      .header_count = opening->head.header_count,
      .body = opening->body.data,
      .body_len = opening->body.len,
  };
}

/* The connection is established, or the answer does not fit the question. */
static bool accept_response(ws_conn *conn, ws_conn_event *event) {
  ws__opening *opening = conn->opening;
  ws__agreement agreement;
  const char *reason = NULL;
  int err = ws__handshake_check_response(
      &opening->head, opening->key, (const char *const *)opening->protocols,
      opening->protocol_count, &conn->config->rules.deflate, &agreement,
      &reason);
  if (err == 0) {
    err = open_connection(conn, agreement.protocol, agreement.extensions,
                          agreement.has_deflate ? &agreement.deflate : NULL);
  }
  if (err != 0) {
    ws__opening_fail(conn, err, reason);
    return false;
  }
  return ws__opening_open_event(conn, event);
}

/* Goes on to the body of a refusal, which may tell a person why. */
static void begin_body(ws_conn *conn) {
  ws__opening *opening = conn->opening;
  bool done = false;
  if (opening->head.status < STATUS_OK ||
      ws__http_body_start(&opening->body_reader, &opening->head, &done) != 0 ||
      done) {
    ws__opening_fail(conn, WS_ERR_UNEXPECTED_STATUS, NULL);
    return;
  }
  opening->stage = STAGE_BODY;
}

static void body_step(ws_conn *conn) {
  ws__opening *opening = conn->opening;
  bool done = false;
  const int err = ws__http_body_read(
      &opening->body_reader, ws__conn_allocator(conn), conn->input,
      conn->input_len, ws__conn_options(conn)->max_response_body,
      &opening->body, &done);
  ws__conn_use_input(conn, conn->input_len);
  show_response(opening);
  if (err == WS_ERR_NO_MEMORY) {
    ws__opening_fail(conn, err, NULL);
  } else if (err != 0 || done) {
    ws__opening_fail(conn, WS_ERR_UNEXPECTED_STATUS, NULL);
  }
}

static bool response_read(ws_conn *conn, ws_conn_event *event) {
  ws__opening *opening = conn->opening;
  const char *reason = NULL;
  const int err = ws__http_parse_response(
      &opening->head, ws__conn_allocator(conn),
      (char *)opening->reader.buf.data, opening->reader.buf.len, &reason);
  if (err != 0) {
    ws__opening_fail(conn, err, reason);
    return false;
  }
  show_response(opening);
  opening->status = opening->head.status;
  if (opening->status == STATUS_SWITCHING) return accept_response(conn, event);
  begin_body(conn);
  return false;
}

/* -- Server ---------------------------------------------------------------- */

/* Sends a plain response, after which the connection ends. */
static int send_response(ws_conn *conn, uint16_t status,
                         const ws_header *headers, size_t header_count,
                         const void *body, size_t body_len,
                         const char **reason) {
  const ws_allocator *allocator = ws__conn_allocator(conn);
  const char *method = conn->opening->head.method;
  const bool is_head = method != NULL && strcmp(method, "HEAD") == 0;
  ws__buf response = {0};
  int err = ws__handshake_write_response(status, headers, header_count, body,
                                         body_len, !is_head, allocator,
                                         &response, reason);
  if (err == 0) err = ws__send_raw(conn, response.data, response.len);
  ws__buf_free(&response, allocator);
  return err;
}

/* Tells the client why there will be no connection. If memory is short for
 * that, the connection just ends. */
static void refuse(ws_conn *conn, int err, const char *reason) {
  const uint16_t status = ws__handshake_status(err);
  static const ws_header text_plain = {"Content-Type", 12, "text/plain", 10};
  const char *text = reason != NULL ? reason : ws_strerror(err);
  const char *no_response;
  if (send_response(conn, status, &text_plain, 1, text, strlen(text),
                    &no_response) == 0) {
    conn->opening->status = status;
  }
  ws__opening_fail(conn, err, reason);
}

static bool request_read(ws_conn *conn, ws_conn_event *event) {
  ws__opening *opening = conn->opening;
  const ws_allocator *allocator = ws__conn_allocator(conn);
  const char *reason = NULL;
  int err = ws__http_parse_request(&opening->head, allocator,
                                   (char *)opening->reader.buf.data,
                                   opening->reader.buf.len, &reason);
  if (err == 0) {
    err = ws__handshake_check_request(&opening->head, &conn->config->rules,
                                      allocator, &opening->upgrade, &reason);
  }
  if (err != 0) {
    refuse(conn, err, reason);
    return false;
  }
  opening->stage = STAGE_WAITING;
  opening->request = (ws_request){
      .method = opening->head.method,
      .target = opening->head.target,
      .headers = opening->head.headers,
      .header_count = opening->head.header_count,
      .is_upgrade = opening->upgrade.is_upgrade,
      .protocols = opening->upgrade.protocols,
      .protocol_count = opening->upgrade.protocol_count,
  };
  event->type = WS_EVENT_REQUEST;
  event->u.request = &opening->request;
  return true;
}

void ws_conn_answer_init(ws_conn_answer *answer) {
  *answer = (ws_conn_answer){.size = sizeof(*answer)};
}

/* Sends the 101 and opens the connection with it. */
static int send_accept(ws_conn *conn, const ws_conn_answer *answer,
                       const char **reason) {
  const ws_allocator *allocator = ws__conn_allocator(conn);
  ws__upgrade agreed = conn->opening->upgrade;
  if (answer->decline_compression) {
    agreed.has_deflate = false;
    agreed.extensions[0] = '\0';
  }
  ws__buf head = {0};
  int err = ws__handshake_write_accept(&agreed, answer->protocol,
                                       answer->headers, answer->header_count,
                                       allocator, &head, reason);
  if (err == 0) err = ws__send_raw(conn, head.data, head.len);
  ws__buf_free(&head, allocator);
  if (err != 0) return err;

  err = open_connection(conn, answer->protocol != NULL ? answer->protocol : "",
                        agreed.extensions,
                        agreed.has_deflate ? &agreed.deflate : NULL);
  if (err != 0) ws__conn_drop_output(conn);
  return err;
}

int ws_conn_accept(ws_conn *conn, const ws_conn_answer *answer,
                   const char **out_reason) {
  const char *reason = NULL;
  if (!ws__opening_is_waiting(conn) || !conn->opening->upgrade.is_upgrade) {
    return misuse(WS_ERR_INVALID_STATE, NULL, out_reason);
  }
  ws_conn_answer filled;
  ws_conn_answer_init(&filled);
  if (answer != NULL &&
      !ws__copy_sized(&filled, filled.size, answer, answer->size)) {
    return misuse(WS_ERR_INVALID_ARGUMENT,
                  "size: not set by ws_conn_answer_init()", out_reason);
  }
  const int err = send_accept(conn, &filled, &reason);
  if (err != 0) return misuse(err, reason, out_reason);
  conn->is_open_pending = true;
  return 0;
}

int ws_conn_respond(ws_conn *conn, uint16_t status, const ws_header *headers,
                    size_t header_count, const void *body, size_t body_len,
                    const char **out_reason) {
  const char *reason = NULL;
  if (!ws__opening_is_waiting(conn)) {
    return misuse(WS_ERR_INVALID_STATE, NULL, out_reason);
  }
  const int err = send_response(conn, status, headers, header_count, body,
                                body_len, &reason);
  if (err != 0) return misuse(err, reason, out_reason);
  conn->opening->stage = STAGE_OVER;
  conn->is_answered = true;
  ws__conn_stop_listening(conn);
  ws__conn_set_state(conn, WS_STATE_CLOSING);
  return 0;
}

/* -- Both ------------------------------------------------------------------ */

static bool head_step(ws_conn *conn, ws_conn_event *event) {
  ws__opening *opening = conn->opening;
  size_t used = 0;
  bool done = false;
  const char *reason = NULL;
  const int err = ws__http_read(&opening->reader, &conn->config->http_limits,
                                ws__conn_allocator(conn), conn->input,
                                conn->input_len, &used, &done, &reason);
  ws__conn_use_input(conn, used);
  if (err != 0 && ws__conn_is_server(conn)) {
    refuse(conn, err, reason);
    return false;
  }
  if (err != 0) ws__opening_fail(conn, err, reason);
  if (err != 0 || !done) return false;
  return ws__conn_is_server(conn) ? request_read(conn, event)
                                  : response_read(conn, event);
}

bool ws__opening_step(ws_conn *conn, ws_conn_event *out_event) {
  if (conn->input_len == 0) return false;
  if (conn->opening->stage == STAGE_IDLE) {
    ws__opening_fail(conn, WS_ERR_HTTP_SYNTAX,
                     "a response came before the request");
  }
  if (conn->opening->stage == STAGE_HEAD && head_step(conn, out_event)) {
    return true;
  }
  if (conn->opening->stage == STAGE_BODY) body_step(conn);
  return false;
}

void ws__opening_ended(ws_conn *conn, int err) {
  ws__opening *opening = conn->opening;
  if (opening->stage == STAGE_BODY) {
    ws__opening_fail(conn, WS_ERR_UNEXPECTED_STATUS, NULL);
  } else if (err == WS_ERR_HANDSHAKE_TIMEOUT && opening->stage == STAGE_HEAD &&
             opening->reader.buf.len > 0 && ws__conn_is_server(conn)) {
    refuse(conn, err, NULL);
  } else {
    ws__opening_fail(conn, err, NULL);
  }
}

const char *ws_conn_protocol(const ws_conn *conn) {
  return conn->agreed != NULL ? conn->agreed->names : "";
}

const char *ws_conn_extensions(const ws_conn *conn) {
  if (conn->agreed == NULL) return "";
  return conn->agreed->names + strlen(conn->agreed->names) + 1;
}
