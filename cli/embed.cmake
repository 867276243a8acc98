# Makes a C source of a file:
#
#   cmake -DINPUT=FILE -DOUTPUT=FILE.c -DNAME=name -P embed.cmake
#
# defines `const unsigned char name[]` and `const size_t name_len`.
file(READ ${INPUT} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
get_filename_component(input_name ${INPUT} NAME)
file(WRITE ${OUTPUT}
"/* Made of ${input_name} by embed.cmake. */
#include \"${NAME}.h\"

const unsigned char ${NAME}[] = {
${bytes}
};
const size_t ${NAME}_len = ${size};
")
