# Compiles FILE. A file whose first line is `// expect: REGEX` must fail with a matching message, so
# that it fails for the right reason; a file whose first line is `// compiles` must not fail.
cmake_minimum_required(VERSION 3.22)
file(READ "${FILE}" text)
if(text MATCHES "^// compiles\n")
  set(expected "")
elseif(text MATCHES "^// expect: ([^\n]+)\n")
  set(expected "${CMAKE_MATCH_1}")
else()
  message(FATAL_ERROR "${FILE}: the first line must be `// compiles` or `// expect: REGEX`")
endif()

execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C "${COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror=unused-result
          -I "${INCLUDE}" "${FILE}"
  RESULT_VARIABLE failed ERROR_VARIABLE output OUTPUT_VARIABLE output)

if(NOT expected)
  if(failed)
    message(FATAL_ERROR "${FILE} must compile, and does not:\n${output}")
  endif()
elseif(NOT failed)
  message(FATAL_ERROR "${FILE} compiles, and must not")
elseif(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "${FILE} fails, but no message matches `${expected}`:\n${output}")
endif()
