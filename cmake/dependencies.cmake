# Everything comes from Debian 12's packages (deploy/install). Third-party headers are SYSTEM, so that
# our warnings are about our code.
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)

# Beast and Asio compile once, in net's and storage's own translation units, instead of in every
# user: see CONTRIBUTING.md for what that saves.
add_library(boost_asio INTERFACE)
target_include_directories(boost_asio SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
target_compile_definitions(boost_asio INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(boost_asio INTERFACE Threads::Threads OpenSSL::SSL OpenSSL::Crypto)

add_library(sqlite INTERFACE)
target_link_libraries(sqlite INTERFACE SQLiteCpp sqlite3)

add_library(prometheus INTERFACE)
target_link_libraries(prometheus INTERFACE prometheus-cpp::core)
