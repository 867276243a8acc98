#include "vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 4096

static void *grow(void *ptr, size_t size) {
  ptr = realloc(ptr, size);
  if (ptr == NULL) abort();
  return ptr;
}

static char *copy(const char *text) {
  return strcpy(grow(NULL, strlen(text) + 1), text);
}

static void complain(unsigned number, const char *what) {
  fprintf(stderr, "line %u of the table: %s\n", number, what);
  exit(2);
}

/* Cuts the comment and the blanks off the end. */
static void trim(char *text) {
  bool is_quoted = false;
  size_t end = 0;
  for (size_t i = 0; text[i] != '\0'; i++) {
    if (text[i] == '"') is_quoted = !is_quoted;
    if (text[i] == '#' && !is_quoted) break;
    if (!isspace((unsigned char)text[i])) end = i + 1;
  }
  text[end] = '\0';
}

static void append(vector_line *line, const uint8_t *data, size_t len,
                   size_t times) {
  line->data = grow(line->data, line->len + len * times + 1);
  for (; times > 0; times--) {
    memcpy(line->data + line->len, data, len);
    line->len += len;
  }
}

static int digit_value(char c) {
  static const char digits[] = "0123456789abcdef";
  const char *found = c != '\0' ? strchr(digits, c) : NULL;
  return found != NULL ? (int)(found - digits) : -1;
}

/* Reads a run of hexadecimal pairs with its optional "*count". */
static const char *read_run(vector_line *line, const char *text) {
  uint8_t run[MAX_LINE];
  size_t len = 0;
  while (digit_value(text[0]) >= 0 && digit_value(text[1]) >= 0) {
    run[len++] = (uint8_t)(digit_value(text[0]) << 4 | digit_value(text[1]));
    text += 2;
  }
  if (len == 0) complain(line->number, "bytes are pairs of digits");
  char *end = NULL;
  const size_t times = *text == '*' ? strtoul(text + 1, &end, 10) : 1;
  append(line, run, len, times);
  return end != NULL ? end : text;
}

static void read_data(vector_line *line, const char *text) {
  while (*text != '\0') {
    if (*text == ' ') {
      text++;
    } else if (*text == '"') {
      const char *end = strchr(text + 1, '"');
      if (end == NULL) complain(line->number, "a quote is missing");
      append(line, (const uint8_t *)text + 1, (size_t)(end - text) - 1, 1);
      text = end + 1;
    } else {
      text = read_run(line, text);
    }
  }
}

static void read_words(vector_line *line, char *text) {
  for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
    if (line->word_count == VECTOR_MAX_WORDS) {
      complain(line->number, "too many words");
    }
    line->words[line->word_count++] = copy(word);
  }
  if (line->word_count == 0) complain(line->number, "a word is missing");
}

static void add_line(vector_case *c, char *text, unsigned number) {
  c->lines = grow(c->lines, (c->line_count + 1) * sizeof(*c->lines));
  vector_line *line = &c->lines[c->line_count++];
  *line = (vector_line){.number = number};
  append(line, NULL, 0, 0);

  char *colon = strchr(text, ':');
  if (colon != NULL) {
    read_data(line, colon + 1);
    *colon = '\0';
  }
  read_words(line, text);
}

static void add_case(vector_table *table, const char *name) {
  table->cases = grow(table->cases, (table->count + 1) * sizeof(*table->cases));
  table->cases[table->count++] = (vector_case){.name = copy(name)};
}

void vector_table_read(vector_table *table, const char *path) {
  static const char case_word[] = "case: ";
  *table = (vector_table){0};
  FILE *file = fopen(path, "r");
  if (file == NULL) complain(0, path);
  char text[MAX_LINE];
  for (unsigned number = 1; fgets(text, sizeof(text), file) != NULL; number++) {
    trim(text);
    if (text[0] == '\0') continue;
    if (strncmp(text, case_word, strlen(case_word)) == 0) {
      add_case(table, text + strlen(case_word));
    } else if (table->count > 0) {
      add_line(&table->cases[table->count - 1], text, number);
    } else {
      complain(number, "a line stands before the first case");
    }
  }
  fclose(file);
}

void vector_table_free(vector_table *table) {
  for (size_t i = 0; i < table->count; i++) {
    vector_case *c = &table->cases[i];
    for (size_t j = 0; j < c->line_count; j++) {
      for (size_t k = 0; k < c->lines[j].word_count; k++) {
        free(c->lines[j].words[k]);
      }
      free(c->lines[j].data);
    }
    free(c->lines);
    free(c->name);
  }
  free(table->cases);
}

bool vector_line_has(const vector_line *line, size_t index, const char *text) {
  return index < line->word_count && strcmp(line->words[index], text) == 0;
}
