// The workspace page's files, put into the binary by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace keyturn::sandbox::assets {

std::string_view workspace_html();
std::string_view workspace_css();
std::string_view workspace_js();
std::string_view blocks_js();
std::string_view composer_js();
std::string_view dialogs_js();
std::string_view dom_js();
std::string_view faults_js();
std::string_view mrkdwn_js();
std::string_view server_js();
std::string_view slack_js();
std::string_view stripe_js();
std::string_view worlds_js();

}  // namespace keyturn::sandbox::assets
