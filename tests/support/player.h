/* player.h - plays a case of the table (vectors.h) with a driver.
 *
 * player_expect() writes what the case says must happen, player_play() what
 * does happen. A case passes when the two transcripts are equal in every mode.
 */
#ifndef PLAYER_H
#define PLAYER_H

#include "driver.h"
#include "vectors.h"

/* Whether the case is about an engine of this role. */
bool player_has_role(const vector_case *c, ws_role role);

/* How many bytes are fed in all, masks included. */
size_t player_input_size(const vector_case *c, ws_role role);

/* The options the case asks for. */
void player_options(const vector_case *c, ws_conn_options *out);

/* The configuration the case asks for, with memory from `allocator` (NULL for
 * malloc); the caller frees it. */
ws_conn_config *player_config(const vector_case *c, ws_role role,
                              const ws_allocator *allocator);

void player_expect(const vector_case *c, transcript *out);

void player_play(const vector_case *c, ws_role role, ws_conn_config *config,
                 const driver_mode *mode, transcript *out);

/* Plays the case with memory that may fail, or with other options than it asks
 * for, so whatever may happen: but the
 * connection must end with one close event, at the latest when the transport
 * ends. Writes the events alone. */
void player_torture(const vector_case *c, ws_role role, ws_conn_config *config,
                    const driver_mode *mode, transcript *out);

#endif
