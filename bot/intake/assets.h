// The page's files, put into the binary by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace keyturn::bot::assets {

std::string_view page_html();
std::string_view form_js();
std::string_view style_css();

}  // namespace keyturn::bot::assets
