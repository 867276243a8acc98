/* tls_context.c - the public doors to io/tls's contexts: versioned options in,
 * memory from malloc because threads share a context. */
#include "base/alloc.h"
#include "io/tls.h"

void ws_tls_client_options_init(ws_tls_client_options *options) {
  *options = (ws_tls_client_options){.size = sizeof(*options)};
}

void ws_tls_server_options_init(ws_tls_server_options *options) {
  *options = (ws_tls_server_options){.size = sizeof(*options)};
}

int ws_tls_client_new(const ws_tls_client_options *options,
                      ws_tls_context **out_context, ws_error *out_error) {
  ws_tls_client_options defaults;
  ws_tls_client_options_init(&defaults);
  if (options == NULL) options = &defaults;
  if (options->size != sizeof(*options)) {
    return ws__report(out_error, WS_ERR_INVALID_ARGUMENT,
                      "size: not set by ws_tls_client_options_init()");
  }
  char detail[WS__DETAIL_SIZE] = "";
  const int err =
      ws__tls_client_context(&ws__malloc, options, out_context, detail);
  return ws__report(out_error, err, detail);
}

int ws_tls_server_new(const ws_tls_server_options *options,
                      ws_tls_context **out_context, ws_error *out_error) {
  if (options->size != sizeof(*options)) {
    return ws__report(out_error, WS_ERR_INVALID_ARGUMENT,
                      "size: not set by ws_tls_server_options_init()");
  }
  char detail[WS__DETAIL_SIZE] = "";
  const int err =
      ws__tls_server_context(&ws__malloc, options, out_context, detail);
  return ws__report(out_error, err, detail);
}

int ws_tls_reload(ws_tls_context *context, const ws_tls_identity *identities,
                  size_t identity_count, ws_error *out_error) {
  if (!context->is_server) {
    return ws__report(out_error, WS_ERR_INVALID_ARGUMENT,
                      "the context is a client's");
  }
  char detail[WS__DETAIL_SIZE] = "";
  const int err = ws__tls_reload(context, identities, identity_count, detail);
  return ws__report(out_error, err, detail);
}

void ws_tls_context_free(ws_tls_context *context) {
  ws__tls_context_release(context);
}
