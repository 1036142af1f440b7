// Asio's and Asio-TLS's own code, compiled once for the whole program (BOOST_ASIO_SEPARATE_COMPILATION). It
// lives on the lowest floor because every floor links it.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
