/* options.c - see options.h. One table says where each value goes. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind {
  FLAG,
  NUMBER8,
  NUMBER32,
  NUMBER64,
  TEXT,
  TEXTS,
  COMPRESSION
} option_kind;

#define OPTION(name, kind, field) \
  { name, kind, offsetof(probe_options, field) }

static const struct {
  const char *name;
  option_kind kind;
  size_t offset;
} table[] = {
    OPTION("max-message", NUMBER64, conn.max_message),
    OPTION("max-send-queue", NUMBER64, conn.max_send_queue),
    OPTION("send-high-water", NUMBER64, conn.send_high_water),
    OPTION("handshake-timeout", NUMBER32, conn.handshake_timeout),
    OPTION("ping-interval", NUMBER32, conn.ping_interval),
    OPTION("ping-timeout", NUMBER32, conn.ping_timeout),
    OPTION("message-timeout", NUMBER32, conn.message_timeout),
    OPTION("send-timeout", NUMBER32, conn.send_timeout),
    OPTION("close-timeout", NUMBER32, conn.close_timeout),
    OPTION("compression", COMPRESSION, conn.compression),
    OPTION("compression-threshold", NUMBER32, conn.compression_threshold),
    OPTION("server-max-window-bits", NUMBER8, conn.server_max_window_bits),
    OPTION("client-max-window-bits", NUMBER8, conn.client_max_window_bits),
    OPTION("server-no-context-takeover", FLAG, conn.server_no_context_takeover),
    OPTION("client-no-context-takeover", FLAG, conn.client_no_context_takeover),
    OPTION("no-auto-pong", FLAG, conn.no_auto_pong),
    OPTION("protocol", TEXTS, protocols),
    OPTION("header", TEXTS, headers),
    OPTION("allow-origin", TEXTS, origins),
    OPTION("cert", TEXTS, certs),
    OPTION("key", TEXTS, keys),
    OPTION("ca", TEXT, ca),
    OPTION("client-ca", TEXT, client_ca),
    OPTION("insecure", FLAG, insecure),
    OPTION("proxy", TEXT, proxy),
    OPTION("server-name", TEXT, server_name),
    OPTION("origin", TEXT, origin),
    OPTION("max-redirects", NUMBER32, max_redirects),
    OPTION("host", TEXT, host),
    OPTION("port", NUMBER32, port),
    OPTION("unix", TEXT, unix_path),
    OPTION("root", TEXT, root),
    OPTION("max-connections", NUMBER32, max_connections),
    OPTION("echo", FLAG, is_echo),
};

static bool add_value(value_list *list, const char *value) {
  if (list->count == MAX_VALUES) return false;
  list->items[list->count++] = value;
  return true;
}

/* Stores a value where its option says. Returns whether there was room. */
static bool set(void *field, option_kind kind, const char *value) {
  switch (kind) {
  case FLAG: *(bool *)field = strcmp(value, "0") != 0; break;
  case NUMBER8: *(uint8_t *)field = (uint8_t)strtoul(value, NULL, 10); break;
  case NUMBER32: *(uint32_t *)field = (uint32_t)strtoul(value, NULL, 10); break;
  case NUMBER64: *(uint64_t *)field = strtoull(value, NULL, 10); break;
  case TEXT: *(const char **)field = value; break;
  case TEXTS: return add_value(field, value);
  case COMPRESSION:
    *(ws_compression *)field =
        strcmp(value, "on") == 0 ? WS_COMPRESSION_ON : WS_COMPRESSION_OFF;
    break;
  }
  return true;
}

/* Returns whether `word` is name=value with a name that there is. */
static bool read_option(probe_options *options, const char *word) {
  const char *equals = strchr(word, '=');
  if (equals == NULL) return false;
  const size_t name_len = (size_t)(equals - word);
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    if (strlen(table[i].name) == name_len &&
        memcmp(table[i].name, word, name_len) == 0) {
      return set((char *)options + table[i].offset, table[i].kind, equals + 1);
    }
  }
  return false;
}

int options_read(const probe_command *command, size_t first,
                 probe_options *out_options, ws_error *out_error) {
  memset(out_options, 0, sizeof(*out_options));
  ws_conn_options_init(&out_options->conn);
  for (size_t i = first; i < command->count; i++) {
    if (read_option(out_options, command->text[i])) continue;
    snprintf(out_error->message, sizeof(out_error->message), "no option: %s",
             command->text[i]);
    return WS_ERR_INVALID_ARGUMENT;
  }
  return 0;
}

/* "Name: value" as the API takes it. */
static ws_header header_of(const char *line) {
  const size_t name_len = strcspn(line, ":");
  const char *value = line + name_len;
  value += strspn(value, ": ");
  return (ws_header){line, name_len, value, strlen(value)};
}

static ws_tls_identity identity(const probe_options *options, size_t i) {
  return (ws_tls_identity){
      .certificate = {.file = options->certs.items[i]},
      .key = {.file = options->keys.items[i]},
  };
}

int options_client(const probe_options *options, ws_header headers[MAX_VALUES],
                   ws_socket_options *out_socket, ws_tls_context **out_tls,
                   ws_error *out_error) {
  ws_socket_options_init(out_socket);
  out_socket->conn = &options->conn;
  out_socket->protocols = options->protocols.items;
  out_socket->protocol_count = options->protocols.count;
  for (size_t i = 0; i < options->headers.count; i++) {
    headers[i] = header_of(options->headers.items[i]);
  }
  out_socket->headers = headers;
  out_socket->header_count = options->headers.count;
  out_socket->origin = options->origin;
  out_socket->server_name = options->server_name;
  out_socket->proxy = options->proxy;
  out_socket->max_redirects = options->max_redirects;

  *out_tls = NULL;
  if (options->ca == NULL && options->certs.count == 0 && !options->insecure) {
    return 0;
  }
  ws_tls_client_options tls;
  ws_tls_client_options_init(&tls);
  tls.ca.file = options->ca;
  tls.identity = identity(options, 0);
  tls.insecure_no_verify = options->insecure;
  const int err = ws_tls_client_new(&tls, out_tls, out_error);
  out_socket->tls = *out_tls;
  return err;
}

int options_server(probe_options *options, ws_server_options *out_server,
                   ws_listen_options *out_listen, ws_tls_context **out_tls,
                   ws_error *out_error) {
  ws_server_options_init(out_server);
  if (options->origins.count > 0)
    options->conn.origins = options->origins.items;
  out_server->conn = &options->conn;
  out_server->protocols =
      options->protocols.count > 0 ? options->protocols.items : NULL;
  out_server->protocol_count = options->protocols.count;
  out_server->root = options->root;
  out_server->max_connections = options->max_connections;

  ws_listen_options_init(out_listen);
  if (options->host != NULL) out_listen->host = options->host;
  out_listen->port = (uint16_t)options->port;
  out_listen->unix_path = options->unix_path;

  *out_tls = NULL;
  if (options->certs.count == 0) return 0;
  ws_tls_identity identities[MAX_VALUES];
  for (size_t i = 0; i < options->certs.count; i++) {
    identities[i] = identity(options, i);
  }
  ws_tls_server_options tls;
  ws_tls_server_options_init(&tls);
  tls.identities = identities;
  tls.identity_count = options->certs.count;
  tls.client_ca.file = options->client_ca;
  if (options->client_ca != NULL) tls.client_auth = WS_TLS_CLIENT_AUTH_REQUIRED;
  const int err = ws_tls_server_new(&tls, out_tls, out_error);
  out_listen->tls = *out_tls;
  return err;
}
