// The page's files, put into the binary by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace keyturn::bot::assets {

std::string_view page_html();
std::string_view form_js();
std::string_view clipboard_js();
std::string_view closed_js();
std::string_view expiration_js();
std::string_view hpke_js();
std::string_view key_field_js();
std::string_view link_js();
std::string_view message_js();
std::string_view page_js();
std::string_view paste_js();
std::string_view progress_js();
std::string_view server_js();
std::string_view stop_js();
std::string_view words_js();
std::string_view style_css();

}  // namespace keyturn::bot::assets
