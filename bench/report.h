/* report.h - the tables and marks, for people or as JSON.
 *
 * A mark is a claim with a limit, checked in many cases; what is reported is
 * its worst case, and whether that still passes. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define REPORT_MAX_COLUMNS 8

typedef struct report_column {
  const char *name;
  int decimals;
} report_column;

/* One document: begin, tables with their rows, end. */
void report_begin(bool is_json);
void report_table(const char *title, const report_column *columns,
                  size_t column_count);
/* `values` are as many as the table has columns; NAN for none. */
void report_row(const double *values, const char *name_format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints the marks too. */
void report_end(size_t slices_repeated);

/* Says something between tables; not part of the JSON. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef enum report_sense {
  REPORT_AT_LEAST,
  REPORT_AT_MOST
} report_sense;

/* A claim that is to hold in all cases; texts are static. */
typedef struct report_mark {
  const char *claim;
  report_sense sense;
  double limit;

  double worst;
  char worst_case[64];
  size_t cases;
  size_t passed;
  struct report_mark *next;
} report_mark;

/* Checks a mark in one more case. It is listed from its first case on. */
void report_check(report_mark *mark, double value, const char *case_format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
