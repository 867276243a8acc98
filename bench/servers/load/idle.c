/* idle.c - what the server's memory grows by with each connection that has
 * nothing to do.
 *
 * Each has sent one message and got it back, so that what a server keeps from
 * then on shows as well. The first connection is not counted: with it comes
 * whatever a server makes only once. Memory of the kernel is left out. */
#include <stdio.h>

#include "client.h"
#include "process.h"

void load_idle(const load_options *options) {
  const size_t count = options->connections;
  if (count < 2) load_die("idle needs two connections");
  const load_script *script = script_make(options);
  client *clients = load_alloc(count, sizeof(*clients));

  uint64_t before = 0;
  for (size_t i = 0; i < count; i++) {
    client_open(&clients[i], options, script);
    client_echo_once(&clients[i]);
    if (i > 0) continue;
    process_settle(options->server);
    before = process_memory(options->server);
  }
  process_settle(options->server);
  const uint64_t after = process_memory(options->server);

  const double grown = after > before ? (double)(after - before) : 0;
  printf("{\"bytes_per_connection\": %.6g, \"server_kib\": %llu}\n",
         grown / (double)(count - 1), (unsigned long long)after / 1024);
}
