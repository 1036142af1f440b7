# keyturn_embed(TARGET NAMESPACE FILE...): puts files into a library, so that the binary needs nothing beside it.
# "bot/intake/page.html" becomes std::string_view page_html() in NAMESPACE; declare it where it is used.
# This file is also the script that the build runs: cmake -DINPUT=... -DOUTPUT=... -DSPACE=... -P embed.cmake

if(CMAKE_SCRIPT_MODE_FILE)
  get_filename_component(name ${INPUT} NAME)
  string(MAKE_C_IDENTIFIER ${name} function)
  file(READ ${INPUT} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE ${OUTPUT} "// Made from ${name} by cmake/embed.cmake.
#include <string_view>
namespace ${SPACE} {
std::string_view ${function}();
std::string_view ${function}() {
  static constexpr unsigned char kBytes[] = {${bytes}};
  return {reinterpret_cast<const char*>(kBytes), sizeof kBytes};
}
}  // namespace ${SPACE}
")
  return()
endif()

function(keyturn_embed target namespace)
  foreach(file ${ARGN})
    string(MAKE_C_IDENTIFIER ${file} identifier)
    set(output ${CMAKE_BINARY_DIR}/embedded/${identifier}.cpp)
    add_custom_command(OUTPUT ${output} VERBATIM
      COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_SOURCE_DIR}/${file} -DOUTPUT=${output} -DSPACE=${namespace}
              -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
      DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
    target_sources(${target} PRIVATE ${output})
  endforeach()
endfunction()
