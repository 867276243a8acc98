/* client.c - see client.h. */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "terminal.h"

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* Takes "Name: value" apart. The library looks at the characters. */
static bool parse_header(const char *text, ws_header *out) {
  const char *const colon = strchr(text, ':');
  if (colon == NULL) return false;
  const char *value = colon + 1;
  const char *end = value + strlen(value);
  while (is_blank(*value))
    value++;
  while (end > value && is_blank(end[-1]))
    end--;
  *out =
      (ws_header){text, (size_t)(colon - text), value, (size_t)(end - value)};
  return true;
}

static int set_headers(client *c, const option_list *list,
                       const char *command) {
  if (list->count == 0) return EXIT_OK;
  c->headers = calloc(list->count, sizeof(*c->headers));
  if (c->headers == NULL) return fail(command, "out of memory");
  for (size_t i = 0; i < list->count; i++) {
    if (!parse_header(list->values[i], &c->headers[i])) {
      complain(command, "--header takes 'Name: value', not '%s'",
               list->values[i]);
      return EXIT_USAGE;
    }
  }
  c->options.headers = c->headers;
  c->options.header_count = list->count;
  return EXIT_OK;
}

/* With no option about TLS the library's defaults are as good. */
static int set_tls(client *c, const client_settings *settings,
                   const char *command) {
  if (settings->ca == NULL && settings->certificate == NULL &&
      settings->key == NULL && !settings->is_insecure) {
    return EXIT_OK;
  }
  ws_tls_client_options tls;
  ws_tls_client_options_init(&tls);
  tls.ca.file = settings->ca;
  tls.identity.certificate.file = settings->certificate;
  tls.identity.key.file = settings->key;
  tls.insecure_no_verify = settings->is_insecure;
  ws_error error;
  if (ws_tls_client_new(&tls, &c->tls, &error) != 0) {
    complain(command, "%s", error.message);
    return EXIT_TLS;
  }
  c->options.tls = c->tls;
  c->options.proxy_tls = c->tls;
  return EXIT_OK;
}

static ws_compression to_compression(option_switch s) {
  switch (s) {
  case SWITCH_UNSET: break;
  case SWITCH_OFF: return WS_COMPRESSION_OFF;
  case SWITCH_ON: return WS_COMPRESSION_ON;
  }
  return WS_COMPRESSION_DEFAULT;
}

int client_init(client *c, const client_settings *settings,
                const char *command) {
  *c = (client){0};
  ws_conn_options_init(&c->conn);
  c->conn.max_message = settings->max_message;
  c->conn.compression = to_compression(settings->compression);
  c->conn.ping_interval = settings->ping_interval;
  c->conn.handshake_timeout = settings->timeout;

  ws_handlers_init(&c->handlers);
  ws_socket_options_init(&c->options);
  c->options.handlers = &c->handlers;
  c->options.conn = &c->conn;
  c->options.protocols = settings->subprotocols.values;
  c->options.protocol_count = settings->subprotocols.count;
  c->options.origin = settings->origin;
  c->options.proxy = settings->without_proxy ? "" : settings->proxy;
  c->options.max_redirects = settings->redirects;
  c->options.reconnect = settings->reconnects;

  int code = set_headers(c, &settings->headers, command);
  if (code == EXIT_OK) code = set_tls(c, settings, command);
  if (code != EXIT_OK) client_free(c);
  return code;
}

void client_free(client *c) {
  ws_tls_context_free(c->tls);
  free(c->headers);
  *c = (client){0};
}

static bool is_timeout(ws_err err) {
  return err == WS_ERR_HANDSHAKE_TIMEOUT || err == WS_ERR_PING_TIMEOUT ||
         err == WS_ERR_MESSAGE_TIMEOUT || err == WS_ERR_SEND_TIMEOUT ||
         err == WS_ERR_CLOSE_TIMEOUT;
}

int client_exit_code(const ws_cause *cause) {
  if (cause->err == WS_ERR_TLS || cause->err == WS_ERR_CERTIFICATE) {
    return EXIT_TLS;
  }
  if (is_timeout(cause->err)) return EXIT_TIMEOUT;
  return cause->response != NULL ? EXIT_REFUSED : EXIT_FAILED;
}
