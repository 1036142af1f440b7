// The one-time form's web side: pages, limits and headers in front of a FormDesk. Token in the URL's fragment; GET is
// inert, only POST spends the link.
//   GET  /form           the page (static; without a token, which never reaches the server by GET)
//   GET  /form/*.js,css  its script and style
//   POST /form/look      {"token"}                                      -> what the form is for, or why it is closed
//   POST /form/submit    {"token","key","grace_seconds","rotated_at"}   -> received, refused, or closed
// Anything else is 404 or 405. Every response carries the security headers.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "commands/form_desk.h"
#include "integrations/net/http_server.h"

namespace keyturn::bot {

class Intake {
 public:
  using Observer = std::function<void(const std::string& event)>;
  // `desk` must outlive this. `hsts` when the TLS is ours.
  Intake(commands::FormDesk& desk, bool hsts, Observer observer);
  net::Handler handler();

 private:
  commands::FormDesk& desk_;
  bool hsts_;
  Observer observer_;
};

}  // namespace keyturn::bot
