# Flags that every target of ours is built with.
add_library(keyturn_flags INTERFACE)
target_include_directories(keyturn_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(keyturn_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough
  -Wno-missing-field-initializers  # designated initialisers leave the rest at their defaults on purpose
  -Werror -fno-omit-frame-pointer -fstack-protector-strong)
target_compile_definitions(keyturn_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
target_link_options(keyturn_flags INTERFACE -fuse-ld=lld-19 -Wl,-z,relro,-z,now)
target_link_libraries(keyturn_flags INTERFACE boost_asio nlohmann_json::nlohmann_json spdlog::spdlog)

if(KEYTURN_SANITIZE)
  target_compile_options(keyturn_flags INTERFACE -fsanitize=${KEYTURN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(keyturn_flags INTERFACE -fsanitize=${KEYTURN_SANITIZE})
  target_compile_definitions(keyturn_flags INTERFACE KEYTURN_SANITIZED)
endif()
if(KEYTURN_FUZZ)
  target_compile_options(keyturn_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The third-party headers that nearly every file includes, compiled once.
add_library(keyturn_headers OBJECT cmake/headers.cpp)
target_link_libraries(keyturn_headers PRIVATE keyturn_flags)
target_precompile_headers(keyturn_headers PRIVATE
  <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp> <boost/asio/io_context.hpp> <boost/asio/steady_timer.hpp>
  <boost/asio/use_awaitable.hpp> <nlohmann/json.hpp> <spdlog/fmt/fmt.h>
  <chrono> <functional> <map> <memory> <optional> <string> <string_view> <variant> <vector>)

# keyturn_library(NAME FOLDER [ALSO GLOB] [EXCLUDE FILE...] LINKS ...): every .cpp below FOLDER is the library NAME,
# with the files that match GLOB (which doesn't look into subfolders).
function(keyturn_library name folder)
  cmake_parse_arguments(arg "" "ALSO" "EXCLUDE;LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  if(arg_ALSO)
    file(GLOB also CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${arg_ALSO})
    list(APPEND sources ${also})
  endif()
  foreach(file ${arg_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/${file})
  endforeach()
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC keyturn_flags ${arg_LINKS})
    target_precompile_headers(${name} REUSE_FROM keyturn_headers)
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE keyturn_flags ${arg_LINKS})
  endif()
endfunction()
