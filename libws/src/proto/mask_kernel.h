/* mask_kernel.h - the body of a masking kernel, included by mask.c once for
 * each vector width. No include guard: it is a template.
 *
 * Before including it, define
 *   KERNEL         the name of the function,
 *   TARGET         its attributes,
 *   VEC            the vector type,
 *   LOAD(p)        VEC from any address,
 *   STORE(p, v)    VEC to any address,
 *   XOR(a, b)      of two VEC,
 *   SPREAD(key)    VEC of the 32-bit key, repeated. */

TARGET static void KERNEL(uint8_t *dst, const uint8_t *src, size_t len,
                          uint32_t key) {
  /* The first and the last vector may overlap the blocks between them, and
   * masking a byte twice would undo it. So both are loaded before the loops and
   * stored after them: where they overlap, both write the same. */
  const VEC head = XOR(LOAD(src), SPREAD(key));
  const VEC tail = XOR(LOAD(src + len - sizeof(VEC)), SPREAD(rotate(key, len)));

  /* The blocks are aligned in dst, which is worth up to half of the time. */
  size_t i = sizeof(VEC) - (uintptr_t)dst % sizeof(VEC);
  const VEC spread = SPREAD(rotate(key, i));
  for (; len - i >= 4 * sizeof(VEC); i += 4 * sizeof(VEC)) {
    const VEC a = LOAD(src + i);
    const VEC b = LOAD(src + i + sizeof(VEC));
    const VEC c = LOAD(src + i + 2 * sizeof(VEC));
    const VEC d = LOAD(src + i + 3 * sizeof(VEC));
    STORE(dst + i, XOR(a, spread));
    STORE(dst + i + sizeof(VEC), XOR(b, spread));
    STORE(dst + i + 2 * sizeof(VEC), XOR(c, spread));
    STORE(dst + i + 3 * sizeof(VEC), XOR(d, spread));
  }
  for (; len - i >= sizeof(VEC); i += sizeof(VEC))
    STORE(dst + i, XOR(LOAD(src + i), spread));

  STORE(dst, head);
  STORE(dst + len - sizeof(VEC), tail);
}

#undef KERNEL
#undef TARGET
#undef VEC
#undef LOAD
#undef STORE
#undef XOR
#undef SPREAD
