/* config.h - options after checking: every default filled in, every string
 * owned, shared by counting references. Never changed once made. */
#ifndef WS__CONFIG_H
#define WS__CONFIG_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/hidden.h"
#include "proto/handshake.h"
#include "proto/http.h"
#include "ws/conn.h"

WS__HIDDEN_BEGIN

struct ws_conn_config {
  atomic_size_t references;
  size_t size; /* Of this block, in which the lists stand too. */
  ws_role role;
  /* The options without zeros; `origins` and `hosts` are our copies. */
  ws_conn_options options;
  /* The same by the names of the modules that take them. */
  ws__http_limits http_limits;
  ws__server_rules rules; /* The deflate offer is the client's too. */
};

/* Copies a versioned struct of the caller over its defaults: one built against
 * an older header knows fewer fields. Returns false for a `size` that no
 * version has. */
bool ws__copy_sized(void *out, size_t out_size, const void *from, size_t size);

ws_conn_config *ws__config_ref(ws_conn_config *config);

static inline const ws_allocator *
ws__config_allocator(const ws_conn_config *config) {
  return &config->options.allocator;
}

WS__HIDDEN_END

#endif
