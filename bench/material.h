/* material.h - what is measured on: texts, frames and open connections. The
 * same in every run. */
#ifndef BENCH_MATERIAL_H
#define BENCH_MATERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws/conn.h"

/* What does not hold makes the measurement worthless: says so and exits. */
void must(bool claim, const char *text);

/* Zeroed memory on a cache line, which must not fail. Each block begins at
 * another place of a page than the one before: two that begin at the same place
 * get in each other's way inside the CPU, and whether they do should not be
 * left to malloc. For deallocate(). */
void *allocate(size_t size);
void deallocate(void *block);

/* "125 B", "1 KiB", "1 MiB"; static, good until the fifth call from now. */
const char *size_name(size_t size);

/* -- Texts ----------------------------------------------------------------- */

typedef enum script {
  SCRIPT_ASCII,
  SCRIPT_2, /* Each a script of characters of 2, 3 and 4 bytes, with spaces: */
  SCRIPT_3, /* as Polish and Greek, */
  SCRIPT_4, /* Chinese, */
  SCRIPT_MIXED, /* emoji; and all of them in turn. */
  SCRIPT_COUNT
} script;

extern const char *const script_names[SCRIPT_COUNT];

/* Writes `len` bytes of valid UTF-8. With the lowest bit of every byte flipped
 * they are valid still; see receive_in_place() in messages.c. */
void write_text(script kind, uint8_t *out, size_t len);

/* Writes `len` bytes of JSON as a server of live data sends it, another text
 * for each `seed`. */
void write_json(uint32_t seed, char *out, size_t len);

/* -- Connections ----------------------------------------------------------- */

/* Flips the lowest bit of every byte. */
extern const uint8_t bench_key[4];

/* Writes one frame, masked with `bench_key` if it comes from a client. Returns
 * its length, at most `len` + 14. */
size_t write_frame(uint8_t *out, ws_message_type type, const uint8_t *payload,
                   size_t len, bool from_client);

typedef struct pair {
  ws_conn *client;
  ws_conn *server;
} pair;

/* Two open connections of one configuration that have agreed with each other;
 * `options` may be NULL. Nothing waits between them. */
pair open_pair(const ws_conn_options *options);
void close_pair(pair *p);

/* A configuration with a source of keys. */
ws_conn_config *make_config(ws_role role, const ws_conn_options *options);

#endif
