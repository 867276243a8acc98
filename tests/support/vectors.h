/* vectors.h - reads the table of cases in tests/data/frames.txt.
 *
 * A table is a list of cases, a case a list of lines, a line some words and
 * behind a colon some bytes. What the lines mean stands at the top of the
 * table; driver.c plays them. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_MAX_WORDS 8

typedef struct vector_line {
  char *words[VECTOR_MAX_WORDS]; /* At least one. */
  size_t word_count;
  uint8_t *data; /* Never NULL. */
  size_t len;
  unsigned number; /* In the file, from 1. */
} vector_line;

typedef struct vector_case {
  char *name;
  vector_line *lines;
  size_t line_count;
} vector_case;

typedef struct vector_table {
  vector_case *cases;
  size_t count;
} vector_table;

/* Reads a file, or ends the program saying which line of it is wrong. */
void vector_table_read(vector_table *table, const char *path);
void vector_table_free(vector_table *table);

/* Whether word `index` of the line is `text`. */
bool vector_line_has(const vector_line *line, size_t index, const char *text);

#endif
