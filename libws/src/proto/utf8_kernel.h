/* utf8_kernel.h - the body of a vector kernel, included by utf8.c once for each
 * vector width. No include guard: it is a template.
 *
 * All bytes of a vector are judged at once, each by itself and the three bytes
 * before it, which are simply loaded from one, two and three bytes further
 * left. So vectors do not depend on each other and may overlap, and nothing is
 * carried from one to the next.
 *
 * Before including it, define
 *   NAME(x)         x, made unique for this kernel,
 *   TARGET          the attributes of its functions,
 *   VEC             the vector type, of bytes,
 *   LOAD(p)         VEC from any address,
 *   FILL(c)         VEC of one byte, repeated,
 *   TABLE(t)        VEC of a table of 16 bytes, ready for LOOKUP,
 *   LOOKUP(t, v)    t[v] for each byte of v, which are below 16,
 *   HIGH(v) LOW(v)  the high and the low four bits of each byte,
 *   AND, OR, XOR(a, b)
 *   MINUS(a, b)     a - b, or 0 where that is negative,
 *   IS_ZERO(v)      whether all bits are 0,
 *   IS_ASCII(v)     whether the top bit of each byte is 0. */

/* Not zero where one of the bytes at p is wrong after those before it. */
TARGET static inline VEC NAME(errors)(const uint8_t *p) {
  const VEC first = LOAD(p - 1);
  const VEC second = LOAD(p);
  const VEC pair = AND(AND(LOOKUP(TABLE(by_first_high), HIGH(first)),
                           LOOKUP(TABLE(by_first_low), LOW(first))),
                       LOOKUP(TABLE(by_second_high), HIGH(second)));

  /* Two continuation bytes in a row are right where the second one is the third
   * or the fourth of a sequence, and nothing else is right there. E0 - 60 is
   * the least that keeps the top bit, which is that of TWO_TAILS. */
  const VEC third = MINUS(LOAD(p - 2), FILL(0xE0 - 0x80));
  const VEC fourth = MINUS(LOAD(p - 3), FILL(0xF0 - 0x80));
  return XOR(pair, AND(OR(third, fourth), FILL(TWO_TAILS)));
}

TARGET static inline bool NAME(is_ascii)(const uint8_t *p) {
  return IS_ASCII(OR(LOAD(p), LOAD(p + sizeof(VEC))));
}

/* How many bytes at the front are ASCII, counted in whole strides; `len`, which
 * is at least a vector, if all are. */
TARGET static inline size_t NAME(ascii_front)(const uint8_t *data, size_t len) {
  const size_t stride = 2 * sizeof(VEC);
  size_t i = 0;
  for (; len - i > stride; i += stride)
    if (!NAME(is_ascii)(data + i)) return i;

  /* The rest is a stride or less: its vectors may overlap others. */
  const VEC last = LOAD(data + len - sizeof(VEC));
  const VEC other = LOAD(len < stride ? data : data + len - stride);
  return IS_ASCII(OR(last, other)) ? len : i;
}

TARGET static bool NAME(is_valid)(const uint8_t *data, size_t len) {
  size_t i = NAME(ascii_front)(data, len);
  if (i == len) return true;
  if (unfinished(data, len) > 0) return false;

  /* The three bytes that have to stand before the first vector. */
  ws__utf8_state state = 0;
  for (; i < 3; i++)
    if (!step(&state, data[i])) return false;

  const size_t stride = 2 * sizeof(VEC);
  const size_t block =
      16 * sizeof(VEC); /* Where there is one, there are more. */
  VEC wrong = FILL(0);
  while (len - i >= stride) {
    if (NAME(is_ascii)(data + i)) {
      if (unfinished(data, i) > 0) return false; /* Cut short by ASCII. */
      do
        i += stride;
      while (len - i >= stride && NAME(is_ascii)(data + i));
    } else {
      const size_t end = i + (len - i < block ? len - i : block);
      for (; end - i >= sizeof(VEC); i += sizeof(VEC))
        wrong = OR(wrong, NAME(errors)(data + i));
      if (!IS_ZERO(wrong)) return false;
    }
  }
  if (len - i > sizeof(VEC)) wrong = OR(wrong, NAME(errors)(data + i));
  /* The last vector may overlap the one before it. */
  wrong = OR(wrong, NAME(errors)(data + len - sizeof(VEC)));
  return IS_ZERO(wrong);
}

#undef NAME
#undef TARGET
#undef VEC
#undef LOAD
#undef FILL
#undef TABLE
#undef LOOKUP
#undef HIGH
#undef LOW
#undef AND
#undef OR
#undef XOR
#undef MINUS
#undef IS_ZERO
#undef IS_ASCII
