/* report.c - prints as it goes, so that a long run shows its progress. */
#include "report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ws/base.h"

#define NAME_WIDTH 34

static bool json;
static const report_column *columns;
static size_t column_count;
static size_t tables;
static size_t rows; /* Of the table. */
static report_mark *first_mark;
static report_mark **last_mark = &first_mark;

void report_begin(bool is_json) {
  json = is_json;
  if (json) printf("{\"libws\": \"%s\",\n \"tables\": [", ws_version());
  else printf("libws %s\n", ws_version());
}

static void end_table(void) {
  if (json && tables > 0) printf("]}");
}

static void print_json_columns(void) {
  for (size_t i = 0; i < column_count; i++)
    printf("%s\"%s\"", i > 0 ? ", " : "", columns[i].name);
}

static void print_heading(const char *title) {
  printf("\n%s\n%-*s", title, NAME_WIDTH, "");
  for (size_t i = 0; i < column_count; i++)
    printf(" %11s", columns[i].name);
  printf("\n");
}

void report_table(const char *title, const report_column *table_columns,
                  size_t table_column_count) {
  end_table();
  columns = table_columns;
  column_count = table_column_count;
  rows = 0;
  if (json) {
    printf("%s\n  {\"title\": \"%s\", \"columns\": [", tables > 0 ? "," : "",
           title);
    print_json_columns();
    printf("], \"rows\": [");
  } else {
    print_heading(title);
  }
  tables++;
}

static void print_json_row(const char *name, const double *values) {
  printf("%s\n    {\"case\": \"%s\", \"values\": [", rows > 0 ? "," : "", name);
  for (size_t i = 0; i < column_count; i++) {
    const char *comma = i > 0 ? ", " : "";
    if (isnan(values[i])) printf("%snull", comma);
    else printf("%s%.6g", comma, values[i]);
  }
  printf("]}");
}

static void print_row(const char *name, const double *values) {
  printf("%-*s", NAME_WIDTH, name);
  for (size_t i = 0; i < column_count; i++) {
    if (isnan(values[i])) printf(" %11s", "-");
    else printf(" %11.*f", columns[i].decimals, values[i]);
  }
  printf("\n");
}

void report_row(const double *values, const char *name_format, ...) {
  char name[128];
  va_list args;
  va_start(args, name_format);
  vsnprintf(name, sizeof(name), name_format, args);
  va_end(args);

  if (json) print_json_row(name, values);
  else print_row(name, values);
  rows++;
  fflush(stdout);
}

void report_note(const char *format, ...) {
  if (json) return;
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf("\n");
}

/* -- Marks ----------------------------------------------------------------- */

static bool passes(const report_mark *mark, double value) {
  return mark->sense == REPORT_AT_LEAST ? value >= mark->limit
                                        : value <= mark->limit;
}

static bool is_worse(const report_mark *mark, double value) {
  return mark->sense == REPORT_AT_LEAST ? value < mark->worst
                                        : value > mark->worst;
}

void report_check(report_mark *mark, double value, const char *case_format,
                  ...) {
  if (mark->cases == 0) {
    *last_mark = mark;
    last_mark = &mark->next;
  }
  if (mark->cases == 0 || is_worse(mark, value)) {
    mark->worst = value;
    va_list args;
    va_start(args, case_format);
    vsnprintf(mark->worst_case, sizeof(mark->worst_case), case_format, args);
    va_end(args);
  }
  mark->cases++;
  if (passes(mark, value)) mark->passed++;
}

static void print_json_mark(const report_mark *mark) {
  printf("%s\n  {\"claim\": \"%s\", \"pass\": %s, \"limit\": %g, "
         "\"sense\": \"%s\", \"worst\": %.6g, \"worst_case\": \"%s\", "
         "\"cases\": %zu, \"passed\": %zu}",
         mark != first_mark ? "," : "", mark->claim,
         mark->passed == mark->cases ? "true" : "false", mark->limit,
         mark->sense == REPORT_AT_LEAST ? "at least" : "at most", mark->worst,
         mark->worst_case, mark->cases, mark->passed);
}

static void print_mark(const report_mark *mark) {
  printf("%s  %s: %s %g; worst %.2f (%s); %zu of %zu cases\n",
         mark->passed == mark->cases ? "PASS" : "FAIL", mark->claim,
         mark->sense == REPORT_AT_LEAST ? "at least" : "at most", mark->limit,
         mark->worst, mark->worst_case, mark->passed, mark->cases);
}

void report_end(size_t slices_repeated) {
  end_table();
  if (json) printf("],\n \"marks\": [");
  else printf("\nMarks\n");

  for (const report_mark *mark = first_mark; mark != NULL; mark = mark->next) {
    if (json) print_json_mark(mark);
    else print_mark(mark);
  }
  if (json) printf("],\n \"slices_repeated\": %zu}\n", slices_repeated);
  else printf("\nSlices repeated for a lost core: %zu\n", slices_repeated);
}
