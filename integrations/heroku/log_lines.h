// From the bytes of a log stream to lines: plain (one line each) or server-sent events. Pure; any bytes will
// do. Source: devcenter.heroku.com/articles/logging; html.spec.whatwg.org, "Server-sent events".
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace keyturn::heroku {

class LogLines {
 public:
  enum class Format { plain, events };
  explicit LogLines(Format format) : format_(format) {}

  void feed(std::string_view bytes);
  // No more bytes will come: what stands without a line's end is a line now.
  void end();
  // The next whole line, without its end; never empty.
  std::optional<std::string> next();

 private:
  void take_line(std::string line);
  void take_event_line(std::string line);

  Format format_;
  std::string partial_;
  std::string event_;  // the data of the event being read
  std::deque<std::string> ready_;
};

}  // namespace keyturn::heroku
